// SPDX-License-Identifier: Apache-2.0
/*
 * http1_head.h - what the head of an HTTP/1 message says: start line, framing, the headers we name
 *
 * A reader that only looks on never refuses a head: what is odd becomes an anomaly. Thread: any.
 */
#pragma once

#include "schema/exchange.h"
#include "wire/http1_watch.h"

enum http1_kind { HTTP1_REQUEST, HTTP1_RESPONSE, HTTP1_ANY };

#define HTTP1_WATCHED_MAX 4 /* values noted of headers that a rule calls secret */

/* Where a value lies in its head [bytes]; from 0: it is not there (a head begins with its start line) */
struct http1_at {
	uint32_t from, len;
};

/* What a head says about the body that follows it (RFC 9112 6.3, before status and method are asked) */
enum http1_framing {
	HTTP1_UNFRAMED,	  /* neither Content-Length nor Transfer-Encoding */
	HTTP1_LENGTH,	  /* content_length */
	HTTP1_CHUNKED,	  /* Transfer-Encoding ends in chunked */
	HTTP1_UNKNOWN_TE, /* Transfer-Encoding ends in something else */
	HTTP1_BAD_LENGTH, /* no number, or several that differ */
};

/* What one head says. */
struct http1_head {
	uint64_t content_length; /* when framing is HTTP1_LENGTH */
	uint64_t anomalies;	 /* bits of enum anomaly */
	uint32_t bytes;		 /* length of the head with its empty line */
	uint32_t method_len;	 /* the method lies at the head's beginning; requests only */
	struct http1_at target;	 /* requests only */
	struct http1_at host, content_type, trace_id, replay_of;
	struct http1_at watched[HTTP1_WATCHED_MAX]; /* values of headers with a rule ... */
	uint8_t rules[HTTP1_WATCHED_MAX];	    /* ... and which one it is */
	uint16_t status;     /* responses: 0 when the status line has no number */
	uint8_t version;     /* 9, 10, 11; as struct message has it */
	uint8_t framing;     /* enum http1_framing */
	uint8_t trace_rank;  /* which header gave trace_id */
	bool has_close;	     /* Connection: close */
	bool has_keep_alive; /* Connection: keep-alive */
	bool has_length;     /* Content-Length, whatever it says */
	bool has_coding;     /* Transfer-Encoding, other than identity ... */
	bool is_chunked;     /* ... whose last one is chunked */
	bool is_head;	     /* the method is HEAD */
	bool is_connect;     /* the method is CONNECT */
	/* headers with a rule; one more than fit into watched: or more of them */
	uint8_t watched_count;
	bool is_watched; /* there is a header with a rule */
	bool is_cut;	 /* only its beginning was parsed: what follows is unknown */
};

/* http1_place() - where @part of @head lies */
static inline struct http1_at http1_place(struct span head, struct span part)
{
	return (struct http1_at){(uint32_t)(part.ptr - head.ptr), (uint32_t)part.len};
}

/* http1_span() - the value at @at of a head; ptr NULL when it is not there */
static inline struct span http1_span(struct span head, struct http1_at at)
{
	return at.from ? (struct span){head.ptr + at.from, at.len} : (struct span){0};
}

/**
 * http1_head_parse() - read a head
 * @in:     from the start line on
 * @is_cut: @in is all there is of a head whose end is missing
 * @watch:  may be NULL
 *
 * Return: its length with the empty line (@in.len when @is_cut), @out filled; 0 when the empty line
 * is not in @in or the first line is no start line: @out is then undefined.
 */
size_t http1_head_parse(enum http1_kind kind, struct span in, bool is_cut,
			const struct http1_watch *watch, struct http1_head *out) MUST_USE HOT;
