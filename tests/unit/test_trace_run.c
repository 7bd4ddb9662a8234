// SPDX-License-Identifier: Apache-2.0
/* Traces are found on a growing tape without reading it, and never otherwise than by reading it. */
#include <sqlite3.h>

#include "store/check.h"
#include "store/filter.h"
#include "tests/unit/store_kit.h"

#define COUNT 3000 /* more than two runs */

/* Every third begins a trace of its own, the next goes on with it, and of every ninth the third has none. */
static const char *trace_of(uint64_t i, char room[40])
{
	if (i % 9 == 2)
		return "";
	if (i % 9 == 5) /* as text: not lower-case hex digits */
		(void)snprintf(room, 40, "request-%llu", (unsigned long long)(i / 3));
	else
		(void)snprintf(room, 40, "%032llx", (unsigned long long)(i / 3 + 1) * 0x9e3779b9u);
	return room;
}

static void add(struct store *s, uint64_t i)
{
	char trace[40];
	struct exchange x = {
		.start_ns = START + i * NS_PER_MS,
		.connection = 1,
		.status = 200,
		.protocol = PROTOCOL_HTTP1,
		.method = SPAN_LIT("GET"),
		.target = SPAN_LIT("/a"),
		.path = SPAN_LIT("/a"),
		.route = SPAN_LIT("/a"),
		.trace_id = span_str(trace_of(i, trace)),
		.request = {.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
			    .head = SPAN_LIT("GET /a HTTP/1.1\r\n\r\n")},
	};
	struct err e = {0};

	x.request.first_ns = x.request.last_ns = x.start_ns;
	if (store_add(s, &x, &e) < 0)
		fail_msg("%s", e.why);
}

static int count_one(void *ctx, const struct exchange *x)
{
	size_t *n = ctx;

	assert_true(x->trace_id.len > 0);
	++*n;
	return 0;
}

/* How many exchanges a filter finds, and how many rows were looked at for it. */
static size_t find(const char *dir, const char *text, uint64_t *seen)
{
	struct reader *r = open_reader(dir);
	AUTO(filter) f = NULL;
	struct query q = {0};
	struct explanation x;
	struct err e = {0};
	size_t n = 0;

	if (filter_parse(span_str(text), &f, &e) < 0)
		fail_msg("%s", e.why);
	q.filter = f;
	if (reader_list(r, &q, count_one, &n, NULL, &e) < 0 || reader_explain(r, &q, &x, &e) < 0)
		fail_msg("%s", e.why);
	*seen = x.effort.seen;
	explanation_fini(&x);
	reader_close(r);
	return n;
}

static size_t count_traces(uint64_t of)
{
	char room[40], other[40];
	const char *wanted = trace_of(of, room);
	size_t n = 0;

	for (uint64_t i = 0; i < COUNT; i++)
		n += strcmp(wanted, trace_of(i, other)) == 0;
	return n;
}

/* Some traces of all runs, and how many rows were looked at for all of them. */
static uint64_t find_all(const char *dir)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < COUNT; i += 97) {
		char room[40], text[80];
		uint64_t seen;

		if (!*trace_of(i, room))
			continue;
		(void)snprintf(text, sizeof(text), "trace_id == \"%s\"", room);
		assert_int_equal(find(dir, text, &seen), count_traces(i));
		sum += seen;
	}
	return sum;
}

