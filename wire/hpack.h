// SPDX-License-Identifier: Apache-2.0
/*
 * hpack.h - header blocks of one direction of an HTTP/2 connection (RFC 7541), joined midstream too
 *
 * A decoder for one who looks on: its memory is bounded, fields come as lines, and a connection whose
 * beginning was not seen is readable without ever guessing. Thread: capture.
 */
#pragma once

#include "lib/base.h"

struct hpack;

/*
 * One header field. The spans live until the function that it is given to returns. CR, LF and NUL, which no field may
 * contain (RFC 9113 8.2.1), are blanks.
 */
struct hpack_field {
	/* `name: value` with CRLF; `:unknown` for a name that is not known, `?` for a value */
	struct span line;
	struct span name;  /* in the line; empty when is_name_unknown */
	struct span value; /* in the line; empty when is_value_unknown */
	uint8_t mark;	   /* http2_name_find() of the name */
	/* its name stands in a part of the table that was sent before we joined */
	bool is_name_unknown;
	bool is_value_unknown; /* likewise its value */
	bool has_bad;	       /* CR, LF or NUL were in it */
	bool is_never_indexed; /* the sender asked not to keep it in any table (RFC 7541 7.1.3) */
};
typedef void hpack_field_fn(void *ctx, const struct hpack_field *f);

/**
 * hpack_new() - an inflater with an empty dynamic table
 * @memory_max: bytes the table and its bookkeeping may take; a peer that asks for more ends in -E2BIG
 *
 * Return: owned by the caller, free with hpack_free(); NULL when out of memory.
 */
struct hpack *hpack_new(size_t memory_max) MUST_USE;
void hpack_free(struct hpack *h); /* accepts NULL */

/**
 * hpack_join() - the connection was joined midstream: what the table holds is unknown
 *
 * Fills the table with entries that stand for "unknown", so that every index resolves; what the
 * peer adds from now on pushes them out exactly as it pushes out its own old entries.
 *
 * @level: 0 for a table of 4,096 bytes, the protocol's default; 1 and 2 for 16 and 64 KiB, after a
 *         block of a joined connection was -EBADMSG: its peer uses a larger table
 *
 * Return: 0; -ENOMEM, -E2BIG.
 */
#define HPACK_LEVEL_MAX 2
int hpack_join(struct hpack *h, unsigned level) MUST_USE;

/**
 * hpack_block() - the next bytes of a header block (a HEADERS or CONTINUATION payload, or a part of it)
 * @is_last: these bytes end the block
 * @fn:      called for each field
 *
 * Return: 0; -EBADMSG the block is damaged, or refers to what is not in the table: every later block
 * of this direction is lost (hpack_join() again to go on with unknowns); -E2BIG memory_max; -ENOMEM.
 */
int hpack_block(struct hpack *h, struct span bytes, bool is_last, hpack_field_fn *fn,
		void *ctx) MUST_USE;
/* hpack_unknown_entries() - entries of the table that still stand for "unknown" */
size_t hpack_unknown_entries(const struct hpack *h);
size_t hpack_memory_bytes(const struct hpack *h);
