// SPDX-License-Identifier: Apache-2.0
#include "lib/codec.h"
#include "schema/content.h"

#include <brotli/encode.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>
#include <cmocka.h>

#define TEXT_BYTES 100000

static struct span sample_text(void)
{
	static uint8_t text[TEXT_BYTES];
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(text); i++) {
		x = x * 1103515245 + 12345;
		text[i] = (uint8_t)"etaoin shrdlu{}:\""[x >> 28];
	}
	return span_of(text, sizeof(text));
}

static void deflate_as(struct span in, int window_bits, struct buf *out)
{
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_true(buf_reserve(out, deflateBound(&z, in.len) + 64));
	z.next_in = (z_const Bytef *)(uintptr_t)in.ptr;
	z.avail_in = (uInt)in.len;
	z.next_out = out->ptr + out->len;
	z.avail_out = (uInt)(out->cap - out->len);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->len += z.total_out;
	(void)deflateEnd(&z);
}

static void encode_gzip(struct span in, struct buf *out)
{
	deflate_as(in, 16 + MAX_WBITS, out);
}

static void encode_two_gzip_members(struct span in, struct buf *out)
{
	deflate_as(span_of(in.ptr, in.len / 3), 16 + MAX_WBITS, out);
	deflate_as(span_from(in, in.len / 3), 16 + MAX_WBITS, out);
}

static void encode_zlib(struct span in, struct buf *out)
{
	deflate_as(in, MAX_WBITS, out);
}

static void encode_bare_deflate(struct span in, struct buf *out)
{
	deflate_as(in, -MAX_WBITS, out);
}

static void encode_br(struct span in, struct buf *out)
{
	size_t n = BrotliEncoderMaxCompressedSize(in.len);

	assert_true(buf_reserve(out, n));
	assert_true(BrotliEncoderCompress(5, 22, BROTLI_MODE_TEXT, in.len, in.ptr, &n,
					  out->ptr + out->len));
	out->len += n;
}

static void encode_zstd(struct span in, struct buf *out)
{
	size_t n = ZSTD_compressBound(in.len);

	assert_true(buf_reserve(out, n));
	n = ZSTD_compress(out->ptr + out->len, n, in.ptr, in.len, 3);
	assert_false(ZSTD_isError(n));
	out->len += n;
}

struct codec_case {
	const char *name;
	void (*encode)(struct span in, struct buf *out);
};

static const struct codec_case codec_cases[] = {
	{"gzip", encode_gzip},	   {"x-GZIP", encode_two_gzip_members}, {"deflate", encode_zlib},
	{"deflate", encode_bare_deflate}, {"br", encode_br},	     {"zstd", encode_zstd},
};

static const struct codec_limits roomy = {1 << 20, 10000};

static void what_was_encoded_comes_back(void **state)
{
	struct span text = sample_text();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(codec_cases); i++) {
		AUTO_BUF packed = {0};
		AUTO_BUF out = {0};
		int codec = codec_parse(span_str(codec_cases[i].name));

		assert_true(codec >= 0);
		codec_cases[i].encode(text, &packed);
		assert_true(packed.len < text.len);
		assert_int_equal(codec_decode((enum codec)codec, buf_span(&packed), &roomy, &out, NULL), 0);
		assert_true(span_eq(buf_span(&out), text));
	}
}

static void a_cut_body_gives_its_beginning(void **state)
{
	struct span text = sample_text();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(codec_cases); i++) {
		AUTO_BUF packed = {0};
		AUTO_BUF out = {0};
		struct err e;
		int codec = codec_parse(span_str(codec_cases[i].name));

		codec_cases[i].encode(text, &packed);
		packed.len = packed.len / 2;
		assert_int_equal(codec_decode((enum codec)codec, buf_span(&packed), &roomy, &out, &e),
				 -ENODATA);
		assert_true(out.len < text.len);
		assert_memory_equal(out.ptr, text.ptr, out.len);
		assert_non_null(strstr(e.why, "ends too early"));
	}
}

