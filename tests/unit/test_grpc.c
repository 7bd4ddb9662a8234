// SPDX-License-Identifier: Apache-2.0
#include "lib/buf.h"
#include "schema/grpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define TWO_AND_A_HALF "\0\0\0\0\3abc\1\0\0\0\0\0\0\0\0\5de"

/* Return: how often a message ended */
static unsigned walk(struct grpc_walker *w, struct span bytes)
{
	unsigned ends = 0;

	while (grpc_walk(w, &bytes))
		ends++;
	assert_true(bytes.len == 0 || w->is_lost);
	return ends;
}

static void messages_are_counted_in_any_pieces(void **state)
{
	struct span body = SPAN_LIT(TWO_AND_A_HALF);

	(void)state;
	for (size_t step = 1; step <= body.len; step++) {
		struct grpc_walker w = {0};
		unsigned ends = 0;

		for (size_t at = 0; at < body.len; at += step)
			ends += walk(&w, span_of(body.ptr + at, MIN(step, body.len - at)));
		assert_int_equal(ends, 2);
		assert_int_equal(w.messages, 2);
		assert_int_equal(w.length, 5);
		assert_int_equal(w.left, 3);
		assert_false(w.is_lost);
	}
}

static void a_hole_inside_a_message_does_not_lose_count(void **state)
{
	struct grpc_walker w = {0};

	(void)state;
	assert_int_equal(walk(&w, SPAN_LIT("\0\0\0\0\11ab")), 0);
	grpc_skip(&w, 5);
	assert_int_equal(walk(&w, SPAN_LIT("hi\0\0\0\0\0")), 2);
	assert_int_equal(w.messages, 2);
	grpc_skip(&w, 1);
	assert_true(w.is_lost);
}

static void what_is_no_message_stops_the_count(void **state)
{
	struct grpc_walker w = {0};

	(void)state;
	assert_int_equal(walk(&w, SPAN_LIT("<html>oops")), 0);
	assert_true(w.is_lost);
	assert_int_equal(w.messages, 0);
}

static void a_body_is_split_into_its_messages(void **state)
{
	struct span body = SPAN_LIT(TWO_AND_A_HALF);
	struct grpc_message m;

	(void)state;
	assert_true(grpc_next(&body, &m));
	assert_true(span_eq(m.bytes, SPAN_LIT("abc")) && !m.is_compressed);
	assert_true(grpc_next(&body, &m));
	assert_true(m.bytes.len == 0 && m.is_compressed);
	assert_true(grpc_next(&body, &m));
	assert_true(span_eq(m.bytes, SPAN_LIT("de")) && m.length == 5);
	assert_false(grpc_next(&body, &m));
}

static void deadlines_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} cases[] = {
		{"100m", 100 * NS_PER_MS}, {"1S", NS_PER_S}, {"2H", 7200 * NS_PER_S},
		{"99999999n", 99999999},   {"3u", 3000},     {"5M", 300 * NS_PER_S},
		{"", 0},		   {"S", 0},	     {"123456789S", 0},
		{"1x", 0},		   {"1.5S", 0},	     {"-1S", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_true(grpc_timeout_ns(span_str(cases[i].text)) == cases[i].ns);
}

static void statuses_have_names(void **state)
{
	(void)state;
	assert_string_equal(grpc_status_name(4), "DEADLINE_EXCEEDED");
	assert_string_equal(grpc_status_name(16), "UNAUTHENTICATED");
	assert_null(grpc_status_name(17));
}

static void a_message_is_read_without_its_percents(void **state)
{
	static const struct {
		const char *value, *want;
	} cases[] = {
		{"", ""},
		{"cart is locked: 50%25 sold", "cart is locked: 50% sold"},
		{"caf%C3%a9", "caf\xc3\xa9"},
		{"%", "%"},
		{"100%2", "100%2"},
		{"%zz%4", "%zz%4"},
		{"%%41", "%A"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_BUF out = {0};

		grpc_message_decode(span_str(cases[i].value), &out);
		assert_string_equal(buf_cstr(&out), cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_counted_in_any_pieces),
		cmocka_unit_test(a_hole_inside_a_message_does_not_lose_count),
		cmocka_unit_test(what_is_no_message_stops_the_count),
		cmocka_unit_test(a_body_is_split_into_its_messages),
		cmocka_unit_test(deadlines_are_read),
		cmocka_unit_test(statuses_have_names),
		cmocka_unit_test(a_message_is_read_without_its_percents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
