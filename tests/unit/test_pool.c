// SPDX-License-Identifier: Apache-2.0
#include "wire/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void a_pool_ends_at_its_ceiling_and_lives_on(void **state)
{
	struct pool *p = pool_new(3 * POOL_BLOCK_BYTES + 100);
	void *b[3];

	(void)state;
	assert_non_null(p);
	assert_int_equal(pool_left_blocks(p), 3);
	for (int i = 0; i < 3; i++) {
		b[i] = pool_take(p);
		assert_non_null(b[i]);
		assert_int_equal((uintptr_t)b[i] % POOL_BLOCK_BYTES, 0);
		memset(b[i], i, POOL_BLOCK_BYTES);
	}
	assert_null(pool_take(p));
	assert_int_equal(pool_used_bytes(p), 3 * POOL_BLOCK_BYTES);
	pool_give(p, b[1]);
	pool_give(p, NULL);
	assert_int_equal(pool_left_blocks(p), 1);
	assert_ptr_equal(pool_take(p), b[1]);
	assert_null(pool_take(p));
	pool_free(p);
}

static void less_than_a_block_is_no_pool(void **state)
{
	(void)state;
	assert_null(pool_new(POOL_BLOCK_BYTES - 1));
	pool_free(NULL);
}

static uint8_t nth(size_t i)
{
	return (uint8_t)(i * 31 + i / 251);
}

static void a_chain_gives_back_what_was_added(void **state)
{
	static const size_t sizes[] = {1, 2, 7, 100, 2031, 2032, 2033, 5000, 12345};
	struct pool *p = pool_new(64 * POOL_BLOCK_BYTES);
	static uint8_t in[12345], out[12345];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = nth(i);
	for (size_t s = 0; s < COUNT_OF(sizes); s++) {
		struct chain c = {0};

		for (size_t at = 0; at < sizeof(in); at += sizes[s]) {
			size_t n = MIN(sizes[s], sizeof(in) - at);

			assert_int_equal(chain_add(&c, p, span_of(in + at, n)), n);
		}
		assert_int_equal(c.len, sizeof(in));
		for (size_t at = 0; at < sizeof(in); at += 997) {
			size_t n = MIN((size_t)3000, sizeof(in) - at);

			chain_copy(&c, at, n, out);
			assert_memory_equal(out, in + at, n);
		}
		assert_null(chain_span(&c).ptr);
		chain_free(&c, p);
		assert_int_equal(pool_used_bytes(p), 0);
	}
	pool_free(p);
}

static void a_cut_chain_keeps_its_beginning_and_can_grow_again(void **state)
{
	static const size_t cuts[] = {0, 1, 2031, 2032, 2033, 4064, 4065, 6000};
	struct pool *p = pool_new(64 * POOL_BLOCK_BYTES);
	static uint8_t in[6000], out[6000];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = nth(i);
	for (size_t k = 0; k < COUNT_OF(cuts); k++) {
		struct chain c = {0};
		size_t rest = sizeof(in) - cuts[k];

		assert_int_equal(chain_add(&c, p, span_of(in, sizeof(in))), sizeof(in));
		chain_cut(&c, p, cuts[k]);
		assert_int_equal(c.len, cuts[k]);
		assert_int_equal(chain_add(&c, p, span_of(in + cuts[k], rest)), rest);
		chain_copy(&c, 0, sizeof(in), out);
		assert_memory_equal(out, in, sizeof(in));
		chain_free(&c, p);
	}
	assert_int_equal(pool_used_bytes(p), 0);
	pool_free(p);
}

static void a_chain_in_one_block_is_a_span(void **state)
{
	struct pool *p = pool_new(POOL_BLOCK_BYTES);
	struct chain c = {0};

	(void)state;
	assert_null(chain_span(&c).ptr);
	assert_int_equal(chain_add(&c, p, SPAN_LIT("hello ")), 6);
	assert_int_equal(chain_add(&c, p, SPAN_LIT("world")), 5);
	assert_true(span_eq(chain_span(&c), SPAN_LIT("hello world")));
	chain_free(&c, p);
	pool_free(p);
}

static void a_chain_says_how_much_found_room(void **state)
{
	struct pool *p = pool_new(2 * POOL_BLOCK_BYTES);
	static const uint8_t in[3 * POOL_BLOCK_BYTES];
	struct chain c = {0};
	size_t n;

	(void)state;
	n = chain_add(&c, p, span_of(in, sizeof(in)));
	assert_true(n < sizeof(in) && n > POOL_BLOCK_BYTES);
	assert_int_equal(c.len, n);
	assert_int_equal(chain_add(&c, p, span_of(in, 1)), 0);
	chain_free(&c, p);
	assert_int_equal(pool_used_bytes(p), 0);
	pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_ends_at_its_ceiling_and_lives_on),
		cmocka_unit_test(less_than_a_block_is_no_pool),
		cmocka_unit_test(a_chain_gives_back_what_was_added),
		cmocka_unit_test(a_cut_chain_keeps_its_beginning_and_can_grow_again),
		cmocka_unit_test(a_chain_in_one_block_is_a_span),
		cmocka_unit_test(a_chain_says_how_much_found_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
