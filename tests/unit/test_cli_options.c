// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "cli/when.h"

struct some_args {
	bool is_loud, is_reverse;
	const char *name;
	struct texts headers;
	uint64_t count, wait_ns, since_ns;
	double speed;
	unsigned form;
};

// clang-format off
static const struct option_row rows[] = {
	{.name = "loud", .letter = 'l', .kind = OPTION_FLAG, OPTION_AT(struct some_args, is_loud), .what = "x"},
	{.name = "reverse", .letter = 'r', .kind = OPTION_FLAG, OPTION_AT(struct some_args, is_reverse), .what = "x"},
	{.name = "name", .kind = OPTION_TEXT, OPTION_AT(struct some_args, name), .value = "NAME", .what = "x"},
	{.name = "header", .letter = 'H', .kind = OPTION_TEXTS, OPTION_AT(struct some_args, headers), .value = "H", .what = "x"},
	{.name = "count", .letter = 'n', .kind = OPTION_COUNT, OPTION_AT(struct some_args, count), .value = "N", .fallback = "50", .what = "x"},
	{.name = "wait", .kind = OPTION_DURATION, OPTION_AT(struct some_args, wait_ns), .value = "TIME", .what = "x"},
	{.name = "since", .kind = OPTION_TIME, OPTION_AT(struct some_args, since_ns), .value = "TIME", .what = "x"},
	{.name = "speed", .kind = OPTION_REAL, OPTION_AT(struct some_args, speed), .value = "N", .fallback = "1", .what = "x"},
	{.name = "output", .letter = 'o', .kind = OPTION_CHOICE, OPTION_AT(struct some_args, form), .value = "FORM", .choices = "table wide json", .fallback = "wide", .what = "x"},
	{0},
};
// clang-format on

static const struct command command = {
	.name = "some",
	.operands = "[FILTER]",
	.operands_max = 1,
	.summary = "does something",
	.options = rows,
	.args_bytes = sizeof(struct some_args),
};

#define NOW (UINT64_C(1764000000) * NS_PER_S)

static int parse(const char *const *argv, struct options *o, struct err *e)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return options_parse(&command, argc, argv, NOW, o, e);
}
#define ARGV(...)                                                                                  \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static void options_and_operands_mix(void **state)
{
	struct options o;
	const struct some_args *a;

	(void)state;
	assert_int_equal(
		parse(ARGV("-lr", "--name=x=y", "5xx", "-Ha: b", "-n7", "-H", "c: d", "--wait",
			   "1.5s", "--since", "10m", "-o", "json", "--speed=2.5"),
		      &o, NULL),
		0);
	a = o.args;
	assert_true(a->is_loud && a->is_reverse);
	assert_string_equal(a->name, "x=y");
	assert_int_equal(a->headers.count, 2);
	assert_string_equal(a->headers.items[1], "c: d");
	assert_int_equal(a->count, 7);
	assert_true(a->wait_ns == 1500 * NS_PER_MS);
	assert_true(a->since_ns == NOW - 600 * NS_PER_S);
	assert_true(a->speed == 2.5);
	assert_int_equal(a->form, 2);
	assert_int_equal(o.operand_count, 1);
	assert_string_equal(o.operands[0], "5xx");
	options_fini(&o, &command);
}

static void what_is_not_given_has_its_fallback(void **state)
{
	struct options o;
	const struct some_args *a;

	(void)state;
	assert_int_equal(parse(ARGV("--", "-n"), &o, NULL), 0);
	a = o.args;
	assert_int_equal(a->count, 50);
	assert_int_equal(a->form, 1);
	assert_true(a->speed == 1);
	assert_null(a->name);
	assert_string_equal(o.operands[0], "-n");
	options_fini(&o, &command);
}

static const struct {
	const char *argv[4];
	const char *why;
} wrong[] = {
	{{"--cuont", "3"}, "did you mean --count?"},
	{{"--zzzzzzzz"}, "no option --zzzzzzzz"},
	{{"-x"}, "no option -x"},
	{{"--count"}, "its N is missing"},
	{{"-n", "many"}, "\"many\" is not a whole number"},
	{{"-n", "-1"}, "not a whole number"},
	{{"-n", "99999999999999999999"}, "not a whole number"},
	{{"--loud=yes"}, "takes no value"},
	{{"--wait", "5"}, "not a duration"},
	{{"--since", "soon"}, "not a time"},
	{{"--speed", "nan"}, "not a number"},
	{{"-o", "tab"}, "is none of: table wide json"},
	{{"a", "b"}, "put a filter with blanks in quotes"},
};

static void misuse_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct options o;
		struct err e = {0};

		assert_int_equal(parse(wrong[i].argv, &o, &e), -EINVAL);
		if (!strstr(e.why, wrong[i].why))
			fail_msg("%s: says %s", wrong[i].argv[0], e.why);
		options_fini(&o, &command);
	}
}

