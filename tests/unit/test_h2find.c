// SPDX-License-Identifier: Apache-2.0
#include "lib/buf.h"
#include "wire/h2find.h"
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

/* Feed everything from @at on in pieces of @piece bytes. Return: where it begins to read, or UINT64_MAX. */
static uint64_t find_from(struct h2_finder *f, const struct buf *b, size_t at, size_t piece)
{
	*f = (struct h2_finder){0};
	for (; at < b->len; at += piece) {
		struct span bytes = {b->ptr + at, MIN(b->len - at, piece)};

		if (h2_find(f, at, &bytes, at, NULL, NULL))
			return f->start;
	}
	return UINT64_MAX;
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
		struct h2_finder f;

		right += is_begin(begins, n, find_from(&f, &b, (size_t)random() % (b.len / 2), SEGMENT));
	}
	assert_true(right >= TRIES * 98 / 100);
}

static void the_same_boundary_is_found_in_any_pieces(void **state)
{
	static const size_t pieces[] = {1, 2, 7, 100, 1448, 65536, 1 << 20};
	static size_t begins[400];
	AUTO_BUF b = {0};

	(void)state;
	srandom(11);
	(void)busy_stream(&b, begins, COUNT_OF(begins));
	for (size_t at = 0; at < b.len / 2; at += 997) {
		struct h2_finder f;
		uint64_t whole = find_from(&f, &b, at, b.len);

		for (size_t i = 0; i < COUNT_OF(pieces); i++)
			assert_int_equal(find_from(&f, &b, at, pieces[i]), whole);
	}
}

/* what was kept is read from the first head of the chain on, with the times when it came */
static void what_was_kept_is_read_again(void **state)
{
	static const size_t pieces[] = {1, 4, 1000};
	AUTO_BUF b = {0};

	(void)state;
	buf_add(&b, "some tail of a payload", 22);
	put_frame(&b, H2_HEADERS, H2_FLAG_END_HEADERS, 5, SPAN_LIT("block"));
	put_frame(&b, H2_DATA, H2_FLAG_END_STREAM, 5, SPAN_LIT("payload"));
	for (size_t i = 0; i < COUNT_OF(pieces); i++) {
		AUTO_BUF read = {0};
		struct h2_finder f;
		struct span piece;
		uint64_t ts_ns, last = 0;

		assert_int_equal(find_from(&f, &b, 0, pieces[i]), 22);
		while (h2_find_next(&f, &piece, &ts_ns)) {
			buf_add_span(&read, piece);
			assert_true(ts_ns >= last);
			last = ts_ns;
		}
		/* up to the head that made it certain */
		assert_int_equal(read.len, 9 + 5 + 9);
		assert_memory_equal(read.ptr, b.ptr + 22, read.len);
	}
}

static void a_head_alone_counts_when_the_peer_speaks_on_its_stream(void **state)
{
	AUTO_BUF b = {0};
	struct h2_finder f;

	(void)state;
	put_frame(&b, H2_HEADERS, H2_FLAG_END_HEADERS | H2_FLAG_END_STREAM, 77, SPAN_LIT("block"));
	assert_int_equal(find_from(&f, &b, 0, 3), UINT64_MAX);
	assert_false(h2_find_on_stream(&f, 79));
	assert_true(h2_find_on_stream(&f, 77));
	assert_int_equal(f.start, 0);
}

static bool is_nine(const void *ctx, uint32_t stream)
{
	(void)ctx;
	return stream == 9;
}

static void frames_on_an_open_stream_weigh_more(void **state)
{
	AUTO_BUF b = {0};
	struct h2_finder f = {0}, g = {0};
	struct span bytes;

	(void)state;
	put_frame(&b, H2_WINDOW_UPDATE, 0, 0, SPAN_LIT("1234"));
	put_frame(&b, H2_HEADERS, H2_FLAG_END_HEADERS, 9, SPAN_LIT("block"));
	bytes = buf_span(&b);
	assert_false(h2_find(&f, 0, &bytes, 1, NULL, NULL));
	bytes = buf_span(&b);
	assert_true(h2_find(&g, 0, &bytes, 1, is_nine, NULL));
	assert_int_equal(g.start, 0);
}

/* a chain goes on behind a hole, but is read from behind it only */
static void a_hole_cuts_what_was_kept(void **state)
{
	AUTO_BUF b = {0};
	struct h2_finder f = {0};
	struct span bytes;

	(void)state;
	put_frame(&b, H2_DATA, 0, 5, SPAN_LIT("0123456789"));
	put_frame(&b, H2_DATA, H2_FLAG_END_STREAM, 5, SPAN_LIT("0123456789"));
	bytes = span_of(b.ptr, 12);
	assert_false(h2_find(&f, 0, &bytes, 1, NULL, NULL));
	bytes = span_of(b.ptr + 15, b.len - 15);
	assert_true(h2_find(&f, 15, &bytes, 2, NULL, NULL));
	assert_int_equal(f.start, 19);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_boundary_is_found_from_anywhere),
		cmocka_unit_test(the_same_boundary_is_found_in_any_pieces),
		cmocka_unit_test(what_was_kept_is_read_again),
		cmocka_unit_test(a_head_alone_counts_when_the_peer_speaks_on_its_stream),
		cmocka_unit_test(frames_on_an_open_stream_weigh_more),
		cmocka_unit_test(a_hole_cuts_what_was_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
