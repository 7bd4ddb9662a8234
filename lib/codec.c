// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * Each library is driven through the same loop: room of CODEC_STEP bytes is reserved, the library
 * fills it, the limits are checked, until it says that the end is reached. A bomb therefore costs
 * one step more than its limit. What was decoded before damage stays in the buffer: the beginning of
 * a cut body is worth reading.
 */
#include "lib/codec.h"

#include <brotli/decode.h>
#include <errno.h>
#include <zlib.h>
#include <zstd.h>

#define CODEC_STEP	 16384
#define RATIO_FREE_BYTES 65536
#define ZSTD_WINDOW_LOG_MAX                                                                        \
	27 /* 128 MiB is the library's own default; a hostile frame may ask for 2 GiB */

/* Progress of one decoding, whatever the library. */
struct progress {
	struct span in;
	const struct codec_limits *limits;
	struct buf *out;
	size_t out_from; /* out->len at the beginning */
	size_t in_bytes; /* in.len at the beginning */
};

typedef int decode_fn(struct progress *p);

static size_t made(const struct progress *p)
{
	return p->out->len - p->out_from;
}

static int check_limits(const struct progress *p)
{
	size_t n = made(p);

	if (n > p->limits->out_max)
		return -E2BIG;
	if (n > RATIO_FREE_BYTES && p->in_bytes && n / p->in_bytes >= p->limits->ratio_max)
		return -E2BIG;
	return 0;
}

static uint8_t *step_room(struct progress *p)
{
	return buf_reserve(p->out, CODEC_STEP) ? p->out->ptr + p->out->len : NULL;
}

static int run_inflate(struct progress *p, z_stream *z, bool has_members)
{
	for (;;) {
		uint8_t *to = step_room(p);
		int r, zr;

		if (!to)
			return -ENOMEM;
		z->next_out = to;
		z->avail_out = CODEC_STEP;
		zr = inflate(z, Z_NO_FLUSH);
		p->out->len += CODEC_STEP - z->avail_out;
		r = check_limits(p);
		if (r < 0)
			return r;
		if (zr == Z_STREAM_END) {
			if (!has_members || z->avail_in == 0 || inflateReset(z) != Z_OK)
				return 0;
			/* what follows a member and is no other one is padding, which gzip ignores too */
			if (z->next_in[0] != 0x1f)
				return 0;
			continue;
		}
		if (zr == Z_MEM_ERROR)
			return -ENOMEM;
		if (zr == Z_BUF_ERROR || (zr == Z_OK && z->avail_in == 0 && z->avail_out))
			return -ENODATA;
		if (zr != Z_OK)
			return -EBADMSG;
	}
}

static int inflate_as(struct progress *p, int window_bits, bool has_members)
{
	z_stream z = {0};
	int r;

	/* zlib's next_in is not const before it is told so; it is never written through */
	z.next_in = (z_const Bytef *)(uintptr_t)p->in.ptr;
	z.avail_in = (uInt)p->in.len;
	if (inflateInit2(&z, window_bits) != Z_OK)
		return -ENOMEM;
	r = run_inflate(p, &z, has_members);
	(void)inflateEnd(&z);
	return r;
}

static int decode_gzip(struct progress *p)
{
	return inflate_as(p, 16 + MAX_WBITS, true);
}

/* RFC 9110 8.4.1.2: deflate means zlib's format, but some servers send the bare one. */
static int decode_deflate(struct progress *p)
{
	bool is_zlib = p->in.len >= 2 && (p->in.ptr[0] & 15) == Z_DEFLATED &&
		       (p->in.ptr[0] << 8 | p->in.ptr[1]) % 31 == 0;
	int r = inflate_as(p, is_zlib ? MAX_WBITS : -MAX_WBITS, false);

	if (r == -EBADMSG && is_zlib && made(p) == 0)
		r = inflate_as(p, -MAX_WBITS, false);
	return r;
}

static int decode_br(struct progress *p)
{
	BrotliDecoderState *b = BrotliDecoderCreateInstance(NULL, NULL, NULL);
	const uint8_t *in = p->in.ptr;
	size_t in_left = p->in.len;
	int r = b ? 0 : -ENOMEM;

	while (r == 0) {
		uint8_t *to = step_room(p);
		size_t room = CODEC_STEP;
		BrotliDecoderResult br;

		if (!to) {
			r = -ENOMEM;
			break;
		}
		br = BrotliDecoderDecompressStream(b, &in_left, &in, &room, &to, NULL);
		p->out->len += CODEC_STEP - room;
		r = check_limits(p);
		if (r < 0 || br == BROTLI_DECODER_RESULT_SUCCESS)
			break;
		if (br == BROTLI_DECODER_RESULT_ERROR)
			r = -EBADMSG;
		else if (br == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT)
			r = -ENODATA;
	}
	if (b)
		BrotliDecoderDestroyInstance(b);
	return r;
}

static int decode_zstd(struct progress *p)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();
	ZSTD_inBuffer in = {p->in.ptr, p->in.len, 0};
	int r = z ? 0 : -ENOMEM;

	if (z)
		(void)ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
	while (r == 0) {
		ZSTD_outBuffer out = {step_room(p), CODEC_STEP, 0};
		size_t zr;

		if (!out.dst) {
			r = -ENOMEM;
			break;
		}
		zr = ZSTD_decompressStream(z, &out, &in);
		p->out->len += out.pos;
		r = check_limits(p);
		if (r < 0)
			break;
		if (ZSTD_isError(zr))
			r = -EBADMSG;
		else if (in.pos == in.size && out.pos < out.size) {
			r = zr ? -ENODATA : 0;
			break;
		}
	}
	(void)ZSTD_freeDCtx(z);
	return r;
}

static const struct {
	const char *name;
	decode_fn *decode;
} codecs[CODEC_COUNT] = {
	[CODEC_GZIP] = {"gzip", decode_gzip},
	[CODEC_DEFLATE] = {"deflate", decode_deflate},
	[CODEC_BR] = {"br", decode_br},
	[CODEC_ZSTD] = {"zstd", decode_zstd},
};

int codec_parse(struct span name)
{
	if (span_ieq(name, SPAN_LIT("x-gzip")))
		return CODEC_GZIP;
	for (int i = 0; i < CODEC_COUNT; i++)
		if (span_ieq(name, span_str(codecs[i].name)))
			return i;
	return -ENOENT;
}

static const char *why(int r)
{
	switch (r) {
	case -ENODATA: return "it ends too early";
	case -E2BIG: return "it grows beyond the limit";
	case -ENOMEM: return "out of memory";
	default: return "it is damaged";
	}
}

int codec_decode(enum codec c, struct span in, const struct codec_limits *limits, struct buf *out,
		 struct err *e)
{
	struct progress p = {
		.in = in,
		.limits = limits,
		.out = out,
		.out_from = out->len,
		.in_bytes = in.len,
	};
	int r;

	if (in.len > UINT32_MAX)
		return err_set(e, -E2BIG, "%s body of %zu bytes: longer than 4 GiB", codecs[c].name,
			       in.len);
	r = codecs[c].decode(&p);
	if (r == -E2BIG)
		out->len = MIN(out->len, p.out_from + limits->out_max);
	if (r < 0)
		return err_set(e, r, "%s body of %zu bytes: %s", codecs[c].name, in.len, why(r));
	return 0;
}
