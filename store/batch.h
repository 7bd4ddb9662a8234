// SPDX-License-Identifier: Apache-2.0
/* batch.h - rows that wait for the next commit: packed, in one piece of memory, bounded by who
 * fills it */
#pragma once

#include "lib/buf.h"
#include "store/block.h"

/* bytes of a row in batch.bytes: an offset, since those move when they grow */
struct piece {
	uint32_t at, len;
};

struct row {
	uint64_t id, moved, kind, src, connection, latency_ns, dst_latency_ns, request_bytes,
		response_bytes;
	uint64_t sent, received, deadline_ns, wire;
	uint32_t sequence, stream;
	uint32_t raw_bytes;
	/* number of the block * BLOCK_PLACES + place in it; 0 or less: times is a whole pack of
	 * version 1, made with dictionary -place */
	int64_t place;
	uint32_t rollup_key; /* its number on the tape */
	uint32_t weight;     /* at least 1 */
	uint16_t src_port;
	uint8_t outcome;
	bool is_path_route; /* path = route: written once, in the kind */
	bool is_path_part;  /* path is what stands for the route's {} */
	bool has_target;    /* the target is not path and query */
	bool is_trace_packed;
	struct piece path, query, target, trace, replay, times;
};

/* a row of peer or kind that the tape has not yet */
struct common_row {
	uint64_t number;
	uint8_t table; /* enum common_table */
	struct piece key;
};

struct batch {
	struct buf bytes;
	struct row *rows;
	size_t row_count, row_room;
	struct common_row *commons;
	size_t common_count, common_room;
	struct block_info *blocks; /* at: in packed */
	size_t block_count, block_room;
	struct buf packed; /* the blocks' bytes */
};

void batch_fini(struct batch *b);
void batch_clear(struct batch *b);
/* batch_row() - room for one more row; NULL without memory. It counts once row_count is raised. */
struct row *batch_row(struct batch *b) MUST_USE;
struct common_row *batch_common(struct batch *b) MUST_USE; /* likewise */
struct block_info *batch_block(struct batch *b) MUST_USE;  /* likewise */
struct piece batch_add(struct batch *b, struct span s);	   /* see bytes.is_failed */
struct span batch_span(const struct batch *b, struct piece p);
void batch_sort(struct batch *b);		 /* by id: the tape then grows at its end */
uint64_t batch_raw_bytes(const struct batch *b); /* of the messages of its rows */
size_t batch_memory(const struct batch *b);
