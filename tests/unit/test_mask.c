// SPDX-License-Identifier: Apache-2.0
#include "schema/mask.h"

#include "lib/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct {
	const char *text, *masked;
} rows[] = {
	{"", ""},
	{"out of stock", "out of stock"},
	{"  out \t of\r\n stock \n", "out of stock"},
	{"item 7 is out of stock", "item {} is out of stock"},
	{"item7, utf8 and v2", "item{}, utf{} and v{}"},
	{"took 1.5 s, limit 300ms", "took {} s, limit {}"},
	{"at 2026-11-22T11:30:00.123Z", "at {}"},
	{"at 2026-11-22 11:30:00", "at {}"},
	{"connect to 10.0.0.3:8080 failed", "connect to {} failed"},
	{"nginx/1.22.1", "nginx/{}"},
	{"HTTP/1.1 needed", "HTTP/{} needed"},
	{"items 1, 2, 3 and 4", "items {} and {}"},
	{"items 1, 2 and 4", "items {} and {}"},
	{"id 550e8400-e29b-41d4-abcd-446655440000.", "id {}."},
	{"commit 9f86d081 of 0x7ffe12ab", "commit {} of {}"},
	{"bad beef", "bad beef"},
	{"deadbeefdeadbeef", "{}"},
	{"eyJhbGciOiJIUzI1NiJ9", "{}"},
	{"an-extraordinarily-long-name", "an-extraordinarily-long-name"},
	{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "{}"},
	{"no user 'alice' in \"shop\"", "no user '{}' in \"{}\""},
	{"can't find it, don't ask", "can't find it, don't ask"},
	{"column `name` is null", "column `{}` is null"},
	{"said \"never closed", "said \"never closed"},
	{"mail to ann.lee+x@example.com.", "mail to {}."},
	{"@ home", "@ home"},
	{"GET /cart/7/items", "GET /cart/{}/items"},
	{"at shop.Cart.add(Cart.java:117)", "at shop.Cart.add(Cart.java:{})"},
	{"K\xc3\xa4ufer 7 fehlt", "K\xc3\xa4ufer {} fehlt"},
	{"a\x01"
	 "b\x7f"
	 "c",
	 "a b c"},
};

static void variable_parts_are_masked(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_BUF out = {0};

		mask_text(span_str(rows[i].text), 1000, &out);
		if (!span_eq(buf_span(&out), span_str(rows[i].masked)))
			fail_msg("%s: want %s, got %s", rows[i].text, rows[i].masked,
				 buf_cstr(&out));
	}
}

static void what_is_masked_stays_as_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_BUF out = {0};

		mask_text(span_str(rows[i].masked), 1000, &out);
		if (!span_eq(buf_span(&out), span_str(rows[i].masked)))
			fail_msg("%s becomes %s", rows[i].masked, buf_cstr(&out));
	}
}

static void a_long_text_is_cut_between_characters(void **state)
{
	const char *text = "K\xc3\xa4se \xe2\x82\xac\xe2\x82\xac und mehr davon";

	(void)state;
	for (size_t max = 0; max < 40; max++) {
		AUTO_BUF out = {0};

		buf_add_str(&out, "> ");
		mask_text(span_str(text), max, &out);
		assert_true(out.len <= max + 2);
		assert_true(utf8_is_valid(buf_span(&out)));
		if (max >= 3 && max < strlen(text))
			assert_memory_equal(out.ptr + out.len - 3, "...", 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variable_parts_are_masked),
		cmocka_unit_test(what_is_masked_stays_as_it_is),
		cmocka_unit_test(a_long_text_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
