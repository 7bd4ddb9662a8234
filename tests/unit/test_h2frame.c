// SPDX-License-Identifier: Apache-2.0
#include "lib/buf.h"
#include "wire/h2frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* "type/flags/stream:payload;" for each whole frame; payload without padding and priority fields */
static bool describe(struct h2_walker *w, struct span bytes, struct buf *out)
{
	struct span piece;

	for (;;) {
		switch (h2_walk(w, &bytes, &piece)) {
		case H2_NEED_MORE: return true;
		case H2_BEGIN:
			buf_add_fmt(out, "%u/%u/%u:", w->frame.type, w->frame.flags, w->frame.stream);
			break;
		case H2_PAYLOAD: buf_add_span(out, piece); break;
		case H2_END: buf_add_char(out, ';'); break;
		case H2_BROKEN: buf_add_str(out, "broken"); return false;
		}
	}
}

struct walk_case {
	struct span bytes;
	const char *says;
};

#define BYTES(s) {(const uint8_t *)(s), sizeof(s) - 1}

static const struct walk_case walk_cases[] = {
	{BYTES("\0\0\3\0\1\0\0\0\5abc"), "0/1/5:abc;"},
	{BYTES("\0\0\0\0\1\0\0\0\5"), "0/1/5:;"},
	{BYTES("\0\0\6\0\10\0\0\0\5\2abcpp"), "0/8/5:abc;"},
	{BYTES("\0\0\3\0\10\0\0\0\5\2pp"), "0/8/5:;"},
	{BYTES("\0\0\1\0\10\0\0\0\5\0"), "0/8/5:;"},
	{BYTES("\0\0\10\1\44\0\0\0\7\200\0\0\1\377hdr"), "1/36/7:hdr;"},
	{BYTES("\0\0\13\1\54\0\0\0\7\2\200\0\0\1\377hdrpp"), "1/44/7:hdr;"},
	{BYTES("\0\0\0\4\1\0\0\0\0\0\0\4\10\0\0\0\0\0\0\0\1\0"), "4/1/0:;8/0/0:"},
	{BYTES("\0\0\2\52\0\0\0\0\0xx\0\0\0\4\1\0\0\0\0"), "42/0/0:xx;4/1/0:;"},
	{BYTES("\0\0\3\0\10\0\0\0\5\3pp"), "0/8/5:broken"},
	{BYTES("\0\0\0\0\10\0\0\0\5"), "broken"},
	{BYTES("\0\0\4\1\44\0\0\0\7abcd"), "1/36/7:broken"},
	{BYTES("\0\0\5\0\0\0\0\0\0hello"), "broken"},
	{BYTES("\0\0\7\6\0\0\0\0\0\1\2\3\4\5\6\7"), "broken"},
	{BYTES("HTTP/1.1 200 OK\r\n"), "80/47/825110816:"},
};

static void frames_are_walked(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(walk_cases); i++) {
		AUTO_BUF whole = {0};
		AUTO_BUF pieces = {0};
		struct h2_walker w = {0};
		struct h2_walker v = {0};
		struct span bytes = walk_cases[i].bytes;
		const char *want = walk_cases[i].says;

		(void)describe(&w, bytes, &whole);
		for (size_t at = 0; at < bytes.len; at++)
			if (!describe(&v, span_of(bytes.ptr + at, 1), &pieces))
				break;
		/* a frame of an unknown type may be cut off by the end of the case: compare its begin */
		assert_memory_equal(buf_cstr(&whole), want, strlen(want));
		assert_string_equal(buf_cstr(&whole), buf_cstr(&pieces));
	}
}

static void a_hole_inside_a_payload_is_stepped_over(void **state)
{
	AUTO_BUF out = {0};
	struct h2_walker w = {0};

	(void)state;
	assert_true(describe(&w, SPAN_LIT("\0\0\12\0\0\0\0\0\1abc"), &out));
	assert_true(h2_skip(&w, 4));
	assert_true(describe(&w, SPAN_LIT("hij\0\0\0\4\1\0\0\0\0"), &out));
	assert_string_equal(buf_cstr(&out), "0/0/1:abchij;4/1/0:;");
}

static void a_hole_beyond_a_payload_is_told(void **state)
{
	AUTO_BUF out = {0};
	struct h2_walker w = {0};

	(void)state;
	assert_true(describe(&w, SPAN_LIT("\0\0\12\0\0\0\0\0\1abc"), &out));
	assert_false(h2_skip(&w, 8));
	assert_true(describe(&w, SPAN_LIT("\0\0\0\4\1\0\0\0\0"), &out));
	assert_string_equal(buf_cstr(&out), "0/0/1:abc4/1/0:;");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_walked),
		cmocka_unit_test(a_hole_inside_a_payload_is_stepped_over),
		cmocka_unit_test(a_hole_beyond_a_payload_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
