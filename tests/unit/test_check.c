// SPDX-License-Identifier: Apache-2.0
/* what fsck finds, by place; what a repair saves; copies of a tape that is written meanwhile */
#include "tests/unit/store_kit.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "store/backup.h"
#include "store/check.h"
#include "store/directory.h"
#include "store/repair.h"

#define TAPE_ROWS 300

struct found {
	uint64_t places[CHECK_PLACES];
	struct check_result result;
};

static void on_found(void *ctx, const struct check_finding *f)
{
	struct found *found = ctx;

	assert_true(f->what && *f->what);
	found->places[f->place]++;
}

static struct found check(const char *path)
{
	struct found f = {0};
	struct err e = {0};

	if (check_tape(path, &(struct check_hooks){.found = on_found, .ctx = &f}, &f.result, &e) <
	    0)
		fail_msg("%s", e.why);
	return f;
}

/* A sealed tape of exchanges that did not fail, in @dir. Return: its path. */
static const char *make_tape(const char *dir)
{
	static char path[256];
	struct store *s = open_store(dir, NULL);
	uint8_t *room = malloc(SOME_ROOM);
	uint64_t seed = 88172645463325252;
	struct store_config config = store_config_default();
	struct err e = {0};

	for (uint64_t i = 0; i < TAPE_ROWS; i++) {
		struct exchange x = some_exchange(&seed, START + i * 1000, room);

		x.outcome = OUTCOME_OK;
		assert_int_equal(store_add(s, &x, &e), 0);
		if (i % 50 == 49)
			commit(s);
	}
	free(room);
	config.tape_rows = 1;
	store_set_limits(s, &config);
	commit(s);
	close_store(s);
	(void)snprintf(path, sizeof(path), "%s/tape-00000001.tape", dir);
	return path;
}

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int count_one(void *ctx, const struct exchange *x)
{
	*(uint64_t *)ctx += x->id != 0;
	return 0;
}

static uint64_t count_all(const char *path)
{
	struct reader *r = open_reader(path);
	struct err e = {0};
	uint64_t n = 0;

	if (reader_list(r, &(struct query){.wants_messages = true}, count_one, &n, NULL, &e) < 0)
		fail_msg("%s", e.why);
	reader_close(r);
	return n;
}

/* After it the tape is sound. Return: how many exchanges are left. */
static uint64_t repair(const char *path)
{
	struct repair_result done;
	struct err e = {0};
	struct found after;

	if (repair_tape(path, &done, &e) < 0)
		fail_msg("%s", e.why);
	if (!done.is_renewed) {
		assert_int_equal(access(path, F_OK), -1);
		return 0;
	}
	after = check(path);
	assert_int_equal(after.result.findings, 0);
	assert_int_equal(after.result.exchanges, done.saved);
	assert_int_equal(count_all(path), done.saved);
	return done.saved;
}

static void a_sound_tape_has_no_findings(void **state)
{
	struct found f = check(make_tape(*state));

	assert_int_equal(f.result.findings, 0);
	assert_int_equal(f.result.exchanges, TAPE_ROWS);
	assert_true(f.result.blocks > 0);
	assert_true(f.result.is_readable);
}

