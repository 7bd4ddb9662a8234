// SPDX-License-Identifier: Apache-2.0
/*
 * A filter gives the same answer from the tape (SQL and residual check) and in memory: random
 * exchanges are stored, random filters are made from the grammar and asked both ways.
 */
#include "lib/clock.h"
#include "lib/id.h"
#include "schema/fields.h"
#include "store/filter.h"
#include "store/reader.h"
#include "store/store.h"

#include "tests/unit/random_filter.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define EXCHANGE_COUNT 400
#define FILTER_COUNT   1000
#define NOW_NS	       (UINT64_C(1764000000) * NS_PER_S)

struct world {
	struct random_source random; /* of a seed that is printed; TAPELOOP_SEED gives one */
	char dir[64];
	struct reader *reader;
	struct exchange *all[EXCHANGE_COUNT]; /* as read back, newest first */
	size_t count;
};

static uint64_t next_random(struct world *w)
{
	return random_next(&w->random);
}

static size_t below(struct world *w, size_t n)
{
	return random_below(&w->random, n);
}

#define PICK(w, array) ((array)[below(w, COUNT_OF(array))])

/* ---- random exchanges ---- */

#define LIT(s)                                                                                     \
	{                                                                                          \
		(const uint8_t *)("" s), sizeof(s) - 1                                             \
	} /* SPAN_LIT is no constant */

static const struct span methods[] = {LIT("GET"), LIT("POST"), {0}, LIT("get")};
static const struct span services[] = {LIT("cart"),  LIT("shop"), {0},
				       LIT("c\xff"), LIT("Cart"), LIT("caf\xc3\xa9")};
static const struct span targets[] = {LIT("/"),
				      LIT("/api/cart/7"),
				      LIT("/api/cart/7?a=b&c"),
				      LIT("/api/cart/8?"),
				      LIT("*"),
				      {0},
				      LIT("/a\0b?c\0"),
				      LIT("/\xff\xff"),
				      LIT("http://h/x?y"),
				      LIT("0"),
				      LIT("/?a=7&q=b%20c&a=8"),
				      LIT("/CART?q=%zz&a")};
static const struct span hosts[] = {LIT("cart:80"), LIT(""), {0}, LIT("0")};
static const struct span traces[] = {
	LIT("0123456789abcdef0123456789abcdef"),
	LIT("0123456789abcdef"),
	LIT("0123456789ABCDEF"),
	LIT("req-1"),
	LIT("0123"),
	{0},
};
static const struct span types[] = {LIT("text/plain"), LIT("application/json; a=b"), {0}, LIT("")};
static const struct span request_heads[] = {
	LIT("GET / HTTP/1.1\r\nHost: a\r\nX-User: 7\r\n\r\n"),
	LIT("GET / HTTP/1.1\r\nx-user: 8\r\nX-User: 7\r\nno colon\r\n\r\n"),
	LIT("GET / HTTP/1.1\r\nX-User:\r\n\r\n"),
	LIT("\r\n"),
	LIT("GET / HTTP/1.1\r\nCookie: sid=abc; a=b\r\nSet-Cookie: sid=new; Path=/\r\n\r\n"),
};
static const struct span trailers[] = {{0}, LIT("grpc-status: 0\r\n"), LIT("X-Sum: 7\r\n")};
static const struct span bodies[] = {
	LIT("out of stock"),
	LIT("\0\x01\xff"),
	{0},
	LIT("7"),
	LIT("{\"n\": 2, \"s\": \"cart\", \"items\": [{\"n\": 1}, {\"n\": 5, \"s\": \"x\"}], "
	    "\"yes\": true}"),
	LIT("{\"n\": 500, \"list\": [7, \"a\", null, 2.5], \"f\": 1.75, \"nothing\": null, "
	    "\"items\": []}"),
	LIT("{\"at\": \"2025-11-24T16:00:00.1Z\", \"took\": \"2ms\", \"s\": \"7\\u00e9\", "
	    "\"list\": [500"),
};
static const uint16_t statuses[] = {0, 200, 404, 500, 503, 999};
static const uint8_t addresses[][17] = {
	{[10] = 0xff, 0xff, 10, 0, 0, 1, 1},  {[10] = 0xff, 0xff, 10, 1, 2, 3, 1},
	{[10] = 0xff, 0xff, 101, 1, 2, 3, 1}, {[10] = 0xff, 0xff, 192, 168, 0, 9, 1},
	{[10] = 0xff, 0xff, 10, 0, 0, 1, 0},  {[15] = 1},
	{[0] = 0xfe, 0x80, [15] = 7},
};