static void damage_is_told_and_never_crashes(void **state)
{
	struct span text = sample_text();

	(void)state;
	srandom(3);
	for (size_t i = 0; i < COUNT_OF(codec_cases); i++) {
		AUTO_BUF packed = {0};
		int codec = codec_parse(span_str(codec_cases[i].name));

		codec_cases[i].encode(text, &packed);
		for (int t = 0; t < 50; t++) {
			AUTO_BUF out = {0};
			size_t at = (size_t)random() % packed.len;

			packed.ptr[at] ^= (uint8_t)(1 + random() % 255);
			(void)!codec_decode((enum codec)codec, buf_span(&packed), &roomy, &out, NULL);
			assert_true(out.len <= roomy.out_max);
		}
	}
}

static void a_bomb_ends_at_its_limit(void **state)
{
	static uint8_t zeros[8 << 20];
	static const struct codec_limits tight[] = {{1 << 20, 1000000}, {64 << 20, 100}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(codec_cases); i++) {
		AUTO_BUF packed = {0};
		int codec = codec_parse(span_str(codec_cases[i].name));

		codec_cases[i].encode(span_of(zeros, sizeof(zeros)), &packed);
		for (size_t k = 0; k < COUNT_OF(tight); k++) {
			AUTO_BUF out = {0};

			assert_int_equal(codec_decode((enum codec)codec, buf_span(&packed), &tight[k],
						      &out, NULL),
					 -E2BIG);
			assert_true(out.len <= MIN(tight[k].out_max, packed.len * tight[k].ratio_max +
									     (1 << 17)));
		}
	}
}

static void message_with(struct buf *head, const char *encoding, struct buf *body, struct message *m)
{
	buf_add_fmt(head, "HTTP/1.1 200 OK\r\n%s\r\n", encoding);
	*m = (struct message){.head = buf_span(head), .body = buf_span(body)};
}

static void stacked_codings_are_undone_in_reverse(void **state)
{
	struct span text = sample_text(), body;
	AUTO_BUF once = {0};
	AUTO_BUF twice = {0};
	AUTO_BUF head = {0};
	AUTO_BUF room = {0};
	struct message m;

	(void)state;
	encode_gzip(text, &once);
	encode_br(buf_span(&once), &twice);
	message_with(&head, "Content-Encoding: gzip\r\nX: y\r\ncontent-encoding: identity , BR\r\n", &twice,
		     &m);
	assert_int_equal(content_decode(&m, &room, &body, NULL), 2);
	assert_true(span_eq(body, text));
}

static void a_body_without_coding_is_itself(void **state)
{
	AUTO_BUF head = {0};
	AUTO_BUF plain = {0};
	AUTO_BUF room = {0};
	struct message m;
	struct span body;

	(void)state;
	buf_add_str(&plain, "plain");
	message_with(&head, "", &plain, &m);
	assert_int_equal(content_decode(&m, &room, &body, NULL), 0);
	assert_ptr_equal(body.ptr, plain.ptr);
}

static void an_unknown_coding_is_named(void **state)
{
	AUTO_BUF head = {0};
	AUTO_BUF plain = {0};
	AUTO_BUF room = {0};
	struct message m;
	struct span body;
	struct err e;

	(void)state;
	buf_add_str(&plain, "\x1f\x9d...");
	message_with(&head, "Content-Encoding: compress\r\n", &plain, &m);
	assert_int_equal(content_decode(&m, &room, &body, &e), -ENOENT);
	assert_string_equal(e.why, "content coding compress is not known");
	assert_ptr_equal(body.ptr, plain.ptr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_encoded_comes_back),
		cmocka_unit_test(a_cut_body_gives_its_beginning),
		cmocka_unit_test(damage_is_told_and_never_crashes),
		cmocka_unit_test(a_bomb_ends_at_its_limit),
		cmocka_unit_test(stacked_codings_are_undone_in_reverse),
		cmocka_unit_test(a_body_without_coding_is_itself),
		cmocka_unit_test(an_unknown_coding_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
