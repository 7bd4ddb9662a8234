// SPDX-License-Identifier: Apache-2.0
/*
 * h2find.h - where frames begin, seen from inside a stream of HTTP/2 (joined midstream, or behind a hole)
 *
 * A search over the stream's bytes: in which pieces they come does not matter. Thread: capture.
 */
#pragma once

#include "lib/base.h"
#include "wire/pool.h"

#define H2_FIND_KEPT	   1024 /* bytes before the place of decision that can still be read */
#define H2_FIND_CANDIDATES 12
#define H2_FIND_MARKS	   16

/* A place that may begin a frame, and where the chain of frames from there has led so far. */
struct h2_candidate {
	/* offsets of its first head, and of the head that must come next */
	uint64_t first, next;
	uint32_t streams[2]; /* of its first and of its last head */
	uint8_t weight;
};

/* The search in one direction. Zero-initialised: nothing was seen. Fits into a block of the pool. */
struct h2_finder {
	/* offsets: bytes were seen from the one up to the other without a hole */
	uint64_t from, at;
	/* once found: offset of the frame to begin with, then of what is to be read next */
	uint64_t start;
	uint64_t window; /* the last 8 bytes ... */
	uint8_t before;	 /* ... and the one before them */
	uint8_t candidate_count, mark_count;
	struct h2_candidate candidates[H2_FIND_CANDIDATES];
	struct h2_mark {
		uint64_t at, ts_ns;
	} marks[H2_FIND_MARKS]; /* when the bytes from here on came */
	/* bytes of what follows that are in use; the last is the byte before `at` */
	uint16_t kept;
	uint8_t bytes[H2_FIND_KEPT + 128];
};
_Static_assert(sizeof(struct h2_finder) <= POOL_BLOCK_BYTES, "a finder is one block");

/* h2_is_open_fn - is this a stream whose next frames are waited for? */
typedef bool h2_is_open_fn(const void *ctx, uint32_t stream);

/**
 * h2_find() - look for a frame's beginning
 * @offset:  of the first of @bytes in the stream; where it is not behind the bytes of the last call, there was a hole
 * @bytes:   what was looked at is taken from the beginning: all of them, unless a beginning was found
 * @is_open: may be NULL
 *
 * Return: true when it is certain where a frame begins: read from there with h2_find_next(), then go on with
 * @bytes. That is so when the frame heads that follow each other from there weigh enough: each one counts, and
 * one on the stream of the head before it, or on an open stream, counts twice.
 */
bool h2_find(struct h2_finder *f, uint64_t offset, struct span *bytes, uint64_t ts_ns,
	     h2_is_open_fn *is_open, const void *ctx);
/* h2_find_on_stream() - the peer has just begun to speak on @stream: was a head on it seen? Return: as above. */
bool h2_find_on_stream(struct h2_finder *f, uint32_t stream);
/* h2_find_next() - the next piece of what was found, up to the last byte looked at. Return: false at the end. */
bool h2_find_next(struct h2_finder *f, struct span *piece_out, uint64_t *ts_ns_out);
