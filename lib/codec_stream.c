// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * Each library keeps its own state between calls. What it may allocate is bounded: zlib's is fixed, brotli's is
 * counted by its allocator, zstd is told the largest window. Whether deflate means zlib's format or the bare
 * one (RFC 9110 8.4.1.2), its first byte says: the bare one begins with 0x78 only where a block has an impossible type.
 */
#include "lib/codec_stream.h"

#include <brotli/decode.h>
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define INFLATE_BYTES (48 << 10)
#define BROTLI_BYTES                                                                               \
	(5 << 20) /* a window of 4 MiB, which encoders use by default at most, and tables */
#define ZSTD_WINDOW_LOG 20
#define ZSTD_BYTES	((1 << ZSTD_WINDOW_LOG) + (512 << 10))

struct codec_stream {
	enum codec codec;
	bool has_begun, is_over;
	z_stream z;
	BrotliDecoderState *brotli;
	size_t brotli_bytes;
	ZSTD_DCtx *zstd;
};

union header {
	size_t bytes;
	max_align_t align;
};

static void *counted_alloc(void *ctx, size_t bytes)
{
	struct codec_stream *s = ctx;
	union header *h;

	if (bytes > BROTLI_BYTES - s->brotli_bytes)
		return NULL;
	h = malloc(sizeof(*h) + bytes);
	if (!h)
		return NULL;
	s->brotli_bytes += bytes;
	h->bytes = bytes;
	return h + 1;
}

static void counted_free(void *ctx, void *memory)
{
	struct codec_stream *s = ctx;
	union header *h = memory ? (union header *)memory - 1 : NULL;

	if (h)
		s->brotli_bytes -= h->bytes;
	free(h);
}

size_t codec_stream_bytes(enum codec c)
{
	return c == CODEC_BR ? BROTLI_BYTES : c == CODEC_ZSTD ? ZSTD_BYTES : INFLATE_BYTES;
}

struct codec_stream *codec_stream_new(enum codec c)
{
	struct codec_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->codec = c;
	if (c == CODEC_BR)
		s->brotli = BrotliDecoderCreateInstance(counted_alloc, counted_free, s);
	if (c == CODEC_ZSTD)
		s->zstd = ZSTD_createDCtx();
	if ((c == CODEC_BR && !s->brotli) || (c == CODEC_ZSTD && !s->zstd)) {
		codec_stream_free(s);
		return NULL;
	}
	if (s->zstd)
		(void)ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
	return s;
}

void codec_stream_free(struct codec_stream *s)
{
	if (!s)
		return;
	if (s->has_begun && (s->codec == CODEC_GZIP || s->codec == CODEC_DEFLATE))
		(void)inflateEnd(&s->z);
	if (s->brotli)
		BrotliDecoderDestroyInstance(s->brotli);
	(void)ZSTD_freeDCtx(s->zstd);
	free(s);
}

static int begin_inflate(struct codec_stream *s, uint8_t first)
{
	int bits = s->codec == CODEC_GZIP	? 16 + MAX_WBITS
		   : (first & 15) == Z_DEFLATED ? MAX_WBITS
						: -MAX_WBITS;

	if (inflateInit2(&s->z, bits) != Z_OK)
		return -ENOMEM;
	s->has_begun = true;
	return 0;
}

static int feed_inflate(struct codec_stream *s, struct span *in, uint8_t *out, size_t room,
			size_t *made_out)
{
	int r = s->has_begun ? 0 : begin_inflate(s, in->ptr[0]), zr;

	if (r < 0)
		return r;
	s->z.next_in = (z_const Bytef *)(uintptr_t)in->ptr;
	s->z.avail_in = (uInt)in->len;
	s->z.next_out = out;
	s->z.avail_out = (uInt)room;
	zr = inflate(&s->z, Z_SYNC_FLUSH);
	*made_out = room - s->z.avail_out;
	*in = span_from(*in, in->len - s->z.avail_in);
	s->is_over = zr == Z_STREAM_END;
	if (zr == Z_MEM_ERROR)
		return -ENOMEM;
	return zr == Z_OK || zr == Z_STREAM_END || zr == Z_BUF_ERROR ? 0 : -EBADMSG;
}

static int feed_brotli(struct codec_stream *s, struct span *in, uint8_t *out, size_t room,
		       size_t *made_out)
{
	size_t left = room;
	BrotliDecoderResult br =
		BrotliDecoderDecompressStream(s->brotli, &in->len, &in->ptr, &left, &out, NULL);

	*made_out = room - left;
	s->is_over = br == BROTLI_DECODER_RESULT_SUCCESS;
	return br == BROTLI_DECODER_RESULT_ERROR ? -EBADMSG : 0;
}

static int feed_zstd(struct codec_stream *s, struct span *in, uint8_t *out, size_t room,
		     size_t *made_out)
{
	ZSTD_inBuffer from = {in->ptr, in->len, 0};
	ZSTD_outBuffer to = {out, room, 0};
	size_t zr = ZSTD_decompressStream(s->zstd, &to, &from);

	*made_out = to.pos;
	*in = span_from(*in, from.pos);
	return ZSTD_isError(zr) ? -EBADMSG : 0;
}

int codec_stream_feed(struct codec_stream *s, struct span *in, uint8_t *out, size_t room,
		      size_t *made_out)
{
	*made_out = 0;
	if (s->is_over)
		return in->len ? -EBADMSG : 0;
	if (s->codec == CODEC_BR)
		return feed_brotli(s, in, out, room, made_out);
	if (s->codec == CODEC_ZSTD)
		return feed_zstd(s, in, out, room, made_out);
	if (in->len == 0 && !s->has_begun)
		return 0;
	return feed_inflate(s, in, out, room, made_out);
}
