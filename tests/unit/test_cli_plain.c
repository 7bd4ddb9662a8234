// SPDX-License-Identifier: Apache-2.0
#include "cli/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/utf8.h"

#define DOTS "\xe2\x80\xa6"

static const struct {
	const char *text;
	size_t columns_max;
	const char *want;
	size_t columns;
} cases[] = {
	{"plain", PLAIN_UNLIMITED, "plain", 5},
	{"plain", 5, "plain", 5},
	{"plain", 4, "pla" DOTS, 4},
	{"plain", 1, DOTS, 1},
	{"plain", 0, "", 0},
	{"", 0, "", 0},
	{"\xe4\xb8\xad\xe6\x96\x87", 4, "\xe4\xb8\xad\xe6\x96\x87", 4},
	{"\xe4\xb8\xad\xe6\x96\x87", 3, "\xe4\xb8\xad" DOTS, 3},
	{"\xe4\xb8\xad\xe6\x96\x87", 2, DOTS, 1},
	{"a\033[31m", 4, "a" DOTS, 2},
	{"a\tb", PLAIN_UNLIMITED, "a\\x09b", 6},
	{"\xff\xc3", PLAIN_UNLIMITED, "\\xff\\xc3", 8},
	{"back\\slash", PLAIN_UNLIMITED, "back\\slash", 10},
};

static void text_is_safe_and_fits(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_BUF out = {0};
		size_t n = plain_add(&out, span_str(cases[i].text), cases[i].columns_max);

		assert_string_equal(buf_cstr(&out), cases[i].want);
		assert_int_equal(n, cases[i].columns);
	}
}

/* whatever bytes come, what goes out is UTF-8 that a terminal shows and does not obey */
static void no_bytes_make_it_unsafe(void **state)
{
	uint64_t seed = 42;
	uint8_t bytes[64];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		AUTO_BUF out = {0};
		size_t max = round % 3 ? PLAIN_UNLIMITED : (size_t)round % 40;
		size_t i = 0, columns = 0, said;

		for (size_t k = 0; k < sizeof(bytes); k++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			bytes[k] =
				(uint8_t)(seed >> (round % 2 ? 56 : 58)) | (round % 5 ? 0 : 0x80);
		}
		said = plain_add(&out, span_of(bytes, sizeof(bytes)), max);
		while (i < out.len) {
			size_t n = utf8_len(out.ptr + i, out.len - i);

			assert_true(n > 0);
			assert_true(utf8_width(utf8_rune(out.ptr + i, n)) >= 0);
			columns += (size_t)utf8_width(utf8_rune(out.ptr + i, n));
			i += n;
		}
		assert_int_equal(columns, said);
		assert_true(columns <= max);
	}
}

static void lines_and_tabs_stay_in_bodies(void **state)
{
	AUTO_BUF out = {0};

	(void)state;
	plain_add_lines(&out, SPAN_LIT("one\r\n\ttwo\033\n\nend"), "> ");
	assert_string_equal(buf_cstr(&out), "> one\n> \ttwo\\x1b\n> \n> end\n");
}

static void hex_shows_offset_bytes_and_letters(void **state)
{
	AUTO_BUF out = {0};

	(void)state;
	plain_add_hex(&out, SPAN_LIT("0123456789abcdef\033\xff"), "");
	assert_string_equal(
		buf_cstr(&out),
		"00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n"
		"00000010  1b ff                                             |..|\n");
}

static const struct {
	const char *text, *want; /* NULL: no JSON */
} documents[] = {
	{"{}", "{}\n"},
	{"[ ]", "[]\n"},
	{"{\"a\":1.10,\"b\":[1,{\"c\":null}],\"d\":{}}",
	 "{\n  \"a\": 1.10,\n  \"b\": [\n    1,\n    {\n      \"c\": null\n    }\n  ],\n  \"d\": "
	 "{}\n}\n"},
	{" {\"s\" : \"x, {y}: \\\"\" }\r\n", "{\n  \"s\": \"x, {y}: \\\"\"\n}\n"},
	{"[12345678901234567890123]", "[\n  12345678901234567890123\n]\n"},
	{"[[],[[]]]", "[\n  [],\n  [\n    []\n  ]\n]\n"},
	{"{\"esc\":\"\xc2\x9b\"}", "{\n  \"esc\": \"\\x9b\"\n}\n"},
	{"{\"a\":1", NULL},
	{"", NULL},
	{"text", NULL},
	{"{} {}", NULL},
};

static void json_is_laid_out_and_its_values_stay(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(documents); i++) {
		AUTO_BUF out = {0};
		bool is_json = plain_add_json(&out, span_str(documents[i].text), "");

		assert_int_equal(is_json, documents[i].want != NULL);
		assert_string_equal(buf_cstr(&out), documents[i].want ? documents[i].want : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_safe_and_fits),
		cmocka_unit_test(no_bytes_make_it_unsafe),
		cmocka_unit_test(lines_and_tabs_stay_in_bodies),
		cmocka_unit_test(hex_shows_offset_bytes_and_letters),
		cmocka_unit_test(json_is_laid_out_and_its_values_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