static const char *const labels[] = {
	"", "{}", "{\"app\":\"a\"}", "{\"app\":\"\",\"x-user\":\"7\"}", "{\"app\":\"b\\u00e9\"}",
	"{\"app", "[1,2]", "{\"app\":7}"};

static struct endpoint random_endpoint(struct world *w)
{
	const uint8_t *a = PICK(w, addresses);
	struct endpoint e = {.port = (uint16_t)below(w, 4), .is_ipv4 = a[16]};

	memcpy(e.address, a, sizeof(e.address));
	e.who = (struct identity){.service = PICK(w, services),
				  .name_space = PICK(w, services),
				  .pod = PICK(w, services),
				  .workload = PICK(w, services),
				  .node = PICK(w, services),
				  .workload_kind = PICK(w, services),
				  .container = PICK(w, services),
				  .pod_uid = PICK(w, services),
				  .labels = span_str(PICK(w, labels)),
				  .annotations = span_str(PICK(w, labels)),
				  .source = (uint8_t)below(w, IDENTITY_SOURCE_COUNT),
				  .certainty = (uint8_t)below(w, CERTAINTY_COUNT)};
	return e;
}

static struct span path_of(struct span target)
{
	const uint8_t *mark = target.len ? memchr(target.ptr, '?', target.len) : NULL;

	return mark ? span_of(target.ptr, (size_t)(mark - target.ptr)) : target;
}

static struct message random_message(struct world *w, uint64_t first_ns)
{
	struct message m = {.content_type = PICK(w, types)};

	if (below(w, 5) == 0)
		return (struct message){0};
	m.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE;
	m.head = PICK(w, request_heads);
	m.body = PICK(w, bodies);
	m.trailers = PICK(w, trailers);
	m.flags |= m.trailers.len ? MESSAGE_CHUNKED : 0;
	m.body_bytes = below(w, 9) ? m.body.len : UINT64_C(1) << (50 + below(w, 14));
	m.first_ns = first_ns;
	m.last_ns = first_ns + below(w, 4) * NS_PER_MS;
	if (below(w, 2)) {
		m.server_first_ns = first_ns + NS_PER_MS / 2;
		m.server_last_ns = m.last_ns + below(w, 2) * NS_PER_MS;
	}
	return m;
}

static struct exchange random_exchange(struct world *w, uint64_t start_ns)
{
	struct exchange x = {
		.start_ns = start_ns,
		.connection = below(w, 20) ? 1 + below(w, 5) : start_ns,
		.sequence = (uint32_t)below(w, 4),
		.status = PICK(w, statuses),
		.protocol = (uint8_t)below(w, PROTOCOL_COUNT),
		.outcome = (uint8_t)below(w, OUTCOME_COUNT),
		.reason = (uint8_t)below(w, REASON_COUNT),
		.anomalies =
			below(w, 2) ? next_random(w) & ((UINT64_C(1) << ANOMALY_COUNT) - 1) : 0,
		.src = random_endpoint(w),
		.dst = random_endpoint(w),
		.method = PICK(w, methods),
		.target = PICK(w, targets),
		.host = PICK(w, hosts),
		.trace_id = PICK(w, traces),
		.replay_of = PICK(w, hosts),
		.request = random_message(w, start_ns),
		.response = random_message(w, start_ns + below(w, 3) * NS_PER_MS),
	};

	x.path = path_of(x.target);
	x.route = below(w, 2) ? x.path : SPAN_LIT("/api/{}");
	return x;
}

/* ---- the world: a store with two tapes, read back ---- */

static int keep(void *ctx, const struct exchange *x)
{
	struct world *w = ctx;
	void *memory = malloc(exchange_bytes(x));

	assert_non_null(memory);
	assert_true(w->count < EXCHANGE_COUNT);
	w->all[w->count++] = exchange_copy(x, memory);
	return 0;
}

