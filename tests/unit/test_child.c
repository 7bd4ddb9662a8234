// SPDX-License-Identifier: Apache-2.0
#include "lib/buf.h"
#include "schema/child.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void put(struct buf *row, const struct child *c)
{
	uint8_t head[CHILD_HEAD_BYTES];

	child_encode_head(c, head);
	buf_add(row, head, sizeof(head));
	buf_add_span(row, c->payload);
}

static void a_row_gives_its_children_back(void **state)
{
	static const struct child children[] = {
		{.kind = CHILD_WS_TEXT, .time_ns = 1764000000000000001, .bytes = 2, .payload = {(const uint8_t *)"hi", 2}},
		{.kind = CHILD_WS_BINARY, .time_ns = 5, .bytes = 1 << 30, .is_from_server = true, .is_cut = true,
		 .is_compressed = true, .has_gap = true, .payload = {(const uint8_t *)"\0\1", 2}},
		{.kind = CHILD_WS_CLOSE, .payload = {(const uint8_t *)"\x03\xe9", 2}, .bytes = 2},
	};
	AUTO_BUF row = {0};
	struct span rest;
	struct child c;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(children); i++)
		put(&row, &children[i]);
	rest = buf_span(&row);
	for (size_t i = 0; i < COUNT_OF(children); i++) {
		assert_int_equal(child_next(&rest, &c), 1);
		assert_true(c.kind == children[i].kind && c.time_ns == children[i].time_ns &&
			    c.bytes == children[i].bytes && c.is_cut == children[i].is_cut &&
			    c.is_from_server == children[i].is_from_server &&
			    c.is_compressed == children[i].is_compressed &&
			    c.has_gap == children[i].has_gap);
		assert_true(span_eq(c.payload, children[i].payload));
	}
	assert_int_equal(child_close_code(&c), 1001);
	assert_int_equal(child_next(&rest, &c), 0);
}

static void a_damaged_row_is_told(void **state)
{
	AUTO_BUF row = {0};
	struct child c = {.kind = CHILD_SSE, .payload = SPAN_LIT("data: x")}, got;

	(void)state;
	put(&row, &c);
	for (size_t n = 1; n < row.len; n++) {
		struct span cut = {row.ptr, n};

		assert_int_equal(child_next(&cut, &got), -EBADMSG);
	}
	row.ptr[1] = 0x80;
	assert_int_equal(child_next(&(struct span){row.ptr, row.len}, &got), -EBADMSG);
}

static void a_close_code_says_what_it_means(void **state)
{
	(void)state;
	assert_string_equal(child_close_name(1000), "normal closure");
	assert_string_equal(child_close_name(1006), "abnormal closure");
	assert_string_equal(child_close_name(1015), "TLS handshake failed");
	assert_string_equal(child_close_name(4007), "the application's own");
	assert_null(child_close_name(1004));
	assert_null(child_close_name(1016));
	assert_null(child_close_name(0));
	assert_null(child_close_name(65535));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_gives_its_children_back),
		cmocka_unit_test(a_damaged_row_is_told),
		cmocka_unit_test(a_close_code_says_what_it_means),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
