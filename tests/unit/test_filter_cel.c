// SPDX-License-Identifier: Apache-2.0
/* What a filter calculates: arithmetic, functions, JSON, names, regular expressions, macros. */
#include "lib/clock.h"
#include "schema/sql.h"
#include "store/filter.h"
#include "store/filter_regex.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define NOW (UINT64_C(1764000000) * NS_PER_S)

static struct filter *parse(const char *text)
{
	struct filter *f = NULL;
	struct err e = {0};

	if (filter_parse_at(span_str(text), NOW, &f, &e) < 0)
		fail_msg("%s: %s", text, e.why);
	return f;
}

/* ---- what is read, and what it means ---- */

static const struct reading {
	const char *text, *meaning; /* NULL: as it stands */
} readings[] = {
	{"time > now() - duration(\"1h\")", "time > timestamp(\"2025-11-24T15:00:00.000000000Z\")"},
	{"time - duration(\"1h\") > now()", "time > timestamp(\"2025-11-24T17:00:00.000000000Z\")"},
	{"now() - time < duration(\"5m\")", "time > timestamp(\"2025-11-24T15:55:00.000000000Z\")"},
	{"status + 1 <= 500 * 2 - 1", "status <= 998"},
	{"100 - status > 7", "status < 93"},
	{"1 + 2 * 3 == status", "status == 7"},
	{"(1 + 2) * 3 == status", "status == 9"},
	{"-(1 + 2) == status", "status == -3"},
	{"10 - 3 - 2 == status", "status == 5"},
	{"7 / 2 * 2 == status", "status == 6"},
	{"latency > duration(\"1s\") * 3", "latency > duration(\"3s\")"},
	{"status in [100 + 1, 0x10]", "status in [101, 16]"},
	{"request.size * 2 > response.size", "(request.size * 2) > response.size"},
	{"response.json.items[0].sku == 'A'", "response.json[\"items\"][0][\"sku\"] == \"A\""},
	{"response.json[\"a-b\"].c.startsWith('x')",
	 "response.json[\"a-b\"][\"c\"].startsWith(\"x\")"},
	{"response.json.ok", "response.json[\"ok\"] == true"},
	{"!request.json.ok", "!(request.json[\"ok\"] == true)"},
	{"request.headers.host == 'a'", "request.headers[\"host\"] == \"a\""},
	{"query.page == '1' && dst.labels[\"app\"] in ['web', 'api']",
	 "(query[\"page\"] == \"1\" && dst.labels[\"app\"] in [\"web\", \"api\"])"},
	{"has(query.page)", "\"page\" in query"},
	{"has(response.json.a.b)", "has(response.json[\"a\"][\"b\"])"},
	{"path =~ r'^/cart/\\d+$'", "path =~ \"^/cart/\\\\d+$\""},
	{"path !~ 'x'", "!(path =~ \"x\")"},
	{"path.matches('x')", "path =~ \"x\""},
	{"failed() ? status > 1 : false", "(failed() ? status > 1 : false)"},
	{"(failed() ? 'a' : path) == host", "(failed() ? \"a\" : path) == host"},
	{"host.lowerAscii().size() > 3", "size(host.lowerAscii()) > 3"},
	{"['a', 'b'].exists(x, path.contains(x))", "[\"a\", \"b\"].exists(x, path.contains(x))"},
	{"response.json.items.all(i, i.n > 0 && i.tags.exists(t, t == 'x'))",
	 "response.json[\"items\"].all(i, (i[\"n\"] > 0 && i[\"tags\"].exists(t, t == \"x\")))"},
	{"text('Out Of Stock')", "text(\"out of stock\")"},
	{"response.json.a == null", "response.json[\"a\"] == null"},
	{"status > 499.5", "status > 499.5"},
	{"response.json.price < 1e3", "response.json[\"price\"] < 1000.0"},
	{"text('x') && response.body == 'x' && request.headers['a'] == 'x' && status == 5",
	 "(status == 5 && request.headers[\"a\"] == \"x\" && response.body == \"x\" && "
	 "text(\"x\"))"},
};

