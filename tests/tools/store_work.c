// SPDX-License-Identifier: Apache-2.0
/*
 * store_work - what a store goes through in its life, always the same, for the tests of faults
 *
 *	store_work run DIR ACKNOWLEDGED [QUOTA]   write, seal, retire, reopen, back up; after a
 *failure of a commit try again, as the recorder does store_work load DIR ACKNOWLEDGED SEED write
 *until killed store_work verify DIR ACKNOWLEDGED all|newest is every tape sound, is all there that
 *was acknowledged (newest: from the oldest that is there on)
 *
 * DIR/store is the store, DIR/backup its copy. ACKNOWLEDGED gets a line for each
 * exchange once its commit has returned: its id, and F when it failed. Exit status: 0; 1 it is not
 *as it should be; 3 it could not go on: which is all right where faults were made.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "store/backup.h"
#include "store/check.h"
#include "store/directory.h"
#include "store/reader.h"
#include "store/store.h"
#include "tests/unit/some_exchange.h"

#define START	   UINT64_C(1764000000000000000)
#define TRIES	   3
#define BATCH_MAX  64
#define TAPE_ROWS  20
#define RUN_ROUNDS 10

struct work {
	char dir[256], copy[256];
	int acknowledged;
	struct store *store;
	struct store_config config;
	uint64_t seed, count;
	struct {
		uint64_t id;
		bool is_failed;
	} batch[BATCH_MAX];
	size_t batch_count;
};

static void give_up(const char *what, const struct err *e)
{
	(void)fprintf(stderr, "store_work: %s: %s\n", what, e->why);
	_exit(3);
}

/* By write(), which tests/tools/fault.c sees. */
static void acknowledge(struct work *w)
{
	AUTO_BUF lines = {0};

	for (size_t i = 0; i < w->batch_count; i++)
		buf_add_fmt(&lines, "%" PRIu64 "%s\n", w->batch[i].id,
			    w->batch[i].is_failed ? " F" : "");
	if (write(w->acknowledged, lines.ptr, lines.len) != (ssize_t)lines.len)
		_exit(3);
	w->batch_count = 0;
}

static void commit(struct work *w)
{
	struct err e = {0};

	for (unsigned i = 0; i < TRIES; i++)
		if (store_commit(w->store, &e) == 0) {
			acknowledge(w);
			return;
		}
	give_up("commit", &e);
}

static void add(struct work *w, size_t count)
{
	uint8_t *room = malloc(SOME_ROOM);

	for (size_t i = 0; i < count; i++) {
		struct exchange x = some_exchange(&w->seed, START + w->count++ * NS_PER_MS, room);
		struct err e = {0};
		int r = -1;

		for (unsigned n = 0; n < TRIES && r < 0; n++)
			r = store_add(w->store, &x, &e);
		if (r < 0)
			give_up("add", &e);
		w->batch[w->batch_count].id = x.id;
		w->batch[w->batch_count++].is_failed = exchange_is_failed(&x);
	}
	free(room);
}

static void open_it(struct work *w)
{
	struct err e = {0};

	for (unsigned i = 0; i < TRIES; i++)
		if (store_open(w->dir, &w->config, &w->store, &e) == 0)
			return;
	give_up("open", &e);
}

static void close_it(struct work *w)
{
	struct err e = {0};

	if (store_close(w->store, &e) < 0)
		(void)fprintf(stderr, "store_work: close: %s\n", e.why); /* all is committed */
	w->store = NULL;
}

static int copy_one(void *ctx, const char *path, bool is_failures, struct err *e)
{
	struct work *w = ctx;
	char to[600];

	(void)snprintf(to, sizeof(to), "%s/%s%s", w->copy, is_failures ? "failures-" : "",
		       strrchr(path, '/') + 1);
	return backup_tape(path, to, &(struct backup_hooks){0}, e);
}

static void back_up(struct work *w)
{
	struct err e = {0};

	(void)mkdir(w->copy, 0750);
	if (directory_each_tape(w->dir, copy_one, w, &e) < 0)
		(void)fprintf(stderr, "store_work: backup: %s\n", e.why);
}

static int run(struct work *w)
{
	open_it(w);
	for (unsigned round = 0; round < RUN_ROUNDS; round++) {
		add(w, 5 + round * 3 % 17);
		commit(w);
		if (round == RUN_ROUNDS / 2) {
			close_it(w);
			open_it(w);
		}
	}
	store_tick(w->store, START, NS_PER_S);
	back_up(w);
	close_it(w);
	return 0;
}

