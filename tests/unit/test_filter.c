// SPDX-License-Identifier: Apache-2.0
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

/* ---- what is refused ---- */

static const struct refusal {
	const char *text;
	unsigned column;
	const char *says; /* part of the message */
} refusals[] = {
	{"status == \"x\"", 11, "status is a number and this is text; write it as 500"},
	{"latency > 300", 11, "duration(\"300ms\")"},
	{"latency > timestamp(\"2026-11-22T03:00:00Z\")", 11, "this is a time"},
	{"time > \"2026\"", 8, "timestamp("},
	{"time > timestamp(\"10m\")", 18, "RFC 3339"},
	{"time > timestamp(\"22.11.2026\")", 18, "RFC 3339"},
	{"latency > duration(\"3 s\")", 20, "no duration"},
	{"latency > duration(300)", 20, "quotes"},
	{"path == 5", 9, "path is text"},
	{"status == true", 11, "this is true or false"},
	{"statsu == 5", 1, "did you mean status?"},
	{"service == \"x\"", 1, "did you mean dst.service?"},
	{"dst.servise == \"x\"", 1, "did you mean dst.service?"},
	{"failde()", 1, "no function failde; did you mean failed?"},
	{"failed", 1, "failed()"},
	{"grpc_status == \"x\"", 16, "grpc_status"},
	{"status == ok", 11, "quotes"},
	{"outcome == \"rest\"", 12, "did you mean reset?"},
	{"outcome == \"broken\"", 12, "they are ok, client_error"},
	{"protocol in [\"http1\", \"htp2\"]", 23, "did you mean http2?"},
	{"\"redcted\" in anomalies", 1, "did you mean redacted?"},
	{"failed(\"rest\")", 8, "did you mean reset?"},
	{"failed(\"ok\")", 8, "does not count as failed"},
	{"outcome < \"reset\"", 9, "it has no <"},
	{"status.contains(\"5\")", 8, "it has no contains"},
	{"anomalies == 0", 11, "is a set"},
	{"src.ip == \"10.0.0\"", 11, "no address"},
	{"src.ip == \"10.0.0.0/8\"", 11, "behind in"},
	{"src.ip in \"10.0.0.0/33\"", 11, "0 to 32"},
	{"src.ip in \"10.0.0.0/\"", 11, "0 to 32"},
	{"src.ip in \"::/129\"", 11, "0 to 128"},
	{"id == \"3K7\"", 7, "13 letters"},
	{"id == \"UUU\"", 7, "no id"},
	{"status in 500", 11, "a list"},
	{"status in [500, \"x\"]", 17, "is a number"},
	{"status in [500, path]", 17, "a constant or ]"},
	{"status in [500 503]", 16, ", or ]"},
	{"5 in [5]", 1, "a field stands before in"},
	{"status = 5", 8, "written =="},
	{"status == 5 & path == \"\"", 13, "written &&"},
	{"status == 5 and path == \"\"", 13, "&& or ||"},
	{"not failed()", 1, "written &&, ||, !"},
	{"path =~ \"^(/cart\"", 9, "missing closing parenthesis"},
	{"path.matches(status)", 14, "a constant in quotes"},
	{"status =~ \"5..\"", 8, "for text, and this is a number"},
	{"size(status) > 5", 1, "size is not for a number"},
	{"path.startswith(\"/\")", 6, "no method startswith; did you mean startsWith?"},
	{"path.startsWith && true", 1, "no field path.startsWith"},
	{"path.startsWith(5)", 17, "quotes"},
	{"path.startsWith(\"/\"", 20, ") is missing"},
	{"status == 5xx", 11, "not a number"},
	{"status == 99999999999999999999", 11, "too large"},
	{"status + path == 2", 8, "+ does not join a number and text"},
	{"status == 500 503", 15, "&& or || is expected"},
	{"1 == 2", 1, "two constants"},
	{"400 <= status < 500", 15, "do not chain"},
	{"status", 1, "alone is no condition"},
	{"!status == 500", 2, "alone is no condition"},
	{"\"x\"", 1, "constant alone"},
	{"failed() && ", 13, "ends where"},
	{"&& failed()", 1, "condition is expected"},
	{"(failed()", 10, "&&, || or )"},
	{"failed())", 9, "closes nothing"},
	{"failed() == 1", 13, "true or false"},
	{"path == \"abc", 9, "no closing \""},
	{"path == 'a\nb'", 9, "no closing '"},
	{"path == \"\\q\"", 10, "no such escape"},
	{"path == \"\\x4\"", 13, "2 hexadecimal"},
	{"path == \"\\ud800\"", 10, "Unicode"},
	{"path == b\"\\u0041\"", 11, "octets"},
	{"path == \"\xc3\xa9\xc3\xa9\" && x == 1", 17, "no field x"},
	{"request.headers == \"x\"", 1, "only fields"},
	{"request.headers[5] == \"x\"", 17, "named in quotes"},
	{"requestHeaders[\":status\"] == \"5\"", 16, "no such pseudo-header"},
	{"responseHeaders[\":status\"] == \"5a\"", 31, "a status is written"},
	{"responseHeaders[\":status\"] == prefix(\"x\")", 38, "one to three digits"},
	{"prefix(\"5\")", 1, "stand behind =="},
	{"status @ 5", 8, "no meaning"},
	{"src.ip == dst.port", 11, "different types"},
	{"request.headers['a'] == response.headers['b']", 25, "two headers"},
	{"/a b", 1, "a path inside an expression is text"},
};