static void each_form_is_read_as_it_is_meant(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(readings); i++) {
		const char *want = readings[i].meaning ? readings[i].meaning : readings[i].text;
		AUTO(filter) f = parse(readings[i].text);
		AUTO_BUF once = {0}, twice = {0};

		filter_describe(f, &once);
		assert_string_equal(buf_cstr(&once), want);
		AUTO(filter) again = parse(buf_cstr(&once));
		filter_describe(again, &twice);
		assert_string_equal(buf_cstr(&once), buf_cstr(&twice));
	}
}

/* ---- what is refused ---- */

static const struct refusal {
	const char *text;
	unsigned column;
	const char *says; /* part of the message */
} refusals[] = {
	{"path + 1 == 'a'", 6, "+ does not join text and a number"},
	{"time + time > now()", 6, "+ does not join a time and a time"},
	{"1 / 0 == status", 3, "no result that 64 bits hold"},
	{"9223372036854775807 + 1 == status", 21, "64 bits"},
	{"status.size() > 1", 8, "size is not for a number"},
	{"path.lowerAscii(1) == 'a'", 17, "takes nothing"},
	{"path.lowerAscii == 'a'", 1, "no field path.lowerAscii"},
	{"path.lowerAscii() == 5", 22, "text cannot be compared so with a number"},
	{"path.sizes() > 1", 6, "no method sizes; did you mean size?"},
	{"sizes(path) > 1", 1, "no function sizes; did you mean size?"},
	{"frobnicate(path)", 1, "there are failed, has, now, text"},
	{"response.jso.a == 1", 1, "no field response.jso.a"},
	{"request.cookie['a'] == 'b'", 1, "did you mean request.cookies?"},
	{"response.json[1.5] == 1", 15, "a number or a name"},
	{"path.a == 'x'", 1, "no field path.a"},
	{"path.lowerAscii().a == 'x'", 19, "nothing called a"},
	{"path[0] == 'a'", 1, "this is text: [] asks for"},
	{"response.json.items.exists(i > 1)", 28, "a name and a condition"},
	{"response.json.items.exists(5, true)", 28, "a name and a condition"},
	{"path.exists(c, c == 'a')", 6, "goes through a list"},
	{"[1, 2].exists(x, x == 'a')", 23, "a number cannot be compared so with text"},
	{"[1].exists(x, x)", 15, "a number alone is no condition"},
	{"[1].exists(x, y == 1)", 15, "no field y"},
	{"[1].exists(a, [1].exists(b, [1].exists(c, [1].exists(d, [1].exists(e, true)))))", 68,
	 "more than 4 variables"},
	{"has(path)", 5, "has() asks for a member"},
	{"failed() ? 1 : 'a'", 16, "a number or text: both must be of one type"},
	{"failed() ? status == 1 : 5", 26, "constant alone"},
	{"failed() ? status == 1", 23, ": and the other answer"},
	{"path =~ status", 9, "a constant in quotes"},
	{"path =~ '('", 9, "character 2: missing closing parenthesis"},
	{"path =~ '\\\\C'", 9, "character 3"},
	{"status == null", 11, "this is null"},
	{"response.json.a < true", 19, "cannot be compared so"},
	{"response.json == [1]", 18, "cannot be compared so with a list"},
	{"failed() + 1 == 2", 1, "this is a condition"},
	{"text('')", 6, "an empty text is everywhere"},
	{"text(5)", 6, "a text in quotes"},
	{"- - !true", 5, "a number stands behind -"},
	{"1e999 == status", 1, "too large"},
	{"timestamp('now') < time", 11, "RFC 3339"},
};

static void a_refusal_points_at_the_character(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(refusals); i++) {
		const struct refusal *c = &refusals[i];
		struct filter *f = NULL;
		struct err e = {0};
		unsigned column = 0;

		if (filter_parse_at(span_str(c->text), NOW, &f, &e) == 0)
			fail_msg("%s: not refused", c->text);
		assert_null(f);
		assert_int_equal(sscanf(e.why, "column %u:", &column), 1);
		if (column != c->column || !strstr(e.why, c->says))
			fail_msg("%s: want column %u and '%s', got %s", c->text, c->column, c->says,
				 e.why);
	}
}

static void now_is_refused_where_nothing_is_asked(void **state)
{
	struct filter *f = NULL;
	struct err e = {0};

	(void)state;
	assert_int_equal(filter_parse(SPAN_LIT("time > now()"), &f, &e), -EINVAL);
	assert_non_null(strstr(e.why, "column 8: now() is for questions"));
}

