// SPDX-License-Identifier: Apache-2.0
/* http2_answer.h - one HTTP/2 response, gathered field by field into the text form that is recorded */
#pragma once

#include "replay/answer.h"

/* Zero-initialised it is ready for http2_answer_begin(). */
struct http2_answer {
	struct answer base; /* message, status, bytes: as of HTTP/1; whole when is_whole */
	struct buf trailers;
	bool is_whole; /* END_STREAM came */
	bool is_in_trailers;
};

void http2_answer_begin(struct http2_answer *a, size_t body_max);
void http2_answer_fini(struct http2_answer *a);
/* http2_answer_begin_block() - HEADERS: the head, an interim one before it, or trailers */
void http2_answer_begin_block(struct http2_answer *a);
/* http2_answer_field() - Return: false when there are too many, or memory is short */
bool http2_answer_field(struct http2_answer *a, struct span name, struct span value) MUST_USE;
void http2_answer_end_block(struct http2_answer *a);
void http2_answer_data(struct http2_answer *a, struct span bytes);
/* http2_answer_end() - END_STREAM: message is filled in; its spans last as long as @a */
void http2_answer_end(struct http2_answer *a);
/*
 * http2_answer_leave() - it is not heard any further: message is filled in with what came
 * @is_all: that is all that was to come; else it is not complete
 */
void http2_answer_leave(struct http2_answer *a, bool is_all);

/*
 * grpc_status_of() - what grpc-status says, in the trailers or (trailers-only) in the head
 * Return: the status, or -1 where there is none.
 */
int grpc_status_of(const struct message *m);
