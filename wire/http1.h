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

#include "schema/exchange.h"

enum http1_kind { HTTP1_REQUEST, HTTP1_RESPONSE };

/* Where a value lies in its head [bytes]; from 0: it is not there (a head begins with its start line) */
struct http1_at {
	uint32_t from, len;
};

/* What a head says about the body that follows it (RFC 9112 6.3, before status and method are asked) */
enum http1_framing {
	HTTP1_UNFRAMED,   /* neither Content-Length nor Transfer-Encoding */
	HTTP1_LENGTH,     /* content_length */
	HTTP1_CHUNKED,    /* Transfer-Encoding ends in chunked */
	HTTP1_UNKNOWN_TE, /* Transfer-Encoding ends in something else */
	HTTP1_BAD_LENGTH, /* no number, or several that differ */
};

/* What one head says. */
struct http1_head {
	uint64_t content_length; /* when framing is HTTP1_LENGTH */
	uint64_t anomalies;      /* bits of enum anomaly */
	uint32_t bytes;          /* length of the head with its empty line */
	uint32_t method_len;     /* the method lies at the head's beginning; requests only */
	struct http1_at target;  /* requests only */
	struct http1_at host, content_type, trace_id, replay_of;
	uint16_t status;         /* responses: 0 when the status line has no number */
	uint8_t version;         /* 9, 10, 11; as struct message has it */
	uint8_t framing;         /* enum http1_framing */
	uint8_t trace_rank;      /* which header gave trace_id */
	bool has_upgrade;        /* Upgrade, or Connection: upgrade */
	bool has_close;          /* Connection: close */
	bool has_keep_alive;     /* Connection: keep-alive */
	bool is_head;            /* the method is HEAD */
	bool is_connect;         /* the method is CONNECT */
	bool is_watched;         /* a header of the watch list may be among them */
	bool is_cut;             /* only its beginning was parsed: what follows is unknown */
};

/*
 * Header names to look out for, by length and first letter: a head in which none of them can be
 * needs no second look. Names beyond 63 bytes always count as watched.
 */
struct http1_watch {
	uint32_t letters[64]; /* [name length]: bit (first letter & 31) */
};
void http1_watch_add(struct http1_watch *w, struct span name);

enum http1_step_kind {
	HTTP1_NEED_MORE,
	HTTP1_HEAD_PART, /* bytes of a head whose end is not in sight: keep them */
	HTTP1_HEAD,      /* bytes up to the end of a head; http1_begin_body() must follow */
	HTTP1_BODY,      /* octets of the body, de-chunked */
	HTTP1_FRAMING,   /* bytes of a chunk-size line, with its line end */
	HTTP1_TRAILER,   /* bytes of the trailer lines, without the final empty line */
	HTTP1_END,       /* the message is whole */
	HTTP1_BROKEN,    /* the message that began cannot be followed to its end (bad chunk, no head after all) */
	HTTP1_SKIPPED,   /* bytes that belong to no message that could be read */
	HTTP1_TUNNEL,    /* bytes behind a 101 or a 2xx to CONNECT */
};

struct http1_step {
	enum http1_step_kind kind;
	struct span bytes;  /* in what was fed, or a constant of the parser (the letters of a method) */
	bool is_begin;      /* HEAD_PART, HEAD: the first of its head */
	bool is_parsed;     /* HEAD: it lay in one piece, http1.head is filled */
	bool is_resynced;   /* HEAD_PART, HEAD: bytes before it were not understood */
	uint32_t behind;    /* is_begin: how many bytes before the byte after this step the head began */
};

/* One direction of a connection. Only http1.c looks inside, but for head. */
struct http1 {
	struct http1_head head;          /* of the message now being read */
	const struct http1_watch *watch; /* borrowed, may be NULL */
	uint64_t left;                   /* bytes of the body or chunk still to come */
	uint64_t chunk_size;             /* digits read so far */
	uint8_t kind;                    /* enum http1_kind */
	uint8_t state;                   /* enum http1_state, http1.c */
	uint8_t matched;                 /* searching: how much of a start line's beginning was seen */
	uint8_t method;                  /* searching: which method that may be */
	uint8_t tail[12];                /* last bytes of the start line, or those a search looks at */
	uint8_t tail_len;
	uint8_t lf_seen;                 /* where in a line end we are */
	uint32_t head_bytes;             /* of the head so far */
	bool is_resynced;
};

void http1_init(struct http1 *p, enum http1_kind kind, const struct http1_watch *watch);
/* http1_search() - what comes next may begin in the middle of a message: find the next start line */
void http1_search(struct http1 *p);
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

/* What a response answers; for requests all false. */
struct http1_asked {
	bool is_head;    /* HEAD: no body, whatever the head says */
	bool is_connect; /* CONNECT: 2xx opens a tunnel */
};

enum http1_follows {
	HTTP1_FOLLOWS_NOTHING, /* HTTP1_END comes next */
	HTTP1_FOLLOWS_BODY,
	HTTP1_FOLLOWS_CLOSE,   /* a body that ends with the connection */
	HTTP1_FOLLOWS_INTERIM, /* 1xx: another head follows for the same request */
	HTTP1_FOLLOWS_TUNNEL,  /* what follows is no HTTP/1 */
	HTTP1_FOLLOWS_UNKNOWN, /* no telling where the message ends: the next start line is searched */
};
/* http1_begin_body() - after HTTP1_HEAD: what p->head means for the bytes that follow (RFC 9112 6.3) */
enum http1_follows http1_begin_body(struct http1 *p, struct http1_asked asked);

enum http1_gap {
	HTTP1_GAP_BETWEEN, /* no message was being read; whole ones may be missing */
	HTTP1_GAP_BODY,    /* inside a body whose end is still known */
	HTTP1_GAP_END,     /* the body's missing rest: the message ends here */
	HTTP1_GAP_LOST,    /* the message cannot be followed further */
	HTTP1_GAP_TUNNEL,
};
/* http1_gap() - @len bytes are missing here */
enum http1_gap http1_gap(struct http1 *p, uint64_t len);
/*
 * http1_close() - this direction has ended. Return: true when that ends a message in order
 * (close-delimited); false when none was being read, or it is cut short (http1_is_inside()).
 */
bool http1_close(struct http1 *p);
/* http1_is_inside() - a message has begun and not ended */
bool http1_is_inside(const struct http1 *p);

/*
 * Recognition, for the first bytes of a direction: can this be the beginning of a message?
 * HTTP1_MAYBE asks for more bytes.
 */
enum http1_guess { HTTP1_NO, HTTP1_MAYBE, HTTP1_YES };
enum http1_guess http1_recognise(enum http1_kind kind, struct span bytes);

/* http1_span() - the value at @at of a head; ptr NULL when it is not there */
static inline struct span http1_span(struct span head, struct http1_at at)
{
	return at.from ? (struct span){head.ptr + at.from, at.len} : (struct span){0};
}