static void what_is_too_large_is_refused(void **state)
{
	AUTO_BUF sum = {0}, regex = {0}, long_regex = {0}, deep = {0};
	struct filter *f = NULL;
	struct err e = {0};

	(void)state;
	for (int i = 0; i < 700; i++)
		buf_add_str(&sum, "status+");
	buf_add_str(&sum, "1 > request.size");
	assert_int_equal(filter_parse(buf_span(&sum), &f, &e), -E2BIG);
	assert_non_null(strstr(e.why, "more than 1024 values"));
	for (int i = 0; i < 17; i++)
		buf_add_fmt(&regex, "%spath =~ 'a'", i ? " || " : "");
	assert_int_equal(filter_parse(buf_span(&regex), &f, &e), -E2BIG);
	assert_non_null(strstr(e.why, "at most 16 regular expressions"));
	buf_add_str(&long_regex, "path =~ '");
	for (int i = 0; i < 1100; i++)
		buf_add_char(&long_regex, 'a');
	buf_add_char(&long_regex, '\'');
	assert_int_equal(filter_parse(buf_span(&long_regex), &f, &e), -E2BIG);
	for (int i = 0; i < 60; i++)
		buf_add_str(&deep, "true ? true : ");
	buf_add_str(&deep, "true");
	assert_int_equal(filter_parse(buf_span(&deep), &f, &e), -E2BIG);
	assert_null(f);
}

/* ---- what it selects ---- */

static const char json_body[] =
	"{\"ok\": true, \"n\": 3, \"price\": 9.5, \"big\": 12345678901234567890,\n"
	" \"note\": \"out \\\"of\\\" st\\u00f6ck\", \"nothing\": null, \"id\": \"7\",\n"
	" \"created\": \"2025-11-24T15:30:00Z\", \"took\": \"250ms\",\n"
	" \"a\\u0062\": 1, \"tags\": [\"x\", \"y\"], \"empty\": [], \"n\": 4,\n"
	" \"items\": [{\"sku\": \"A7\", \"n\": 1}, {\"sku\": \"B8\", \"n\": 2, \"sub\": {\"k\": "
	"[5]}}]}";

static struct exchange sample(void)
{
	return (struct exchange){
		.id = NOW + 1,
		.start_ns = NOW - 60 * NS_PER_S,
		.status = 503,
		.protocol = PROTOCOL_HTTP1,
		.outcome = OUTCOME_SERVER_ERROR,
		.anomalies = ANOMALY_BIT(GAP_RESPONSE),
		.src = {.address = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 1, [15] = 9},
			.is_ipv4 = true},
		.dst = {.port = 80, .who = {.service = SPAN_LIT("cart")}},
		.method = SPAN_LIT("GET"),
		.target = SPAN_LIT("/api/Cart/7?page=12&q=out+of%20st%C3%B6ck&q=b&e=&n&=z#f?x=1"),
		.path = SPAN_LIT("/api/Cart/7"),
		.host = SPAN_LIT("h\xc3\xb6st"),
		.request = {.flags = MESSAGE_PRESENT,
			    .first_ns = NOW - 60 * NS_PER_S,
			    .head = SPAN_LIT(
				    "GET /api/cart/7 HTTP/1.1\r\nHost: cart\r\nAccept: TEXT/a\r\n"
				    "accept: App/json\r\nCookie: sid=abc; theme=dark\r\n"
				    "Cookie: b=\"c=d\"\r\n\r\n")},
		.response = {.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
			     .last_ns = NOW - 60 * NS_PER_S + 300 * NS_PER_MS,
			     .head = SPAN_LIT(
				     "HTTP/1.1 503 No\r\nSet-Cookie: sid=new; Path=/; HttpOnly\r\n"
				     "Set-Cookie: x=y\r\n\r\n"),
			     .trailers = SPAN_LIT("grpc-status: 13\r\nx-sum: 9\r\n"),
			     .body = {(const uint8_t *)json_body, sizeof(json_body) - 1},
			     .body_bytes = sizeof(json_body) - 1},
	};
}

