// SPDX-License-Identifier: Apache-2.0
#include "cli/spark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct {
	uint64_t values[8];
	size_t count;
	const char *ascii, *blocks;
} rows[] = {
	{{0}, 0, "", ""},
	{{0, 0}, 2, "  ", "  "},
	{{5}, 1, "#", "\u2588"},
	{{0, 1, 2, 3, 4, 5, 6, 7}, 8, " .:-=+*#", " \u2582\u2583\u2584\u2585\u2586\u2587\u2588"},
	{{1, 1000000, 0}, 3, "_# ", "\u2581\u2588 "},
	{{UINT64_MAX, UINT64_MAX / 2}, 2, "#=", "\u2588\u2585"},
};

static void bars_are_as_high_as_their_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_BUF ascii = {0}, blocks = {0};

		spark_add(&ascii, rows[i].values, rows[i].count, true);
		spark_add(&blocks, rows[i].values, rows[i].count, false);
		assert_string_equal(buf_cstr(&ascii), rows[i].ascii);
		assert_string_equal(buf_cstr(&blocks), rows[i].blocks);
	}
}

static void the_locale_says_whether_there_are_blocks(void **state)
{
	static const struct {
		const char *all, *ctype, *lang, *term;
		bool is_ascii;
	} places[] = {
		{NULL, NULL, NULL, NULL, false},	 {NULL, NULL, "C", NULL, true},
		{NULL, NULL, "C.UTF-8", "xterm", false}, {"", "de_DE.utf8", "C", "xterm", false},
		{"POSIX", NULL, "C.UTF-8", NULL, true},	 {NULL, NULL, "C.UTF-8", "dumb", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		const char *const values[] = {places[i].all, places[i].ctype, places[i].lang,
					      places[i].term};
		static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG", "TERM"};

		for (size_t n = 0; n < COUNT_OF(names); n++)
			assert_int_equal(values[n] ? setenv(names[n], values[n], 1) : unsetenv(names[n]),
					 0);
		assert_int_equal(spark_is_ascii(), places[i].is_ascii);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bars_are_as_high_as_their_values),
		cmocka_unit_test(the_locale_says_whether_there_are_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
