// SPDX-License-Identifier: Apache-2.0
/* what is written is read back: all fields, all orders, all filters */
#include "tests/unit/store_kit.h"

#include "lib/id.h"
#include "store/filter.h"

static void expect_each(const char *path, const struct kept *k)
{
	struct reader *r = open_reader(path);
	struct err e = {0};

	for (size_t i = 0; i < k->count; i += 7) {
		struct expect want = {k, i, true, false};

		if (reader_get(r, k->all[i]->id, compare_next, &want, &e) < 0)
			fail_msg("%s", e.why);
	}
	reader_close(r);
}

static void what_is_written_is_read_back(void **state)
{
	static const uint64_t tape_rows[] = {1000000, 150};

	for (size_t i = 0; i < COUNT_OF(tape_rows); i++) {
		struct store_config config = store_config_default();
		struct kept k = {0};
		uint64_t seed = 88172645463325252 + i;
		struct store *s;
		char dir[128];

		(void)snprintf(dir, sizeof(dir), "%s/%zu", (char *)*state, i);
		config.tape_rows = tape_rows[i];
		s = open_store(dir, &config);
		add_some(s, &k, &seed, 1000);
		qsort(k.all, k.count, sizeof(*k.all), newest_first);
		expect_kept(dir, &k);
		close_store(s);
		expect_list(dir, &k, &(struct query){0});
		expect_list(dir, &k, &(struct query){.wants_messages = true, .is_reverse = true});
		expect_each(dir, &k);
		kept_fini(&k);
	}
}

/* --- pages, times, filters: the same answer as looking at each --- */

struct page {
	uint64_t *ids;
	size_t count;
};

static int note_id(void *ctx, const struct exchange *x)
{
	struct page *p = ctx;

	p->ids[p->count++] = x->id;
	return 0;
}

static bool is_meant(const struct query *q, const struct exchange *x)
{
	return (!q->since_ns || x->start_ns >= q->since_ns) &&
	       (!q->until_ns || x->start_ns < q->until_ns) &&
	       (!q->filter || filter_matches(q->filter, x));
}

/* Ask page by page, and compare with what each exchange in memory says. */
static void expect_pages(struct reader *r, const struct kept *k, struct query q)
{
	struct page p = {calloc(k->count + 1, sizeof(uint64_t)), 0};
	struct err e = {0};
	size_t want = 0;

	do {
		if (reader_list(r, &q, note_id, &p, &q.cursor, &e) < 0)
			fail_msg("%s", e.why);
	} while (q.cursor);
	for (size_t i = 0; i < k->count; i++) {
		const struct exchange *x = k->all[q.is_reverse ? k->count - 1 - i : i];

		if (!is_meant(&q, x))
			continue;
		assert_true(want < p.count);
		assert_true(p.ids[want++] == x->id);
	}
	assert_int_equal(want, p.count);
	free(p.ids);
}

static const char *const filters[] = {
	"",
	"status == 200",
	"status != 200 && method == \"GET\"",
	"failed()",
	"failed() && status == 200",
	"failed(\"reset\") || path.startsWith(\"/cart/\")",
	"!failed() && !(path == \"/cart/17/lines\")",
	"target.contains(\"all\")",
	"dst.service == \"cart\"",
	"dst.service == \"cart\" && src.namespace == \"shop\"",
	"dst.service in [\"cart\", \"pay\"] && !(method == \"GET\")",
	"host == \"\"",
	"trace_id == \"80f198ee56343ba864fe8b2a57d3eff7\"",
	"trace_id.startsWith(\"80\") || trace_id == \"req-17\"",
	"!(trace_id == \"\")",
	"latency > duration(\"500us\")",
	"request.size > 100 && response.type == \"application/json\"",
	"\"redacted\" in anomalies",
	"replay != \"\"",
	"src.ip == \"1.2.3.0\" || src.port > 40000",
	"protocol == \"http1\" && outcome == \"ok\"",
	"response.body.contains(\"again and again\")",
	"status == 200 && !response.body.contains(\"words\")",
	"sequence > 2147483648",
};

