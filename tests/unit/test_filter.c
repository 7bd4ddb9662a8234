// SPDX-License-Identifier: Apache-2.0
#include "schema/sql.h"
#include "store/filter.h"

#include "schema/fields.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- what is read, and what it means ---- */

static const struct reading {
	const char *text, *meaning; /* NULL: as it stands */
} readings[] = {
	{"", "true"},
	{"  \n", "true"},
	{"500", "status == 500"},
	{" 5xx ", "(status >= 500 && status <= 599)"},
	{"4XX", "(status >= 400 && status <= 499)"},
	{"/api/cart*", "path.startsWith(\"/api/cart\")"},
	{"/api/cart", "path == \"/api/cart\""},
	{"/a?b=1*", "target.startsWith(\"/a?b=1\")"},
	{"/*", "path.startsWith(\"/\")"},
	{"cart", "dst.service == \"cart\""},
	{"cart-v2.shop", "dst.service == \"cart-v2.shop\""},
	{"true", NULL},
	{"!true", "!(true)"},
	{"status != 200", "!(status == 200)"},
	{"500 <= status", "status >= 500"},
	{"status==-1", "status == -1"},
	{"status == 0x1F4", "status == 500"},
	{"!!failed()", "failed()"},
	{"!!!failed()", "!(failed())"},
	{"failed() == false", "!(failed())"},
	{"true != failed()", "!(failed())"},
	{"failed(\"reset\")", "outcome == \"reset\""},
	{"status == 1 || status == 2 && status == 3",
	 "(status == 1 || (status == 2 && status == 3))"},
	{"(status == 1 || status == 2) && status == 3",
	 "(status == 3 && (status == 1 || status == 2))"}, /* the cheaper first */
	{"status in [500, 503,]", "status in [500, 503]"},
	{"status in [500]", "status == 500"},
	{"status in []", "false"},
	{"method in ['GET', \"PUT\"]", "method in [\"GET\", \"PUT\"]"},
	{"path == r'\\d' || path == b'\\xff'", "(path == \"\\\\d\" || path == \"\xff\")"},
	{"path == '\\n\\x41\\u00e9\\U0001F600\\101'", "path == \"\\x0aA\xc3\xa9\xf0\x9f\x98\x80"
						      "A\""},
	{"latency > duration(\"1h30m\")", "latency > duration(\"90m\")"},
	{"latency > duration(\"1500us\")", "latency > duration(\"1500us\")"},
	{"time >= timestamp(\"2026-11-22T04:00:00+01:00\")",
	 "time >= timestamp(\"2026-11-22T03:00:00.000000000Z\")"},
	{"\"gap\" in anomalies", "(\"gap_request\" in anomalies || \"gap_response\" in anomalies)"},
	{"anomalies == []", "!(anomalies != [])"},
	{"src.ip == \"10.0.0.1\"", NULL},
	{"src.ip in \"10.0.0.0/8\"", "src.ip in [\"10.0.0.0/8\"]"},
	{"dst.ip in [\"fe80::/10\", \"0:0::1\"]", "dst.ip in [\"fe80::/10\", \"::1\"]"},
	{"src.namespace != dst.namespace", "!(src.namespace == dst.namespace)"},
	{"\"x-user\" in request.headers", NULL},
	{"request.headers[\"x-user\"] == \"7\"", NULL},
	{"host == request.headers['x-h']", "request.headers[\"x-h\"] == host"},
	{"response.body.contains(\"out of stock\")", NULL},
	{"(path).startsWith('/')", "path.startsWith(\"/\")"},
	{"responseHeaders[\":status\"] == prefix(\"5\")", "(status >= 500 && status <= 599)"},
	{"responseHeaders[\":status\"] != prefix(\"40\")", "!((status >= 400 && status <= 409))"},
	{"responseHeaders[\":status\"] == \"503\"", "status == 503"},
	{"requestHeaders[\":path\"] == prefix(\"/a\")", "target.startsWith(\"/a\")"},
	{"requestHeaders[\"a\"] == suffix(\"z\")", "request.headers[\"a\"].endsWith(\"z\")"},
	{"id > \"1H2B3C4D5E6F7\"", NULL},
	{"id.endsWith(\"6F7\")", NULL},
	{"protocol == 'http1'", "protocol == \"http1\""},
};