static void sql(const char *dir, const char *text)
{
	char path[128], *why = NULL;
	sqlite3 *db;

	(void)snprintf(path, sizeof(path), "%s/tape-00000001.tape", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
	(void)sqlite3_close(db);
}

static void note_finding(void *ctx, const struct check_finding *f)
{
	(void)snprintf(ctx, 400, "%s", f->what);
}

static const char *findings(const char *dir, char room[400])
{
	struct check_hooks hooks = {note_finding, NULL, room};
	struct check_result result;
	struct err e = {0};
	char path[128];

	*room = '\0';
	(void)snprintf(path, sizeof(path), "%s/tape-00000001.tape", dir);
	if (check_tape(path, &hooks, &result, &e) < 0)
		fail_msg("%s", e.why);
	return room;
}

static void traces_are_found_on_a_growing_tape(void **state)
{
	struct store *s = open_store(*state, NULL);
	char room[400];
	uint64_t seen;

	for (uint64_t i = 0; i < COUNT; i++) {
		add(s, i);
		if (i % 700 == 3 || i % 131 == 0)
			commit(s);
	}
	commit(s);
	assert_true(find_all(*state) < 100); /* the rows of the answers, and no more */
	assert_int_equal(find(*state, "trace_id in [\"request-1\", \"request-4\", \"none\"]", &seen), 2);
	assert_int_equal(find(*state, "trace_id == \"request-1\" && status == 500", &seen), 0);
	assert_int_equal(find(*state, "trace_id == \"request-1\" || status == 201", &seen), 1);
	assert_string_equal(findings(*state, room), "");
	close_store(s);
}

static void a_store_that_is_opened_again_goes_on_noting_traces(void **state)
{
	char room[400];

	for (uint64_t from = 0; from < COUNT; from += COUNT / 4) {
		struct store *s = open_store(*state, NULL);

		for (uint64_t i = from; i < from + COUNT / 4; i++)
			add(s, i);
		close_store(s);
	}
	assert_true(find_all(*state) < 100);
	assert_string_equal(findings(*state, room), "");
}

static void rows_that_another_program_added_are_found_too(void **state)
{
	struct store *s = open_store(*state, NULL);

	for (uint64_t i = 0; i < COUNT / 2; i++)
		add(s, i);
	close_store(s);
	sql(*state, "DROP TABLE trace_run; DROP TABLE trace_entry"); /* as an older one leaves it */
	s = open_store(*state, NULL);
	for (uint64_t i = COUNT / 2; i < COUNT; i++)
		add(s, i);
	close_store(s);
	assert_true(find_all(*state) > COUNT); /* by reading the tape */
}

static void runs_that_do_not_know_all_rows_are_not_asked(void **state)
{
	struct store *s = open_store(*state, NULL);
	char room[400];

	for (uint64_t i = 0; i < COUNT; i++)
		add(s, i);
	close_store(s);
	sql(*state, "DELETE FROM trace_entry WHERE run = 1; UPDATE trace_run SET rows = rows - 1");
	(void)find_all(*state);
	assert_string_equal(findings(*state, room), "");
	s = open_store(*state, NULL); /* nor gone on with */
	add(s, COUNT);
	close_store(s);
	(void)find_all(*state);
}

static void the_check_finds_what_is_missing(void **state)
{
	struct store *s = open_store(*state, NULL);
	char room[400];

	for (uint64_t i = 0; i < COUNT; i++)
		add(s, i);
	close_store(s);
	sql(*state, "UPDATE trace_run SET bits = zeroblob(length(bits)) WHERE id = 2");
	assert_string_equal(findings(*state, room),
			    "traces of a growing tape: 1 filters deny what their runs hold");
	sql(*state, "DELETE FROM trace_entry WHERE run = 1");
	assert_non_null(strstr(findings(*state, room), "1322 are noted"));
}

static void a_sealed_tape_has_an_index_instead(void **state)
{
	struct store_config config = store_config_default();
	struct store *s;
	char room[400];

	config.tape_rows = COUNT;
	s = open_store(*state, &config);
	for (uint64_t i = 0; i < COUNT; i++)
		add(s, i);
	commit(s);
	close_store(s);
	(void)find_all(*state);
	assert_string_equal(findings(*state, room), "");
	/* nothing of the runs is left: the names are free */
	sql(*state, "CREATE TABLE trace_run (id INTEGER); CREATE TABLE trace_entry (run INTEGER)");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)
	const struct CMUnitTest tests[] = {
		TEST(traces_are_found_on_a_growing_tape),
		TEST(a_store_that_is_opened_again_goes_on_noting_traces),
		TEST(rows_that_another_program_added_are_found_too),
		TEST(runs_that_do_not_know_all_rows_are_not_asked),
		TEST(the_check_finds_what_is_missing),
		TEST(a_sealed_tape_has_an_index_instead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
