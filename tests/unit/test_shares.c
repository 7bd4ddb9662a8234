// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "record/shares.h"

#define QUEUE 1000

/* puts in @bytes as often as it may, 1000 times at most; Return: bytes */
static size_t fill(struct shares *s, uint16_t share, size_t bytes, size_t *used)
{
	size_t sum = 0;

	for (unsigned i = 0; i < 1000 && *used + bytes <= QUEUE && shares_may_take(s, share, bytes, *used); i++) {
		shares_took(s, share, bytes);
		*used += bytes;
		sum += bytes;
	}
	return sum;
}

static void a_loud_one_leaves_room_for_others(void **state)
{
	struct shares *s = shares_new(QUEUE);
	size_t used = 0;

	(void)state;
	assert_int_equal(fill(s, 1, 10, &used), QUEUE / 2);
	for (uint16_t quiet = 2; quiet < 5; quiet++) {
		assert_true(shares_may_take(s, quiet, 100, used));
		shares_took(s, quiet, 100);
		used += 100;
		assert_int_equal(fill(s, 1, 10, &used), 0);
	}
	shares_free(s);
}

static void what_is_taken_out_may_be_put_in_again(void **state)
{
	struct shares *s = shares_new(QUEUE);
	size_t used = 0;

	(void)state;
	(void)fill(s, 1, 10, &used);
	for (unsigned i = 0; i < 10; i++)
		shares_release(s, 1, 10);
	used -= 100;
	assert_int_equal(fill(s, 1, 10, &used), 100);
	shares_free(s);
}

static void what_is_nobodys_is_never_refused(void **state)
{
	struct shares *s = shares_new(QUEUE);
	size_t used = 0;

	(void)state;
	assert_int_equal(fill(s, 0, 10, &used), QUEUE);
	shares_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loud_one_leaves_room_for_others),
		cmocka_unit_test(what_is_taken_out_may_be_put_in_again),
		cmocka_unit_test(what_is_nobodys_is_never_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
