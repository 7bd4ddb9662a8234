// SPDX-License-Identifier: Apache-2.0
/* counts: what the tapes counted, what is read exchange by exchange and what one counts by hand
 * agree */
#include "tests/unit/store_kit.h"

#include <sqlite3.h>

#include "lib/clock.h"
#include "schema/fields.h"
#include "store/filter.h"
#include "store/rollup.h"
#include "store/sketch.h"
#include "store/stats.h"

#define MINUTE ROLLUP_MINUTE_NS

#define HOUR   (60 * MINUTE)

/* Exchanges of a few services over a while, in several tapes and commits, late ones among them. */
static void add_minutes(struct store *s, struct kept *k, uint64_t *seed, size_t count,
			uint64_t while_ns)
{
	static const char *const routes[] = {"/cart/{}", "/", "/pay", "/users/{}/mail"};
	uint8_t *room = malloc(SOME_ROOM);
	struct err e = {0};

	for (size_t i = 0; i < count; i++) {
		uint64_t at = START + while_ns / count * i + some_number(seed) % MINUTE;
		struct exchange x = some_exchange(seed, at, room);

		x.route = span_str(routes[some_number(seed) % COUNT_OF(routes)]);
		x.request.first_ns = at;
		x.response.last_ns =
			at + 100000 + (some_number(seed) >> (36 + some_number(seed) % 20));
		if (some_chance(seed, 95)) /* the others: octets that were only announced */
			x.response.body_bytes %= 100000;
		if (store_add(s, &x, &e) < 0)
			fail_msg("%s", e.why);
		keep(k, &x);
		if (some_chance(seed, 3))
			commit(s);
	}
	free(room);
	commit(s);
}

/* --- by hand --- */

struct hand {
	char *key;
	uint64_t at, count, failed, request_bytes, response_bytes;
	uint64_t points[STATS_POINTS];
	struct sketch latency;
	bool is_seen;
};

struct hands {
	struct hand all[4096];
	size_t count;
	const struct stats_query *q;
	const struct stats_answer *answer;
	uint64_t total;
};

static char *key_of(const struct stats_query *q, const struct exchange *x)
{
	struct buf key = {0};

	for (size_t i = 0; i < q->by_count; i++) {
		field_add_text(q->by[i], field_get(x, q->by[i]), &key);
		buf_add_char(&key, '|');
	}
	(void)buf_cstr(&key);
	buf_add_char(&key, '\0');
	return (char *)key.ptr;
}

static struct hand *hand_of(struct hands *h, const char *key, uint64_t at)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->all[i].at == at && strcmp(h->all[i].key, key) == 0)
			return &h->all[i];
	return NULL;
}

static void count_by_hand(struct hands *h, const struct exchange *x)
{
	uint64_t every = h->q->every_ns, weight = MAX(x->weight, 1);
	uint64_t at = every ? x->start_ns / every * every : h->answer->since_ns;
	char *key = key_of(h->q, x);
	struct hand *hand = hand_of(h, key, at);

	if (!hand) {
		assert_true(h->count < COUNT_OF(h->all));
		hand = &h->all[h->count++];
		*hand = (struct hand){.key = strdup(key), .at = at};
	}
	free(key);
	hand->count += weight;
	if (!every)
		hand->points[(x->start_ns - h->answer->points_ns) / h->answer->step_ns] += weight;
	hand->failed += exchange_is_failed(x) ? weight : 0;
	hand->request_bytes =
		rollup_sum(hand->request_bytes,
			   rollup_times(MIN(x->request.body_bytes, (uint64_t)INT64_MAX), weight));
	hand->response_bytes =
		rollup_sum(hand->response_bytes,
			   rollup_times(MIN(x->response.body_bytes, (uint64_t)INT64_MAX), weight));
	if (exchange_latency_ns(x))
		sketch_add(&hand->latency, exchange_latency_ns(x), weight);
	h->total += weight;
}

static void hands_fini(struct hands *h)
{
	for (size_t i = 0; i < h->count; i++) {
		free(h->all[i].key);
		sketch_fini(&h->all[i].latency);
	}
	free(h);
}

static struct hand *find_row(struct hands *h, const struct stats_row *row)
{
	struct buf key = {0};
	struct hand *found;

