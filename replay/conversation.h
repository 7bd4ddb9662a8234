// SPDX-License-Identifier: Apache-2.0
/*
 * conversation.h - a recorded conversation as a script: what the client says, when, and after what
 *
 * A WebSocket, or a gRPC stream. Each of the client's messages has its turn: not before its time, and not
 * before as many messages of the server have come as had come when it was recorded. Reads no clock.
 */
#pragma once

#include "lib/buf.h"
#include "replay/plan.h"
#include "schema/child.h"

/**
 * conversation_read() - the children of a WebSocket as their readers had them
 * @row_out: appended, as schema/child.h reads it: uncompressed (is_compressed says that they were), without
 *           what a client does of its own accord (pongs, the answer to a close frame)
 *
 * Return: SKIP_NONE; SKIP_CUT or SKIP_GAP when a message of the client was not kept whole; SKIP_INCOMPLETE
 * when the row is damaged or memory is short.
 */
enum skip conversation_read(const struct exchange *x, struct buf *row_out);

enum turn_state {
	TURN_NOW,
	TURN_AWAITS_TIME,   /* at conversation.at_ns behind the beginning */
	TURN_AWAITS_SERVER, /* conversation.after messages of the server */
	TURN_LAST_WAS,	    /* the client has said all it had to say */
};

/* Zero-initialise, then conversation_begin(). It borrows the row. */
struct conversation {
	struct child next;		  /* the client's next word, when there is one */
	uint64_t at_ns;			  /* it is due, behind the beginning */
	uint64_t after;			  /* messages of the server that had come before it */
	uint64_t expected;		  /* messages of the server, in all */
	uint64_t come;			  /* of them, by now */
	uint64_t given_up;		  /* awaited in vain: they count as come */
	uint64_t out_of_turn;		  /* turns that did not wait any longer */
	uint64_t first_after, first_come; /* of the first of them: what it awaited, what had come */

	/* private to conversation.c */
	struct span rest;
	uint64_t passed, start_ns;
	struct schedule schedule;
	bool has_next;
};

/**
 * conversation_begin() - at the first turn
 * @row:       of conversation_read(), or the order of a gRPC stream's messages
 * @start_ns:  when the request was recorded
 * @schedule:  speed and longest silence; a speed of 0: turns wait for the server alone
 */
void conversation_begin(struct conversation *t, struct span row, uint64_t start_ns,
			const struct schedule_config *schedule);
/* conversation_ask() - what the next turn waits for, @since_ns after the beginning */
enum turn_state conversation_ask(const struct conversation *t, uint64_t since_ns);
/* conversation_next() - t->next was said: on to the one behind it */
void conversation_next(struct conversation *t);
/* conversation_came() - a message of the server */
static inline void conversation_came(struct conversation *t)
{
	t->come++;
}
/* conversation_give_up() - what the next turn awaits does not come in time: it is not awaited any longer */
void conversation_give_up(struct conversation *t);
/* conversation_is_heard() - every message of the server that was recorded has come, or was given up */
static inline bool conversation_is_heard(const struct conversation *t)
{
	return t->come + t->given_up >= t->expected;
}
/**
 * conversation_order() - of an HTTP/2 exchange: in which order both sides spoke, where that matters
 * @row_out: appended: the messages of a gRPC stream; the client's end, as a close; where it gave the call up, a close
 *           that is cut (and has a gap, when its request had no end). Nothing when the request just goes out whole.
 */
void conversation_order(const struct exchange *x, struct buf *row_out);
/* conversation_is_left() - the client did not stay for the end of the answer, or its end was not recorded */
bool conversation_is_left(const struct exchange *x);
/* conversation_count() - messages of the server in a row */
uint64_t conversation_count(struct span row);
/* conversation_is_end_unknown() - a recorded WebSocket of which the end was not seen, or not kept */
static inline bool conversation_is_end_unknown(const struct exchange *x)
{
	return x->close_code == 0 || x->outcome == OUTCOME_INCOMPLETE ||
	       (x->anomalies & ANOMALY_BIT(CHILDREN_CUT));
}
/* conversation_is_message() - a child that is part of the talk, not of its upkeep (ping, pong, close) */
static inline bool conversation_is_message(const struct child *c)
{
	return c->kind == CHILD_WS_TEXT || c->kind == CHILD_WS_BINARY || c->kind == CHILD_GRPC;
}
