// SPDX-License-Identifier: Apache-2.0
#include "lib/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

/* what libc makes of the same moment */
static void expect_libc(uint64_t wall_ns)
{
	time_t s = (time_t)(wall_ns / NS_PER_S);
	struct tm tm = {0};
	char seconds[32], want[64];
	uint64_t back = 0;
	AUTO_BUF out = {0};

	assert_non_null(gmtime_r(&s, &tm));
	(void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(want, sizeof(want), "%s.%09uZ", seconds, (unsigned)(wall_ns % NS_PER_S));
	clock_format_utc(&out, wall_ns);
	assert_string_equal(buf_cstr(&out), want);
	assert_int_equal(clock_parse(buf_span(&out), 0, &back), 0);
	assert_true(back == wall_ns);
}

static void every_day_is_written_as_libc_writes_it(void **state)
{
	const uint64_t last = UINT64_C(9223372035) * NS_PER_S;
	const uint64_t step = 86400 * NS_PER_S + 12345678901;

	(void)state;
	for (uint64_t ns = 0; ns < last; ns += step)
		expect_libc(ns);
	expect_libc(last);
	expect_libc(951782399 * NS_PER_S); /* the last second of 2000-02-28, */
	expect_libc(951782400 * NS_PER_S); /* and of the leap day behind it the first */
	expect_libc(951868800 * NS_PER_S);
	expect_libc(4107542400 * NS_PER_S); /* 2100 has none */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_day_is_written_as_libc_writes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