	for (size_t i = 0; i < h->q->by_count; i++) {
		buf_add_span(&key, row->by[i]);
		buf_add_char(&key, '|');
	}
	found = hand_of(h, buf_cstr(&key), row->at_ns);
	buf_fini(&key);
	return found;
}

static int compare_row(void *ctx, const struct stats_row *row)
{
	struct hands *h = ctx;
	struct hand *want = find_row(h, row);
	uint64_t points = 0;

	if (!want || want->is_seen)
		fail_msg("a group that is not there, or twice");
	want->is_seen = true;
	assert_true(row->count == want->count);
	assert_true(row->failed == want->failed);
	assert_true(row->request_bytes == want->request_bytes);
	assert_true(row->response_bytes == want->response_bytes);
	assert_true(row->latency_count == want->latency.count);
	assert_true(row->p50_ns == sketch_percentile(&want->latency, 50));
	assert_true(row->p90_ns == sketch_percentile(&want->latency, 90));
	assert_true(row->p95_ns == sketch_percentile(&want->latency, 95));
	assert_true(row->p99_ns == sketch_percentile(&want->latency, 99));
	assert_true(row->max_ns == want->latency.max);
	assert_true(row->point_count <= STATS_POINTS);
	for (size_t i = 0; i < row->point_count; i++) {
		points += row->points[i];
		assert_true(row->points[i] == want->points[i]);
	}
	assert_true(h->q->every_ns ? row->points == NULL : points == row->count);
	return 0;
}

/* --- the questions --- */

struct question {
	const char *filter, *by;
	uint64_t since, until, every;
	bool is_rollup;
};

static const struct question questions[] = {
	{"", "", 0, 0, 0, true},
	{"", "dst.service,status", 0, 0, 0, true},
	{"", "route,method,outcome", 0, 0, 0, true},
	{"", "src.service,dst.service", 0, 0, MINUTE, true},
	{"", "outcome", START + 3 * MINUTE + 17, START + 7 * MINUTE + 5, 0, true},
	{"", "status", START + 3 * MINUTE + 17, START + 7 * MINUTE + 5, 2 * MINUTE, true},
	{"failed()", "dst.namespace,reason", 0, 0, 0, true},
	{"status >= 500 && dst.service == \"cart\"", "route", 0, 0, 0, true},
	{"!(method == \"GET\") || protocol == \"grpc\"", "grpc_status,protocol", 0, 0, 0, true},
	{"route.startsWith(\"/c\") && dst.port > 80", "dst.port", 0, 0, 5 * MINUTE, true},
	{"", "path", 0, 0, 0, false},
	{"", "src.ip,anomalies", 0, 0, 0, false},
	{"latency > duration(\"1ms\")", "status", 0, 0, 0, false},
	{"host == \"shop:8080\"", "status", START + 2 * MINUTE + 1, START + 4 * MINUTE, 0, false},
	{"", "status", 0, 0, 20 * NS_PER_S, false},
	{"response.body.contains(\"a\")", "", 0, 0, 0, false},
	{"status == 1", "status", 0, 0, 0, true},
	{"", "", START + 100 * MINUTE, 0, 0, true},
	{"", "", START + 5, START + 5, 0, true},
};

/* of days, which sealed tapes answer from their sums */
static const struct question long_questions[] = {
	{"", "", 0, 0, 0, true},
	{"", "", 0, 0, MINUTE, true},
	{"", "", 0, 0, HOUR, true},
	{"", "", START + 3 * HOUR + 17, START + 31 * HOUR + 5, 7 * MINUTE, true},
	{"true", "", START + 5 * HOUR, START + 29 * HOUR + 7 * MINUTE, 0, true},
	{"", "status", 0, 0, 0, true},
	{"", "dst.service,outcome", START + 3 * HOUR + 17, START + 31 * HOUR + 5, 0, true},
	{"", "dst.service", START + 3 * HOUR + 17, START + 9 * HOUR + 5, 0, true},
	{"", "status", 0, 0, HOUR, true},
	{"", "status", START + 40 * MINUTE, START + 20 * HOUR, 2 * HOUR, true},
	{"", "status", START + 40 * MINUTE, 0, 90 * MINUTE, true},
	{"failed()", "route", START + 7 * HOUR + 1, START + 30 * HOUR, 0, true},
	{"failed()", "", 0, 0, 0, true},
};

