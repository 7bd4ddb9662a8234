// SPDX-License-Identifier: Apache-2.0
#include "store/sketch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const double percents[] = {0.1, 1, 25, 50, 75, 90, 95, 99, 99.9};

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	return *seed ^= *seed << 17;
}

/* between 1 us and some seconds, as latencies are: many short ones, few long ones */
static uint64_t some_latency(uint64_t *seed)
{
	return 1000 + (next(seed) >> (30 + next(seed) % 24));
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void an_empty_one_has_percentiles_of_zero(void **state)
{
	struct sketch s = {0};

	(void)state;
	assert_int_equal(sketch_percentile(&s, 50), 0);
	assert_int_equal(sketch_percentile(&s, 100), 0);
	sketch_fini(&s);
}

static void percentiles_are_off_by_less_than_two_in_a_hundred(void **state)
{
	enum { N = 20000 };
	uint64_t *all = calloc(N, sizeof(*all)), seed = 42;
	struct sketch s = {0};

	(void)state;
	for (size_t i = 0; i < N; i++)
		sketch_add(&s, all[i] = some_latency(&seed), 1);
	qsort(all, N, sizeof(*all), by_value);
	for (size_t i = 0; i < COUNT_OF(percents); i++) {
		size_t rank = (size_t)(percents[i] / 100 * N + 0.999999);
		double exact = (double)all[MAX(rank, 1) - 1];
		double got = (double)sketch_percentile(&s, percents[i]);

		if (got < exact * 0.98 || got > exact * 1.02)
			fail_msg("p%g: %g, exact %g", percents[i], got, exact);
	}
	assert_true(sketch_percentile(&s, 100) == all[N - 1]);
	sketch_fini(&s);
	free(all);
}

static bool same(const struct sketch *a, const struct sketch *b)
{
	AUTO_BUF x = {0}, y = {0};

	sketch_write(a, &x);
	sketch_write(b, &y);
	return a->count == b->count && a->max == b->max && span_eq(buf_span(&x), buf_span(&y));
}

static void parts_add_up_to_the_whole_in_memory_and_written(void **state)
{
	struct sketch whole = {0}, merged = {0}, read = {0}, part = {0};
	uint64_t seed = 7;

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		AUTO_BUF text = {0};
		struct span in;

		sketch_clear(&part);
		for (unsigned n = (unsigned)(next(&seed) % 50); n > 0; n--) {
			uint64_t v = some_latency(&seed);

			sketch_add(&part, v, 1);
			sketch_add(&whole, v, 1);
		}
		sketch_merge(&merged, &part);
		sketch_write(&part, &text);
		in = buf_span(&text);
		assert_true(sketch_read(&read, &in));
		assert_int_equal(in.len, 0);
	}
	assert_true(same(&whole, &merged));
	assert_true(same(&whole, &read));
	sketch_fini(&whole);
	sketch_fini(&merged);
	sketch_fini(&read);
	sketch_fini(&part);
}

static void the_ends_of_the_range_are_kept(void **state)
{
	static const uint64_t values[] = {UINT64_MAX, 0, 1, INT64_MAX, 31, 32, 33, 63, 64};
	struct sketch s = {0}, back = {0};
	AUTO_BUF text = {0};
	struct span in;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++)
		sketch_add(&s, values[i], 1);
	sketch_write(&s, &text);
	in = buf_span(&text);
	assert_true(sketch_read(&back, &in));
	assert_true(same(&s, &back));
	assert_int_equal(sketch_percentile(&s, 0), 0);
	assert_true(sketch_percentile(&s, 100) == UINT64_MAX);
	sketch_fini(&s);
	sketch_fini(&back);
}

static void what_is_damaged_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{"", 0},
		{"\x01", 1},
		{"\x01\x05", 2},
		{"\x01\x05\x01", 3},
		{"\xff\xff\xff\x7f", 4},	     /* more pairs than buckets */
		{"\x01\x05\xff\xff\x03\x01", 6},     /* a bucket that there is not */
		{"\x02\x05\x7f\x01\xff\x7f\x01", 7}, /* ... by way of the one before */
		{"\x01\x05\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct sketch s = {0};
		uint8_t *copy = malloc(bad[i].len + 1);
		struct span in = span_of(copy, bad[i].len);

		memcpy(copy, bad[i].bytes, bad[i].len);
		assert_false(sketch_read(&s, &in));
		sketch_fini(&s);
		free(copy);
	}
}

static void a_minute_of_one_service_takes_some_ten_bytes(void **state)
{
	struct sketch s = {0};
	AUTO_BUF text = {0};

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		sketch_add(&s, 2000000 + 100000 * i, 1);
	sketch_write(&s, &text);
	assert_in_range(text.len, 8, 18);
	sketch_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_one_has_percentiles_of_zero),
		cmocka_unit_test(percentiles_are_off_by_less_than_two_in_a_hundred),
		cmocka_unit_test(parts_add_up_to_the_whole_in_memory_and_written),
		cmocka_unit_test(the_ends_of_the_range_are_kept),
		cmocka_unit_test(what_is_damaged_is_refused),
		cmocka_unit_test(a_minute_of_one_service_takes_some_ten_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
