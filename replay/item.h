// SPDX-License-Identifier: Apache-2.0
/*
 * item.h - one request on its way: made by the loader, sent by the client, judged, freed
 *
 * One piece of memory with everything it needs. Owned by one list at a time.
 */
#pragma once

#include "lib/list.h"
#include "schema/exchange.h"

struct item {
	struct list node;  /* load::ready, run::waiting, link::queue or link::flying */
	struct item *next; /* load::returned */
	struct list timer; /* client::flying: by time of start */
	struct list turn;  /* client::turns: by wake_ns, while a conversation waits for its time */
	uint64_t wake_ns;  /* monotonic */
	const struct exchange *recorded; /* behind this struct; its request has no messages */
	struct span bytes;		 /* the request as it is sent; behind this struct */
	/* HTTP/2: bytes are head, body and lines of trailers; 0 for HTTP/1 */
	size_t head_bytes, body_bytes;
	struct http2_stream *stream; /* HTTP/2: client_http2.c's, while it flies */
	size_t memory_bytes;	     /* of all of it: what load_release() gives back */
	uint64_t due_ns;	     /* from the beginning of the run */
	uint32_t link;		     /* index into plan.links */
	uint32_t loop;		     /* from 0 */
	uint8_t skip;		     /* enum skip: pass it to the report, do not send it */
	bool is_counted;	     /* the plan counts it among its link's exchanges */
	uint8_t tries;		     /* times it was sent again */
	bool is_safe;		     /* may be sent again when a reused connection turns out dead */
	bool is_head;		     /* HEAD: the answer has no body */
	bool is_pipelined;	     /* recorded before the answer to the one before it */
	/* HTTP/1: leave when so much of the body has come, as the client did; 0: stay */
	uint64_t leave_bytes;
	bool is_redacted; /* a tag stands in it in the place of a credential */
	/* its framing can be read in two ways: nothing else goes on its connection */
	bool is_ambiguous;
	/* due while its connection waited for an answer, or concurrency was reached */
	bool was_blocked;
	/* monotonic; its turn came: connecting or sending began. Of a conversation: it went on */
	uint64_t started_ns;
	uint64_t sent_ns; /* monotonic; first byte given to the kernel; 0: none was */
	/* monotonic; last byte of the answer received, or given up; of a WebSocket, the 101 */
	uint64_t done_ns;
};

static inline struct item *item_of(struct list *node)
{
	return CONTAINER_OF(node, struct item, node);
}
