// SPDX-License-Identifier: Apache-2.0
#include "lib/buf.h"
#include "wire/h2frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void put_frame(struct buf *b, uint8_t type, uint8_t flags, uint32_t stream, struct span payload)
{
	uint8_t head[H2_FRAME_HEAD_BYTES] = {
		(uint8_t)(payload.len >> 16), (uint8_t)(payload.len >> 8), (uint8_t)payload.len, type,
		flags, (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8),
		(uint8_t)stream,
	};

	buf_add(b, head, sizeof(head));
	buf_add_span(b, payload);
}

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

/* A stream as busy peers make it; @begins_out gets each frame's offset. */
static size_t busy_stream(struct buf *b, size_t *begins_out, size_t frames_max)
{
	static uint8_t noise[4096];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)random();
	while (n < frames_max) {
		uint32_t stream = 2 * ((uint32_t)random() % 500) + 1;

		begins_out[n++] = b->len;
		switch (random() % 6) {
		case 0:
			put_frame(b, H2_HEADERS, H2_FLAG_END_HEADERS, stream,
				  span_of(noise, 1 + (size_t)random() % 200));
			break;
		case 1: put_frame(b, H2_WINDOW_UPDATE, 0, 0, span_of(noise, 4)); break;
		case 2: put_frame(b, H2_PING, H2_FLAG_ACK, 0, span_of(noise, 8)); break;
		case 3: put_frame(b, H2_RST_STREAM, 0, stream, span_of(noise, 4)); break;
		default:
			put_frame(b, H2_DATA, (uint8_t)(random() & 1), stream,
				  span_of(noise, (size_t)random() % sizeof(noise)));
			break;
		}
	}
	return n;
}

static bool is_begin(const size_t *begins, size_t n, size_t at)
{
	for (size_t i = 0; i < n; i++)
		if (begins[i] == at)
			return true;
	return false;
}

static void a_boundary_is_found_from_anywhere(void **state)
{
	enum { FRAMES = 400, TRIES = 1000, SEGMENT = 1448 };
	static size_t begins[FRAMES];
	AUTO_BUF b = {0};
	size_t n, right = 0;

	(void)state;
	srandom(7);
	n = busy_stream(&b, begins, FRAMES);
	for (int i = 0; i < TRIES; i++) {
		size_t at = (size_t)random() % (b.len / 2);
		struct h2_finder f = {0};
		int64_t found = -1;

		for (; found < 0 && at < b.len; at += SEGMENT) {
			found = h2_find(&f, at, span_of(b.ptr + at, MIN(b.len - at, (size_t)SEGMENT)));
			if (found >= 0)
				right += is_begin(begins, n, at + (size_t)found);
		}
	}
	assert_true(right >= TRIES * 98 / 100);
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
		cmocka_unit_test(a_boundary_is_found_from_anywhere),
		cmocka_unit_test(a_hole_inside_a_payload_is_stepped_over),
		cmocka_unit_test(a_hole_beyond_a_payload_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