static void fill_store(struct world *w)
{
	struct store_config config = store_config_default();
	struct store *s;
	struct err e = {0};
	uint64_t now = NOW_NS;

	config.tape_rows = EXCHANGE_COUNT / 2;
	config.has_fulltext = true; /* of the one that is sealed */
	if (store_open(w->dir, &config, &s, &e) < 0)
		fail_msg("%s", e.why);
	for (size_t i = 0; i < EXCHANGE_COUNT; i++) {
		struct exchange x = random_exchange(w, now);

		now += below(w, 3) * NS_PER_MS; /* some begin at the same time */
		if (store_add(s, &x, &e) < 0 || (i % 100 == 99 && store_commit(s, &e) < 0))
			fail_msg("%s", e.why);
	}
	if (store_commit(s, &e) < 0)
		fail_msg("%s", e.why);
	(void)store_close(s, &e);
}

static int set_up(void **state)
{
	static struct world w = {.dir = "/tmp/tapeloop-agrees.XXXXXX"};
	const char *seed = getenv("TAPELOOP_SEED");
	struct query all = {.wants_messages = true};
	struct err e = {0};

	w.random.state = seed ? strtoull(seed, NULL, 10) : clock_wall_ns();
	w.random.state += w.random.state == 0; /* 0 stays 0 */
	(void)printf("TAPELOOP_SEED=%llu\n", (unsigned long long)w.random.state);
	assert_non_null(mkdtemp(w.dir));
	fill_store(&w);
	if (reader_open(w.dir, &w.reader, &e) < 0 ||
	    reader_list(w.reader, &all, keep, &w, NULL, &e) < 0)
		fail_msg("%s", e.why);
	assert_int_equal(w.count, EXCHANGE_COUNT);
	*state = &w;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	reader_close(w->reader);
	for (size_t i = 0; i < w->count; i++)
		free(w->all[i]);
	return nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- random filters ---- */

static void put_text(struct buf *out, struct span s)
{
	buf_add_str(out, "b\"");
	for (size_t i = 0; i < s.len; i++)
		buf_add_fmt(out, "\\x%02x", s.ptr[i]);
	buf_add_char(out, '"');
}

/* A constant of the field's type, taken from an exchange: so that filters hit. */
static void put_constant(struct buf *out, const struct exchange *x, enum field field)
{
	struct field_value v = field_get(x, field);
	char text[ENDPOINT_TEXT_MAX + ID_TEXT_LEN];

	switch ((enum field_type)field_rows[field].type) {
	case FIELD_TYPE_TEXT:
	case FIELD_TYPE_NAME: put_text(out, v.text); break;
	case FIELD_TYPE_INT:
	case FIELD_TYPE_BOOL: buf_add_u64(out, MIN(v.number, (uint64_t)INT64_MAX)); break;
	case FIELD_TYPE_TIME:
		buf_add_str(out, "timestamp(\"");
		clock_format_utc(out, v.number);
		buf_add_str(out, "\")");
		break;
	case FIELD_TYPE_DURATION:
		buf_add_fmt(out, "duration(\"%lluns\")", (unsigned long long)v.number);
		break;
	case FIELD_TYPE_ADDRESS: buf_add_fmt(out, "\"%s\"", endpoint_text(v.endpoint, text)); break;
	case FIELD_TYPE_ID: buf_add_fmt(out, "\"%s\"", id_format(v.number, text)); break;
	case FIELD_TYPE_MAP: break;
	case FIELD_TYPE_FLAGS:
		buf_add_fmt(out, "\"%s\"",
			    anomaly_name((unsigned)(x->start_ns / NS_PER_MS) % ANOMALY_COUNT));
		break;
	}
}

static const struct exchange *any_exchange(struct world *w)
{
	return w->all[below(w, w->count)];
}

static bool has_parts(enum field f)
{
	return field_rows[f].type == FIELD_TYPE_TEXT || field_rows[f].type == FIELD_TYPE_NAME ||
	       field_rows[f].type == FIELD_TYPE_ID || field_rows[f].type == FIELD_TYPE_ADDRESS;
}

static bool has_order(enum field f)
{
	return field_rows[f].type != FIELD_TYPE_NAME && field_rows[f].type != FIELD_TYPE_ADDRESS;
}

static void put_part_test(struct world *w, struct buf *out, enum field f)
{
	static const char *const names[] = {"startsWith", "endsWith", "contains"};
	struct field_value v = field_get(any_exchange(w), f);
	char text[ENDPOINT_TEXT_MAX];
	size_t from, len;

	if (field_rows[f].type == FIELD_TYPE_ADDRESS)
		v.text = span_str(endpoint_text(v.endpoint, text));
	else if (field_rows[f].type == FIELD_TYPE_ID)
		v.text = span_str(id_format(v.number, text));
	from = below(w, 2) ? 0 : below(w, v.text.len + 1);
	len = below(w, v.text.len - from + 1);
	buf_add_fmt(out, "%s.%s(", field_rows[f].name, PICK(w, names));
	put_text(out, span_of(v.text.ptr + (v.text.ptr ? from : 0), len));
	buf_add_char(out, ')');
}

static void put_list_test(struct world *w, struct buf *out, enum field f)
{
	buf_add_fmt(out, "%s in [", field_rows[f].name);
	for (size_t i = below(w, 4); i; i--) {
		put_constant(out, any_exchange(w), f);
		buf_add_str(out, ", ");
	}
	buf_add_char(out, ']');
}

static void put_field_test(struct world *w, struct buf *out)
{
	static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">="};
	enum field f = (enum field)below(w, FIELD_COUNT);

	if (field_rows[f].type == FIELD_TYPE_MAP) {
		buf_add_fmt(out, "%s.app == 'a'", field_rows[f].name);
	} else if (field_rows[f].type == FIELD_TYPE_FLAGS) {
		put_constant(out, any_exchange(w), f);
		buf_add_str(out, " in anomalies");
	} else if (has_parts(f) && below(w, 3) == 0) {
		put_part_test(w, out, f);
	} else if (below(w, 4) == 0) {
		put_list_test(w, out, f);
	} else {
		buf_add_fmt(out, "%s %s ", field_rows[f].name,
			    signs[below(w, has_order(f) ? 6 : 2)]);
		put_constant(out, any_exchange(w), f);
	}
}

