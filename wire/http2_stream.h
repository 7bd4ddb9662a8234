// SPDX-License-Identifier: Apache-2.0
/*
 * http2_stream.h - the streams of one connection, each an exchange in the making
 *
 * Thread: capture.
 */
#pragma once

#include "wire/http2_head.h"
#include "wire/pair.h"

#define H2_SLOTS       64
#define H2_STREAMS_MAX 4096 /* open at once on a connection; the oldest makes room */

struct h2_stream {
	struct pair pair;	/* pair.owner: h2_streams::pairs; pair.link: open, by age */
	struct h2_stream *next; /* in its slot */
	uint32_t id;
	bool has_unknown_status; /* fields that are not known may hold the status */
};

struct h2_streams {
	struct pairs pairs; /* of this connection; only c, open and has_response_bytes are used */
	struct h2_stream *slots[H2_SLOTS];
	uint32_t count;
};

void h2_streams_init(struct h2_streams *s, struct conn *c);
struct h2_stream *h2_stream_find(const struct h2_streams *s, uint32_t id);
/* h2_stream_open() - a stream without messages. Return: NULL without memory (counted by the caller). */
struct h2_stream *h2_stream_open(struct h2_streams *s, uint32_t id);

/* h2_stream_has_begun() - has the head of its response, or of its request, been read? */
static inline bool h2_stream_has_begun(const struct h2_stream *x, bool is_response)
{
	return draft_has_begun(is_response ? &x->pair.response : &x->pair.request);
}

/* The messages of a stream; @head: what http2_block_head() made of @b, borrowed. */
void h2_stream_request(struct h2_streams *s, struct h2_stream *x, struct span head,
		       const struct http2_block *b, uint64_t ts_ns);
void h2_stream_response(struct h2_streams *s, struct h2_stream *x, struct span head,
			const struct http2_block *b, uint64_t ts_ns);
void h2_stream_trailers(struct h2_streams *s, struct h2_stream *x, bool is_response,
			const struct http2_block *b, uint64_t ts_ns);
void h2_stream_data(struct h2_stream *x, bool is_response, struct span bytes, uint64_t ts_ns);
/* h2_stream_missing() - @len bytes of the body were not captured */
void h2_stream_missing(struct h2_stream *x, bool is_response, uint64_t len);
/* h2_stream_end() - END_STREAM of one side; the stream is handed out and forgotten with the second */
void h2_stream_end(struct h2_streams *s, struct h2_stream *x, bool is_response, uint64_t ts_ns);
/* h2_stream_reset() - RST_STREAM with this error code (RFC 9113 7); the stream is gone afterwards */
void h2_stream_reset(struct h2_streams *s, struct h2_stream *x, bool is_by_server, uint32_t code,
		     uint64_t ts_ns);
/* h2_streams_refused() - GOAWAY: client's streams above @last are not answered any more */
void h2_streams_refused(struct h2_streams *s, uint32_t last, uint32_t code);
/* h2_streams_lost() - frames of one direction are missing: no message of it can be taken for whole */
void h2_streams_lost(struct h2_streams *s, bool is_response);
/* h2_streams_close() - every stream leaves, for @reason */
void h2_streams_close(struct h2_streams *s, enum reason reason);
