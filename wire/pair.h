// SPDX-License-Identifier: Apache-2.0
/*
 * pair.h - which response answers which request on one connection, and what became of those without
 *
 * A struct pair is an exchange in the making; a connection's pairs stand in the order of their
 * requests. Each request that was counted as seen leaves as one exchange or is counted. Thread: capture.
 */
#pragma once

#include "schema/grpc.h"
#include "wire/children.h"
#include "wire/draft.h"

struct pair {
	/* wire::pending while its request is whole and no response has begun; wire::running then */
	struct list pending;
	struct list link; /* pairs::open */
	struct pairs *owner;
	struct draft request, response;
	uint64_t anomalies;
	uint64_t waits_since_ns;    /* orders wire::pending, and wire::running */
	uint64_t begun_ns;	    /* of a continuation: when its request began */
	uint64_t grpc_timeout_ns;   /* from grpc-timeout; 0 = none */
	struct grpc_walker grpc[2]; /* of the request, of the response */
	/* gRPC: first message of each side, until a second one makes it a stream */
	struct child first[2];
	void (*on_part)(struct pair *p); /* a part of it is about to be written; may be NULL */
	struct children children;	 /* WebSocket messages, server-sent events */
	struct events events;		 /* of a response that is an event stream */
	/* of each body: those of a gRPC message or an event that is not whole yet */
	uint64_t begun_bytes[2];
	uint16_t close_code; /* of a WebSocket; 0 otherwise */
	uint32_t stream;     /* HTTP/2; 0 otherwise */
	uint32_t h2_error;   /* code of RST_STREAM or GOAWAY */
	int16_t grpc_status; /* -1: none */
	uint8_t protocol;    /* enum protocol */
	uint32_t sequence;
	uint32_t rules; /* wire->redaction_rules when it began */
	uint8_t first_count;
	bool is_continuation; /* parts of it were handed out before: wire/part.h */
	bool is_told;	      /* handed out already; its late response is read and left out */
};

struct pairs {
	struct conn *c;
	struct list open;
	struct pair *asking;	/* whose request is being read; NULL: none */
	struct pair *answering; /* whose response is being read; NULL: none */
	uint64_t lost_from;	/* responses may be missing since this offset; UINT64_MAX: none */
	uint64_t lost_until;	/* ... and before this one */
	uint64_t asked_until;	/* the client's stream is known up to this offset */
	uint64_t acked_max;	/* bytes of the server's stream that the client acknowledged */
	uint8_t lost_why;	/* enum reason */
	/* enum reason: no response can come any more; REASON_NONE: it may */
	uint8_t ended;
	bool has_response_bytes; /* any byte of the server's direction was seen */
};

void pairs_init(struct pairs *ps, struct conn *c);

/**
 * pair_begin_request() - a request's start line was read
 * @d: what is known of it so far; moved into the pair, empty then
 *
 * Return: the pair, now ps->asking; NULL without memory (counted; @d is freed).
 */
struct pair *pair_begin_request(struct pairs *ps, struct draft *d);
/* pair_end_request() - ps->asking is over: whole, or (@is_whole false) as far as it could be followed */
void pair_end_request(struct pairs *ps, bool is_whole, uint64_t ts_ns);

/* pair_begin_response() - as above, for the response that begins at d->offset: ps->answering */
struct pair *pair_begin_response(struct pairs *ps, struct draft *d);
/* pair_skip_interim() - the head of ps->answering was a 1xx: its pair waits on */
void pair_skip_interim(struct pairs *ps);
void pair_end_response(struct pairs *ps, bool is_whole, enum reason why_not, uint64_t ts_ns);

/* pair_take() - ps->answering leaves its connection's queue, both messages over: the caller's now */
struct pair *pair_take(struct pairs *ps);
/* pair_leave() - a pair of pair_take()'s is handed out and forgotten */
void pair_leave(struct pair *p, enum outcome outcome, enum reason reason);
/**
 * pair_take_request() - the request that ps->answering answers goes on elsewhere: its pair is forgotten
 * @out: its draft, now the caller's; it stays counted as seen and open
 */
void pair_take_request(struct pairs *ps, struct draft *out);

/* pair_lost_responses() - responses may be missing between these offsets, because of GAP or PARSE_ERROR */
void pair_lost_responses(struct pairs *ps, uint64_t from, uint64_t until, enum reason why);
/* pair_passed() - the client's stream was read, or given up, up to @offset */
void pair_passed(struct pairs *ps, uint64_t offset);

/* pairs_end() - no response can come any more: requests that are whole leave now, others when they are over */
void pairs_end(struct pairs *ps, enum reason reason, uint64_t ts_ns);
/* pairs_close() - the connection is over: every pair leaves, for @reason unless pairs_end() gave one */
void pairs_close(struct pairs *ps, enum reason reason, uint64_t ts_ns);
/* pairs_tick() - requests of all connections of @w that waited longer than exchange_timeout */
void pairs_tick(struct wire *w, uint64_t now_ns);
