// SPDX-License-Identifier: Apache-2.0
#include "store/filter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refusal_points_at_the_character),
		cmocka_unit_test(the_line_of_a_long_filter_is_named_and_cut),
		cmocka_unit_test(what_is_too_large_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
