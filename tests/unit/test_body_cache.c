// SPDX-License-Identifier: Apache-2.0
#include "store/body_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct body_cache *made(void)
{
	struct body_cache *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	return c;
}

static void a_body_is_found_by_its_exchange_and_side(void **state)
{
	struct body_cache *c = made();
	struct span found;

	(void)state;
	body_cache_add(c, 7, true, SPAN_LIT("question"));
	body_cache_add(c, 7, false, SPAN_LIT("answer"));
	assert_true(body_cache_find(c, 7, true, &found) && span_eq(found, SPAN_LIT("question")));
	assert_true(body_cache_find(c, 7, false, &found) && span_eq(found, SPAN_LIT("answer")));
	assert_false(body_cache_find(c, 8, false, &found));
	body_cache_fini(c);
	free(c);
}

static void a_long_body_is_not_kept(void **state)
{
	static const uint8_t bytes[BODY_CACHE_BODY_MAX + 1];
	struct body_cache *c = made();
	struct span found;

	(void)state;
	body_cache_add(c, 1, false, span_of(bytes, sizeof(bytes)));
	assert_false(body_cache_find(c, 1, false, &found));
	body_cache_add(c, 1, false, span_of(bytes, sizeof(bytes) - 1));
	assert_true(body_cache_find(c, 1, false, &found));
	body_cache_fini(c);
	free(c);
}

static void what_comes_later_takes_the_slot_and_nothing_is_mixed_up(void **state)
{
	struct body_cache *c = made();
	size_t found = 0;

	(void)state;
	for (uint64_t id = 1; id <= 4 * BODY_CACHE_SLOTS; id++)
		body_cache_add(c, id, false, span_of(&id, sizeof(id)));
	for (uint64_t id = 1; id <= 4 * BODY_CACHE_SLOTS; id++) {
		struct span body;

		if (!body_cache_find(c, id, false, &body))
			continue;
		assert_true(span_eq(body, span_of(&id, sizeof(id))));
		found++;
	}
	assert_true(found > BODY_CACHE_SLOTS / 2 && found <= BODY_CACHE_SLOTS);
	body_cache_fini(c);
	free(c);
}

static void all_bodies_together_are_bounded(void **state)
{
	static uint8_t bytes[BODY_CACHE_BODY_MAX];
	struct body_cache *c = made();
	struct span found;

	(void)state;
	for (uint64_t id = 1; id <= BODY_CACHE_SLOTS; id++) {
		body_cache_add(c, id, false, span_of(bytes, sizeof(bytes)));
		assert_true(c->bytes <= BODY_CACHE_BYTES_MAX);
		assert_true(body_cache_find(c, id, false, &found));
	}
	assert_true(c->bytes > BODY_CACHE_BYTES_MAX - sizeof(bytes));
	body_cache_fini(c);
	assert_true(c->bytes == 0);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_is_found_by_its_exchange_and_side),
		cmocka_unit_test(a_long_body_is_not_kept),
		cmocka_unit_test(all_bodies_together_are_bounded),
		cmocka_unit_test(what_comes_later_takes_the_slot_and_nothing_is_mixed_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
