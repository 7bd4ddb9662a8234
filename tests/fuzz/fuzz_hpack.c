// SPDX-License-Identifier: Apache-2.0
/*
 * Header blocks: whole and byte by byte they must say the same, and the same as libnghttp2 says. Input: a byte of which
 * bit 0 says that the connection was joined midstream (nothing to compare with then), then blocks behind their lengths.
 */
#include "lib/buf.h"
#include "wire/hpack.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_clean(struct buf *to, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		buf_add_char(to, c == '\r' || c == '\n' || c == 0 ? ' ' : (char)c);
	}
}

static void add_field(struct buf *to, struct span name, struct span value)
{
	buf_add_fmt(to, "%zu %zu ", name.len, value.len);
	add_clean(to, name);
	buf_add_char(to, '=');
	add_clean(to, value);
	buf_add_char(to, '\n');
}

static void note(void *ctx, const struct hpack_field *f)
{
	assert(f->line.len >= f->name.len + f->value.len + 4);
	assert(memchr(f->line.ptr, '\n', f->line.len) == f->line.ptr + f->line.len - 1);
	add_field(ctx, f->is_name_unknown ? SPAN_LIT("?") : f->name,
		  f->is_value_unknown ? SPAN_LIT("?") : f->value);
}

static bool read_by_nghttp2(nghttp2_hd_inflater *i, struct span block, struct buf *out)
{
	for (;;) {
		nghttp2_nv nv;
		int flags = 0;
		ssize_t n = nghttp2_hd_inflate_hd2(i, &nv, &flags, block.ptr, block.len, 1);

		if (n < 0)
			return false;
		block = span_from(block, (size_t)n);
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			add_field(out, span_of(nv.name, nv.namelen),
				  span_of(nv.value, nv.valuelen));
		if (flags & NGHTTP2_HD_INFLATE_FINAL) {
			(void)nghttp2_hd_inflate_end_headers(i);
			return true;
		}
	}
}

/* Return: false when the block was refused, by all alike */
static bool compare(struct hpack *whole, struct hpack *bytewise, nghttp2_hd_inflater *other,
		    struct span block)
{
	AUTO_BUF a = {0};
	AUTO_BUF b = {0};
	AUTO_BUF c = {0};
	int r = hpack_block(whole, block, true, note, &a), s = 0;

	for (size_t i = 0; s == 0 && i < block.len; i++)
		s = hpack_block(bytewise, span_of(block.ptr + i, 1), i + 1 == block.len, note, &b);
	assert((r == 0) == (s == 0) &&
	       (r || (a.len == b.len && memcmp(buf_cstr(&a), buf_cstr(&b), a.len) == 0)));
	if (other) {
		assert(read_by_nghttp2(other, block, &c) == (r == 0));
		assert(r || (a.len == c.len && memcmp(buf_cstr(&a), buf_cstr(&c), a.len) == 0));
	}
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hpack *whole = hpack_new(1 << 20), *bytewise = hpack_new(1 << 20);
	nghttp2_hd_inflater *other = NULL;

	if (size && !(data[0] & 1)) {
		assert(nghttp2_hd_inflate_new(&other) == 0);
		(void)nghttp2_hd_inflate_change_table_size(other, 128 << 10);
	} else {
		assert(hpack_join(whole, 0) == 0 && hpack_join(bytewise, 0) == 0);
	}
	for (size_t at = 1; at < size;) {
		size_t n = MIN((size_t)data[at], size - at - 1);
		uint8_t *exact = malloc(n ? n : 1);
		bool goes_on;

		memcpy(exact, data + at + 1, n);
		goes_on = n == 0 || compare(whole, bytewise, other, span_of(exact, n));
		free(exact);
		if (!goes_on)
			break;
		at += n + 1;
	}
	if (other)
		nghttp2_hd_inflate_del(other);
	hpack_free(whole);
	hpack_free(bytewise);
	return 0;
}
