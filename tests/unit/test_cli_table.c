// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/utf8.h"

static const struct table_column columns[] = {
	{.title = "ID"},
	{.title = "SIZE", .is_right = true, .drop = 1},
	{.title = "NAME", .min = 6},
	{.title = "END"},
};

static const char *const rows[][4] = {
	{"A1", "7", "short", "x"},
	{"B2", "1200", "a rather long name", "yy"},
};

static void fill(struct table *t)
{
	for (size_t r = 0; r < COUNT_OF(rows); r++)
		for (size_t c = 0; c < 4; c++)
			table_cell(t, span_str(rows[r][c]), STYLE_RED);
}

static const struct {
	size_t screen_columns;
	const char *want;
} cases[] = {
	{0, "ID  SIZE  NAME                END\n"
	    "A1     7  short               x\n"
	    "B2  1200  a rather long name  yy\n"},
	{80, "ID  SIZE  NAME                END\n"
	     "A1     7  short               x\n"
	     "B2  1200  a rather long name  yy\n"},
	{25, "ID  SIZE  NAME        END\n"
	     "A1     7  short       x\n"
	     "B2  1200  a rather \xe2\x80\xa6  yy\n"},
	{17, "ID  NAME      END\n"
	     "A1  short     x\n"
	     "B2  a rathe\xe2\x80\xa6  yy\n"},
	{3, "ID  NAME    END\n"
	    "A1  short   x\n"
	    "B2  a rat\xe2\x80\xa6  yy\n"},
};

static void columns_fit_the_screen(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct screen screen = {.columns = cases[i].screen_columns};
		AUTO(table) t = table_new(columns, COUNT_OF(columns), &screen);
		AUTO_BUF out = {0};

		fill(t);
		table_print(t, &out);
		assert_string_equal(buf_cstr(&out), cases[i].want);
		assert_false(table_is_failed(t));
	}
}

static void the_title_is_printed_once_and_widths_stay(void **state)
{
	struct screen screen = {0};
	AUTO(table) t = table_new(columns, COUNT_OF(columns), &screen);
	AUTO_BUF out = {0};

	(void)state;
	fill(t);
	table_print(t, &out);
	buf_clear(&out);
	assert_true(table_is_due(t));
	fill(t);
	table_print(t, &out);
	assert_string_equal(buf_cstr(&out), "A1     7  short               x\n"
					    "B2  1200  a rather long name  yy\n");
}

static void colours_are_around_the_text_and_not_in_its_width(void **state)
{
	struct screen screen = {.columns = 80, .has_colour = true};
	AUTO(table) t = table_new(columns, 2, &screen);
	AUTO_BUF out = {0};

	(void)state;
	table_cell(t, SPAN_LIT("x"), STYLE_GREEN);
	table_cell_fmt(t, STYLE_PLAIN, "%d", 5);
	table_print(t, &out);
	assert_string_equal(buf_cstr(&out), "\033[1mID\033[0m  \033[1mSIZE\033[0m\n"
					    "\033[32mx\033[0m      5\n");
}

static void what_the_wire_says_cannot_steer_the_terminal(void **state)
{
	struct screen screen = {0};
	AUTO(table) t = table_new(columns, 1, &screen);
	AUTO_BUF out = {0};

	(void)state;
	table_cell(t,
		   SPAN_LIT("\033]0;owned\007\n\xc2\x9b"
			    "31m\xe2\x80\xae\xff"),
		   STYLE_PLAIN);
	table_print(t, &out);
	assert_string_equal(buf_cstr(&out), "ID\n\\x1b]0;owned\\x07\\x0a\\x9b31m\\u{202e}\\xff\n");
}

static void rows_to_come_have_room(void **state)
{
	static const struct table_column wide[] = {{.title = "A", .usual = 5}, {.title = "B"}};
	struct screen screen = {0};
	AUTO(table) t = table_new(wide, 2, &screen);
	AUTO_BUF out = {0};

	(void)state;
	table_expect(t);
	table_cell(t, SPAN_LIT("1"), STYLE_PLAIN);
	table_cell(t, SPAN_LIT("2"), STYLE_PLAIN);
	table_print(t, &out);
	assert_string_equal(buf_cstr(&out), "A      B\n1      2\n");
}

static void widths_are_those_of_a_terminal(void **state)
{
	static const struct {
		uint32_t rune;
		int width;
	} runes[] = {
		{'a', 1},     {0xe4, 1},     {0x4e2d, 2},   {0xac00, 2}, {0x1f600, 2}, {0x0301, 0},
		{0x200b, -1}, {0x202e, -1},  {0x1b, -1},    {0x9b, -1},	 {0x7f, -1},   {0xfeff, -1},
		{0x2028, -1}, {0xe0041, -1}, {0x10ffff, 1}, {0xff21, 2},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(runes); i++)
		assert_int_equal(utf8_width(runes[i].rune), runes[i].width);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_fit_the_screen),
		cmocka_unit_test(the_title_is_printed_once_and_widths_stay),
		cmocka_unit_test(colours_are_around_the_text_and_not_in_its_width),
		cmocka_unit_test(what_the_wire_says_cannot_steer_the_terminal),
		cmocka_unit_test(rows_to_come_have_room),
		cmocka_unit_test(widths_are_those_of_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