__attribute__((noreturn)) static void load(struct work *w)
{
	open_it(w);
	for (;;) {
		add(w, 1 + some_number(&w->seed) % 50);
		commit(w);
	}
}

/* --- verify --- */

struct ids {
	uint64_t *all;
	size_t count;
	uint64_t oldest[2]; /* that did not fail, that failed; 0: none */
};

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int take_id(void *ctx, const struct exchange *x)
{
	struct ids *l = ctx;

	if (l->count % 1024 == 0)
		l->all = realloc(l->all, (l->count + 1024) * sizeof(*l->all));
	l->all[l->count++] = x->id;
	if (!l->oldest[exchange_is_failed(x)] || x->id < l->oldest[exchange_is_failed(x)])
		l->oldest[exchange_is_failed(x)] = x->id;
	return 0;
}

static void on_found(void *ctx, const struct check_finding *f)
{
	(void)fprintf(stderr, "store_work: %s: %s: %s\n", (const char *)ctx,
		      check_place_name(f->place), f->what);
}

static int check_one(void *ctx, const char *path, bool is_failures, struct err *e)
{
	char *name = strdup(path);
	struct check_hooks hooks = {.found = on_found, .ctx = name};
	struct check_result result = {0};
	int r = check_tape(path, &hooks, &result, e);

	(void)is_failures;
	free(name);
	*(uint64_t *)ctx += result.findings;
	return r == -ENOENT ? 0 : r; /* empty: its writer ended before it made the tables */
}

static bool is_sound(const char *dir)
{
	struct err e = {0};
	uint64_t findings = 0;

	if (directory_each_tape(dir, check_one, &findings, &e) < 0) {
		(void)fprintf(stderr, "store_work: %s\n", e.why);
		return false;
	}
	return findings == 0;
}

static int read_all(const char *dir, struct ids *l)
{
	struct reader *r;
	struct err e = {0};
	int failed = reader_open(dir, &r, &e);

	if (failed == 0) {
		failed = reader_list(r, &(struct query){.wants_messages = true}, take_id, l, NULL,
				     &e);
		reader_close(r);
	}
	if (failed < 0)
		(void)fprintf(stderr, "store_work: %s\n", e.why);
	if (l->count)
		qsort(l->all, l->count, sizeof(*l->all), by_id);
	return failed;
}

static bool has_twice(const struct ids *l)
{
	for (size_t i = 1; i < l->count; i++)
		if (l->all[i] == l->all[i - 1])
			return true;
	return false;
}

static int verify(struct work *w, FILE *acknowledged, bool wants_all)
{
	struct ids l = {0};
	uint64_t missing = 0, seen = 0;
	char line[64];

	if (access(w->dir, F_OK) < 0)
		return 0; /* it could not even be made */
	if (!is_sound(w->dir) || read_all(w->dir, &l) < 0)
		return 1;
	if (has_twice(&l)) {
		(void)fprintf(stderr, "store_work: an exchange is there twice\n");
		return 1;
	}
	while (fgets(line, sizeof(line), acknowledged)) {
		uint64_t id = strtoull(line, NULL, 10);
		uint64_t oldest = wants_all ? 0 : l.oldest[strchr(line, 'F') != NULL];

		seen++;
		missing += id >= oldest && !bsearch(&id, l.all, l.count, sizeof(id), by_id);
	}
	if (missing)
		(void)fprintf(stderr,
			      "store_work: %" PRIu64 " of %" PRIu64 " acknowledged are missing\n",
			      missing, seen);
	free(l.all);
	return missing != 0;
}

int main(int argc, char **argv)
{
	struct work w = {.seed = 88172645463325252, .config = store_config_default()};

	if (argc < 4)
		return 2;
	(void)snprintf(w.dir, sizeof(w.dir), "%s/store", argv[2]);
	(void)snprintf(w.copy, sizeof(w.copy), "%s/backup", argv[2]);
	w.config.tape_rows = TAPE_ROWS;
	if (strcmp(argv[1], "verify") == 0) {
		FILE *acknowledged = fopen(argv[3], "r");

		return acknowledged && argc == 5
			       ? verify(&w, acknowledged, strcmp(argv[4], "all") == 0)
			       : 2;
	}
	w.acknowledged = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (w.acknowledged < 0)
		return 3;
	w.count = (uint64_t)lseek(w.acknowledged, 0, SEEK_END); /* later than in any run before */
	if (strcmp(argv[1], "load") == 0) {
		w.seed += strtoull(argv[4], NULL, 10) * 1000003;
		w.config.tape_rows = 700;
		load(&w);
	}
	if (argc > 4)
		w.config.bytes_max = strtoull(argv[4], NULL, 10);
	return run(&w);
}
