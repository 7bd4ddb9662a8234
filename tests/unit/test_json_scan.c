// SPDX-License-Identifier: Apache-2.0
#include "lib/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void each_value_is_told_by_its_beginning(void **state)
{
	static const struct {
		const char *text;
		enum json_scan_type type;
		int64_t number;
	} cases[] = {
		{"", JSON_SCAN_ABSENT, 0},
		{"  ", JSON_SCAN_ABSENT, 0},
		{"nul", JSON_SCAN_ABSENT, 0},
		{"null", JSON_SCAN_NULL, 0},
		{" true", JSON_SCAN_BOOL, 0},
		{"0", JSON_SCAN_INT, 0},
		{"-17,", JSON_SCAN_INT, -17},
		{"+1", JSON_SCAN_ABSENT, 0},
		{"1-2", JSON_SCAN_ABSENT, 0},
		{"-", JSON_SCAN_ABSENT, 0},
		{"9223372036854775807", JSON_SCAN_INT, INT64_MAX},
		{"9223372036854775808", JSON_SCAN_DOUBLE, 0},
		{"1e3", JSON_SCAN_DOUBLE, 0},
		{"1e999", JSON_SCAN_ABSENT, 0},
		{"\"a", JSON_SCAN_ABSENT, 0},
		{"\"a\"", JSON_SCAN_TEXT, 0},
		{"[1", JSON_SCAN_ARRAY, 0},
		{"{\"a\"", JSON_SCAN_OBJECT, 0},
		{"<html>", JSON_SCAN_ABSENT, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct json_scan v = json_scan_value(span_str(cases[i].text));

		if (v.type != cases[i].type ||
		    (v.type == JSON_SCAN_INT && v.number != cases[i].number))
			fail_msg("%s: type %d, number %lld", cases[i].text, v.type,
				 (long long)v.number);
	}
}

static void a_member_is_found_behind_anything(void **state)
{
	static const char text[] =
		"{\"no\": {\"a\": [\"}\", \"\\\"a\\\": 1\"]}, \"\\u0061\" : 7, \"a\": 8}";
	struct json_scan object = json_scan_value(span_str(text));
	struct json_scan a = json_scan_member(&object, SPAN_LIT("a"));

	(void)state;
	assert_int_equal(a.type, JSON_SCAN_INT);
	assert_int_equal(a.number, 7);
	assert_int_equal(json_scan_member(&object, SPAN_LIT("b")).type, JSON_SCAN_ABSENT);
	assert_int_equal(json_scan_member(&a, SPAN_LIT("b")).type, JSON_SCAN_ABSENT);
	assert_int_equal(json_scan_element(&object, 0).type, JSON_SCAN_ABSENT);
}

static void a_text_that_is_cut_answers_up_to_the_cut(void **state)
{
	struct json_scan all = json_scan_value(SPAN_LIT("{\"a\": [1, {\"b\": \"x\"}, \"unfin"));
	struct json_scan a = json_scan_member(&all, SPAN_LIT("a"));
	struct json_scan second = json_scan_element(&a, 1);
	struct json_scan b = json_scan_member(&second, SPAN_LIT("b"));

	(void)state;
	assert_true(span_eq(b.text, SPAN_LIT("x")));
	assert_int_equal(json_scan_element(&a, 2).type, JSON_SCAN_ABSENT);
}

static void escapes_say_what_they_stand_for(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"a\\n\\t\\\"\\\\\\/", "a\n\t\"\\/"},
		{"\\u00e9", "\xc3\xa9"},
		{"\\ud83d\\ude00", "\xf0\x9f\x98\x80"},
		{"\\ud83dx", "\xef\xbf\xbdx"},
		{"\\u12", "\\u12"},
		{"x\\", "x\\"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint8_t room[64];
		size_t n = json_scan_unescape(span_str(cases[i].text), room);

		assert_int_equal(n, strlen(cases[i].says));
		assert_memory_equal(room, cases[i].says, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_value_is_told_by_its_beginning),
		cmocka_unit_test(a_member_is_found_behind_anything),
		cmocka_unit_test(a_text_that_is_cut_answers_up_to_the_cut),
		cmocka_unit_test(escapes_say_what_they_stand_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
