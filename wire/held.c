// SPDX-License-Identifier: Apache-2.0
#include "wire/held.h"

#include <assert.h>

/*
 * Theory of operation
 *
 * A singly linked list of pieces, sorted, without overlap. Adding walks the list once and fills the
 * gaps between the pieces; the usual case, behind the last one, does not walk. Nothing bounds the
 * walk but the number of pieces, which the caller limits.
 *
 * Pieces are cut off one after another from a block, so that a hundred segments of five bytes do not
 * take a hundred blocks. A block counts its pieces and goes back to the pool with the last of them;
 * blocks lie on multiples of their size, which leads from a piece to its block.
 */

struct held_block {
	uint16_t used; /* bytes from the block's beginning */
	uint16_t pieces;
	uint8_t unused[4];
};

_Static_assert((POOL_BLOCK_BYTES & (POOL_BLOCK_BYTES - 1)) == 0, "blocks are found by masking");

#define HELD_ALIGN     8
#define HELD_PIECE_MIN 16 /* a smaller remnant of a block is not worth a piece of its own */

static struct held_block *block_of(struct held_piece *p)
{
	uint8_t *at = (uint8_t *)p;

	return (struct held_block *)(void *)(at - ((uintptr_t)at & (POOL_BLOCK_BYTES - 1)));
}

static size_t room_in(const struct held_block *b)
{
	size_t left = POOL_BLOCK_BYTES - (size_t)b->used;

	return left > sizeof(struct held_piece) ? left - sizeof(struct held_piece) : 0;
}

/* a block with room for @len bytes, or for as many as is worth while */
static struct held_block *block_for(struct held *h, const struct held_memory *m, size_t len)
{
	struct held_block *b = h->block;

	if (b && room_in(b) >= MIN(len, (size_t)HELD_PIECE_MIN))
		return b;
	b = m->take(m->ctx);
	if (!b)
		return NULL;
	*b = (struct held_block){.used = sizeof(*b)};
	h->block = b;
	return b;
}

/* a piece of up to bytes.len bytes; its links are the caller's to set */
static struct held_piece *make_piece(struct held *h, const struct held_memory *m,
				     const struct held_piece *like, uint64_t offset,
				     struct span bytes)
{
	struct held_block *b = block_for(h, m, bytes.len);
	struct held_piece *p;
	size_t len;

	if (!b)
		return NULL;
	len = MIN(bytes.len, room_in(b));
	p = (struct held_piece *)(void *)((uint8_t *)b + b->used);
	*p = *like;
	p->offset = offset;
	p->len = (uint16_t)len;
	p->missing = len == bytes.len ? like->missing : 0;
	memcpy(p->bytes, bytes.ptr, len);
	b->used = (uint16_t)(((size_t)b->used + sizeof(*p) + len + HELD_ALIGN - 1) &
			     ~(size_t)(HELD_ALIGN - 1));
	b->pieces++;
	h->count++;
	h->bytes += (uint32_t)len;
	return p;
}

/* put @bytes, which overlap nothing, behind @before (NULL: first); Return: bytes kept */
static size_t insert(struct held *h, const struct held_memory *m, const struct held_piece *like,
		     struct held_piece *before, uint64_t offset, struct span bytes)
{
	size_t done = 0;

	while (done < bytes.len) {
		struct held_piece *p =
			make_piece(h, m, like, offset + done, span_from(bytes, done));

		if (!p)
			break;
		p->next = before ? before->next : h->first;
		if (before)
			before->next = p;
		else
			h->first = p;
		if (!p->next)
			h->last = p;
		before = p;
		done += p->len;
	}
	return done;
}

static bool differs(const struct held_piece *p, uint64_t offset, struct span bytes)
{
	uint64_t from = MAX(offset, p->offset);
	uint64_t to = MIN(offset + bytes.len, held_piece_end(p));

	return from < to && memcmp(p->bytes + (from - p->offset), bytes.ptr + (from - offset),
				   (size_t)(to - from)) != 0;
}

unsigned held_add(struct held *h, const struct held_memory *m, const struct held_piece *piece,
		  struct span bytes, size_t *added_out)
{
	uint64_t at = piece->offset, end = piece->offset + bytes.len;
	struct held_piece *before = NULL, *next = h->first, like = *piece;
	unsigned result = 0;
	size_t added = 0;

	if (h->last && h->last->offset <= at) {
		before = h->last;
		next = NULL;
		if (differs(before, piece->offset, bytes))
			result |= HELD_DIFFERS;
		at = MAX(at, held_piece_end(before));
	}
	while (at < end) {
		uint64_t to = next ? MIN(end, next->offset) : end;

		if (at < to) {
			struct span part = {bytes.ptr + (at - piece->offset), (size_t)(to - at)};
			size_t kept;

			like.missing = to == end ? piece->missing : 0;
			kept = insert(h, m, &like, before, at, part);
			added += kept;
			if (kept < part.len) {
				result |= HELD_FULL;
				break;
			}
		}
		if (!next)
			break;
		if (differs(next, piece->offset, bytes))
			result |= HELD_DIFFERS;
		at = MAX(at, held_piece_end(next));
		before = next;
		next = next->next;
	}
	*added_out = added;
	return added ? result | HELD_ADDED : result;
}

void held_drop(struct held *h, struct pool *pool)
{
	struct held_piece *p = h->first;
	struct held_block *b;

	assert(p);
	b = block_of(p);
	h->first = p->next;
	if (!h->first)
		h->last = NULL;
	h->count--;
	h->bytes -= p->len;
	if (--b->pieces > 0)
		return;
	if (h->block == b)
		h->block = NULL;
	pool_give(pool, b);
}

void held_clear(struct held *h, struct pool *pool)
{
	while (h->first)
		held_drop(h, pool);
}
