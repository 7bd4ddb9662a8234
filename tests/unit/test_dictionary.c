// SPDX-License-Identifier: Apache-2.0
/* A dictionary follows the traffic: when it changes its shape, another one is trained. */
#include "tests/unit/store_kit.h"

#include <sqlite3.h>
#include <stdlib.h>

#define PART 5000 /* exchanges of one shape */

enum shape { FIRST, SECOND, CALM, NOISE };

static unsigned long long number(uint64_t *seed)
{
	return (unsigned long long)some_number(seed);
}

static void write_first(char *to, size_t room, uint64_t *seed)
{
	(void)snprintf(to, room,
		       "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Type: application/json\r\n"
		       "X-Trace: %016llx\r\nCache-Control: no-store, must-revalidate\r\n"
		       "Strict-Transport-Security: max-age=31536000\r\n\r\n"
		       "{\"order\":%llu,\"state\":\"paid\",\"currency\":\"EUR\",\"customer\":{\"segment\":"
		       "\"returning\",\"country\":\"DE\"},\"lines\":[{\"sku\":\"%06llx\",\"in_stock\":true}]}",
		       number(seed), number(seed), number(seed));
}

static void write_second(char *to, size_t room, uint64_t *seed)
{
	(void)snprintf(to, room,
		       "HTTP/1.1 200\r\ncontent-type: application/json\r\n"
		       "x-envoy-upstream-service-time: %llu\r\nserver: envoy\r\nvary: Origin\r\n"
		       "x-powered-by: release-2 (kotlin)\r\n\r\n<receipt number='%016llx'>"
		       "<warehouse code='HAM-4'/><tax rate='0.19' included='yes'/><total>%llu</total>"
		       "<loyalty tier='silver'/><shipping carrier='parcel' express='no'/></receipt>",
		       number(seed), number(seed), number(seed));
}

static void write_letters(char *to, size_t room, uint64_t *seed, bool is_noise)
{
	size_t n = 0;

	for (; n < 900; n++)
		to[n] = (char)('a' + (is_noise ? (some_number(seed) >> 40) % 26 : 0));
	(void)snprintf(to + n, room - n, "\r\n\r\n%llu %llu %llu", number(seed), number(seed),
		       number(seed));
}

static void write_text(char *to, size_t room, uint64_t *seed, enum shape shape)
{
	if (shape == FIRST)
		write_first(to, room, seed);
	else if (shape == SECOND)
		write_second(to, room, seed);
	else
		write_letters(to, room, seed, shape == NOISE);
}

static void add(struct store *s, uint64_t *seed, size_t i, enum shape shape)
{
	static char text[1024];
	struct exchange x = {
		.start_ns = START + i * 1000,
		.method = SPAN_LIT("GET"),
		.status = 200,
		.dst.who.service = SPAN_LIT("orders"),
		.response.flags = MESSAGE_PRESENT,
	};
	struct err e = {0};
	char *body;

	write_text(text, sizeof(text), seed, shape);
	body = strstr(text, "\r\n\r\n") + 4;
	x.response.head = span_of(text, (size_t)(body - text));
	x.response.body = span_str(body);
	x.response.body_bytes = strlen(body);
	assert_int_equal(store_add(s, &x, &e), 0);
	commit(s); /* a block each: nothing but the dictionary knows what others are like */
}

static double ask(const char *dir, const char *sql, size_t from, size_t to)
{
	char path[160];
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	double answer;

	(void)snprintf(path, sizeof(path), "%s/tape-00000001.tape", dir);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	(void)sqlite3_bind_int64(st, 1, (int64_t)from);
	(void)sqlite3_bind_int64(st, 2, (int64_t)to);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	answer = sqlite3_column_double(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return answer;
}

/* bytes on the tape of each byte, of exchanges [@from, @to) */
static double ratio(const char *dir, size_t from, size_t to)
{
	return ask(dir,
		   "SELECT total(bytes) / total(raw_bytes) FROM block WHERE id > ? AND id <= ?",
		   from, to);
}

static int count_one(void *ctx, const struct exchange *x)
{
	*(size_t *)ctx += x->response.body.len > 0;
	return 0;
}

static size_t read_all(const char *dir)
{
	struct query q = {.wants_messages = true};
	struct reader *r = open_reader(dir);
	struct err e = {0};
	size_t n = 0;

	if (reader_list(r, &q, count_one, &n, NULL, &e) < 0)
		fail_msg("%s", e.why);
	reader_close(r);
	return n;
}

static void another_shape_of_traffic_gets_another_dictionary(void **state)
{
	const char *dir = *state;
	struct store_config config = store_config_default();
	uint64_t seed = 20261122;
	struct store *s;
	double before, changed, after;

	config.failures_percent = 0;
	config.is_bulk = true; /* no waiting for the disk */
	config.tape_rows = UINT64_MAX / 2;
	s = open_store(dir, &config);
	for (size_t i = 0; i < 2 * PART; i++)
		add(s, &seed, i, i < PART ? FIRST : SECOND);
	close_store(s);
	before = ratio(dir, PART - 500, PART);
	changed = ratio(dir, PART, PART + 200);
	after = ratio(dir, 2 * PART - 500, 2 * PART);
	assert_true(changed > 1.25 * before);
	assert_true(after < 0.7 * changed);
	assert_true(after < 1.25 * before);
	/* old and new: the tape has what its blocks need */
	assert_true(ask(dir, "SELECT count(*) FROM dictionary", 0, 0) == 3);
	assert_true(ask(dir, "SELECT count(DISTINCT class) FROM dictionary", 0, 0) == 1);
	assert_int_equal(read_all(dir), 2 * PART);
}

/* What is new each time is not trained for again and again. */
static void traffic_that_no_dictionary_helps_is_left_alone(void **state)
{
	const char *dir = *state;
	struct store_config config = store_config_default();
	uint64_t seed = 7;
	struct store *s;

	config.failures_percent = 0;
	config.is_bulk = true; /* no waiting for the disk */
	config.tape_rows = UINT64_MAX / 2;
	s = open_store(dir, &config);
	for (size_t i = 0; i < 2 * PART; i++)
		add(s, &seed, i, i < PART ? CALM : NOISE);
	close_store(s);
	/* 5 MB of noise: a first attempt, and hardly another */
	assert_true(ask(dir, "SELECT count(*) FROM dictionary", 0, 0) <= 4);
	assert_int_equal(read_all(dir), 2 * PART);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)
	const struct CMUnitTest tests[] = {
		TEST(another_shape_of_traffic_gets_another_dictionary),
		TEST(traffic_that_no_dictionary_helps_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