static void describe(struct span text, struct buf *out)
{
	struct filter *f = NULL;
	struct err e = {0};

	if (filter_parse_at(text, 1, &f, &e) < 0)
		fail_msg("%.*s: %s", (int)text.len, (const char *)text.ptr, e.why);
	filter_describe(f, out);
	assert_false(out->is_failed);
	filter_free(f);
}

static void each_form_is_read_as_it_is_meant(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(readings); i++) {
		const char *want = readings[i].meaning ? readings[i].meaning : readings[i].text;
		AUTO_BUF got = {0};

		describe(span_str(readings[i].text), &got);
		assert_string_equal(buf_cstr(&got), want);
	}
}

static void a_description_is_the_same_filter_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(readings); i++) {
		AUTO_BUF once = {0}, twice = {0};

		describe(span_str(readings[i].text), &once);
		describe(buf_span(&once), &twice);
		if (!strstr(buf_cstr(&once), "(true") && once.ptr[0] != '(' && once.ptr[0] != '!')
			assert_string_equal(buf_cstr(&once), buf_cstr(&twice));
	}
}

static void the_words_of_the_tables_are_all_known(void **state)
{
	(void)state;
	for (int i = 0; i < FIELD_COUNT; i++) {
		AUTO_BUF text = {0}, got = {0};

		buf_add_fmt(&text, "(%s == %s)", field_rows[i].name, field_rows[i].name);
		if (field_rows[i].type != FIELD_TYPE_FLAGS && field_rows[i].type != FIELD_TYPE_MAP)
			describe(buf_span(&text), &got);
	}
	for (unsigned i = 0; i < ANOMALY_COUNT; i++) {
		AUTO_BUF text = {0}, got = {0};

		buf_add_fmt(&text, "\"%s\" in anomalies", anomaly_name(i));
		describe(buf_span(&text), &got);
	}
}

/* ---- what it selects ---- */

static struct exchange sample(void)
{
	return (struct exchange){
		.id = 1764000000000000001,
		.start_ns = 1764000000000000000,
		.connection = 7,
		.status = 503,
		.protocol = PROTOCOL_HTTP1,
		.outcome = OUTCOME_SERVER_ERROR,
		.anomalies = ANOMALY_BIT(GAP_RESPONSE),
		.src = {.address = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 1, [15] = 9},
			.is_ipv4 = true,
			.port = 40000,
			.who = {.name_space = SPAN_LIT("shop")}},
		.dst = {.address = {[15] = 1},
			.port = 80,
			.who = {.service = SPAN_LIT("cart"), .name_space = SPAN_LIT("shop")}},
		.method = SPAN_LIT("GET"),
		.target = SPAN_LIT("/api/cart/7?a=b"),
		.path = SPAN_LIT("/api/cart/7"),
		.host = SPAN_LIT("cart"),
		.request = {.flags = MESSAGE_PRESENT,
			    .first_ns = 1764000000000000000,
			    .head = SPAN_LIT("GET /api/cart/7?a=b HTTP/1.1\r\nHost: cart\r\n"
					     "X-User: 7\r\nAccept: a\r\naccept: b\r\n\r\n")},
		.response = {.flags = MESSAGE_PRESENT,
			     .last_ns = 1764000000300000000,
			     .head = SPAN_LIT("HTTP/1.1 503 No\r\nEmpty:\r\n\r\n"),
			     .body = SPAN_LIT("out of stock\0\xff"),
			     .body_bytes = 14},
	};
}

