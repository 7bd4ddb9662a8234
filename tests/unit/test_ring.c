// SPDX-License-Identifier: Apache-2.0
#include "lib/ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define RING_BYTES 4096

static void put(struct ring *r, uint8_t fill, size_t bytes)
{
	uint8_t *p = ring_reserve(r, bytes);

	assert_non_null(p);
	memset(p, fill, bytes);
	ring_commit(r);
}

static void take(struct ring *r, uint8_t fill, size_t bytes)
{
	size_t got = 0;
	const uint8_t *p = ring_peek(r, &got);

	assert_non_null(p);
	assert_int_equal(got, bytes);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(p[i], fill);
	ring_release(r);
}

static void records_come_back_in_order_and_whole(void **state)
{
	AUTO(ring) r = ring_new(RING_BYTES);

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		size_t a = i * 37 % 900, b = i * 53 % 900;

		put(r, (uint8_t)i, a);
		put(r, (uint8_t)~i, b);
		assert_int_equal(ring_count(r), 2);
		take(r, (uint8_t)i, a);
		take(r, (uint8_t)~i, b);
	}
	assert_int_equal(ring_used_bytes(r), 0);
}

/* however far it has been looked ahead, what is given is in order and not released yet */
static void records_can_be_looked_at_before_their_turn(void **state)
{
	AUTO(ring) r = ring_new(RING_BYTES);
	unsigned put_count = 0, ahead = 0, taken = 0;
	const uint8_t *p;

	(void)state;
	assert_null(ring_ahead(r));
	for (unsigned round = 0; round < 2000; round++) {
		for (unsigned i = 0; i < 1 + round % 4; i++, put_count++)
			put(r, (uint8_t)put_count, 1 + put_count * 37 % 400);
		for (unsigned i = 0; i < round % 6 && (p = ring_ahead(r)); i++)
			assert_int_equal(*p, (uint8_t)(taken > ahead ? ahead = taken + 1, taken : ahead++));
		for (; put_count - taken > round % 4; taken++)
			take(r, (uint8_t)taken, 1 + taken * 37 % 400);
	}
}

static void a_record_is_aligned_for_any_type(void **state)
{
	AUTO(ring) r = ring_new(RING_BYTES);

	(void)state;
	for (size_t bytes = 1; bytes < 40; bytes++) {
		void *p = ring_reserve(r, bytes);

		assert_int_equal((uintptr_t)p % 16, 0);
		ring_commit(r);
	}
}

static void a_full_ring_refuses_and_loses_nothing(void **state)
{
	AUTO(ring) r = ring_new(RING_BYTES);
	unsigned held = 0;

	(void)state;
	for (; ring_reserve(r, 100); held++)
		ring_commit(r);
	assert_int_equal(ring_count(r), held);
	assert_true(held >= RING_BYTES / 128 - 1);
	ring_release(r);
	assert_non_null(ring_reserve(r, 100));
	ring_commit(r);
	assert_null(ring_reserve(r, 100));
}

static void a_record_of_half_the_ring_fits_wherever_the_ring_stands(void **state)
{
	const size_t half = RING_BYTES / 2 - 16;
	AUTO(ring) r = ring_new(RING_BYTES);

	(void)state;
	for (size_t shift = 0; shift < RING_BYTES; shift += 16) {
		put(r, 1, 0);
		take(r, 1, 0);
		put(r, 2, half);
		take(r, 2, half);
	}
	assert_null(ring_reserve(r, half + 1));
}

static void an_empty_ring_has_nothing_to_peek_at(void **state)
{
	AUTO(ring) r = ring_new(1);
	size_t bytes = 7;

	(void)state;
	assert_null(ring_peek(r, &bytes));
	assert_non_null(ring_reserve(r, 8)); /* reserved is not yet committed */
	assert_null(ring_peek(r, &bytes));
	assert_int_equal(ring_count(r), 0);
	ring_commit(r);
	assert_non_null(ring_peek(r, &bytes));
	assert_int_equal(bytes, 8);
}

#define PASSED_COUNT 20000

/* each record: its number, over and over, as many words as the number says */
static void *produce(void *arg)
{
	struct ring *r = arg;

	for (uint64_t i = 0; i < PASSED_COUNT;) {
		size_t words = i % 120;
		uint64_t *p = ring_reserve(r, words * sizeof(*p));

		if (!p) {
			(void)sched_yield();
			continue;
		}
		for (size_t w = 0; w < words; w++)
			p[w] = i;
		ring_commit(r);
		i++;
	}
	return NULL;
}

static void two_threads_pass_records_without_loss(void **state)
{
	AUTO(ring) r = ring_new(RING_BYTES);
	pthread_t producer;

	(void)state;
	assert_int_equal(pthread_create(&producer, NULL, produce, r), 0);
	for (uint64_t i = 0; i < PASSED_COUNT;) {
		size_t bytes;
		const uint64_t *p = ring_peek(r, &bytes);

		if (!p) {
			(void)sched_yield();
			continue;
		}
		assert_int_equal(bytes, i % 120 * sizeof(*p));
		for (size_t w = 0; w < bytes / sizeof(*p); w++)
			assert_true(p[w] == i);
		ring_release(r);
		i++;
	}
	assert_int_equal(pthread_join(producer, NULL), 0);
	assert_int_equal(ring_count(r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_back_in_order_and_whole),
		cmocka_unit_test(records_can_be_looked_at_before_their_turn),
		cmocka_unit_test(a_record_is_aligned_for_any_type),
		cmocka_unit_test(a_full_ring_refuses_and_loses_nothing),
		cmocka_unit_test(a_record_of_half_the_ring_fits_wherever_the_ring_stands),
		cmocka_unit_test(an_empty_ring_has_nothing_to_peek_at),
		cmocka_unit_test(two_threads_pass_records_without_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