static void a_refusal_points_at_the_character(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(refusals); i++) {
		const struct refusal *c = &refusals[i];
		struct filter *f = NULL;
		struct err e = {0};
		unsigned column = 0;
		const char *caret;

		if (filter_parse(span_str(c->text), &f, &e) != -EINVAL)
			fail_msg("%s: not refused", c->text);
		assert_null(f);
		if (!strstr(e.why, "line "))
			assert_int_equal(sscanf(e.why, "column %u:", &column), 1);
		if (column != c->column || !strstr(e.why, c->says))
			fail_msg("%s: want column %u and '%s', got %s", c->text, c->column, c->says,
				 e.why);
		caret = strrchr(e.why, '\n');
		assert_non_null(caret);
		assert_int_equal(strlen(caret), 2 + column + 1);
	}
}

static void the_line_of_a_long_filter_is_named_and_cut(void **state)
{
	char text[2000];
	struct filter *f = NULL;
	struct err e = {0};
	const char *caret;

	(void)state;
	(void)snprintf(text, sizeof(text), "failed() ||\n%*s statsu == 5 %*s", 700, "", 700, "");
	assert_int_equal(filter_parse(span_str(text), &f, &e), -EINVAL);
	assert_non_null(strstr(e.why, "line 2, column 702: no field statsu"));
	assert_non_null(strstr(e.why, "..."));
	caret = strrchr(e.why, '\n');
	assert_non_null(caret);
	/* the caret stands under the word */
	assert_memory_equal(strchr(e.why, '\n') + strlen(caret) - 1, "statsu", 6);
}

static void what_is_too_large_is_refused(void **state)
{
	AUTO_BUF deep = {0}, wide = {0}, list = {0}, text = {0};
	struct filter *f = NULL;
	struct err e;

	(void)state;
	for (int i = 0; i < 60; i++)
		buf_add_char(&deep, '(');
	assert_int_equal(filter_parse(buf_span(&deep), &f, &e), -E2BIG);
	assert_non_null(strstr(e.why, "column 49: nested deeper than 48"));
	for (int i = 0; i < 800; i++)
		buf_add_str(&wide, "failed()||");
	buf_add_str(&wide, "true");
	assert_int_equal(filter_parse(buf_span(&wide), &f, &e), -E2BIG);
	buf_add_str(&list, "status in [");
	for (int i = 0; i < 300; i++)
		buf_add_str(&list, "500,");
	assert_int_equal(filter_parse(buf_span(&list), &f, &e), -E2BIG);
	for (int i = 0; i < 9000; i++)
		buf_add_char(&text, ' ');
	assert_int_equal(filter_parse(buf_span(&text), &f, &e), -E2BIG);
	assert_null(f);
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
	{"failed()", "exchange.outcome IN (2,3,4,5,6)", true},
	{"failed() && cart", NULL, false}, /* refused: a bare form stands alone */
	{"failed() && status == 500", "exchange.outcome IN (2,3,4,5,6) AND (kind.status = ?)",
	 true},
	{"failed(\"reset\")", "exchange.outcome IN (2,3,4,5,6) AND exchange.outcome = ?", true},
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
		cmocka_unit_test(a_refusal_points_at_the_character),
		cmocka_unit_test(the_line_of_a_long_filter_is_named_and_cut),
		cmocka_unit_test(what_is_too_large_is_refused),
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
