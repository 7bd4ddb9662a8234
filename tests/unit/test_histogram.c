// SPDX-License-Identifier: Apache-2.0
#include "lib/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct histogram *made(void)
{
	struct histogram *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	return h;
}

static void nothing_has_percentiles_of_zero(void **state)
{
	struct histogram *h = made();

	(void)state;
	assert_int_equal(histogram_percentile(h, 50), 0);
	assert_int_equal(histogram_mean(h), 0);
	free(h);
}

static void percentiles_are_off_by_less_than_one_in_a_hundred(void **state)
{
	static const double ps[] = {0, 1, 50, 90, 99, 99.9, 100};
	struct histogram *h = made();

	(void)state;
	for (uint64_t v = 1; v <= 100000; v++)
		histogram_add(h, v * 1000);
	for (size_t i = 0; i < COUNT_OF(ps); i++) {
		double exact = MAX(ps[i] * 1000.0, 1.0) * 1000.0;
		double got = (double)histogram_percentile(h, ps[i]);

		assert_true(got >= exact * 0.9999 && got <= exact * 1.01);
	}
	assert_int_equal(h->min, 1000);
	assert_int_equal(h->max, 100000000);
	assert_int_equal(histogram_mean(h), 50000500);
	free(h);
}

static void every_value_has_a_bucket_that_holds_it(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++)
		for (int64_t d = -1; d <= 1; d++) {
			uint64_t v = (UINT64_C(1) << bit) + (uint64_t)d;
			struct histogram *h = made();

			histogram_add(h, v);
			assert_true(histogram_percentile(h, 100) == v);
			free(h);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_has_percentiles_of_zero),
		cmocka_unit_test(percentiles_are_off_by_less_than_one_in_a_hundred),
		cmocka_unit_test(every_value_has_a_bucket_that_holds_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