static const struct judgement {
	const char *text;
	bool matches;
} judgements[] = {
	{"", true},
	{"503", true},
	{"5xx", true},
	{"4xx", false},
	{"/api/cart*", true},
	{"/api/cart", false},
	{"/api/cart/7?a=b", true},
	{"cart", true},
	{"failed()", true},
	{"failed(\"server_error\") && !failed(\"reset\")", true},
	{"latency == duration(\"300ms\")", true},
	{"latency > duration(\"300ms\")", false},
	{"latency >= duration(\"0.3s\") && latency <= duration(\"300000us\")", true},
	{"time == timestamp(\"2025-11-24T16:00:00Z\")", true},
	{"time < timestamp(\"2025-11-24T16:00:00Z\")", false},
	{"\"gap\" in anomalies", true},
	{"\"gap_request\" in anomalies", false},
	{"anomalies == []", false},
	{"src.ip in \"10.0.0.0/8\"", true},
	{"src.ip in \"10.1.0.0/15\"", true},
	{"src.ip in \"10.2.0.0/15\"", false},
	{"src.ip in [\"192.168.0.0/16\", \"10.1.0.9\"]", true},
	{"src.ip in \"0.0.0.0/0\" && !(src.ip in \"::/0\")", true},
	{"dst.ip == \"0:0:0:0:0:0:0:1\"", true},
	{"dst.ip in \"::/0\"", true},
	{"src.ip.startsWith(\"10.1.\")", true},
	{"src.ip == dst.ip", false},
	{"src.namespace == dst.namespace", true},
	{"src.service == dst.service", false},
	{"src.service == \"\"", true},
	{"host == request.headers[\"host\"]", true},
	{"request.headers[\"x-user\"] == \"7\"", true},
	{"request.headers[\"x-other\"] == \"\"", true},
	{"request.headers[\"x-other\"] != \"7\"", true},
	{"\"x-other\" in request.headers", false},
	{"\"X-USER\" in request.headers", true},
	{"\"empty\" in response.headers && response.headers[\"empty\"] == \"\"", true},
	{"request.headers[\"accept\"] == \"b\"", true},
	{"request.headers[\"accept\"] != \"b\"", false},
	{"request.headers[\"accept\"] in [\"c\", \"a\"]", true},
	{"response.body.contains(\"stock\")", true},
	{"response.body.contains(\"stick\")", false},
	{"response.body.endsWith(b\"\\x00\\xff\")", true},
	{"request.body == \"\"", true},
	{"response.size == 14", true},
	{"path.endsWith(\"/7\")", true},
	{"path.contains(\"\")", true},
	{"method == \"get\"", false},
	{"method < \"GETA\" && method > \"GE\"", true},
	{"status > -1", true},
	{"status in []", false},
	{"!(status in [])", true},
	{"protocol != \"http2\" && outcome in [\"reset\", \"server_error\"]", true},
	{"sequence == 0 && connection == \"0000000000007\"", true},
	{"id > \"0000000000007\"", true},
	{"true && (false || !false)", true},
};

static void a_filter_judges_an_exchange(void **state)
{
	struct exchange x = sample();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(judgements); i++) {
		struct filter *f = NULL;
		struct err e = {0};

		if (filter_parse(span_str(judgements[i].text), &f, &e) < 0)
			fail_msg("%s: %s", judgements[i].text, e.why);
		if (filter_matches(f, &x) != judgements[i].matches)
			fail_msg("%s: not %d", judgements[i].text, judgements[i].matches);
		filter_free(f);
	}
}

/* {"note":"out of stock"} */
#define ZIPPED                                                                                     \
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\xca\xcb\x2f\x49\x55\xb2\x52\xca\x2f\x2d" \
	"\x51"                                                                                     \
	"\xc8\x4f\x53\x28\x2e\xc9\x4f\xce\x56\xaa\x05\x00\x22\xf3\x14\x92\x17\x00\x00\x00"
#define ZIPPED_HEAD(coding) SPAN_LIT("HTTP/1.1 200 OK\r\nContent-Encoding: " coding "\r\n\r\n")