static const struct judgement {
	const char *text;
	bool matches;
} judgements[] = {
	/* times and durations */
	{"time > now() - duration('2m') && time < now()", true},
	{"now() - time == duration('60s')", true},
	{"time + latency > now() - duration('59.8s')", true},
	{"latency > duration('100ms') + duration('100ms')", true},
	{"latency * 2 == duration('600ms') && latency / 3 == duration('100ms')", true},
	{"time.getFullYear() == 2025 && time.getMonth() == 10 && time.getDate() == 24", true},
	{"time.getDayOfMonth() == 23 && time.getDayOfWeek() == 1 && time.getDayOfYear() == 327",
	 true},
	{"time.getHours() == 15 && time.getMinutes() == 59 && time.getSeconds() == 0", true},
	{"latency.getMilliseconds() == 300 && latency.getSeconds() == 0", true},
	{"timestamp(response.json.created) < time", true},
	{"duration(response.json.took) < latency", true},
	{"timestamp(1764000000) == now()", true},
	{"int(time) == 1763999940", true},
	/* numbers */
	{"status % 100 == 3 && status / 100 == 5 && status * 2 - 6 == 1000", true},
	{"status + 0.5 == 503.5 && status > 502.99 && status < 503.01", true},
	{"status / response.json.zero == 1", false},
	{"status * 9223372036854775807 > 0", false},
	{"!(status * 9223372036854775807 > 0)", true},
	{"-status == -503 && - - status == 503", true},
	{"response.size > request.size + 100", true},
	{"int(query.page) + 1 == 13 && double(query['page']) / 5 == 2.4", true},
	{"int(query.q) == 0", false},
	{"string(status) == '503' && string(1.5) == '1.5' && string(true) == 'true'", true},
	/* text */
	{"path.lowerAscii() == '/api/cart/7' && method.upperAscii() == 'GET'", true},
	{"path.lowerAscii().startsWith('/API'.lowerAscii())", true},
	{"host.size() == 4 && size(host) == 4 && size('') == 0", true},
	{"'  a '.trim() == 'a' && ('a' + 'b') == 'ab'", true},
	{"path + '?' + 'x' == '/api/Cart/7?x'", true},
	{"path.endsWith('/' + response.json.id)", true},
	{"path.contains(response.json.missing)", false},
	/* names */
	{"query.page == '12' && query['q'] == 'out of st\\u00f6ck' && query.q == 'b'", true},
	{"'e' in query && query.e == '' && 'n' in query && '' in query", true},
	{"'x' in query", false},
	{"query.exists(k, k == 'page') && query.size() == 5", true},
	{"request.cookies.sid == 'abc' && request.cookies['theme'] == 'dark'", true},
	{"request.cookies.b == '\"c=d\"' && !('path' in request.cookies)", true},
	{"response.cookies.sid == 'new' && response.cookies.x == 'y'", true},
	{"'Path' in response.cookies", false},
	{"response.trailers['grpc-status'] == '13' && !('x' in response.trailers)", true},
	{"request.headers['accept'].lowerAscii() == 'app/json'", true},
	{"request.headers['accept'] =~ '^App' && request.headers['accept'] =~ '^TEXT'", true},
	{"request.headers['absent'] =~ '^$'", true},
	{"request.headers.exists(h, h.lowerAscii().startsWith('acc'))", true},
	{"request.headers.all(h, size(h) > 3)", true},
	{"dst.labels['app'] == '' && !('app' in dst.labels) && !has(src.labels.app)", true},
	/* JSON */
	{"response.json.ok && !response.json.nope && response.json.ok == true", true},
	{"response.json.n == 3 && response.json.price == 9.5 && response.json.price > 9", true},
	{"response.json.big > 12345678901234500000.0", true},
	{"response.json.note == 'out \"of\" st\\u00f6ck'", true},
	{"response.json.note.contains('of') && response.json.note.size() == 14", true},
	{"response.json.nothing == null && has(response.json.nothing)", true},
	{"response.json.missing == null || has(response.json.missing)", false},
	{"response.json.missing != 5 && !(response.json.missing < 5)", true},
	{"response.json['ab'] == 1 && response.json.ab == 1", true},
	{"response.json.items[1].sub.k[0] == 5 && response.json.items[2].sku != 'x'", true},
	{"response.json.items[0].n + response.json.items[1].n == 3", true},
	{"response.json.items.exists(i, i.sku == 'B8' && i.n == 2)", true},
	{"response.json.items.all(i, i.n > 0)", true},
	{"response.json.items.all(i, i.n > 1)", false},
	{"response.json.items.exists_one(i, i.n > 1)", true},
	{"response.json.items.exists_one(i, i.n > 0)", false},
	{"response.json.empty.all(i, false) && !response.json.empty.exists(i, true)", true},
	{"response.json.n.all(i, true)", false},
	{"'x' in response.json.tags && !('z' in response.json.tags)", true},
	{"'ok' in response.json && response.json.exists(k, k == 'tags')", true},
	{"response.json.tags.exists(t, ['y', 'z'].exists(u, u == t))", true},
	{"size(response.json.items) == 2 && response.json.size() == 14", true},
	{"response.json.id == '7' && response.json.id == 7", false},
	{"int(response.json.id) == status - 496", true},
	{"request.json.a == 1", false},
	{"['GET', 'PUT'].exists(m, m == method) && [1, 2.5][1] == 2.5", true},
	{"anomalies.exists(a, a.startsWith('gap_')) && anomalies.size() == 1", true},
	/* ?: */
	{"failed() ? status == 503 : status == 200", true},
	{"(status > 500 ? latency : duration('0s')) == duration('300ms')", true},
	{"status == 200 ? true : status == 404 ? true : false", false},
	/* regular expressions */
	{"path =~ r'^/api/[A-Z]\\w+/\\d+$' && path.matches('Cart')", true},
	{"path !~ 'cart' && path =~ '(?i)cart'", true},
	{"host =~ '^h.st$'", true},
	{"response.body =~ '\"sku\": \"B\\\\d\"'", true},
	{"src.ip =~ '^10\\\\.1\\\\.' && outcome =~ 'error$'", true},
	/* text() */
	{"text('OUT \\\\\"OF') && text('cart') && text('x-sum') && text('httponly')", true},
	{"text('nowhere')", false},
	{"text('503 no')", true},
};

