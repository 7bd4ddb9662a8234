// SPDX-License-Identifier: Apache-2.0
#include "wire/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

/*
 * Theory of operation
 *
 * One anonymous mapping without reserved swap, made once. Blocks are handed out from a free list
 * of those that came back (last in, first out: still in the cache) and, when it is empty, from the
 * untouched rest: so the kernel gives real pages only up to the high-water mark. Blocks lie on
 * multiples of their size, which lets wire/held.c find a block from a pointer into it.
 *
 * Each block has an owner, kept beside the blocks: so one that has more than its part can be told, and no
 * giving back can be credited to another.
 *
 * A chain keeps a body or a head: a singly linked list of blocks, each with its own length, because
 * cutting and appending must not move bytes.
 */

struct free_block {
	struct free_block *next;
};

struct pool {
	uint8_t *memory;
	size_t block_count;
	size_t touched; /* blocks ever handed out: memory behind them was never written */
	size_t used;
	struct free_block *free;
	uint16_t *owners;	     /* of each block that is in use */
	uint32_t owned[POOL_OWNERS]; /* blocks */
	unsigned owner_count;	     /* that have any */
	uint16_t owner;		     /* of what is taken now */
};

struct pool *pool_new(size_t bytes_max)
{
	struct pool *p = calloc(1, sizeof(*p));
	size_t count = bytes_max / POOL_BLOCK_BYTES;
	void *memory;

	if (!p || count == 0) {
		free(p);
		return NULL;
	}
	memory = mmap(NULL, count * POOL_BLOCK_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		free(p);
		return NULL;
	}
	p->memory = memory;
	p->block_count = count;
	p->owners = calloc(count, sizeof(*p->owners));
	if (!p->owners) {
		pool_free(p);
		return NULL;
	}
	return p;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	(void)munmap(p->memory, p->block_count * POOL_BLOCK_BYTES);
	free(p->owners);
	free(p);
}

static size_t index_of(const struct pool *p, const void *block)
{
	return (size_t)((const uint8_t *)block - p->memory) / POOL_BLOCK_BYTES;
}

void pool_set_owner(struct pool *p, uint16_t owner)
{
	p->owner = owner;
}

bool pool_is_over(const struct pool *p, uint16_t owner)
{
	return p->owned[owner] > p->block_count / MAX(p->owner_count, 1U);
}

void *pool_take(struct pool *p)
{
	struct free_block *b = p->free;

	if (b)
		p->free = b->next;
	else if (p->touched < p->block_count)
		b = (struct free_block *)(void *)(p->memory + p->touched++ * POOL_BLOCK_BYTES);
	else
		return NULL;
	p->used++;
	p->owners[index_of(p, b)] = p->owner;
	p->owner_count += p->owned[p->owner]++ == 0;
	return b;
}

void pool_give(struct pool *p, void *block)
{
	struct free_block *b = block;

	if (!b)
		return;
	assert(p->used > 0);
	b->next = p->free;
	p->free = b;
	p->used--;
	p->owner_count -= --p->owned[p->owners[index_of(p, b)]] == 0;
}

size_t pool_used_bytes(const struct pool *p)
{
	return p->used * POOL_BLOCK_BYTES;
}

size_t pool_left_blocks(const struct pool *p)
{
	return p->block_count - p->used;
}

struct chain_block {
	struct chain_block *next;
	size_t len;
	uint8_t bytes[];
};

#define CHAIN_BLOCK_MAX (POOL_BLOCK_BYTES - sizeof(struct chain_block))

static bool grow(struct chain *c, struct pool *p)
{
	struct chain_block *b = pool_take(p);

	if (!b)
		return false;
	b->next = NULL;
	b->len = 0;
	if (c->last)
		c->last->next = b;
	else
		c->first = b;
	c->last = b;
	return true;
}

size_t chain_add(struct chain *c, struct pool *p, struct span bytes)
{
	size_t added = 0;

	if (LIKELY(bytes.len && (c->last || grow(c, p)) &&
		   bytes.len <= CHAIN_BLOCK_MAX - c->last->len)) {
		memcpy(c->last->bytes + c->last->len, bytes.ptr, bytes.len);
		c->last->len += bytes.len;
		c->len += bytes.len;
		return bytes.len;
	}

	while (added < bytes.len) {
		size_t n;

		if ((!c->last || c->last->len == CHAIN_BLOCK_MAX) && !grow(c, p))
			break;
		n = MIN(bytes.len - added, CHAIN_BLOCK_MAX - c->last->len);
		memcpy(c->last->bytes + c->last->len, bytes.ptr + added, n);
		c->last->len += n;
		c->len += n;
		added += n;
	}
	return added;
}

static void give_all(struct chain_block *b, struct pool *p)
{
	while (b) {
		struct chain_block *next = b->next;

		pool_give(p, b);
		b = next;
	}
}

void chain_free(struct chain *c, struct pool *p)
{
	give_all(c->first, p);
	*c = (struct chain){0};
}

void chain_copy(const struct chain *c, size_t from, size_t len, uint8_t *to)
{
	assert(from <= c->len && len <= c->len - from);
	for (const struct chain_block *b = c->first; b && len; b = b->next) {
		size_t n;

		if (from >= b->len) {
			from -= b->len;
			continue;
		}
		n = MIN(len, b->len - from);
		memcpy(to, b->bytes + from, n);
		to += n;
		len -= n;
		from = 0;
	}
}

struct span chain_span(const struct chain *c)
{
	if (c->len == 0 || c->first != c->last)
		return (struct span){0};
	return (struct span){c->first->bytes, c->len};
}

void chain_split(struct chain *c, struct pool *p, size_t len, struct chain *tail_out)
{
	size_t skip = len;

	assert(len <= c->len);
	*tail_out = (struct chain){0};
	for (const struct chain_block *b = c->first; b; b = b->next) {
		struct span rest = {b->bytes + MIN(skip, b->len), b->len - MIN(skip, b->len)};

		skip -= MIN(skip, b->len);
		if (chain_add(tail_out, p, rest) < rest.len)
			break;
	}
	chain_cut(c, p, len);
}

void chain_cut(struct chain *c, struct pool *p, size_t len)
{
	struct chain_block *b = c->first;
	size_t left = len;

	if (len >= c->len)
		return;
	if (len == 0) {
		chain_free(c, p);
		return;
	}
	while (left > b->len) {
		left -= b->len;
		b = b->next;
	}
	give_all(b->next, p);
	b->next = NULL;
	b->len = left;
	c->last = b;
	c->len = len;
}
