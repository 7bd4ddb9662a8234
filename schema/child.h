// SPDX-License-Identifier: Apache-2.0
/*
 * child.h - what follows a response on its connection: WebSocket messages, server-sent events; and in
 * which order the messages of a gRPC stream came
 *
 * The handshake (or the request for the stream) is the exchange; its children are kept with it as one
 * row of records, in the order in which they were complete.
 */
#pragma once

#include "lib/base.h"

enum child_kind {
	CHILD_WS_TEXT = 1, /* RFC 6455 opcodes; a fragmented message is one child */
	CHILD_WS_BINARY = 2,
	CHILD_SSE = 3, /* one server-sent event: its lines as they came, without the empty line */
	/* one message of a gRPC stream: time and size; its octets stand in the body */
	CHILD_GRPC = 4,
	CHILD_WS_CLOSE = 8,
	CHILD_WS_PING = 9,
	CHILD_WS_PONG = 10,
	CHILD_KIND_MAX = 15
};

struct child {
	uint64_t time_ns;    /* of its last byte */
	uint64_t bytes;	     /* its payload's true size on the wire, unmasked, still compressed */
	struct span payload; /* at most ws_message_max of it; points into the row */
	uint8_t kind;	     /* enum child_kind */
	bool is_from_server;
	bool is_compressed; /* permessage-deflate: payload is as it was on the wire */
	bool is_cut;	    /* payload holds the beginning only */
	bool has_gap;	    /* bytes of it are missing */
};

#define CHILD_HEAD_BYTES 24

/*
 * child_encode_head() - what stands before the payload of one record; the caller appends @c->payload,
 * of at most 4 GiB
 */
void child_encode_head(const struct child *c, uint8_t out[CHILD_HEAD_BYTES]);
/* child_next() - take one record off the front of @row. Return: 1 with *@c filled; 0 at the end; -EBADMSG damaged */
int child_next(struct span *row, struct child *c);

/* "text", "binary", "event", "message", "close", "ping", "pong"; "?" */
const char *child_kind_name(unsigned kind);
/* child_close_code() - of a close frame (RFC 6455 7.4); 1005 when it carries none */
unsigned child_close_code(const struct child *c);
/* child_close_name() - what a close code means, in a few words; NULL for one that is not registered */
const char *child_close_name(unsigned code);