static void ask_all(const char *dir, const struct kept *k)
{
	struct reader *r = open_reader(dir);
	struct err e = {0};

	for (size_t i = 0; i < COUNT_OF(filters); i++) {
		struct query q = {.limit = 97, .is_reverse = i % 2};
		struct filter *f;

		if (filter_parse(span_str(filters[i]), &f, &e) < 0)
			fail_msg("%s: %s", filters[i], e.why);
		q.filter = f;
		expect_pages(r, k, q);
		q.since_ns = START + 300;
		q.until_ns = START + 1200;
		expect_pages(r, k, q);
		filter_free(f);
	}
	reader_close(r);
}

static void a_query_answers_as_if_each_exchange_was_looked_at(void **state)
{
	static const uint64_t tape_rows[] = {1000000, 150};

	for (size_t i = 0; i < COUNT_OF(tape_rows); i++) {
		struct store_config config = store_config_default();
		struct kept k = {0};
		uint64_t seed = 362436069 + i;
		struct store *s;
		char dir[128];

		(void)snprintf(dir, sizeof(dir), "%s/%zu", (char *)*state, i);
		config.tape_rows = tape_rows[i];
		config.is_bulk = i == 1; /* sealed at the end, all of them */
		s = open_store(dir, &config);
		add_some(s, &k, &seed, 900);
		qsort(k.all, k.count, sizeof(*k.all), newest_first);
		if (!config.is_bulk)
			ask_all(dir, &k);
		close_store(s);
		ask_all(dir, &k);
		kept_fini(&k);
	}
}

/* --- failures --- */

struct failures {
	uint64_t sum, groups, last_count;
	unsigned grpc_statuses; /* bits 1 << status */
};

static int note_failure(void *ctx, const struct failure *f)
{
	struct failures *all = ctx;

	assert_true(f->count > 0);
	assert_true(all->groups == 0 || f->count <= all->last_count);
	assert_true(f->first_ns <= f->last_ns);
	all->last_count = f->count;
	all->sum += f->count;
	all->groups++;
	if (f->grpc_status >= 0)
		all->grpc_statuses |= 1u << f->grpc_status;
	return 0;
}

static void failures_are_grouped_and_none_is_left_out(void **state)
{
	struct store_config config = store_config_default();
	struct kept k = {0};
	struct failures all = {0}, residual = {0};
	struct filter *f;
	uint64_t seed = 521288629, want = 0, want_words = 0;
	struct store *s;
	struct reader *r;
	struct err e = {0};

	config.tape_rows = 200;
	s = open_store(*state, &config);
	add_some(s, &k, &seed, 700);
	assert_int_equal(filter_parse(SPAN_LIT("response.body.contains(\"words\")"), &f, &e), 0);
	for (size_t i = 0; i < k.count; i++) {
		want += exchange_is_failed(k.all[i]);
		want_words += exchange_is_failed(k.all[i]) && filter_matches(f, k.all[i]);
	}
	r = open_reader(*state);
	assert_int_equal(reader_failures(r, &(struct query){0}, 0, note_failure, &all, &e), 0);
	assert_int_equal(
		reader_failures(r, &(struct query){.filter = f}, 0, note_failure, &residual, &e), 0);
	assert_int_equal(all.sum, want);
	assert_int_equal(residual.sum, want_words);
	assert_true(want_words > 0);
	reader_close(r);
	filter_free(f);
	close_store(s);
	kept_fini(&k);
}

