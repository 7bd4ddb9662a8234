// SPDX-License-Identifier: Apache-2.0
#include "lib/codec_stream.h"

#include <brotli/encode.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>
#include <cmocka.h>

#define TEXT_BYTES 20000

static void make_text(struct buf *text)
{
	srandom(5);
	for (int i = 0; text->len < TEXT_BYTES; i++)
		buf_add_fmt(text, "data: {\"n\":%d,\"x\":%ld}\n\n", i, random() % 1000);
}

static size_t deflate_as(struct span text, int bits, uint8_t *out, size_t max)
{
	z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)text.ptr, .avail_in = (uInt)text.len, .next_out = out, .avail_out = (uInt)max};

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	(void)deflateEnd(&z);
	return max - z.avail_out;
}

static size_t encode(enum codec c, struct span text, uint8_t *out, size_t max)
{
	size_t n = max;

	switch ((int)c) {
	case CODEC_GZIP: return deflate_as(text, 16 + MAX_WBITS, out, max);
	case CODEC_DEFLATE: return deflate_as(text, MAX_WBITS, out, max);
	case CODEC_ZSTD: return ZSTD_compress(out, max, text.ptr, text.len, 3);
	default:
		assert_true(BrotliEncoderCompress(5, 18, BROTLI_MODE_TEXT, text.len, text.ptr, &n, out));
		return n;
	}
}

/* Return: 0, or what codec_stream_feed() said */
static int decode(enum codec c, struct span in, size_t piece, size_t room, struct buf *out)
{
	struct codec_stream *s = codec_stream_new(c);
	int r = 0;

	assert_non_null(s);
	while (in.len && r == 0) {
		struct span some = {in.ptr, MIN(in.len, piece)};
		size_t n = 0;

		in = span_from(in, some.len);
		while (r == 0 && (some.len || n == room)) {
			assert_non_null(buf_reserve(out, room));
			r = codec_stream_feed(s, &some, out->ptr + out->len, room, &n);
			out->len += n;
		}
	}
	codec_stream_free(s);
	return r;
}

static void every_coding_is_undone_in_any_pieces(void **state)
{
	static const size_t sizes[] = {1, 3, 100, 1 << 20};
	static uint8_t coded[TEXT_BYTES * 2];
	AUTO_BUF text = {0};

	(void)state;
	make_text(&text);
	for (int c = 0; c < CODEC_COUNT; c++) {
		size_t n = encode((enum codec)c, buf_span(&text), coded, sizeof(coded));

		for (size_t i = 0; i < COUNT_OF(sizes) * COUNT_OF(sizes); i++) {
			AUTO_BUF out = {0};
			size_t room = MIN(sizes[i / COUNT_OF(sizes)], (size_t)4096);

			assert_int_equal(decode((enum codec)c, span_of(coded, n), sizes[i % COUNT_OF(sizes)], room, &out), 0);
			assert_int_equal(out.len, text.len);
			assert_memory_equal(out.ptr, text.ptr, text.len);
		}
	}
}

static void the_bare_format_of_deflate_is_undone(void **state)
{
	static uint8_t coded[TEXT_BYTES * 2];
	AUTO_BUF text = {0};
	AUTO_BUF out = {0};
	size_t n;

	(void)state;
	make_text(&text);
	n = deflate_as(buf_span(&text), -MAX_WBITS, coded, sizeof(coded));
	assert_int_equal(decode(CODEC_DEFLATE, span_of(coded, n), 7, 100, &out), 0);
	assert_int_equal(out.len, text.len);
}

static void damage_is_told(void **state)
{
	static uint8_t coded[TEXT_BYTES * 2];
	AUTO_BUF text = {0};

	(void)state;
	make_text(&text);
	for (int c = 0; c < CODEC_COUNT; c++) {
		size_t n = encode((enum codec)c, buf_span(&text), coded, sizeof(coded));
		AUTO_BUF out = {0};
		AUTO_BUF more = {0};

		/* brotli has no checksum: damage may decode to something else */
		memset(coded + n / 2, 0xff, n / 2);
		if (decode((enum codec)c, span_of(coded, n), 50, 100, &out) == 0)
			assert_true(c == CODEC_BR && !span_eq(buf_span(&out), buf_span(&text)));
		n = encode((enum codec)c, buf_span(&text), coded, sizeof(coded));
		memcpy(coded + n, "and more", 8);
		assert_int_equal(decode((enum codec)c, span_of(coded, n + 8), 50, 100, &more), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_coding_is_undone_in_any_pieces),
		cmocka_unit_test(the_bare_format_of_deflate_is_undone),
		cmocka_unit_test(damage_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
