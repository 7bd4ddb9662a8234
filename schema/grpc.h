// SPDX-License-Identifier: Apache-2.0
/*
 * grpc.h - the messages inside a gRPC body (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md)
 *
 * Each message is a byte of compression, four of length and the message. Only counts here: the body is
 * kept as it is, and whoever shows it splits it with grpc_next().
 */
#pragma once

#include "lib/base.h"

struct buf;

#define GRPC_PREFIX_BYTES 5

/* Zero-initialised it stands at the beginning of a body. */
struct grpc_walker {
	uint64_t messages; /* that are whole */
	uint64_t left;	   /* of the message being read */
	uint32_t length;   /* of the message being read, or of the last one */
	uint8_t prefix[GRPC_PREFIX_BYTES];
	uint8_t prefix_bytes;
	bool is_inside;
	/* a byte of compression that is neither 0 nor 1, or a hole: counting has stopped */
	bool is_lost;
};

/*
 * grpc_walk() - up to the end of the next message; what is used up is taken from the beginning of @bytes
 * Return: true when a message ends here; false when @bytes are used up, or nothing can be counted any more.
 */
bool grpc_walk(struct grpc_walker *w, struct span *bytes);
/* grpc_skip() - @len bytes of the body are missing */
void grpc_skip(struct grpc_walker *w, uint64_t len);

struct grpc_message {
	struct span bytes; /* lies in the body; shorter than length where the body was cut */
	uint32_t length;
	bool is_compressed; /* by the coding that grpc-encoding names */
};
/* grpc_next() - take one message off the front of @body. Return: false at its end, or where it makes no sense. */
bool grpc_next(struct span *body, struct grpc_message *m);

/*
 * grpc_timeout_ns() - the value of grpc-timeout: at most 8 digits and a unit H M S m u n
 * Return: ns; 0 when it is none.
 */
uint64_t grpc_timeout_ns(struct span value);
/*
 * grpc_message_decode() - append the text of a grpc-message: its percent-encoding undone; what is no
 * %XX stays as it is
 */
void grpc_message_decode(struct span value, struct buf *out);
/* grpc_is_type() - a Content-Type that makes a message gRPC; gRPC-Web is none */
bool grpc_is_type(struct span content_type);
/* grpc_status_parse() - the value of grpc-status; GRPC_UNKNOWN when it is no number */
#define GRPC_UNKNOWN 2
unsigned grpc_status_parse(struct span value);
/* grpc_status_name() - "DEADLINE_EXCEEDED" for 4; NULL beyond the 17 that are defined */
const char *grpc_status_name(unsigned status);
