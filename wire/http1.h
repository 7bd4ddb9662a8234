// SPDX-License-Identifier: Apache-2.0
/*
 * http1.h - HTTP/1 messages out of one direction's bytes, without I/O and without memory of its own
 *
 * The parser reads what passes by: it never refuses a message, it says what was odd about it
 * (anomalies) and finds the next message after bytes it does not understand. It holds no bytes:
 * what belongs to an unfinished head is handed out to be kept and is laid before it again whole.
 *
 *     struct http1 p;
 *     struct http1_step step;
 *     http1_init(&p, HTTP1_RESPONSE, NULL);
 *     while (in.len) {
 *             in = span_from(in, http1_next(&p, in, &step));
 *             switch (step.kind) {
 *             case HTTP1_NEED_MORE:                           // all of in is taken
 *             case HTTP1_HEAD_PART: keep(step.bytes); break;  // a head begins or goes on
 *             case HTTP1_HEAD:                                // step.bytes ends it
 *                     keep(step.bytes);
 *                     if (!step.is_parsed)                    // it came in parts
 *                             http1_parse(&p, all_that_was_kept);
 *                     http1_begin_body(&p, what_was_asked);   // p.head is filled
 *                     break;
 *             case HTTP1_BODY: ...; case HTTP1_FRAMING: ...; case HTTP1_TRAILER: ...;
 *             case HTTP1_END: ...                             // the message is whole
 *             case HTTP1_SKIPPED: ...                         // bytes of no message
 *             }
 *     }
 *     http1_close(&p, &step);                                 // at FIN: may end a message
 *
 * A message without a body gives HTTP1_END from http1_next() without taking a byte, so go on while
 * http1_has_more(&p) even when no bytes are left. Thread: any, one at a time.
 */
#pragma once

#include "wire/http1_head.h"

enum http1_step_kind {
	HTTP1_NEED_MORE,
	HTTP1_HEAD_PART, /* bytes of a head whose end is not in sight: keep them */
	HTTP1_HEAD,	 /* bytes up to the end of a head; http1_begin_body() must follow */
	HTTP1_BODY,	 /* octets of the body, de-chunked */
	HTTP1_FRAMING,	 /* bytes of a chunk-size line, with its line end */
	HTTP1_TRAILER,	 /* bytes of the trailer lines, without the final empty line */
	HTTP1_END,	 /* the message is whole */
	/* no sense in this: what began, if anything, is no message or cannot be followed */
	HTTP1_BROKEN,
	HTTP1_SKIPPED, /* bytes that belong to no message that could be read */
	HTTP1_TUNNEL,  /* bytes behind a 101 or a 2xx to CONNECT */
};

struct http1_step {
	enum http1_step_kind kind;
	struct span bytes; /* in what was fed, or in the parser, until its next call */
	/* is_begin: how many bytes before the first one taken in this step the head began */
	uint32_t behind;
	bool is_begin;	/* HEAD_PART, HEAD: the first of its head */
	bool is_parsed; /* HEAD: it lay in one piece, http1.head is filled */
	/* of a message found by searching, after bytes that were not understood */
	bool is_resynced;
};

#define HTTP1_TAIL_MAX 16

/* One direction of a connection. Callers read head and kind. */
struct http1 {
	struct http1_head head;		 /* of the message now being read */
	const struct http1_watch *watch; /* borrowed, may be NULL */
	uint64_t skipped;		 /* bytes before this message that were not understood */
	uint64_t left;			 /* bytes of the body or chunk still to come */
	uint32_t head_bytes;		 /* handed out of the head so far */
	/* enum http1_kind as given; HTTP1_ANY: each message says */
	uint8_t wanted;
	uint8_t kind;  /* enum http1_kind of the message now being read */
	uint8_t state; /* enum state, http1.c */
	uint8_t phase; /* within the state */
	uint8_t count; /* within the phase */
	/* of "HTTP" at the beginning of a line that may be of either kind */
	uint8_t http_letters;
	uint8_t line;	       /* enum line: where in a line of a head or of trailers */
	uint8_t start_version; /* of the start line just accepted */
	bool is_strict;	       /* the start line was found by searching */
	uint8_t tail_len;
	/* newest bytes of the start line, or of what is searched */
	uint8_t tail[HTTP1_TAIL_MAX];
};

/* http1_init() - @kind HTTP1_ANY: the first message tells, and http1_expect() fixes it */
void http1_init(struct http1 *p, enum http1_kind kind, const struct http1_watch *watch);
/* http1_expect() - this direction carries messages of @kind only; one that has begun is not touched */
void http1_expect(struct http1 *p, enum http1_kind kind);
/* http1_search() - what comes next may begin in the middle of a message: find the next start line */
void http1_search(struct http1 *p);
/*
 * http1_join() - the first bytes seen of a connection: a request line of any method may come at once,
 * otherwise as http1_search()
 */
void http1_join(struct http1 *p);
/**
 * http1_next() - take one step
 * @in:   the bytes that follow those taken so far; may be empty
 * @step: filled in; its spans last as long as @in
 *
 * Return: how many bytes of @in were taken.
 */
size_t http1_next(struct http1 *p, struct span in, struct http1_step *step) HOT;
/* http1_has_more() - http1_next() has something to say even without further bytes */
bool http1_has_more(const struct http1 *p);
/* http1_parse() - the head that came in parts, in one piece now; @is_cut when its end was not kept */
void http1_parse(struct http1 *p, struct span head, bool is_cut);
/* http1_has_start_line() - after HTTP1_HEAD_PART: what was handed out begins a message for certain */
bool http1_has_start_line(const struct http1 *p);

/* What a response answers; for requests all false. */
struct http1_asked {
	bool is_head;	 /* HEAD: no body, whatever the head says */
	bool is_connect; /* CONNECT: 2xx opens a tunnel */
};

enum http1_follows {
	HTTP1_FOLLOWS_NOTHING, /* HTTP1_END comes next */
	HTTP1_FOLLOWS_BODY,
	HTTP1_FOLLOWS_CLOSE,   /* a body that ends with the connection */
	HTTP1_FOLLOWS_INTERIM, /* 1xx: another head follows for the same request */
	HTTP1_FOLLOWS_TUNNEL,  /* what follows is no HTTP/1 */
	/* no telling where the message ends: the next start line is searched */
	HTTP1_FOLLOWS_UNKNOWN,
};
/* http1_begin_body() - after HTTP1_HEAD: what p->head means for the bytes that follow (RFC 9112 6.3) */
enum http1_follows http1_begin_body(struct http1 *p, struct http1_asked asked);

enum http1_gap {
	HTTP1_GAP_BETWEEN, /* no message was being read; whole ones may be missing */
	HTTP1_GAP_BODY,	   /* inside a body whose end is still known */
	HTTP1_GAP_END,	   /* the body's missing rest: the message ends here */
	HTTP1_GAP_LOST,	   /* the message cannot be followed further */
	HTTP1_GAP_TUNNEL,
};
/* http1_gap() - @len bytes are missing here */
enum http1_gap http1_gap(struct http1 *p, uint64_t len);
/*
 * http1_close() - this direction has ended. Return: true when that ends a message in order
 * (close-delimited); false when none was being read, or it is cut short (http1_is_inside()).
 */
bool http1_close(struct http1 *p);
/* http1_is_inside() - the start line of a message was read and its end was not */
bool http1_is_inside(const struct http1 *p);