/* both by a tape's own counts and one exchange at a time */
static void calls_that_fail_with_another_grpc_status_are_another_kind(void **state)
{
	static const int status[] = {9, 9, 14};
	struct store *s = open_store(*state, NULL);
	struct failures counted = {0}, listed = {0};
	struct filter *f;
	struct reader *r;
	struct err e = {0};

	for (size_t i = 0; i < COUNT_OF(status); i++) {
		struct exchange x = {.start_ns = 1000 + i, .method = SPAN_LIT("POST"), .status = 200,
				     .protocol = PROTOCOL_GRPC, .outcome = OUTCOME_GRPC_ERROR,
				     .has_grpc_status = true, .grpc_status = (uint16_t)status[i]};

		assert_int_equal(store_add(s, &x, &e), 0);
	}
	close_store(s);
	r = open_reader(*state);
	assert_int_equal(filter_parse(SPAN_LIT("request.body == ''"), &f, &e), 0);
	assert_int_equal(reader_failures(r, &(struct query){0}, 0, note_failure, &counted, &e), 0);
	assert_int_equal(reader_failures(r, &(struct query){.filter = f}, 0, note_failure, &listed, &e), 0);
	assert_int_equal(counted.groups, 2);
	assert_int_equal(listed.groups, 2);
	assert_int_equal(counted.grpc_statuses, 1 << 9 | 1 << 14);
	assert_int_equal(listed.grpc_statuses, 1 << 9 | 1 << 14);
	filter_free(f);
	reader_close(r);
}

/* --- ids --- */

static void add_at(struct store *s, uint64_t start_ns, uint64_t *id)
{
	struct exchange x = {.start_ns = start_ns,
			     .method = SPAN_LIT("GET"),
			     .src.is_ipv4 = true,
			     .dst.is_ipv4 = true};
	struct err e = {0};

	if (store_add(s, &x, &e) < 0)
		fail_msg("%s", e.why);
	*id = x.id;
}

static void an_ending_finds_its_exchange_or_says_why_not(void **state)
{
	struct store *s = open_store(*state, NULL);
	uint64_t a, b, found;
	char text[ID_TEXT_LEN + 1];
	struct reader *r;
	struct err e = {0};

	add_at(s, START, &a);
	add_at(s, START + (UINT64_C(1) << 40), &b);
	commit(s);
	r = open_reader(*state);
	assert_int_equal(reader_resolve(r, span_str(id_format(b, text)), &found, &e), 0);
	assert_true(found == b);
	assert_int_equal(reader_resolve(r, span_str(text + 4), &found, &e), 0);
	assert_true(found == b);
	assert_int_equal(reader_resolve(r, span_str(text + 8), &found, &e), -ENOTUNIQ);
	assert_int_equal(reader_resolve(r, SPAN_LIT("ZZZZ"), &found, &e), -ENOENT);
	assert_int_equal(reader_resolve(r, SPAN_LIT("u!"), &found, &e), -EINVAL);
	assert_int_equal(reader_get(r, a + 1, compare_next, NULL, &e), -ENOENT);
	reader_close(r);
	close_store(s);
}

static void equal_times_and_times_set_back_get_ids_of_their_own(void **state)
{
	struct store_config config = store_config_default();
	struct store *s;
	uint64_t ids[6];

	config.tape_rows = 2;
	s = open_store(*state, &config);
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		add_at(s, i == 3 ? START - 5 : START, &ids[i]);
		commit(s);
	}
	assert_true(ids[0] == START && ids[1] == START + 1 && ids[2] == START + 2);
	assert_true(ids[3] == START - 5 && ids[4] == START + 3 && ids[5] == START + 4);
	add_at(s, UINT64_MAX, &ids[0]);
	add_at(s, 0, &ids[1]);
	assert_true(ids[0] <= INT64_MAX && ids[1] == 1);
	close_store(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read_back),
		TEST(a_query_answers_as_if_each_exchange_was_looked_at),
		TEST(failures_are_grouped_and_none_is_left_out),
		TEST(calls_that_fail_with_another_grpc_status_are_another_kind),
		TEST(an_ending_finds_its_exchange_or_says_why_not),
		TEST(equal_times_and_times_set_back_get_ids_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