static int pass_by(void *ctx, const struct stats_row *row)
{
	(void)ctx, (void)row;
	return 0;
}

static bool is_counted(const struct stats_answer *a, const struct filter *f,
		       const struct exchange *x)
{
	return x->start_ns >= a->since_ns && x->start_ns < a->until_ns && filter_matches(f, x);
}

static void ask(struct reader *r, const struct kept *k, const struct question *question)
{
	struct query select = {.since_ns = question->since, .until_ns = question->until};
	struct stats_query q = {.select = &select, .every_ns = question->every};
	struct stats_answer answer, again;
	struct hands *h = calloc(1, sizeof(*h));
	struct filter *f = NULL;
	struct err e = {0};

	assert_int_equal(filter_parse(span_str(question->filter), &f, &e), 0);
	assert_int_equal(stats_parse_by(span_str(question->by), &q, &e), 0);
	select.filter = f;
	/* the times that are counted are not known before, so: once for them, and once to compare
	 */
	h->q = &q;
	h->answer = &answer;
	assert_int_equal(reader_stats(r, &q, pass_by, NULL, &answer, &e), 0);
	for (size_t i = 0; i < k->count; i++)
		if (is_counted(&answer, f, k->all[i]))
			count_by_hand(h, k->all[i]);
	if (reader_stats(r, &q, compare_row, h, &again, &e) < 0)
		fail_msg("%s", e.why);
	for (size_t i = 0; i < h->count; i++)
		if (!h->all[i].is_seen)
			fail_msg("\"%s\" by %s: a group is missing", question->filter, question->by);
	assert_true(again.count == h->total);
	assert_true(again.is_sampled || h->total <= k->count);
	if (answer.until_ns && answer.is_rollup != question->is_rollup)
		fail_msg("\"%s\": %s", question->filter, answer.why);
	assert_true(answer.is_rollup == (answer.why[0] == '\0') || !answer.until_ns);
	filter_free(f);
	hands_fini(h);
}

static void counts_are_those_of_each_exchange(void **state)
{
	static const uint64_t tape_rows[] = {1000000, 300};

	for (size_t i = 0; i < COUNT_OF(tape_rows); i++) {
		struct store_config config = store_config_default();
		struct kept k = {0};
		uint64_t seed = 88172645463325252 + i;
		struct store *s;
		struct reader *r;
		char dir[128];

		(void)snprintf(dir, sizeof(dir), "%s/%zu", (char *)*state, i);
		config.tape_rows = tape_rows[i];
		s = open_store(dir, &config);
		add_minutes(s, &k, &seed, 1000, 10 * MINUTE);
		r = open_reader(dir); /* beside the writer */
		for (size_t q = 0; q < COUNT_OF(questions); q++)
			ask(r, &k, &questions[q]);
		close_store(s);
		s = open_store(dir, &config); /* after a restart: the same minutes again */
		add_minutes(s, &k, &seed, 500, 10 * MINUTE);
		for (size_t q = 0; q < COUNT_OF(questions); q++)
			ask(r, &k, &questions[q]);
		reader_close(r);
		close_store(s);
		kept_fini(&k);
	}
}

static void drop_sums(const char *path)
{
	char *why = NULL;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, "DROP TABLE rollup_digest", NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
	(void)sqlite3_close(db);
}

/* Tapes that end within an hour, one that grows, and then one that has lost its sums. */
static void sums_of_sealed_tapes_are_those_of_each_exchange(void **state)
{
	struct store_config config = store_config_default();
	uint64_t seed = 362436069;
	struct kept k = {0};
	struct store *s;
	struct reader *r;
	char path[128];

	config.tape_rows = 400;
	config.tape_span_ns = 100 * HOUR;
	s = open_store(*state, &config);
	add_minutes(s, &k, &seed, 3500, 40 * HOUR);
	close_store(s);
	(void)snprintf(path, sizeof(path), "%s/tape-00000002.tape", (char *)*state);
	for (int round = 0; round < 2; round++) {
		r = open_reader(*state);
		for (size_t q = 0; q < COUNT_OF(long_questions); q++)
			ask(r, &k, &long_questions[q]);
		reader_close(r);
		if (round == 0)
			drop_sums(path);
	}
	kept_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counts_are_those_of_each_exchange),
		TEST(sums_of_sealed_tapes_are_those_of_each_exchange),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
