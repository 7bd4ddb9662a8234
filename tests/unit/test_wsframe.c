// SPDX-License-Identifier: Apache-2.0
#include "lib/buf.h"
#include "wire/wsframe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* "opcode[+][~]:payload;" for each frame; + more fragments follow, ~ compressed, unmasked */
static bool describe(struct ws_walker *w, struct span bytes, struct buf *out)
{
	struct span piece;
	uint8_t clear[256];

	for (;;) {
		switch (ws_walk(w, &bytes, &piece)) {
		case WS_NEED_MORE: return true;
		case WS_BEGIN:
			buf_add_fmt(out, "%u%s%s:", w->frame.opcode, w->frame.is_final ? "" : "+",
				    w->frame.is_compressed ? "~" : "");
			break;
		case WS_PAYLOAD:
			assert_true(piece.len <= sizeof(clear));
			ws_unmask(&w->frame, w->piece_at, piece, clear);
			buf_add(out, clear, piece.len);
			break;
		case WS_END: buf_add_char(out, ';'); break;
		case WS_BROKEN: buf_add_str(out, "broken"); return false;
		}
	}
}

#define BYTES(s) {(const uint8_t *)(s), sizeof(s) - 1}

/* the first five are the examples of RFC 6455 5.7 */
static const struct {
	struct span bytes;
	const char *says;
} cases[] = {
	{BYTES("\x81\x05\x48\x65\x6c\x6c\x6f"), "1:Hello;"},
	{BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "1:Hello;"},
	{BYTES("\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f"), "1+:Hel;0:lo;"},
	{BYTES("\x89\x05\x48\x65\x6c\x6c\x6f"), "9:Hello;"},
	{BYTES("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "10:Hello;"},
	{BYTES("\x82\x7e\0\x03" "abc"), "2:abc;"},
	{BYTES("\x82\x7f\0\0\0\0\0\0\0\x03" "abc"), "2:abc;"},
	{BYTES("\x81\x00\x88\x02\x03\xe8"), "1:;8:\x03\xe8;"},
	{BYTES("\xc1\x03\xf2\x48\xcd"), "1~:\xf2\x48\xcd;"},
	{BYTES("\x83\x00"), "broken"},
	{BYTES("\xa1\x00"), "broken"},
	{BYTES("\x09\x00"), "broken"},
	{BYTES("\x89\x7e\0\x80"), "broken"},
	{BYTES("\x82\x7f\x80\0\0\0\0\0\0\0"), "broken"},
};

static void frames_are_walked(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_BUF whole = {0};
		AUTO_BUF pieces = {0};
		struct ws_walker w = {0}, v = {0};

		(void)describe(&w, cases[i].bytes, &whole);
		for (size_t at = 0; at < cases[i].bytes.len; at++)
			if (!describe(&v, span_of(cases[i].bytes.ptr + at, 1), &pieces))
				break;
		assert_string_equal(buf_cstr(&whole), cases[i].says);
		assert_string_equal(buf_cstr(&pieces), cases[i].says);
	}
}

static void a_hole_inside_a_masked_payload_keeps_the_mask_in_step(void **state)
{
	AUTO_BUF out = {0};
	struct ws_walker w = {0};

	(void)state;
	assert_true(describe(&w, SPAN_LIT("\x81\x85\x37\xfa\x21\x3d\x7f"), &out));
	assert_true(ws_skip(&w, 2));
	assert_true(describe(&w, SPAN_LIT("\x51\x58"), &out));
	assert_string_equal(buf_cstr(&out), "1:Hlo;");
	assert_false(ws_skip(&w, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_walked),
		cmocka_unit_test(a_hole_inside_a_masked_payload_keeps_the_mask_in_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
