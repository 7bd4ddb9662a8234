// SPDX-License-Identifier: Apache-2.0
#include "replay/json_scan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>

static const char *const good[] = {
	"null", " true ", "false", "0", "-0", "12", "-1.5e+10", "1E5", "0.25", "\"\"", "\"a\\n\\u00e9\"",
	"[]", "{}", "[1,2,[3,{}]]", "{\"a\":1,\"b\":[null,true]}", "\r\n\t [ 1 , 2 ] \n",
	"{\"\":{\"\":0}}", "\"\\ud83d\\ude00\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "[[[[[[]]]]]]",
};

static const char *const bad[] = {
	"", " ", "nul", "tru", "TRUE", "01", "-", "1.", ".5", "1e", "1e+", "+1", "\"", "\"\\\"", "\"\\x\"",
	"\"\\u12\"", "\"\\u12g4\"", "\"a\nb\"", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", "}",
	"{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{1:2}", "{\"a\" 1}", "1 2",
	"[]x", "'a'", "NaN", "Infinity", "{\"a\":1]", "[1}", "\"\\",
};

static void what_the_standard_allows_is_read(void **state)
{
	struct json_scan s = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_int_equal(json_scan(&s, span_str(good[i])), 0);
		assert_int_equal(s.tokens[0].next, s.count);
	}
	json_scan_fini(&s);
}

static void what_it_does_not_is_refused(void **state)
{
	struct json_scan s = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(json_scan(&s, span_str(bad[i])), -EBADMSG);
	json_scan_fini(&s);
}

/* every text above, with every byte replaced by some others, judged as another reader judges it */
static void it_agrees_with_another_reader(void **state)
{
	static const char others[] = "\"\\[]{},: 0-1e.tnu";
	struct json_scan s = {0};
	size_t compared = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good) + COUNT_OF(bad); i++) {
		const char *from = i < COUNT_OF(good) ? good[i] : bad[i - COUNT_OF(good)];
		char text[64];

		for (size_t at = 0; at < strlen(from); at++)
			for (size_t o = 0; o < sizeof(others) - 1; o++) {
				json_t *tree;

				strcpy(text, from);
				text[at] = others[o];
				/* it refuses lone surrogates and numbers beyond a double, we compare text */
				if (strstr(text, "\\u") || strchr(text, 'e') || strchr(text, 'E'))
					continue;
				tree = json_loads(text, JSON_DECODE_ANY, NULL);
				assert_int_equal(json_scan(&s, span_str(text)) == 0, tree != NULL);
				json_decref(tree);
				compared++;
			}
	}
	assert_true(compared > 2000);
	json_scan_fini(&s);
}

static void a_text_cut_anywhere_is_no_document(void **state)
{
	static const char text[] = "{\"a\":[1,2,{\"b\":\"c\\u00e9\"}],\"d\":null}";
	struct json_scan s = {0};

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		/* a copy of its own, so that reading behind it is seen */
		uint8_t *copy = malloc(n + 1);

		assert_non_null(copy);
		memcpy(copy, text, n);
		copy = realloc(copy, n ? n : 1);
		assert_int_equal(json_scan(&s, span_of(copy, n)), -EBADMSG);
		free(copy);
	}
	json_scan_fini(&s);
}

static void depth_is_limited(void **state)
{
	char text[2 * JSON_SCAN_DEPTH_MAX + 3];
	struct json_scan s = {0};

	(void)state;
	memset(text, '[', JSON_SCAN_DEPTH_MAX + 1);
	memset(text + JSON_SCAN_DEPTH_MAX + 1, ']', JSON_SCAN_DEPTH_MAX + 1);
	assert_int_equal(json_scan(&s, span_of(text, 2 * JSON_SCAN_DEPTH_MAX + 2)), -E2BIG);
	assert_int_equal(json_scan(&s, span_of(text + 1, 2 * JSON_SCAN_DEPTH_MAX)), 0);
	json_scan_fini(&s);
}

struct pair {
	const char *a, *b;
	bool is_equal;
};

static void numbers_are_equal_by_value(void **state)
{
	static const struct pair pairs[] = {
		{"1", "1.0", true},
		{"10", "1e1", true},
		{"100", "1E+2", true},
		{"0.01", "1e-2", true},
		{"0", "-0.0", true},
		{"0e9", "0", true},
		{"-1", "1", false},
		{"1", "10", false},
		{"0.1", "0.01", false},
		{"9007199254740993", "9007199254740992", false},
		{"1700000000123456789", "1.700000000123456789e18", true},
		{"123.450", "123.45", true},
		{"12.5", "125", false},
		{"1e400", "1e401", false},
		{"1e99999999999999999999", "1e5", false},
		{"20", "2", false},
		{"2.0e1", "20.00", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		assert_int_equal(json_equal_numbers(span_str(pairs[i].a), span_str(pairs[i].b)),
				 pairs[i].is_equal);
		assert_int_equal(json_equal_numbers(span_str(pairs[i].b), span_str(pairs[i].a)),
				 pairs[i].is_equal);
	}
}

static void strings_are_equal_by_letters(void **state)
{
	static const struct pair pairs[] = {
		{"\"A\"", "\"\\u0041\"", true},
		{"\"\xc3\xa9\"", "\"\\u00E9\"", true},
		{"\"\xf0\x9f\x98\x80\"", "\"\\ud83d\\ude00\"", true},
		{"\"\\/\"", "\"/\"", true},
		{"\"\\n\"", "\"\\u000a\"", true},
		{"\"\\n\"", "\"n\"", false},
		{"\"\\ud83d\"", "\"\\ud83d\\ude00\"", false},
		{"\"ab\"", "\"a\"", false},
		{"\"\"", "\"\\u0000\"", false},
		{"\"\xe2\x82\xac!\"", "\"\\u20ac!\"", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		assert_int_equal(json_equal_strings(span_str(pairs[i].a), span_str(pairs[i].b)),
				 pairs[i].is_equal);
		assert_int_equal(json_equal_strings(span_str(pairs[i].b), span_str(pairs[i].a)),
				 pairs[i].is_equal);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_standard_allows_is_read),
		cmocka_unit_test(what_it_does_not_is_refused),
		cmocka_unit_test(it_agrees_with_another_reader),
		cmocka_unit_test(a_text_cut_anywhere_is_no_document),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(numbers_are_equal_by_value),
		cmocka_unit_test(strings_are_equal_by_letters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
