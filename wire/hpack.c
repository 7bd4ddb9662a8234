// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * HPACK compresses by reference to a table that both ends build from the first block on. Who joins
 * later lacks the table: an ordinary inflater fails at the first reference into it, and every later
 * block is lost. Here the table of a joined connection is filled with dummies, one more than a peer
 * can have entries in a table of that size (an entry takes at least 33 bytes, RFC 7541 4.1). A
 * reference to a dummy yields a field that says "unknown". New entries push the dummies towards
 * the end as they push the peer's old entries, so an index below the number of entries that we saw
 * arrive means the same to both. Our table may be larger than the peer's: it then keeps entries that
 * the peer has dropped and will not refer to.
 *
 * A peer with a table of more than 4,096 bytes refers beyond the dummies: the inflater fails once, and
 * the caller joins again with the next larger table (16 KiB, then 64 KiB).
 *
 * A dummy is told from what a peer can send by bytes that no field may contain (RFC 9113 8.2.1): its
 * name is "\x01", its value "\x01". A literal value under a dummy's name comes with the value known.
 */
#include "wire/hpack.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#define ENTRY_BYTES_MIN 33 /* RFC 7541 4.1: 32 + a name of one byte */
#define DUMMY_BYTES     34 /* 32 + name + value */
#define TABLE_BYTES_MAX 65536
#define UNKNOWN         '\x01'

static const size_t join_table_bytes[HPACK_LEVEL_MAX + 1] = {4096, 16384, 65536};

struct hpack {
	nghttp2_hd_inflater *inflater;
	nghttp2_mem mem;
	size_t memory_bytes, memory_max;
	bool is_too_big;
};

/* Every allocation carries its size, so that the sum can be kept. */
union header {
	size_t bytes;
	max_align_t align;
};

static void *counted_realloc(void *ptr, size_t bytes, void *user)
{
	struct hpack *h = user;
	union header *was = ptr ? (union header *)ptr - 1 : NULL, *now;
	size_t before = was ? was->bytes : 0;

	if (bytes > h->memory_max || h->memory_bytes - before > h->memory_max - bytes) {
		h->is_too_big = true;
		return NULL;
	}
	now = realloc(was, sizeof(*now) + bytes);
	if (!now)
		return NULL;
	h->memory_bytes += bytes - before;
	now->bytes = bytes;
	return now + 1;
}

static void *counted_malloc(size_t bytes, void *user)
{
	return counted_realloc(NULL, bytes, user);
}

static void *counted_calloc(size_t count, size_t bytes, void *user)
{
	void *ptr;

	if (bytes && count > SIZE_MAX / bytes)
		return NULL;
	ptr = counted_realloc(NULL, count * bytes, user);
	if (ptr)
		memset(ptr, 0, count * bytes);
	return ptr;
}

static void counted_free(void *ptr, void *user)
{
	struct hpack *h = user;
	union header *was = ptr ? (union header *)ptr - 1 : NULL;

	if (was)
		h->memory_bytes -= was->bytes;
	free(was);
}

static int renew_inflater(struct hpack *h)
{
	if (h->inflater)
		nghttp2_hd_inflate_del(h->inflater);
	h->inflater = NULL;
	if (nghttp2_hd_inflate_new2(&h->inflater, &h->mem) != 0)
		return -ENOMEM;
	/* the ceiling for what the peer may ask; the table begins with 4,096 bytes (RFC 9113 6.5.2) */
	(void)nghttp2_hd_inflate_change_table_size(h->inflater, TABLE_BYTES_MAX * 2);
	return 0;
}

struct hpack *hpack_new(size_t memory_max)
{
	struct hpack *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->memory_max = memory_max;
	h->mem = (nghttp2_mem){
		.mem_user_data = h,
		.malloc = counted_malloc,
		.free = counted_free,
		.calloc = counted_calloc,
		.realloc = counted_realloc,
	};
	if (renew_inflater(h) < 0) {
		free(h);
		return NULL;
	}
	return h;
}

