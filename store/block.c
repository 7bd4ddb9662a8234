// SPDX-License-Identifier: Apache-2.0
#include "store/block.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

/*
 * Theory of operation. A small exchange holds hardly anything twice; what repeats, repeats from one
 * exchange to the next. So exchanges of one class (service, method, types) are compressed together:
 * a block holds what came between two commits, 64 exchanges or 64 KiB at most, so that one of them
 * is read in some 50 us. Where little comes, a block has one exchange, and the dictionary of its
 * class stands in for the neighbours.
 *
 * The raw form is
 *
 *	prefix of exchange 0, 1, 2 ... | raw form of exchange 0, 1, 2 ...
 *
 * since numbers compress better beside numbers. It is one zstd frame without magic number, checksum
 * and dictionary id, or is stored as it is where that is shorter. The checksum in the tape's table
 * is of the stored bytes, so a tape can be checked without its dictionaries.
 *
 * Higher levels of zstd are smaller for most JSON of some ten kilobytes (a fifth at 6), and larger for
 * text of random words, where level 3 with its other search is best. So who has the time tries both.
 */
#define OTHER_LEVEL 3
struct block_packer {
	ZSTD_CCtx *zstd;
	ZSTD_CCtx *other; /* at OTHER_LEVEL; NULL: not tried */
	struct buf joined, tried;
};

void block_draft_fini(struct block_draft *d)
{
	buf_fini(&d->prefixes);
	buf_fini(&d->raw);
	*d = (struct block_draft){0};
}

void block_draft_clear(struct block_draft *d)
{
	d->exchanges = 0;
	buf_clear(&d->prefixes);
	buf_clear(&d->raw);
}

bool block_draft_has_room(const struct block_draft *d, size_t bytes)
{
	return d->exchanges == 0 || (d->exchanges < BLOCK_EXCHANGES_MAX &&
				     block_draft_bytes(d) + bytes <= BLOCK_RAW_MAX);
}

static ZSTD_CCtx *new_context(int level)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();

	if (!c)
		return NULL;
	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_format, ZSTD_f_zstd1_magicless);
	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 0);
	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_dictIDFlag, 0);
	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level);
	return c;
}

struct block_packer *block_packer_new(int level)
{
	struct block_packer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->zstd = new_context(level);
	if (p->zstd)
		return p;
	free(p);
	return NULL;
}

void block_packer_free(struct block_packer *p)
{
	if (!p)
		return;
	(void)ZSTD_freeCCtx(p->zstd);
	(void)ZSTD_freeCCtx(p->other);
	buf_fini(&p->joined);
	buf_fini(&p->tried);
	free(p);
}

void block_packer_set_level(struct block_packer *p, int level)
{
	(void)ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, level);
}

void block_packer_set_thorough(struct block_packer *p)
{
	if (!p->other)
		p->other = new_context(OTHER_LEVEL); /* without memory: as it would be otherwise */
}

/* Return: length of the frame; 0 when there is no point in it. @out has room for the raw form. */
static size_t compress(struct block_packer *p, const ZSTD_CDict *dictionary, struct buf *out)
{
	size_t n;

	if (ZSTD_isError(ZSTD_CCtx_refCDict(p->zstd, dictionary)))
		return 0;
	n = ZSTD_compress2(p->zstd, out->ptr + out->len, out->cap - out->len, p->joined.ptr,
			   p->joined.len);
	return ZSTD_isError(n) || n >= p->joined.len ? 0 : n;
}

/* The other way, where it is shorter than the @n bytes that are behind the end of @out. Return: how long it is now. */
static size_t compress_otherwise(struct block_packer *p, struct span dictionary, size_t n,
				 struct buf *out)
{
	size_t room = n ? n : p->joined.len, m;

	buf_clear(&p->tried);
	if (!buf_reserve(&p->tried, room) || ZSTD_isError(ZSTD_CCtx_loadDictionary_byReference(
						     p->other, dictionary.ptr, dictionary.len)))
		return n;
	m = ZSTD_compress2(p->other, p->tried.ptr, room, p->joined.ptr, p->joined.len);
	if (ZSTD_isError(m) || m >= room)
		return n;
	memcpy(out->ptr + out->len, p->tried.ptr, m);
	return m;
}

int block_pack(struct block_packer *p, struct block_draft *d, const struct ZSTD_CDict_s *dictionary,
	       struct span bytes, struct buf *out, struct block_info *info_out)
{
	size_t at = out->len, n;