/* What is done to a tape, where that is found, and what is saved at least. */
static const struct {
	const char *sql;
	enum check_place place;
	uint64_t saved_min;
} harms[] = {
	{"UPDATE tape SET rows = rows + 1", CHECK_SUMMARY, TAPE_ROWS},
	{"UPDATE tape SET last_id = last_id - 1", CHECK_SUMMARY, TAPE_ROWS},
	{"DROP INDEX kind_id", CHECK_DATABASE, TAPE_ROWS},
	{"DROP INDEX failed", CHECK_DATABASE, TAPE_ROWS},
	{"DELETE FROM kind WHERE id = (SELECT kind FROM exchange LIMIT 1)", CHECK_COMMON,
	 TAPE_ROWS / 2},
	{"DELETE FROM peer WHERE id = (SELECT src FROM exchange LIMIT 1)", CHECK_COMMON,
	 TAPE_ROWS / 2},
	{"UPDATE block SET checksum = checksum + 1 WHERE id = (SELECT max(id) FROM block)",
	 CHECK_BLOCK, TAPE_ROWS / 2},
	{"DELETE FROM block WHERE id = (SELECT max(id) FROM block)", CHECK_EXCHANGE, TAPE_ROWS / 2},
	{"UPDATE exchange SET times = x'ff' WHERE id = (SELECT max(id) FROM exchange)",
	 CHECK_EXCHANGE, TAPE_ROWS - 1},
	{"UPDATE rollup SET count = count + 1", CHECK_SUMMARY, TAPE_ROWS},
	{"UPDATE rollup SET failed = failed + 1", CHECK_SUMMARY, TAPE_ROWS},
	{"DELETE FROM rollup", CHECK_SUMMARY, TAPE_ROWS},
	{"UPDATE rollup SET entries = x'01'", CHECK_SUMMARY, TAPE_ROWS},
	{"UPDATE rollup SET entries = x''", CHECK_SUMMARY, TAPE_ROWS},
	{"UPDATE rollup_digest SET failed = failed + 1 WHERE minutes = 1", CHECK_SUMMARY, TAPE_ROWS},
	{"DELETE FROM rollup_digest WHERE minutes = 1", CHECK_SUMMARY, TAPE_ROWS},
	{"UPDATE rollup_digest SET entries = x'' WHERE minutes = 60", CHECK_SUMMARY, TAPE_ROWS},
	{"INSERT INTO failure VALUES (1, 1, 2, 1, 1, 1, 1)", CHECK_SUMMARY, TAPE_ROWS},
	{"UPDATE tape SET rolled = 1", CHECK_SUMMARY, TAPE_ROWS},
	{"DROP TABLE tape", CHECK_FILE, 0},
};

static void every_harm_is_found_in_its_place_and_repaired(void **state)
{
	for (size_t i = 0; i < COUNT_OF(harms); i++) {
		char dir[200];
		const char *path;
		struct found f;
		uint64_t saved;

		(void)snprintf(dir, sizeof(dir), "%s/%zu", (char *)*state, i);
		path = make_tape(dir);
		run_sql(path, harms[i].sql);
		f = check(path);
		if (f.places[harms[i].place] == 0)
			fail_msg("%s: nothing found in its place", harms[i].sql);
		saved = repair(path);
		if (saved < harms[i].saved_min)
			fail_msg("%s: %llu saved", harms[i].sql, (unsigned long long)saved);
		(void)snprintf(dir, sizeof(dir), "%s/%zu/damaged/tape-00000001.tape",
			       (char *)*state, i);
		assert_int_equal(access(dir, F_OK), 0);
	}
}

