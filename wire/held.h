// SPDX-License-Identifier: Apache-2.0
/*
 * held.h - bytes that came too early, sorted by offset, until what belongs before them arrives
 *
 * Segments of a stream and fragments of a datagram are kept alike. What came first stays: bytes
 * that are there already are not replaced. Memory comes from blocks that the caller provides.
 * Thread: capture.
 */
#pragma once

#include "wire/pool.h"

/* A run of bytes. Borrowed until held_drop() or held_clear(). */
struct held_piece {
	struct held_piece *next; /* at a higher offset; pieces never overlap */
	uint64_t offset;
	uint64_t acked;	     /* whatever came with it: see conn_data() */
	uint64_t ts_ns;	     /* of its packet */
	uint64_t arrived_ns; /* newest packet time when it came */
	uint32_t missing;    /* bytes behind it that the capture cut off */
	uint16_t len;
	uint8_t bytes[];
};

/* Zero-initialised it is empty. */
struct held {
	struct held_piece *first, *last;
	void *block; /* has room for more pieces; NULL for none */
	uint32_t bytes;
	uint32_t count; /* pieces */
};

/* Where blocks come from: take() returns a block of POOL_BLOCK_BYTES as pool_take() does, or NULL. */
struct held_memory {
	struct pool *pool; /* blocks are given back to it */
	void *(*take)(void *ctx);
	void *ctx;
};

enum held_result {
	HELD_ADDED = 1 << 0,   /* some of the bytes were new and are kept */
	HELD_DIFFERS = 1 << 1, /* some were there already, with another content */
	HELD_FULL = 1 << 2,    /* there was no memory for some of the new bytes */
};

/**
 * held_add() - keep those bytes that are not there yet
 * @piece:     offset, acked, ts_ns, arrived_ns and missing of what comes; copied
 * @bytes:     copied
 * @added_out: how many bytes were kept
 *
 * Return: bits of enum held_result.
 */
unsigned held_add(struct held *h, const struct held_memory *m, const struct held_piece *piece,
		  struct span bytes, size_t *added_out);
/* held_drop() - let go of the first piece; there must be one */
void held_drop(struct held *h, struct pool *pool);
void held_clear(struct held *h, struct pool *pool); /* afterwards empty */

static inline uint64_t held_piece_end(const struct held_piece *p)
{
	return p->offset + p->len;
}
