// SPDX-License-Identifier: Apache-2.0
/* http2_conn.h - what wire/http2.c and wire/http2_block.c know of a connection; for these two alone. Thread: capture. */
#pragma once

#include "wire/h2find.h"
#include "wire/h2frame.h"
#include "wire/hpack.h"
#include "wire/http2_stream.h"

#define SMALL_BYTES 8 /* GOAWAY: last stream, error code */

struct h2_direction {
	struct h2_walker walker;
	struct h2_finder *finder; /* while it is searching and had bytes to search */
	struct hpack *hpack;
	struct chain lines;    /* of a block that is not complete yet */
	uint64_t block_ns;     /* when it began */
	uint32_t block_stream; /* stream that the block belongs to; promised by PUSH_PROMISE */
	uint8_t block_type;    /* H2_HEADERS or H2_PUSH_PROMISE */
	bool block_ends_stream;
	bool block_has_bad; /* so far: CR, LF or NUL in a field */
	bool block_is_cut;  /* so far: lines were left out for want of room */
	bool is_in_pieces;  /* its fields are in `lines` */
	bool is_in_block;   /* HEADERS without END_HEADERS: CONTINUATION must follow */
	uint8_t small[SMALL_BYTES];
	uint8_t small_bytes;
	uint8_t preface_left;
	bool is_searching;
	bool is_joined;	    /* some of its table was not seen */
	uint8_t join_level; /* of hpack_join(): how large a table the peer was found to use */
	bool is_hpack_lost; /* no memory for a table: blocks are passed over */
};

struct http2 {
	struct h2_streams streams;
	struct h2_direction dirs[2];
	uint32_t newest[2]; /* highest stream opened, by the client and (pushed) by the server */
};

_Static_assert(sizeof(struct http2) <= POOL_BLOCK_BYTES, "the state of a connection is one block");

static inline struct http2 *http2_of(const struct conn *c)
{
	return c->state;
}

static inline bool is_server_side(const struct conn *c, unsigned dir)
{
	return c->client >= 0 && dir != (unsigned)c->client;
}

/**
 * h2_block_feed() - the next bytes of a header block, which is described by the block_ fields of direction @dir
 * @is_last: it is complete, and acts on its stream
 *
 * Return: false when the table is lost: header blocks of this direction cannot be read any more.
 */
bool h2_block_feed(struct conn *c, unsigned dir, struct span bytes, bool is_last);
/* h2_block_drop() - forget the block being read */
void h2_block_drop(struct conn *c, struct h2_direction *d);
/* h2_hpack_drop() - forget the table; the next block begins with another one */
void h2_hpack_drop(struct conn *c, struct h2_direction *d);
