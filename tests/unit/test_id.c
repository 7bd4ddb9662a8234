// SPDX-License-Identifier: Apache-2.0
#include "lib/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void an_id_survives_its_text(void **state)
{
	static const uint64_t ids[] = {0, 1, 31, 32, 1764000000123456789, INT64_MAX, UINT64_MAX};
	char text[ID_TEXT_LEN + 1];
	uint64_t back;
	unsigned bits;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		assert_int_equal(id_parse(span_str(id_format(ids[i], text)), &back, &bits), 0);
		assert_true(back == ids[i]);
		assert_int_equal(bits, 64);
	}
}

static void an_ending_tells_its_bits(void **state)
{
	uint64_t id;
	unsigned bits;

	(void)state;
	assert_int_equal(id_parse(SPAN_LIT("zol"), &id, &bits), 0);
	assert_int_equal(bits, 15);
	assert_int_equal(id, 31 << 10 | 0 << 5 | 1);
}

static void what_is_no_id_is_refused(void **state)
{
	static const char *const bad[] = {"", "U", "hello!", "00000000000000", "G000000000000"};
	uint64_t id = 7;
	unsigned bits;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_true(id_parse(span_str(bad[i]), &id, &bits) < 0);
	assert_int_equal(id, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_survives_its_text),
		cmocka_unit_test(an_ending_tells_its_bits),
		cmocka_unit_test(what_is_no_id_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