static void put_other_test(struct world *w, struct buf *out)
{
	static const char *const tests[] = {
		"failed()",
		"failed(\"reset\")",
		"true",
		"false",
		"anomalies == []",
		"\"gap\" in anomalies",
		"src.ip in \"10.0.0.0/8\"",
		"dst.ip in [\"10.0.0.0/15\", \"::/0\"]",
		"src.ip in \"0.0.0.0/0\"",
		"src.ip in \"10.0.0.0/24\"",
		"src.namespace == dst.namespace",
		"src.ip != dst.ip",
		"request.size < response.size",
		"host == replay",
		"path == route",
		"path != target",
		"request.headers[\"x-user\"] == \"7\"",
		"request.headers[\"x-user\"] != \"7\"",
		"\"x-user\" in request.headers",
		"response.body.contains(\"stock\")",
		"request.body < response.body",
		"response.body == \"\"",
		"request.headers[\"x-user\"] == response.body",
		"status == -1",
		"latency > duration(\"0s\")",
		"responseHeaders[\":status\"] == prefix(\"50\")",
		"src.service == dst.pod",
		"outcome == reason",
		"trace_id == host",
		"id >= connection",
		"request.size == 9223372036854775807",
	};

	buf_add_str(out, PICK(w, tests));
}

static void put_expression(struct world *w, struct buf *out, unsigned depth)
{
	size_t kind = depth ? below(w, 5) : 4;

	if (kind == 4) {
		if (below(w, 2))
			put_random_condition(&w->random, out, (unsigned)below(w, 3));
		else
			(below(w, 3) ? put_field_test : put_other_test)(w, out);
		return;
	}
	buf_add_str(out, kind == 3 ? "!(" : "(");
	put_expression(w, out, depth - 1);
	for (size_t i = kind == 3 ? 0 : 1 + below(w, 2); i; i--) {
		buf_add_str(out, kind == 0 ? " || " : " && ");
		put_expression(w, out, depth - 1);
	}
	buf_add_char(out, ')');
}

/* ---- both ways ---- */

struct answer {
	const struct world *w;
	const struct filter *filter;
	const char *text;
	size_t next; /* in world::all: what memory says comes next */
};

