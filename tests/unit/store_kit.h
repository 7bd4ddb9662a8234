// SPDX-License-Identifier: Apache-2.0
/* store_kit.h - for tests of the store: directories, stores that must open, what was added */
#pragma once

#include "lib/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/reader.h"
#include "store/store.h"
#include "tests/unit/some_exchange.h"

#define START UINT64_C(1764000000000000000)

/* A directory of its own for each test, removed behind it. */
static inline int make_directory(void **state)
{
	char *dir = strdup("/tmp/test_store.XXXXXX");

	*state = dir;
	return dir && mkdtemp(dir) ? 0 : -1;
}

static inline int remove_directory(void **state)
{
	char command[128];
	int r;

	(void)snprintf(command, sizeof(command), "chmod -R u+w '%s'; rm -rf '%s'", (char *)*state,
		       (char *)*state);
	r = system(command);
	free(*state);
	return r;
}

static inline struct store *open_store(const char *dir, const struct store_config *config)
{
	struct store_config def = store_config_default();
	struct store *s = NULL;
	struct err e = {0};

	if (store_open(dir, config ? config : &def, &s, &e) < 0)
		fail_msg("%s", e.why);
	return s;
}

static inline void close_store(struct store *s)
{
	struct err e = {0};

	if (store_close(s, &e) < 0)
		fail_msg("%s", e.why);
}

static inline void commit(struct store *s)
{
	struct err e = {0};

	if (store_commit(s, &e) < 0)
		fail_msg("%s", e.why);
}

static inline struct reader *open_reader(const char *path)
{
	struct reader *r = NULL;
	struct err e = {0};

	if (reader_open(path, &r, &e) < 0)
		fail_msg("%s", e.why);
	return r;
}

/* --- everything comes back --- */

struct kept {
	struct exchange **all; /* sorted by id when compared */
	size_t count;
};

static inline void keep(struct kept *k, const struct exchange *x)
{
	k->all = realloc(k->all, (k->count + 1) * sizeof(*k->all));
	assert_non_null(k->all);
	k->all[k->count++] = exchange_copy(x, malloc(exchange_bytes(x)));
}

static inline void kept_fini(struct kept *k)
{
	for (size_t i = 0; i < k->count; i++)
		free(k->all[i]);
	free(k->all);
}

static inline int newest_first(const void *a, const void *b)
{
	uint64_t x = (*(struct exchange *const *)a)->id, y = (*(struct exchange *const *)b)->id;

	return (x < y) - (x > y);
}

/* Random exchanges within two nanoseconds for each, out of order, in several commits. */
static inline void add_some(struct store *s, struct kept *k, uint64_t *seed, size_t count)
{
	uint8_t *room = malloc(SOME_ROOM);
	struct err e = {0};

	for (size_t i = 0; i < count; i++) {
		struct exchange x =
			some_exchange(seed, START + some_number(seed) % (count * 2), room);

		if (store_add(s, &x, &e) < 0)
			fail_msg("%s", e.why);
		keep(k, &x);
		if (some_chance(seed, 2))
			commit(s);
	}
	free(room);
	commit(s);
}

struct expect {
	const struct kept *kept;
	size_t at;
	bool has_messages, is_reverse;
};

static inline int compare_next(void *ctx, const struct exchange *x)
{
	struct expect *want = ctx;
	const struct exchange *y;

	assert_true(want->at < want->kept->count);
	y = want->kept->all[want->is_reverse ? want->kept->count - 1 - want->at : want->at];
	want->at++;
	assert_true(x->id == y->id);
	assert_true(some_same_summary(x, y));
	if (want->has_messages)
		assert_true(some_same_exchange(x, y));
	return 0;
}

static inline void expect_list(const char *path, const struct kept *k, const struct query *q)
{
	struct reader *r = open_reader(path);
	struct expect want = {k, 0, q->wants_messages, q->is_reverse};
	struct err e = {0};

	if (reader_list(r, q, compare_next, &want, NULL, &e) < 0)
		fail_msg("%s", e.why);
	assert_int_equal(want.at, k->count);
	reader_close(r);
}

/* All of it, newest first, with messages. */
static inline void expect_kept(const char *path, struct kept *k)
{
	qsort(k->all, k->count, sizeof(*k->all), newest_first);
	expect_list(path, k, &(struct query){.wants_messages = true});
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)