static void help_names_every_option(void **state)
{
	AUTO_BUF out = {0};
	struct options o;

	(void)state;
	assert_int_equal(parse(ARGV("a", "b", "--help"), &o, NULL), 0);
	assert_true(o.wants_help);
	options_fini(&o, &command);
	options_help(&command, &out);
	for (const struct option_row *row = rows; row->name; row++)
		assert_non_null(strstr(buf_cstr(&out), row->name));
	assert_non_null(strstr(buf_cstr(&out), "-n, --count N"));
	assert_non_null(strstr(buf_cstr(&out), "[50]"));
	assert_non_null(strstr(buf_cstr(&out), "table wide json"));
}

static void the_nearest_word_is_found(void **state)
{
	static const char *const names[] = {"ls",     "tail",	"show", "failures",
					    "import", "doctor", NULL};
	static const struct {
		const char *word, *want;
	} words[] = {
		{"fail", "failures"},
		{"failure", "failures"},
		{"shwo", "show"},
		{"tial", "tail"},
		{"docter", "doctor"},
		{"import", "import"},
		{"xyzzy", NULL},
		{"", NULL},
		{"a very long word that is no command at all", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		const char *got = options_nearest(words[i].word, names);

		assert_int_equal(got != NULL, words[i].want != NULL);
		if (got)
			assert_string_equal(got, words[i].want);
	}
}

static void times_are_read_in_the_readers_zone(void **state)
{
	/* NOW is 2025-11-24 16:00:00 UTC, 17:00 in Berlin */
	static const struct {
		const char *text;
		int64_t before_now_s; /* INT64_MAX: no time */
	} times[] = {
		{"10m", 600},
		{"2025-11-24T15:59:00Z", 60},
		{"2025-11-24 16:59", 60},
		{"16:59:30", 30},
		{"17:01", 86400 - 60},
		{"2025-11-24", 17 * 3600},
		{"25:00", INT64_MAX},
		{"", INT64_MAX},
		{"2025-13-01", INT64_MAX},
		{"16:59 and more", INT64_MAX},
		{"a text that is longer than any time could ever be", INT64_MAX},
	};

	(void)state;
	(void)setenv("TZ", "Europe/Berlin", 1);
	tzset();
	for (size_t i = 0; i < COUNT_OF(times); i++) {
		uint64_t ns = 7;
		int r = when_parse(span_str(times[i].text), NOW, &ns);

		if (times[i].before_now_s == INT64_MAX) {
			assert_int_equal(r, -EINVAL);
			assert_true(ns == 7);
		} else if (r < 0 || ns != NOW - (uint64_t)times[i].before_now_s * NS_PER_S) {
			fail_msg("%s: %lld", times[i].text,
				 (long long)(NOW / NS_PER_S - ns / NS_PER_S));
		}
	}
}

static void times_are_written_in_the_readers_zone(void **state)
{
	AUTO_BUF out = {0};

	(void)state;
	when_local(&out, NOW + 123456789, NOW);
	assert_string_equal(buf_cstr(&out), "17:00:00.123");
	buf_clear(&out);
	when_local(&out, NOW - 86400 * NS_PER_S, NOW);
	assert_string_equal(buf_cstr(&out), "2025-11-23 17:00:00");
	buf_clear(&out);
	when_full(&out, NOW + 5);
	assert_string_equal(buf_cstr(&out), "2025-11-24 17:00:00.000000005 +0100");
}

static void durations_have_three_digits_and_a_unit(void **state)
{
	static const struct {
		uint64_t ns;
		const char *want;
	} cases[] = {
		{0, "0us"},
		{850000, "850us"},
		{999499, "999us"},
		{999500, "1.00ms"},
		{1500000, "1.50ms"},
		{9994000, "9.99ms"},
		{9996000, "10.0ms"},
		{12340000, "12.3ms"},
		{99960000, "100ms"},
		{999500000, "1.00s"},
		{1500000000, "1.50s"},
		{12345000000, "12.3s"},
		{125000000000, "2m05s"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_BUF out = {0};

		when_duration(&out, cases[i].ns);
		assert_string_equal(buf_cstr(&out), cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_operands_mix),
		cmocka_unit_test(what_is_not_given_has_its_fallback),
		cmocka_unit_test(misuse_is_named),
		cmocka_unit_test(help_names_every_option),
		cmocka_unit_test(the_nearest_word_is_found),
		cmocka_unit_test(times_are_read_in_the_readers_zone),
		cmocka_unit_test(times_are_written_in_the_readers_zone),
		cmocka_unit_test(durations_have_three_digits_and_a_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
