// SPDX-License-Identifier: Apache-2.0
/*
 * pool.h - memory of wire/: blocks of one size from one reservation with a hard ceiling
 *
 * Everything that grows with traffic lives in blocks, so nothing fragments and the ceiling is
 * exact. Pages are touched only as far as the high-water mark. Thread: capture.
 */
#pragma once

#include "lib/base.h"

#define POOL_BLOCK_BYTES 2048

struct pool;

/* pool_new() - @bytes_max is rounded down to whole blocks. Return: NULL when out of memory. */
struct pool *pool_new(size_t bytes_max) MUST_USE;
void pool_free(struct pool *p);
/* pool_take() - one block of POOL_BLOCK_BYTES, uninitialised, aligned to its size. Return: NULL when the pool is empty. */
void *pool_take(struct pool *p) MUST_USE;
void pool_give(struct pool *p, void *block); /* accepts NULL */

/* Blocks belong to an owner: the one that was set when they were taken. */
#define POOL_OWNERS 1024
void pool_set_owner(struct pool *p, uint16_t owner);
/* pool_is_over() - has an owner more than its fair part: all blocks divided by those who have any? */
bool pool_is_over(const struct pool *p, uint16_t owner);

size_t pool_used_bytes(const struct pool *p);
size_t pool_left_blocks(const struct pool *p);

/*
 * A chain: bytes appended one after another in pool blocks. Zero-initialised it is empty.
 */
struct chain_block;
struct chain {
	struct chain_block *first, *last;
	size_t len; /* bytes */
};

/* chain_add() - Return: how many of the bytes found room (all, unless the pool is empty) */
size_t chain_add(struct chain *c, struct pool *p, struct span bytes) MUST_USE;
void chain_free(struct chain *c, struct pool *p); /* afterwards empty */
/* chain_copy() - the bytes [@from, @from + @len) into @to */
void chain_copy(const struct chain *c, size_t from, size_t len, uint8_t *to);
/* chain_span() - all bytes if they lie in one block, else ptr NULL */
struct span chain_span(const struct chain *c);
/*
 * chain_split() - keep the first @len bytes; *@tail_out is a new chain of the others, or of as many of them as the
 * pool has room for. @len is at most c->len.
 */
void chain_split(struct chain *c, struct pool *p, size_t len, struct chain *tail_out);
void chain_cut(struct chain *c, struct pool *p, size_t len); /* keep the first @len bytes */
