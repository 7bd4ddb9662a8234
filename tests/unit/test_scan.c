// SPDX-License-Identifier: Apache-2.0
#include "lib/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t places_of(const uint8_t *bytes, size_t len, char c)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < len; i++)
		mask |= (uint64_t)(bytes[i] == (uint8_t)c) << i;
	return mask;
}

static void every_place_of_either_character_is_found(void **state)
{
	uint8_t bytes[SCAN_BYTES];
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct scan s;

		for (size_t i = 0; i < sizeof(bytes); i++) {
			seed = seed * 1664525 + 1013904223;
			bytes[i] = (uint8_t)"\n:;\r\t9\x8a\xba"[seed >> 29]; /* neighbours, and those with bit 7 */
		}
		s = scan_two(bytes, '\n', ':');
		assert_int_equal(s.first, places_of(bytes, SCAN_BYTES, '\n'));
		assert_int_equal(s.second, places_of(bytes, SCAN_BYTES, ':'));
	}
}

/* memory of exactly that size: a byte read beyond it is what ASan reports */
static void the_last_bytes_are_scanned_and_nothing_behind_them(void **state)
{
	(void)state;
	for (size_t len = 0; len < 2 * SCAN_BYTES; len++) {
		uint8_t *bytes = malloc(len + !len);

		assert_non_null(bytes);
		for (size_t i = 0; i < len; i++)
			bytes[i] = i % 3 == 0 ? ':' : i % 5 == 0 ? '\n' : 'x';
		for (size_t left = 0; left <= len && left < SCAN_BYTES; left++) {
			struct scan s = scan_tail(span_of(bytes, len), left, '\n', ':');

			assert_int_equal(s.first, places_of(bytes + len - left, left, '\n'));
			assert_int_equal(s.second, places_of(bytes + len - left, left, ':'));
		}
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_place_of_either_character_is_found),
		cmocka_unit_test(the_last_bytes_are_scanned_and_nothing_behind_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
