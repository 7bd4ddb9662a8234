// SPDX-License-Identifier: Apache-2.0
/*
 * http2_turns.h - how far the request of a stream may go by now: message by message, its end, its cancellation
 *
 * For streams whose messages came in turns when they were recorded, and for those that the client gave up.
 * Reads no clock. Thread: replay.
 */
#pragma once

#include "replay/conversation.h"
#include "replay/item.h"
#include "schema/grpc.h"

/* Zero-initialise, then http2_turns_begin(). */
struct http2_turns {
	struct conversation talk;
	size_t allowed;	   /* bytes of the body that may be sent */
	bool may_end;	   /* END_STREAM, too */
	bool is_given_up;  /* the client cancels now, as it did */
	unsigned silences; /* time-outs since the server's last message */

	/* private to http2_turns.c */
	struct span body;
	struct grpc_walker walker;
	uint64_t begin_ns;
	uint64_t bytes, bytes_wanted; /* of the answer's body, where messages are not told apart */
	bool is_grpc, has_begun;
};

/* http2_turns_are_due() - @item has turns at all: its row was made by conversation_order() */
bool http2_turns_are_due(const struct item *item);
void http2_turns_begin(struct http2_turns *t, const struct item *item, struct span body,
		       const struct schedule_config *schedule);
/* http2_turns_heard() - the next bytes of the answer's body; an empty span: its head. Return: true when that was awaited */
bool http2_turns_heard(struct http2_turns *t, struct span bytes);
/**
 * http2_turns_go() - take the turns that are due
 * @now_ns: monotonic; the first call is the beginning
 * @wake_ns_out: when the next one is, 0 when it waits for something else
 *
 * Return: true when more may be sent than before, or is_given_up was set.
 */
bool http2_turns_go(struct http2_turns *t, uint64_t now_ns, uint64_t *wake_ns_out);
/*
 * http2_turns_late() - what is awaited did not come in time
 * Return: false when nothing of the server is awaited, or too often in vain: the stream is to end.
 */
bool http2_turns_late(struct http2_turns *t, uint64_t now_ns);