static void a_body_is_judged_as_its_reader_saw_it(void **state)
{
	const struct {
		struct span head, body;
		const char *filter;
		bool want;
	} cases[] = {
		{ZIPPED_HEAD("gzip"), SPAN_LIT(ZIPPED), "response.body.contains('out of stock')",
		 true},
		{ZIPPED_HEAD("gzip"), SPAN_LIT(ZIPPED),
		 "response.body.startsWith('{') && response.body.endsWith('}')", true},
		{ZIPPED_HEAD("gzip"), SPAN_LIT(ZIPPED), "response.body.startsWith(b'\\x1f\\x8b')",
		 false},
		/* a coding nobody knows, one that it is not, and half of it */
		{ZIPPED_HEAD("rot13"), SPAN_LIT("bhg"), "response.body == 'bhg'", true},
		{ZIPPED_HEAD("gzip"), SPAN_LIT("plain"), "response.body == 'plain'", true},
		{ZIPPED_HEAD("gzip"),
		 {(const uint8_t *)ZIPPED, 30},
		 "response.body.contains('note')",
		 true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct exchange x = sample();
		struct filter *f;
		struct err e = {0};

		x.response.head = cases[i].head;
		x.response.body = cases[i].body;
		x.response.flags |= MESSAGE_COMPLETE;
		assert_int_equal(filter_parse(span_str(cases[i].filter), &f, &e), 0);
		if (filter_matches(f, &x) != cases[i].want)
			fail_msg("case %zu: %s", i, cases[i].filter);
		filter_free(f);
	}
}

static void only_heads_and_bodies_need_the_messages(void **state)
{
	static const struct judgement cases[] = {
		{"status == 500", false},
		{"host == response.body", true},
		{"!(\"x\" in request.headers)", true},
		{"true || request.body == \"\"", true},
		{"responseHeaders[\":status\"] == \"500\"", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct filter *f = NULL;

		assert_int_equal(filter_parse(span_str(cases[i].text), &f, NULL), 0);
		assert_int_equal(filter_wants_messages(f), cases[i].matches);
		filter_free(f);
	}
}

/* ---- its SQL ---- */

static const struct translation {
	const char *text, *where;
	bool is_exact;
} translations[] = {
	{"", "1", true},
	{"false", "0", true},
	{"status in [] || true", "1", true},
	{"500", "kind.status = ?", true},
	{"failed()", SQL_FAILED, true},
	{"failed() && cart", NULL, false}, /* refused: a bare form stands alone */
	{"failed() && status == 500", SQL_FAILED " AND (kind.status = ?)",
	 true},
	{"failed(\"reset\")", SQL_FAILED " AND exchange.outcome = ?", true},
	{"!failed(\"reset\")", "NOT (exchange.outcome = ?)", true},
	{"outcome == \"ok\"", "exchange.outcome = ?", true},
	{"!(status < 500)", "kind.status >= ?", true},
	{"src.ip == \"::1\"", "src.ip = ?", true},
	{"src.ip in \"10.0.0.0/8\"", "(src.ip >= ? AND src.ip < ?)", true},
	{"src.ip in \"10.0.0.0/9\"", "1", false},
	{"!(src.ip in \"10.0.0.0/9\")", "1", false},
	{"response.body == \"\"", "1", false},
	{"!(response.body == \"\")", "1", false},
	{"status == 500 && response.body == \"\"", "(kind.status = ?)", false},
	{"status == 500 || response.body == \"\"", "1", false},
	{"!(status == 500 || response.body == \"\")", "(NOT (kind.status = ?))", false},
	{"!(status == 500 && !(response.body == \"\"))", "1", false},
	{"\"gap_request\" in anomalies", "(kind.anomalies & ?) <> 0", true},
	{"trace_id == \"\"", NULL, true},
	{"id == \"FZZZZZZZZZZZZ\"", "1", false},
};

static size_t count_marks(struct span sql)
{
	size_t n = 0;

	for (size_t i = 0; i < sql.len; i++)
		n += sql.ptr[i] == '?';
	return n;
}

static void its_sql_says_no_more_than_it_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(translations); i++) {
		const struct translation *t = &translations[i];
		struct filter_sql sql = {0};
		struct filter *f = NULL;

		if (filter_parse(span_str(t->text), &f, NULL) < 0) {
			assert_null(t->where);
			continue;
		}
		assert_int_equal(filter_to_sql(f, &sql), 0);
		assert_int_equal(sql.is_exact, t->is_exact);
		assert_int_equal(count_marks(buf_span(&sql.where)), sql.param_count);
		if (t->where)
			assert_string_equal(buf_cstr(&sql.where), t->where);
		filter_sql_fini(&sql);
		filter_free(f);
	}
}