void hpack_free(struct hpack *h)
{
	if (!h)
		return;
	if (h->inflater)
		nghttp2_hd_inflate_del(h->inflater);
	free(h);
}

/* An integer with a prefix of 5 bits (RFC 7541 5.1) of a table size update (6.3). */
static size_t put_table_size(uint8_t *to, size_t bytes)
{
	size_t n = 0;

	to[n++] = 0x3f;
	for (bytes -= 31; bytes >= 128; bytes >>= 7)
		to[n++] = (uint8_t)(bytes & 127) | 128;
	to[n++] = (uint8_t)bytes;
	return n;
}

static void ignore_field(void *ctx, const struct hpack_field *f)
{
	(void)ctx;
	(void)f;
}

int hpack_join(struct hpack *h, unsigned level)
{
	/* literal with incremental indexing, new name (RFC 7541 6.2.1): one byte name, one byte value */
	static const uint8_t dummy[] = {0x40, 1, UNKNOWN, 1, UNKNOWN};
	size_t count = join_table_bytes[MIN(level, HPACK_LEVEL_MAX)] / ENTRY_BYTES_MIN + 1;
	uint8_t size_update[8];
	size_t n = put_table_size(size_update, count * DUMMY_BYTES);
	int r = renew_inflater(h);

	if (r == 0)
		r = hpack_block(h, span_of(size_update, n), false, ignore_field, NULL);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = hpack_block(h, span_of(dummy, sizeof(dummy)), i + 1 == count, ignore_field, NULL);
	return r;
}

static bool is_unknown(const uint8_t *ptr, size_t len)
{
	return len == 1 && ptr[0] == UNKNOWN;
}

static void hand_out(const nghttp2_nv *nv, hpack_field_fn *fn, void *ctx)
{
	struct hpack_field f = {
		.name = span_of(nv->name, nv->namelen),
		.value = span_of(nv->value, nv->valuelen),
		.is_name_unknown = is_unknown(nv->name, nv->namelen),
		.is_value_unknown = is_unknown(nv->value, nv->valuelen),
		.is_never_indexed = (nv->flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0,
	};

	if (f.is_name_unknown)
		f.name = (struct span){0};
	if (f.is_value_unknown)
		f.value = (struct span){0};
	fn(ctx, &f);
}

static int failed(const struct hpack *h, ssize_t nghttp2_error)
{
	if (nghttp2_error != NGHTTP2_ERR_NOMEM)
		return -EBADMSG;
	return h->is_too_big ? -E2BIG : -ENOMEM;
}

int hpack_block(struct hpack *h, struct span bytes, bool is_last, hpack_field_fn *fn, void *ctx)
{
	for (;;) {
		nghttp2_nv nv;
		int flags = 0;
		ssize_t n = nghttp2_hd_inflate_hd2(h->inflater, &nv, &flags, bytes.ptr, bytes.len,
						   is_last);

		if (n < 0)
			return failed(h, n);
		bytes = span_from(bytes, (size_t)n);
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			hand_out(&nv, fn, ctx);
		if (flags & NGHTTP2_HD_INFLATE_FINAL) {
			(void)nghttp2_hd_inflate_end_headers(h->inflater);
			return 0;
		}
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && bytes.len == 0)
			return 0;
	}
}

size_t hpack_unknown_entries(const struct hpack *h)
{
	size_t count = nghttp2_hd_inflate_get_num_table_entries(h->inflater), unknown = 0;

	/* the dynamic table follows the 61 entries of the static one (RFC 7541 2.3.3); oldest last */
	for (size_t i = count; i > 61; i--) {
		const nghttp2_nv *nv = nghttp2_hd_inflate_get_table_entry(h->inflater, i);

		if (!nv || !is_unknown(nv->name, nv->namelen))
			break;
		unknown++;
	}
	return unknown;
}

size_t hpack_memory_bytes(const struct hpack *h)
{
	return h->memory_bytes;
}