static void a_filter_judges_an_exchange(void **state)
{
	struct exchange x = sample();
	AUTO(filter_scratch) s = filter_scratch_new();

	(void)state;
	assert_non_null(s);
	for (size_t i = 0; i < COUNT_OF(judgements); i++) {
		AUTO(filter) f = parse(judgements[i].text);

		if (filter_matches(f, &x) != judgements[i].matches)
			fail_msg("%s: not %d", judgements[i].text, judgements[i].matches);
		/* and with a scratch that has seen others */
		assert_int_equal(filter_judge(f, s, &x), judgements[i].matches);
		assert_int_equal(filter_gave_up(f), 0);
	}
}

/* ---- limits ---- */

static void a_catastrophic_pattern_is_given_up_and_counted(void **state)
{
	static const char *const patterns[] = {
		"(a+)+$",      "(a|aa)+$",	  "(a|a?)+$", "^(([a-z])+.)+[A-Z]([a-z])+$",
		"(.*.*)*[bc]", "(x+x+)+y|(a*)*c",
	};
	AUTO_BUF path = {0};
	struct exchange x = sample();

	(void)state;
	for (int i = 0; i < 5000; i++)
		buf_add_str(&path, "aaaaaaa");
	buf_add_char(&path, '!');
	x.path = buf_span(&path);
	for (size_t i = 0; i < COUNT_OF(patterns); i++) {
		AUTO_BUF text = {0};
		uint64_t begin_ns = clock_cpu_ns();

		buf_add_fmt(&text, "path =~ '%s'", patterns[i]);
		AUTO(filter) f = parse(buf_cstr(&text));
		assert_false(filter_matches(f, &x));
		if (filter_gave_up(f) != 1)
			fail_msg("%s: not given up", patterns[i]);
		/* of CPU, and far more than it takes: without a limit it would be years */
		assert_true(clock_cpu_ns() - begin_ns < 30 * NS_PER_S);
	}
}

static void the_work_for_one_exchange_ends(void **state)
{
	AUTO_BUF body = {0};
	struct exchange x = sample();

	(void)state;
	buf_add_char(&body, '[');
	for (int i = 0; i < 20000; i++)
		buf_add_str(&body, "1,");
	buf_add_str(&body, "1]");
	x.response.body = buf_span(&body);
	AUTO(filter)
	f = parse("response.json.exists(a, response.json.exists(b, response.json.exists("
		  "c, a + b + c == 4)))");
	assert_false(filter_matches(f, &x));
	assert_true(filter_gave_up(f) > 0);
}

