// SPDX-License-Identifier: Apache-2.0
/*
 * Tapes of every earlier schema version (tests/tapes/vN, made by the program of that version): each
 * exchange that was put in is read from them, and a writer goes on beside them.
 */
#include "tests/unit/store_kit.h"

#include <glob.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <zstd.h>

#include "schema/exchange_json.h"
#include "schema/sql.h"
#include "store/tape.h"

struct old {
	char dir[128]; /* a copy of tests/tapes/vN */
	struct kept kept;
};

static void copy_fixture(struct old *o, const char *version, const char *to)
{
	char command[512];

	(void)snprintf(o->dir, sizeof(o->dir), "%s/%s", to, version);
	(void)snprintf(command, sizeof(command), "cp -r tests/tapes/%s '%s'", version, o->dir);
	assert_int_equal(system(command), 0);
}

static char *read_expected(const char *dir, size_t *len_out)
{
	char path[256];
	static char packed[4 << 20];
	FILE *f;
	size_t n, len;
	char *text;

	(void)snprintf(path, sizeof(path), "%s/expect.jsonl.zst", dir);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(packed, 1, sizeof(packed), f);
	(void)fclose(f);
	len = ZSTD_getFrameContentSize(packed, n);
	text = malloc(len);
	assert_non_null(text);
	assert_int_equal(ZSTD_decompress(text, len, packed, n), len);
	*len_out = len;
	return text;
}

static void expect_lines(struct old *o)
{
	size_t len;
	char *text = read_expected(o->dir, &len), *at = text;

	while (at < text + len) {
		char *end = memchr(at, '\n', (size_t)(text + len - at));
		struct exchange x;
		struct err e = {0};
		void *memory;

		assert_non_null(end);
		if (exchange_from_json(span_of(at, (size_t)(end - at)), &x, &memory, &e) < 0)
			fail_msg("%s", e.why);
		keep(&o->kept, &x);
		free(memory);
		at = end + 1;
	}
	free(text);
	assert_true(o->kept.count > 400);
}

static int keep_next(void *ctx, const struct exchange *x)
{
	keep(ctx, x);
	return 0;
}

/* The exchanges of store/ and bulk/ together are the ones that were put in, each once. */
static void expect_all(struct old *o)
{
	static const char *const parts[] = {"store", "bulk"};
	struct kept got = {0};

	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		char path[256];
		struct reader *r;
		struct err e = {0};

		(void)snprintf(path, sizeof(path), "%s/%s", o->dir, parts[i]);
		r = open_reader(path);
		if (reader_list(r, &(struct query){.wants_messages = true}, keep_next, &got, NULL,
				&e) < 0)
			fail_msg("%s: %s", path, e.why);
		reader_close(r);
	}
	assert_int_equal(got.count, o->kept.count);
	qsort(got.all, got.count, sizeof(*got.all), newest_first);
	qsort(o->kept.all, o->kept.count, sizeof(*o->kept.all), newest_first);
	for (size_t i = 0; i < got.count; i++) {
		assert_true(got.all[i]->id == o->kept.all[i]->id);
		assert_true(some_same_exchange(got.all[i], o->kept.all[i]));
	}
	kept_fini(&got);
}

static int pragma_number(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	int number = -1;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		number = sqlite3_column_int(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return number;
}

static void expect_refused(const char *path)
{
	struct tape *t = NULL;
	struct err e = {0};
	int version = pragma_number(path, "PRAGMA user_version");

	assert_int_equal(tape_open(path, TAPE_APPEND, &t, &e), -ESTALE);
	assert_true(version > 0 && version < SQL_VERSION);
	assert_int_equal(pragma_number(path, "PRAGMA user_version"), version);
	assert_int_equal(
		pragma_number(path, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"),
		1);
}

static void refuse_all(const struct old *o)
{
	char pattern[256];
	glob_t found;

	(void)snprintf(pattern, sizeof(pattern), "%s/*/*.tape", o->dir);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		expect_refused(found.gl_pathv[i]);
	globfree(&found);
}

static void run_writer(const struct old *o)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/store", o->dir);
	close_store(open_store(path, NULL));
}

/* What the older program recorded has today's form, or the last one that its own program gave it. */
static void expect_written_anew(const struct old *o)
{
	char pattern[256];
	glob_t found;

	(void)snprintf(pattern, sizeof(pattern), "%s/store/*.tape", o->dir);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	(void)snprintf(pattern, sizeof(pattern), "%s/store/failures/*.tape", o->dir);
	(void)glob(pattern, GLOB_APPEND, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i];
		int version = pragma_number(path, "PRAGMA user_version");

		if (version != SQL_VERSION &&
		    (version < 2 || pragma_number(path, "SELECT is_final FROM tape") != 1))
			fail_msg("%s: schema %d", path, version);
		assert_int_equal(pragma_number(path, "SELECT integrity_check = 'ok' FROM"
						     " pragma_integrity_check"),
				 1);
	}
	globfree(&found);
}

static const char *const versions[] = {"v1", "v2", "v3"};
_Static_assert(COUNT_OF(versions) >= SQL_VERSION - 1,
	       "a schema version that was released needs tapes that it made");

static void every_exchange_of_an_older_tape_is_read_as_it_is(void **state)
{
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		struct old o = {0};

		copy_fixture(&o, versions[i], *state);
		expect_lines(&o);
		expect_all(&o);
		kept_fini(&o.kept);
	}
}

static void an_older_store_is_gone_on_with_and_keeps_every_exchange(void **state)
{
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		struct old o = {0};

		copy_fixture(&o, versions[i], *state);
		expect_lines(&o);
		run_writer(&o);
		expect_written_anew(&o);
		expect_all(&o);
		kept_fini(&o.kept);
	}
}

static void an_older_tape_is_not_added_to(void **state)
{
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		struct old o = {0};

		copy_fixture(&o, versions[i], *state);
		expect_lines(&o);
		refuse_all(&o);
		expect_all(&o);
		kept_fini(&o.kept);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_exchange_of_an_older_tape_is_read_as_it_is),
		TEST(an_older_store_is_gone_on_with_and_keeps_every_exchange),
		TEST(an_older_tape_is_not_added_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
