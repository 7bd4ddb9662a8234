// SPDX-License-Identifier: Apache-2.0
/* A query that takes too long ends, says how far it came, and goes on from there; nobody waits for
 * it. */
#include "lib/clock.h"
#include "store/filter.h"
#include "tests/unit/store_kit.h"

#include <pthread.h>
#include <stdatomic.h>

#define COUNT 3000

static struct exchange numbered(uint64_t i)
{
	static const uint8_t body[] = "{\"n\": 7, \"words\": [\"out\", \"of\", \"stock\"]}";
	struct exchange x = {
		.start_ns = START + i * NS_PER_MS,
		.connection = 1 + i % 7,
		.status = i % 10 ? 200 : 500,
		.protocol = PROTOCOL_HTTP1,
		.outcome = i % 10 ? OUTCOME_OK : OUTCOME_SERVER_ERROR,
		.method = SPAN_LIT("GET"),
		.target = SPAN_LIT("/a"),
		.path = SPAN_LIT("/a"),
		.route = SPAN_LIT("/a"),
		.request = {.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
			    .head = SPAN_LIT("GET /a HTTP/1.1\r\n\r\n")},
		.response = {.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
			     .head = SPAN_LIT("HTTP/1.1 200 OK\r\n\r\n"),
			     .body = {body, sizeof(body) - 1},
			     .body_bytes = sizeof(body) - 1},
	};

	x.request.first_ns = x.start_ns;
	x.response.last_ns = x.start_ns + NS_PER_MS;
	return x;
}

static void add(struct store *s, uint64_t from, uint64_t to)
{
	struct err e = {0};

	for (uint64_t i = from; i < to; i++) {
		struct exchange x = numbered(i);

		if (store_add(s, &x, &e) < 0)
			fail_msg("%s", e.why);
	}
	if (store_commit(s, &e) < 0)
		fail_msg("%s", e.why);
}

static struct store *fill(const char *dir)
{
	struct store_config config = store_config_default();
	struct store *s;

	config.tape_rows = 1000; /* three tapes */
	s = open_store(dir, &config);
	for (uint64_t i = 0; i < COUNT; i += 500)
		add(s, i, i + 500);
	return s;
}

static struct filter *parse(const char *text)
{
	struct filter *f = NULL;
	struct err e = {0};

	if (filter_parse(span_str(text), &f, &e) < 0)
		fail_msg("%s", e.why);
	return f;
}

/* A clock that goes on by a millisecond whenever it is read: so time runs out at the same row
 * always. */
static uint64_t ticking(void)
{
	static uint64_t now_ns;

	return now_ns += NS_PER_MS;
}

struct seen {
	uint64_t ids[COUNT];
	size_t count;
};

static int note(void *ctx, const struct exchange *x)
{
	struct seen *s = ctx;

	assert_true(s->count < COUNT);
	s->ids[s->count++] = x->id;
	return 0;
}

static void all_at_once(struct reader *r, const struct query *q, struct seen *out)
{
	struct err e = {0};

	out->count = 0;
	reader_limit_ns(r, 0, NULL);
	if (reader_list(r, q, note, out, NULL, &e) < 0)
		fail_msg("%s", e.why);
}

/* Return: in how many pieces. */
static unsigned in_pieces(struct reader *r, struct query q, uint64_t limit_ns, struct seen *out)
{
	unsigned pieces = 1;
	struct err e = {0};
	int failed;

	out->count = 0;
	reader_limit_ns(r, limit_ns, ticking);
	while ((failed = reader_list(r, &q, note, out, NULL, &e)) == -ETIMEDOUT) {
		const struct reader_effort *effort = reader_effort(r);

		pieces++;
		if (!effort->reached) { /* not a step: more time is what it takes */
			reader_limit_ns(r, limit_ns *= 2, ticking);
			continue;
		}
		/* never back to where it has been */
		assert_true(!q.cursor || (q.is_reverse ? effort->reached > q.cursor
						       : effort->reached < q.cursor));
		assert_non_null(strstr(e.why, "go on with cursor"));
		q.cursor = effort->reached;
		assert_true(pieces < 2000);
	}
	assert_int_equal(failed, 0);
	return pieces;
}

