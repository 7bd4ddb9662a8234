// SPDX-License-Identifier: Apache-2.0
/* a tape in its final form: smaller, whole, and in place all at once or not at all */
#include "tests/unit/store_kit.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "store/fulltext.h"
#include "store/rewrite.h"

static const char *tape_of(const char *dir)
{
	static char path[160];

	(void)snprintf(path, sizeof(path), "%s/tape-00000001.tape", dir);
	return path;
}

static double ask(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	double answer = -1;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		answer = sqlite3_column_double(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return answer;
}

/* Much the same each time, as services talk; every third anything at all. */
static struct exchange next_exchange(uint64_t *seed, size_t i, uint8_t *room)
{
	static char head[200], body[200];
	struct exchange x = some_exchange(seed, START + i * 1000, room);

	if (i % 3 == 0)
		return x;
	(void)snprintf(head, sizeof(head),
		       "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: application/json\r\n"
		       "X-Request-Id: %zu\r\nCache-Control: no-store\r\n\r\n",
		       i);
	(void)snprintf(
		body, sizeof(body),
		"{\"order\":\"%zu\",\"state\":\"paid\",\"currency\":\"EUR\",\"lines\":[%zu]}", i,
		i * 7);
	return (struct exchange){
		.start_ns = START + i * 1000,
		.method = SPAN_LIT("GET"),
		.status = 200,
		.dst.who.service = SPAN_LIT("orders"),
		.response = {.head = span_str(head),
			     .body = span_str(body),
			     .body_bytes = strlen(body),
			     .flags = MESSAGE_PRESENT},
	};
}

/* One tape that was committed an exchange at a time, closed and not sealed. */
static void make_slow_tape(const char *dir, struct kept *k, size_t count)
{
	struct store_config config = store_config_default();
	struct store *s;
	uint64_t seed = 20261122;
	uint8_t *room = malloc(SOME_ROOM);
	struct err e = {0};

	config.failures_percent = 0;
	s = open_store(dir, &config);
	for (size_t i = 0; i < count; i++) {
		struct exchange x = next_exchange(&seed, i, room);

		assert_int_equal(store_add(s, &x, &e), 0);
		keep(k, &x);
		commit(s);
	}
	free(room);
	close_store(s);
}

static void rewrite_or_fail(const char *path)
{
	struct rewrite_config config = {.level = 6};
	struct err e = {0};

	if (rewrite_tape(path, &config, &e) < 0)
		fail_msg("%s", e.why);
}

static void small_blocks_become_full_ones_and_nothing_else_changes(void **state)
{
	const char *path = tape_of(*state);
	struct kept k = {0};
	double before;
	struct err e = {0};

	make_slow_tape(*state, &k, 600);
	assert_true(ask(path, "SELECT avg(exchanges) FROM block") == 1);
	assert_int_equal(rewrite_pays(path, &e), 1);
	before = ask(path, "SELECT sum(bytes) FROM block");
	rewrite_or_fail(path);
	assert_true(ask(path, "SELECT sum(bytes) FROM block") < before);
	assert_true(ask(path, "SELECT count(*) FROM block") < 600 / 2);
	assert_true(ask(path, "SELECT is_final AND is_sealed AND rows = 600 FROM tape") == 1);
	assert_true(ask(path, "SELECT integrity_check = 'ok' FROM pragma_integrity_check") == 1);
	expect_kept(*state, &k);
	kept_fini(&k);
}

static void a_store_does_it_by_itself_when_it_seals(void **state)
{
	const char *path = tape_of(*state);
	struct store_config config = store_config_default();
	struct kept k = {0};

	make_slow_tape(*state, &k, 300);
	config.failures_percent = 0;
	config.tape_rows = 100; /* it is full */
	close_store(open_store(*state, &config));
	assert_true(ask(path, "SELECT is_final FROM tape") == 0); /* the newest is gone on with */
	{
		struct store *s = open_store(*state, &config);

		commit(s);
		close_store(s);
	}
	assert_true(ask(path, "SELECT is_final FROM tape") == 1);
	expect_kept(*state, &k);
	kept_fini(&k);
}

static bool stops_at_once(void *ctx)
{
	(void)ctx;
	return false;
}

static void what_is_cancelled_leaves_the_tape_and_nothing_beside_it(void **state)
{
	const char *path = tape_of(*state);
	struct rewrite_config config = {.level = 6, .goes_on = stops_at_once};
	struct kept k = {0};
	struct stat before, after;
	struct err e = {0};
	char part[200];

	make_slow_tape(*state, &k, 50);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(rewrite_tape(path, &config, &e), -ECANCELED);
	assert_int_equal(stat(path, &after), 0);
	assert_true(before.st_ino == after.st_ino && before.st_size == after.st_size);
	(void)snprintf(part, sizeof(part), "%s.part", path);
	assert_int_equal(access(part, F_OK), -1);
	expect_kept(*state, &k);
	kept_fini(&k);
}

static int count_one(void *ctx, const struct exchange *x)
{
	*(size_t *)ctx += x->id != 0;
	return 0;
}

static void a_reader_that_has_it_open_reads_on(void **state)
{
	struct query q = {.wants_messages = true, .limit = 20};
	struct kept k = {0};
	struct reader *r;
	struct err e = {0};
	size_t n = 0;

	make_slow_tape(*state, &k, 200);
	r = open_reader(*state);
	assert_int_equal(reader_list(r, &q, count_one, &n, &q.cursor, &e), 0);
	rewrite_or_fail(tape_of(*state));
	q.limit = 0;
	assert_int_equal(reader_list(r, &q, count_one, &n, NULL, &e), 0);
	assert_int_equal(n, 200);
	reader_close(r);
	kept_fini(&k);
}

static void a_tape_that_is_damaged_is_left_as_it_is(void **state)
{
	const char *path = tape_of(*state);
	struct rewrite_config config = {.level = 6};
	struct kept k = {0};
	sqlite3 *db;
	struct err e = {0};

	make_slow_tape(*state, &k, 50);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE block SET checksum = checksum + 1 WHERE id = 9",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(rewrite_tape(path, &config, &e), -EBADMSG);
	assert_non_null(strstr(e.why, "block 9"));
	assert_true(ask(path, "SELECT count(*) FROM exchange") == 50);
	kept_fini(&k);
}

static void an_index_of_texts_is_there_again(void **state)
{
	const char *path = tape_of(*state);
	struct kept k = {0};
	struct err e = {0};

	make_slow_tape(*state, &k, 300);
	assert_int_equal(fulltext_build(path, &e), 0);
	rewrite_or_fail(path);
	assert_true(ask(path, "SELECT max(last) = (SELECT last_id FROM tape) FROM fulltext") == 1);
	expect_kept(*state, &k);
	kept_fini(&k);
}

/* An exchange of 60 KB: a list of records, or random bytes, which nothing makes smaller. */
static void add_large(struct store *s, struct kept *k, uint64_t *seed, size_t i, bool is_text)
{
	static char body[60000];
	struct exchange x = {
		.start_ns = START + i * 1000,
		.method = SPAN_LIT("GET"),
		.status = 200,
		.dst.who.service = SPAN_LIT("orders"),
		.response = {.head = SPAN_LIT("HTTP/1.1 200 OK\r\n\r\n"),
			     .body = span_of(body, sizeof(body)),
			     .body_bytes = sizeof(body),
			     .flags = MESSAGE_PRESENT},
	};
	struct err e = {0};

	for (size_t n = 0; n < sizeof(body); n++)
		body[n] = (char)(some_number(seed) >> 32);
	for (size_t n = 0; is_text && n + 64 <= sizeof(body); n += 64)
		(void)snprintf(body + n, 64, "{\"sku\":\"%02x%02x%02x\",\"stock\":%u,\"name\":\"w%u\"},",
			       (uint8_t)body[n], (uint8_t)body[n + 1], (uint8_t)body[n + 2],
			       (unsigned)(uint8_t)body[n + 3] % 50, (unsigned)(uint8_t)body[n + 4]);
	assert_int_equal(store_add(s, &x, &e), 0);
	keep(k, &x);
}

static void large_exchanges_are_compressed_better_where_they_can_be(void **state)
{
	for (int is_text = 0; is_text < 2; is_text++) {
		struct kept k = {0};
		uint64_t seed = 77;
		struct store *s;
		double before;
		struct err e = {0};
		char dir[128];
		const char *path;

		(void)snprintf(dir, sizeof(dir), "%s/%d", (char *)*state, is_text);
		s = open_store(dir, NULL);
		for (size_t i = 0; i < 20; i++)
			add_large(s, &k, &seed, i, is_text);
		close_store(s);
		path = tape_of(dir);
		before = ask(path, "SELECT sum(bytes) FROM block");
		assert_int_equal(rewrite_pays(path, &e), is_text);
		rewrite_or_fail(path);
		assert_true(is_text ? ask(path, "SELECT sum(bytes) FROM block") < before
				    : ask(path, "SELECT sum(bytes) FROM block") == before);
		expect_kept(dir, &k);
		kept_fini(&k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(small_blocks_become_full_ones_and_nothing_else_changes),
		TEST(a_store_does_it_by_itself_when_it_seals),
		TEST(what_is_cancelled_leaves_the_tape_and_nothing_beside_it),
		TEST(a_reader_that_has_it_open_reads_on),
		TEST(a_tape_that_is_damaged_is_left_as_it_is),
		TEST(an_index_of_texts_is_there_again),
		TEST(large_exchanges_are_compressed_better_where_they_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
