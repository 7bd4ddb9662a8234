// SPDX-License-Identifier: Apache-2.0
/*
 * pack.h - the messages of an exchange as a few numbers and bytes in one piece, and back
 *
 * A pack leans on the columns of its row (times, sizes, target, flags): it holds what they do not
 * say. docs/tape.md has the layout.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "schema/exchange.h"

#define PACK_RAW_MAX	(256u << 20) /* octets of all messages of one exchange */
#define PACK_PREFIX_MAX 128	     /* of its numbers [bytes] */
#define PACK_TIMES_MAX	40	     /* of its times [bytes] */

/* Exchanges that hold the same bodies; 0: the pack holds the body itself. */
struct pack_elsewhere {
	uint64_t request, response; /* ids on the same tape */
};

/* --- writing --- */
/* pack_add_times() - append what the row says of the times; see @out->is_failed */
void pack_add_times(struct buf *out, const struct exchange *x);
/**
 * pack_add() - append an exchange to a block
 * @x:         x->id is set
 * @elsewhere: which bodies need not be packed
 * @prefixes, @raw: appended to; on failure as before
 *
 * Return: 0; -E2BIG more than PACK_RAW_MAX; -ENOMEM.
 */
int pack_add(const struct exchange *x, const struct pack_elsewhere *elsewhere, struct buf *prefixes,
	     struct buf *raw, struct err *e) MUST_USE;

/* --- reading --- */
/* A prefix that was read. */
struct pack {
	uint8_t form;
	struct pack_elsewhere elsewhere; /* before pack_meet(): less the exchange's own id */
	uint64_t raw_bytes;
	uint64_t request_head, response_head; /* lengths; 0 where the head says it */
	uint64_t request_framing, response_framing, request_trailers, response_trailers;
	uint64_t request_body, response_body; /* 0 before pack_meet() where the row says it */
	uint64_t children;
};
/* pack_take_times() - @times of the row into @x, of which start_ns is set. Return: 0, -EBADMSG. */
int pack_take_times(struct span times, struct exchange *x, uint64_t latency_ns) MUST_USE;
/* pack_take() - read one prefix off the front of @prefixes. Return: 0, -EBADMSG. */
int pack_take(struct span *prefixes, struct pack *p_out) MUST_USE;
/* pack_meet() - complete a prefix with what the row says: once */
void pack_meet(struct pack *p, const struct exchange *x);
/**
 * pack_messages() - set head, body, framing, trailers of both messages, and children
 * @raw:  as pack_add() made it
 * @x:    id, protocol, messages, method, target, flags and body_bytes are set, as from the row;
 *        bodies that lie elsewhere are left empty
 * @room: cleared and filled; the spans of @x point into it
 *
 * Return: 0; -EBADMSG; -ENOMEM.
 */
int pack_messages(const struct pack *p, struct span raw, struct exchange *x,
		  struct buf *room) MUST_USE;
/**
 * pack_open_old() - read the beginning of a pack of version 1: times and prefix, with pack_meet()
 * @payload, @is_compressed: what follows; borrowed from @blob
 *
 * Return: 0, or -EBADMSG with @x in any state.
 */
int pack_open_old(struct span blob, struct exchange *x, uint64_t latency_ns, struct pack *p_out,
		  struct span *payload, bool *is_compressed) MUST_USE;