static void what_ran_out_of_time_goes_on_where_it_ended(void **state)
{
	static const char *const filters[] = {
		"response.json.n == 7",
		"response.json.words.exists(w, w == 'stock') && status == 500",
		"text('no such text')",
		"request.headers['x'] =~ 'a' || text('STOCK')",
	};
	static struct seen whole, pieces;
	struct store *s = fill(*state);
	struct reader *r = open_reader(*state);

	for (size_t i = 0; i < COUNT_OF(filters); i++) {
		for (int is_reverse = 0; is_reverse < 2; is_reverse++) {
			AUTO(filter) f = parse(filters[i]);
			struct query q = {.filter = f, .is_reverse = is_reverse};

			all_at_once(r, &q, &whole);
			for (uint64_t ms = 1; ms <= 8; ms *= 2) {
				assert_true(in_pieces(r, q, ms * NS_PER_MS, &pieces) > 1);
				assert_int_equal(whole.count, pieces.count);
				assert_memory_equal(whole.ids, pieces.ids,
						    whole.count * sizeof(*whole.ids));
			}
			assert_int_equal(whole.count, pieces.count);
			assert_memory_equal(whole.ids, pieces.ids,
					    whole.count * sizeof(*whole.ids));
		}
	}
	reader_close(r);
	close_store(s);
}

static void an_explanation_counts_what_was_looked_at(void **state)
{
	static const struct {
		const char *filter;
		uint64_t seen_max, judged, selected;
		const char *plan;
	} cases[] = {
		{"status == 500", 1400, 0, 300, "INDEX kind_id"},
		{"failed()", 1400, 0, 300, "failed"},
		{"status == 500 && response.json.n == 7", 1400, 300, 300, "INDEX kind_id"},
		{"response.json.n == 8", COUNT, COUNT, 0, "SCAN exchange"},
		{"route =~ '^/b'", 0, 0, 0, NULL},
	};
	struct store *s = fill(*state);
	struct reader *r;

	close_store(s); /* and all that is full is sealed */
	r = open_reader(*state);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO(filter) f = parse(cases[i].filter);
		struct query q = {.filter = f};
		struct explanation x = {0};
		AUTO_BUF text = {0};
		struct err e = {0};

		if (reader_explain(r, &q, &x, &e) < 0)
			fail_msg("%s", e.why);
		explanation_text(&x, &text);
		if (x.effort.seen > cases[i].seen_max || x.effort.seen < x.effort.read ||
		    x.effort.judged != cases[i].judged || x.effort.selected != cases[i].selected ||
		    !x.is_whole ||
		    (cases[i].plan && x.plan.len && !strstr(buf_cstr(&x.plan), cases[i].plan) &&
		     !strstr(buf_cstr(&x.plan), "SEARCH")))
			fail_msg("%s: %s", cases[i].filter, buf_cstr(&text));
		explanation_fini(&x);
	}
	reader_close(r);
}

/* ---- beside a writer ---- */

struct asker {
	const char *dir;
	atomic_bool is_done;
	atomic_uint answers;
};

static int ignore(void *ctx, const struct exchange *x)
{
	(void)ctx, (void)x;
	return 0;
}

static void *ask_heavily(void *arg)
{
	struct asker *a = arg;
	struct reader *r = open_reader(a->dir);
	AUTO(filter)
	f = parse("response.body =~ '(a|b|o)+x' || response.json.words.all(w, w =~ '^(.*)*x')");
	struct query q = {.filter = f};

	reader_limit_ns(r, 50 * NS_PER_MS, clock_mono_ns);
	while (!atomic_load(&a->is_done)) {
		struct err e = {0};
		int failed = reader_list(r, &q, ignore, NULL, NULL, &e);

		/* whole, or out of time: nothing else */
		if (failed < 0 && failed != -ETIMEDOUT)
			fail_msg("%s", e.why);
		(void)atomic_fetch_add(&a->answers, 1);
	}
	reader_close(r);
	return NULL;
}

static void a_heavy_query_does_not_keep_the_writer_from_its_work(void **state)
{
	struct asker a = {.dir = *state};
	struct store *s = fill(*state);
	struct seen *all = calloc(1, sizeof(*all));
	struct query q = {.limit = 2000};
	struct reader *r;
	pthread_t thread;

	assert_non_null(all);
	assert_int_equal(pthread_create(&thread, NULL, ask_heavily, &a), 0);
	/* it writes until the asker has had its answers, and all that it writes is committed */
	for (uint64_t i = COUNT; atomic_load(&a.answers) < 3 || i < COUNT + 1000; i += 20)
		add(s, i, i + 20);
	atomic_store(&a.is_done, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	r = open_reader(*state);
	all_at_once(r, &q, all);
	assert_int_equal(all->count, 2000);
	reader_close(r);
	free(all);
	close_store(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_ran_out_of_time_goes_on_where_it_ended,
						make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(an_explanation_counts_what_was_looked_at,
						make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(
			a_heavy_query_does_not_keep_the_writer_from_its_work, make_directory,
			remove_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
