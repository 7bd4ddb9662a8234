// SPDX-License-Identifier: Apache-2.0
/*
 * answer.h - one response out of a socket's bytes, read where it lies
 *
 * An answer that lies whole in what was received is never copied; one that comes in pieces is
 * gathered, up to a limit.
 */
#pragma once

#include "lib/buf.h"
#include "wire/http1.h"

enum answer_state {
	ANSWER_MORE,	/* not whole yet */
	ANSWER_DONE,	/* whole: message is filled in */
	ANSWER_GARBAGE, /* no HTTP/1: the connection is of no further use */
};

/* Zero-initialised it is ready for answer_begin(). */
struct answer {
	struct message message; /* of a whole answer: spans last until the next call */
	uint16_t status;
	bool ends_connection; /* nothing can follow on this connection */
	bool is_begun;	      /* answer_begin() was called, and the answer is not whole */
	bool has_head;
	bool is_cut; /* body longer than body_max: message.body is its beginning */
	/* HTTP/2: code of RST_STREAM (RFC 9113 7) that ended it; 0 otherwise */
	uint32_t h2_error;
	uint64_t bytes; /* received for this answer, interim ones included */

	/* we left where the recorded client did, or where the recording ended */
	bool is_left;

	/* of a WebSocket, when it is over; out_of_turn and what follows also of a gRPC stream */
	bool is_conversation;
	bool has_unsaid; /* the client had more to say when it ended */
	/* RFC 6455 7.4; 1006 when it ended without; 0: it did not end in time */
	uint16_t close_code;
	/* what came, uncompressed, as schema/child.h reads it; is_cut: not all of it */
	struct span children;
	uint64_t said; /* messages of the server */
	/* messages of the client that did not wait any longer for the server's before them */
	uint64_t out_of_turn;
	uint64_t awaited, had_come; /* at the first of those: messages of the server */

	/* private to answer.c */
	struct http1 parser;
	struct http1_asked asked;
	size_t body_max;
	struct span head, body; /* in the bytes being fed, or in the bufs below */
	struct buf head_kept, body_kept;
	bool is_head_kept, is_body_kept;
};

void answer_fini(struct answer *a);
/* answer_reset() - a new connection: whatever was being read is forgotten */
void answer_reset(struct answer *a);
/**
 * answer_begin() - the next bytes answer a request
 * @is_head:  it was HEAD
 * @body_max: keep so many bytes of the body, and count the others
 */
void answer_begin(struct answer *a, bool is_head, size_t body_max);
/* answer_feed() - bytes as received; *@in is moved past those that were taken. 1xx answers are passed over. */
enum answer_state answer_feed(struct answer *a, struct span *in) MUST_USE;
/* answer_leave() - it is not heard any further: message is filled in with what came, and is not complete */
void answer_leave(struct answer *a);
/* answer_close() - the target closed: ANSWER_DONE when that ends the answer in order, else ANSWER_MORE */
enum answer_state answer_close(struct answer *a) MUST_USE;