	buf_clear(&p->joined);
	buf_add_span(&p->joined, buf_span(&d->prefixes));
	buf_add_span(&p->joined, buf_span(&d->raw));
	if (p->joined.is_failed || !buf_reserve(out, ZSTD_compressBound(p->joined.len))) {
		out->is_failed = false;
		return -ENOMEM;
	}
	n = compress(p, dictionary, out);
	if (p->other && p->joined.len > BLOCK_RAW_MAX)
		n = compress_otherwise(p, bytes, n, out);
	if (n == 0) {
		n = p->joined.len;
		memcpy(out->ptr + at, p->joined.ptr, n);
	}
	out->len += n;
	*info_out = (struct block_info){.number = d->number,
					.bytes = n,
					.raw_bytes = p->joined.len,
					.exchanges = d->exchanges,
					.checksum = XXH3_64bits(out->ptr + at, n)};
	block_draft_clear(d);
	return 0;
}

/* --- reading --- */

struct unpacker {
	ZSTD_DCtx *zstd;
};

struct unpacker *unpacker_new(void)
{
	struct unpacker *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->zstd = ZSTD_createDCtx();
	if (!u->zstd) {
		free(u);
		return NULL;
	}
	(void)ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_format, ZSTD_f_zstd1_magicless);
	return u;
}

void unpacker_free(struct unpacker *u)
{
	if (!u)
		return;
	(void)ZSTD_freeDCtx(u->zstd);
	free(u);
}

int unpacker_decompress(struct unpacker *u, struct span frame, uint64_t raw_bytes,
			const struct ZSTD_DDict_s *dictionary, struct buf *out)
{
	size_t n;

	buf_clear(out);
	if (!buf_reserve(out, raw_bytes + 1) ||
	    ZSTD_isError(ZSTD_DCtx_refDDict(u->zstd, dictionary)))
		return -ENOMEM;
	n = ZSTD_decompressDCtx(u->zstd, out->ptr, raw_bytes, frame.ptr, frame.len);
	if (ZSTD_isError(n) || n != raw_bytes)
		return -EBADMSG;
	out->len = raw_bytes;
	return 0;
}

void block_fini(struct block *b)
{
	buf_fini(&b->raw);
	b->number = 0;
}

/* Where each exchange begins. The raw forms must fill what the prefixes leave, to the byte. */
static int find_places(struct block *b)
{
	struct span prefixes = buf_span(&b->raw);
	uint64_t sum = 0;
	struct pack p;

	for (size_t i = 0; i < b->exchanges; i++) {
		b->places[i].prefix = (uint32_t)(b->raw.len - prefixes.len);
		b->places[i].raw = (uint32_t)sum;
		if (pack_take(&prefixes, &p) < 0 || (sum += p.raw_bytes) > prefixes.len)
			return -EBADMSG;
	}
	if (sum != prefixes.len)
		return -EBADMSG;
	b->places[b->exchanges].raw = (uint32_t)sum;
	for (size_t i = 0; i <= b->exchanges; i++)
		b->places[i].raw += (uint32_t)(b->raw.len - sum);
	return 0;
}

int block_open(struct block *b, struct unpacker *u, const struct block_info *info,
	       struct span bytes, const struct ZSTD_DDict_s *dictionary)
{
	int r = 0;

	b->number = 0;
	if (bytes.len != info->bytes || info->exchanges >= BLOCK_PLACES ||
	    info->raw_bytes > PACK_RAW_MAX + BLOCK_RAW_MAX ||
	    XXH3_64bits(bytes.ptr, bytes.len) != info->checksum)
		return -EBADMSG;
	if (info->raw_bytes != info->bytes) {
		r = unpacker_decompress(u, bytes, info->raw_bytes, dictionary, &b->raw);
	} else {
		buf_clear(&b->raw);
		buf_add_span(&b->raw, bytes);
		r = b->raw.is_failed ? -ENOMEM : 0;
	}
	b->exchanges = (uint32_t)info->exchanges;
	if (r == 0)
		r = find_places(b);
	if (r == 0)
		b->number = info->number;
	return r;
}

int block_take(const struct block *b, unsigned place, struct pack *p_out, struct span *raw)
{
	struct span prefixes;

	if (place >= b->exchanges)
		return -EBADMSG;
	prefixes = span_from(buf_span(&b->raw), b->places[place].prefix);
	if (pack_take(&prefixes, p_out) < 0)
		return -EBADMSG;
	*raw = span_of(b->raw.ptr + b->places[place].raw,
		       b->places[place + 1].raw - b->places[place].raw);
	return 0;
}