static void overwrite(const char *path, long at, size_t bytes)
{
	FILE *f = fopen(path, "r+");

	assert_non_null(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	for (size_t i = 0; i < bytes; i++)
		assert_true(fputc((int)(i * 37 & 0xff), f) != EOF);
	assert_int_equal(fclose(f), 0);
}

static void what_stands_around_an_unreadable_page_is_saved(void **state)
{
	const char *path = make_tape(*state);
	sqlite3 *db;
	sqlite3_stmt *st;
	int page;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "SELECT pageno FROM dbstat WHERE name = 'exchange' AND"
					    " pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 1",
					    -1, &st, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	page = sqlite3_column_int(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	overwrite(path, (long)(page - 1) * 16384, 16384);
	assert_true(check(path).places[CHECK_DATABASE] > 0);
	assert_in_range(repair(path), TAPE_ROWS / 3, TAPE_ROWS - 1);
}

static void a_tape_cut_short_or_overwritten_is_told_and_moved_aside(void **state)
{
	const char *path = make_tape(*state);

	overwrite(path, 0, 5000);
	assert_true(check(path).places[CHECK_FILE] > 0);
	assert_false(check(path).result.is_readable);
	assert_int_equal(repair(path), 0);
	path = make_tape(*state);
	assert_int_equal(truncate(path, 40000), 0);
	assert_true(check(path).result.findings > 0);
	(void)repair(path);
}

static void the_pin_of_a_repaired_tape_stays(void **state)
{
	const char *path = make_tape(*state);
	struct err e = {0};

	run_sql(path, "UPDATE tape SET rows = 1");
	assert_int_equal(directory_pin(path, true, &e), 0);
	assert_int_equal(repair(path), TAPE_ROWS);
	assert_true(directory_is_pinned(path));
}

/* --- queries over damaged tapes --- */

static int count_tape(void *ctx, const struct tape_info *t)
{
	uint64_t *counts = ctx; /* readable, damaged */

	counts[t->damage != NULL]++;
	return 0;
}

static int count_failure(void *ctx, const struct failure *f)
{
	*(uint64_t *)ctx += f->count;
	return 0;
}

/* Three tapes in @dir, the newest last; ids of each. */
static void make_three(const char *dir, uint64_t ids[3])
{
	struct store_config config = store_config_default();
	struct store *s;
	uint8_t *room = malloc(SOME_ROOM);
	uint64_t seed = 99;
	struct err e = {0};

	config.tape_rows = 100;
	s = open_store(dir, &config);
	for (uint64_t i = 0; i < 300; i++) {
		struct exchange x = some_exchange(&seed, START + i * 1000, room);

		x.outcome = OUTCOME_OK;
		assert_int_equal(store_add(s, &x, &e), 0);
		ids[i / 100] = x.id;
		if (i % 100 == 99)
			commit(s);
	}
	free(room);
	close_store(s);
}

static void a_damaged_tape_ends_no_query_and_is_named(void **state)
{
	char newest[256], middle[256];
	struct reader *r;
	struct reader_damage damage;
	struct err e = {0};
	uint64_t ids[3], n = 0, tapes[2] = {0};

	make_three(*state, ids);
	(void)snprintf(newest, sizeof(newest), "%s/tape-00000003.tape", (char *)*state);
	(void)snprintf(middle, sizeof(middle), "%s/tape-00000002.tape", (char *)*state);
	overwrite(newest, 0, 3000);
	run_sql(middle,
		"UPDATE exchange SET times = x'ff' WHERE id = (SELECT max(id) FROM exchange)");
	r = open_reader(*state);
	(void)reader_take_damage(r, &damage); /* the newest is looked at when it is opened */
	if (reader_list(r, &(struct query){.wants_messages = true}, count_one, &n, NULL, &e) < 0)
		fail_msg("%s", e.why);
	assert_int_equal(n, 199);
	assert_true(reader_take_damage(r, &damage));
	assert_int_equal(damage.tapes, 1);
	assert_int_equal(damage.exchanges, 1);
	assert_non_null(strstr(damage.why.why, "tape-00000003.tape"));
	n = 0;
	assert_int_equal(reader_get(r, ids[0], count_one, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(reader_failures(r, &(struct query){0}, 0, count_failure, &n, &e), 0);
	(void)reader_take_damage(r, &damage);
	assert_int_equal(reader_tapes(r, count_tape, tapes, &e), 0);
	assert_int_equal(tapes[0], 2);
	assert_int_equal(tapes[1], 1);
	assert_false(reader_take_damage(r, &damage)); /* it was told */
	reader_close(r);
	assert_int_equal(reader_open(newest, &r, &e), -EBADMSG); /* alone it must be readable */
}

static void a_page_in_the_middle_that_cannot_be_read_leaves_the_rest(void **state)
{
	char middle[256];
	struct reader *r;
	struct reader_damage damage;
	struct err e = {0};
	uint64_t ids[3], n = 0;
	sqlite3 *db;
	sqlite3_stmt *st;
	int page;

	make_three(*state, ids);
	(void)snprintf(middle, sizeof(middle), "%s/tape-00000002.tape", (char *)*state);
	assert_int_equal(sqlite3_open(middle, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "SELECT pageno FROM dbstat WHERE name = 'exchange'"
					    " ORDER BY pagetype <> 'leaf', pageno LIMIT 1",
					    -1, &st, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	page = sqlite3_column_int(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	overwrite(middle, (long)(page - 1) * 16384, 16384);
	r = open_reader(*state);
	if (reader_list(r, &(struct query){.wants_messages = true}, count_one, &n, NULL, &e) < 0)
		fail_msg("%s", e.why);
	assert_in_range(n, 200, 299);
	assert_true(reader_take_damage(r, &damage));
	assert_int_equal(damage.tapes, 1);
	assert_non_null(strstr(damage.why.why, "tape-00000002.tape"));
	reader_close(r);
}

/* --- backup --- */

/* Adds and commits until it is killed. */
static void write_for_ever(const char *dir)
{
	struct store *s = open_store(dir, NULL);
	uint8_t *room = malloc(SOME_ROOM);
	uint64_t seed = 7;

	for (uint64_t i = 0;; i++) {
		struct exchange x = some_exchange(&seed, START + (TAPE_ROWS + i) * 1000, room);
		struct err e = {0};

		x.outcome = OUTCOME_OK;
		if (store_add(s, &x, &e) < 0 || (i % 20 == 0 && store_commit(s, &e) < 0))
			_exit(3);
	}
}

static bool wait_for_rows(const char *dir, uint64_t rows)
{
	for (unsigned ms = 0; ms < 20000; ms++) {
		if (count_all(dir) >= rows)
			return true;
		(void)usleep(1000);
	}
	return false;
}

static void a_tape_is_copied_whole_while_it_is_written(void **state)
{
	char path[256], copy[256];
	struct backup_hooks hooks = {0};
	struct err e = {0};
	uint64_t before = 0;
	pid_t pid = fork();

	if (pid == 0)
		write_for_ever(*state);
	(void)snprintf(path, sizeof(path), "%s/tape-00000001.tape", (char *)*state);
	(void)snprintf(copy, sizeof(copy), "%s/copy.tape", (char *)*state);
	while (access(path, F_OK) < 0 || count_all(*state) == 0)
		(void)usleep(1000);
	for (unsigned i = 0; i < 5; i++) {
		struct found f;

		assert_true(wait_for_rows(*state, before + 1));
		if (backup_tape(path, copy, &hooks, &e) < 0)
			fail_msg("%s", e.why);
		f = check(copy);
		assert_int_equal(f.result.findings, 0);
		assert_true(f.result.exchanges > before);
		assert_false(directory_has_log(copy));
		assert_false(backup_is_there(path, copy)); /* it is still written */
		before = f.result.exchanges;
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(waitpid(pid, NULL, 0) == pid);
}

static void a_sealed_tape_is_copied_once(void **state)
{
	char copy[256];
	const char *path = make_tape(*state);
	struct backup_hooks hooks = {0};
	struct err e = {0};

	(void)snprintf(copy, sizeof(copy), "%s/copy.tape", (char *)*state);
	assert_int_equal(backup_tape(path, copy, &hooks, &e), 0);
	assert_true(backup_is_there(path, copy));
	assert_int_equal(count_all(copy), TAPE_ROWS);
	assert_int_equal(backup_tape("/nonexistent.tape", copy, &hooks, &e), -ENOENT);
	assert_int_equal(count_all(copy), TAPE_ROWS);
}

static bool give_up(void *ctx, uint64_t done, uint64_t all)
{
	(void)ctx;
	(void)done;
	(void)all;
	return false;
}

static void a_copy_that_fails_leaves_nothing(void **state)
{
	char copy[256];
	const char *path = make_tape(*state);
	struct backup_hooks hooks = {.progress = give_up};
	struct err e = {0};
	int r;

	(void)snprintf(copy, sizeof(copy), "%s/copy.tape", (char *)*state);
	r = backup_tape(path, copy, &hooks, &e);
	assert_int_equal(r, -ECANCELED);
	assert_int_equal(access(copy, F_OK), -1);
	(void)snprintf(copy, sizeof(copy), "%s/no/copy.tape", (char *)*state);
	assert_true(backup_tape(path, copy, &(struct backup_hooks){0}, &e) < 0);
	overwrite(path, 16384 * 3, 16384);
	(void)snprintf(copy, sizeof(copy), "%s/copy.tape", (char *)*state);
	assert_int_equal(backup_tape(path, copy, &(struct backup_hooks){0}, &e), -EBADMSG);
	assert_int_equal(access(copy, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sound_tape_has_no_findings),
		TEST(every_harm_is_found_in_its_place_and_repaired),
		TEST(what_stands_around_an_unreadable_page_is_saved),
		TEST(a_tape_cut_short_or_overwritten_is_told_and_moved_aside),
		TEST(the_pin_of_a_repaired_tape_stays),
		TEST(a_damaged_tape_ends_no_query_and_is_named),
		TEST(a_page_in_the_middle_that_cannot_be_read_leaves_the_rest),
		TEST(a_tape_is_copied_whole_while_it_is_written),
		TEST(a_sealed_tape_is_copied_once),
		TEST(a_copy_that_fails_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