static int compare_answer(void *ctx, const struct exchange *x)
{
	struct answer *a = ctx;

	while (a->next < a->w->count && !filter_matches(a->filter, a->w->all[a->next]))
		a->next++;
	if (a->next == a->w->count || a->w->all[a->next]->id != x->id)
		fail_msg("%s: the tape gives %llu, memory %llu", a->text, (unsigned long long)x->id,
			 a->next < a->w->count ? (unsigned long long)a->w->all[a->next]->id : 0);
	a->next++;
	return 0;
}

/* A random filter may be one of the two kinds that are refused for what they are, not for how. */
static struct filter *parse_random(struct world *w, struct buf *text, unsigned depth)
{
	struct filter *f = NULL;
	struct err e = {0};

	for (;;) {
		buf_clear(text);
		put_expression(w, text, depth);
		if (filter_parse_at(buf_span(text), NOW_NS + NS_PER_S, &f, &e) == 0)
			return f;
		if (!strstr(e.why, "two headers") && !strstr(e.why, "two constants"))
			fail_msg("%s: %s", buf_cstr(text), e.why);
	}
}

static size_t ask_both_ways(struct world *w, const struct filter *f, const char *text)
{
	struct answer a = {.w = w, .text = text};
	struct err e = {0};
	struct query q = {0};
	size_t hits = 0;

	a.filter = q.filter = f;
	if (reader_list(w->reader, &q, compare_answer, &a, NULL, &e) < 0)
		fail_msg("%s: %s", text, e.why);
	for (; a.next < w->count; a.next++)
		if (filter_matches(f, w->all[a.next]))
			fail_msg("%s: the tape lacks an exchange that memory gives", text);
	for (size_t i = 0; i < w->count; i++)
		hits += filter_matches(f, w->all[i]);
	return hits;
}

static void every_value_finds_its_exchange(void **state)
{
	struct world *w = *state;

	for (int f = 0; f < FIELD_COUNT; f++) {
		for (size_t i = 0; i < w->count; i += 41) {
			AUTO(filter) filter = NULL;
			AUTO_BUF text = {0};
			struct err e = {0};

			if (field_rows[f].type == FIELD_TYPE_FLAGS ||
			    field_rows[f].type == FIELD_TYPE_MAP)
				continue;
			buf_add_fmt(&text, "%s == ", field_rows[f].name);
			/* ::ffff:10.0.0.1 is no IPv4 address, though it looks like one */
			put_constant(&text, w->all[i], (enum field)f);
			if (filter_parse(buf_span(&text), &filter, &e) < 0)
				fail_msg("%s", e.why);
			assert_true(ask_both_ways(w, filter, buf_cstr(&text)) > 0);
		}
	}
}

static void random_filters_select_the_same(void **state)
{
	struct world *w = *state;
	size_t some = 0, most = 0;

	for (int i = 0; i < FILTER_COUNT; i++) {
		AUTO_BUF text = {0};
		AUTO(filter) f = parse_random(w, &text, (unsigned)below(w, 4));
		size_t hits = ask_both_ways(w, f, buf_cstr(&text));

		some += hits > 0 && hits < w->count;
		most += hits == w->count;
	}
	/* filters that select nothing or everything prove little: most must do neither */
	assert_true(some > FILTER_COUNT / 3);
	assert_true(most < FILTER_COUNT / 3);
}

/* the SQL alone: what it claims to be exact must be, and the rest may only let too much through */
static int count_one(void *ctx, const struct exchange *x)
{
	(void)x;
	(*(size_t *)ctx)++;
	return 0;
}

static void pages_join_without_loss(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 60; i++) {
		AUTO_BUF text = {0};
		AUTO(filter) f = parse_random(w, &text, 2);
		struct query q = {.limit = 1 + below(w, 50), .is_reverse = below(w, 2)};
		size_t paged = 0, hits = 0;

		q.filter = f;
		do {
			struct err e = {0};

			if (reader_list(w->reader, &q, count_one, &paged, &q.cursor, &e) < 0)
				fail_msg("%s: %s", buf_cstr(&text), e.why);
		} while (q.cursor);
		for (size_t k = 0; k < w->count; k++)
			hits += filter_matches(f, w->all[k]);
		assert_int_equal(paged, hits);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_finds_its_exchange),
		cmocka_unit_test(random_filters_select_the_same),
		cmocka_unit_test(pages_join_without_loss),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