static void a_large_regex_subject_needs_no_more_stack(void **state)
{
	AUTO_BUF body = {0};
	struct exchange x = sample();

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_add_str(&body, "ab");
	x.response.body = buf_span(&body);
	AUTO(filter) f = parse("response.body =~ '^(a|b)*$'");
	/* either it is found or it is given up and said */
	assert_true(filter_matches(f, &x) || filter_gave_up(f) == 1);
}

/* ---- which of it is SQL ---- */

static const struct translation {
	const char *text, *where;
	bool is_exact;
} translations[] = {
	{"host =~ 'a'", "filter_holds(?, kind.host)", true},
	{"host !~ 'a'", "NOT filter_holds(?, kind.host)", true},
	{"status + response.size > 7 && failed()",
	 SQL_FAILED " AND filter_holds(?, kind.status, exchange.response_size)",
	 true},
	{"status + 1 > 7", "kind.status > ?", true},
	{"host.lowerAscii() == 'a' || response.json.a == 1", "1", false},
	{"host.lowerAscii() == 'a' && response.json.a == 1", "filter_holds(?, kind.host)", false},
	{"src.ip =~ 'a'", "1", false},
	{"failed() ? host =~ 'a' : status == 1",
	 "filter_holds(?, exchange.outcome, kind.host, kind.status)", true},
	{"text('a')", "1", false},
	{"dst.labels['app'] == 'a'", "filter_holds(?, dst.labels)", true},
	{"!has(src.annotations.a)", "NOT filter_holds(?, src.annotations)", true},
	{"dst.identity == 'api' && src.certainty != 'certain'",
	 "(dst.source = ?) AND (NOT (src.certainty = ?))", true},
};

static void columns_are_asked_inside_of_sqlite(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(translations); i++) {
		const struct translation *t = &translations[i];
		AUTO(filter) f = parse(t->text);
		struct filter_sql sql = {0};

		assert_int_equal(filter_to_sql(f, &sql), 0);
		assert_string_equal(buf_cstr(&sql.where), t->where);
		assert_int_equal(sql.is_exact, t->is_exact);
		filter_sql_fini(&sql);
	}
}

/* ---- its table ---- */

static const struct {
	const char *form, *what, *example;
} forms[] = {
#define FORM(GROUP, form, what, example) {form, what, example},
#include "store/filter_forms.tbl.h"
#undef FORM
};

/* as a cell of a table in Markdown */
static void add_cell(struct buf *out, const char *text, const char *quote)
{
	buf_add_fmt(out, "| %s", quote);
	for (; *text; text++)
		buf_add_fmt(out, "%s%c", *text == '|' ? "\\" : "", *text);
	buf_add_fmt(out, "%s ", quote);
}

static void read_document(struct buf *out)
{
	FILE *f = fopen("docs/filter.md", "r");
	char chunk[4096];
	size_t n;

	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, chunk, n);
	(void)fclose(f);
}

static void every_form_of_the_table_is_read_and_documented(void **state)
{
	AUTO_BUF document = {0};

	(void)state;
	read_document(&document);
	for (size_t i = 0; i < COUNT_OF(forms); i++) {
		filter_free(parse(forms[i].example));
		AUTO_BUF row = {0};

		add_cell(&row, forms[i].form, "`");
		add_cell(&row, forms[i].what, "");
		add_cell(&row, forms[i].example, "`");
		buf_add_str(&row, "|\n");
		if (!strstr(buf_cstr(&document), buf_cstr(&row)))
			fail_msg("docs/filter.md has no row %s", buf_cstr(&row));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_is_read_as_it_is_meant),
		cmocka_unit_test(a_refusal_points_at_the_character),
		cmocka_unit_test(now_is_refused_where_nothing_is_asked),
		cmocka_unit_test(what_is_too_large_is_refused),
		cmocka_unit_test(a_filter_judges_an_exchange),
		cmocka_unit_test(a_catastrophic_pattern_is_given_up_and_counted),
		cmocka_unit_test(the_work_for_one_exchange_ends),
		cmocka_unit_test(a_large_regex_subject_needs_no_more_stack),
		cmocka_unit_test(columns_are_asked_inside_of_sqlite),
		cmocka_unit_test(every_form_of_the_table_is_read_and_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