static void a_prefix_ends_where_the_next_text_begins(void **state)
{
	static const struct {
		const char *text, *from, *to;
	} cases[] = {
		{"path.startsWith(\"/a\")", "/a", "/b"},
		{"path.startsWith(b\"a\\xff\\xff\")", "a\xff\xff", "b"},
		{"path.startsWith(b\"\\xff\")", "\xff", NULL},
		{"src.ip in \"10.1.0.0/16\"", "10.1.", "10.1/"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct filter_sql sql = {0};
		struct filter *f = NULL;

		assert_int_equal(filter_parse(span_str(cases[i].text), &f, NULL), 0);
		assert_int_equal(filter_to_sql(f, &sql), 0);
		assert_int_equal(sql.param_count, cases[i].to ? 2 : 1);
		assert_true(span_eq(sql.params[0].text, span_str(cases[i].from)));
		if (cases[i].to)
			assert_true(span_eq(sql.params[1].text, span_str(cases[i].to)));
		filter_sql_fini(&sql);
		filter_free(f);
	}
}

/* ---- its document ---- */

static void read_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "r");
	char chunk[4096];
	size_t n;

	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, chunk, n);
	(void)fclose(f);
}

static void the_document_lists_every_field(void **state)
{
	AUTO_BUF text = {0};

	(void)state;
	read_file("docs/filter.md", &text);
	for (int i = 0; i < FIELD_COUNT; i++) {
		AUTO_BUF name = {0}, what = {0};

		buf_add_fmt(&name, "| `%s` | ", field_rows[i].name);
		buf_add_fmt(&what, " | %s |\n", field_rows[i].what);
		if (!strstr(buf_cstr(&text), buf_cstr(&name)) ||
		    !strstr(buf_cstr(&text), buf_cstr(&what)))
			fail_msg("docs/filter.md: no row %s...%s", buf_cstr(&name),
				 buf_cstr(&what));
	}
}

static void the_examples_of_the_document_are_filters(void **state)
{
	AUTO_BUF text = {0};
	bool is_filter = false;
	unsigned count = 0;
	char *save = NULL;

	(void)state;
	read_file("docs/filter.md", &text);
	(void)buf_cstr(&text);
	for (char *l = strtok_r((char *)text.ptr, "\n", &save); l;
	     l = strtok_r(NULL, "\n", &save)) {
		AUTO_BUF meaning = {0};

		if (strncmp(l, "```", 3) == 0) {
			is_filter = strcmp(l, "```filter") == 0;
			continue;
		}
		if (!is_filter)
			continue;
		describe(span_str(l), &meaning);
		count++;
	}
	assert_int_equal(count, 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_is_read_as_it_is_meant),
		cmocka_unit_test(a_description_is_the_same_filter_again),
		cmocka_unit_test(the_words_of_the_tables_are_all_known),
		cmocka_unit_test(a_filter_judges_an_exchange),
		cmocka_unit_test(a_body_is_judged_as_its_reader_saw_it),
		cmocka_unit_test(only_heads_and_bodies_need_the_messages),
		cmocka_unit_test(its_sql_says_no_more_than_it_does),
		cmocka_unit_test(a_prefix_ends_where_the_next_text_begins),
		cmocka_unit_test(the_document_lists_every_field),
		cmocka_unit_test(the_examples_of_the_document_are_filters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
