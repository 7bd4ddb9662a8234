// SPDX-License-Identifier: Apache-2.0
/*
 * http2_head.h - the fields of an HTTP/2 header block as a head that reads like any other
 *
 *     GET /cart?id=7 HTTP/2          HTTP/2 200
 *     :scheme: http                  content-type: application/json
 *     :authority: cart.shop          ...
 *     user-agent: ...
 *
 * The start line is made of :method and :path (or :status); the other pseudo-header fields and all
 * fields follow in their order, one a line. What HPACK could not tell (wire/hpack.h) is said as it
 * is: `:unknown` in place of a name, `?` in place of a value under it. Thread: capture.
 */
#pragma once

#include "wire/hpack.h"
#include "wire/http1_head.h"

#define HTTP2_START_ROOM 1024 /* for the start line, before the lines */
#define HTTP2_METHOD_MAX 32   /* bytes kept of a method */
/* HTTP2_BLOCK_BYTES() - the memory that a block needs: room, lines that may have to move by the path's length, path */
#define HTTP2_BLOCK_BYTES(head_max) (HTTP2_START_ROOM + 2 * (head_max) + 64)

/* What fields of gRPC a block has. */
struct http2_grpc {
	int16_t status;	     /* -1: none */
	uint64_t timeout_ns; /* 0: none */
};

/* A header block on its way to a head. */
struct http2_block {
	uint8_t *lines;	  /* the caller's memory */
	size_t len, max;  /* bytes; max is for lines and path together */
	struct span path; /* behind the lines */
	const struct http1_watch *watch;
	/* what the lines say; positions in them, until http2_block_head() */
	struct http1_head info;
	struct http2_grpc grpc;
	uint8_t method[HTTP2_METHOD_MAX];
	uint8_t method_len;
	uint16_t status; /* 0: none */
	bool has_path, has_authority;
	bool has_pseudo;  /* any pseudo-header field */
	bool has_unknown; /* some name or value is not known */
	bool has_unknown_name;
	/* CR, LF or NUL in a field (RFC 9113 8.2.1), kept as a blank; or a field without a name, left out */
	bool has_bad;
	bool is_cut; /* what did not fit was left out */
};

/**
 * http2_block_begin() - nothing of it is known yet
 * @memory: HTTP2_BLOCK_BYTES(@head_max), borrowed as long as the block and its spans are used
 * @watch:  may be NULL; borrowed
 */
void http2_block_begin(struct http2_block *b, uint8_t *memory, size_t head_max,
		       const struct http1_watch *watch);
/* http2_block_add() - one more field; a hpack_field_fn, @ctx is the struct http2_block */
void http2_block_add(void *ctx, const struct hpack_field *f);
/* http2_block_add_lines() - fields as wire/hpack.h gave them, line behind line */
void http2_block_add_lines(struct http2_block *b, struct span lines);
/* http2_block_lines() - all fields but those of a start line: a trailer section */
static inline struct span http2_block_lines(const struct http2_block *b)
{
	return b->len ? span_of(b->lines, b->len) : (struct span){0};
}
/* http2_block_head() - the head of a message; b->info holds for it then, as http1_head_parse() gives it, version 20 */
struct span http2_block_head(struct http2_block *b, enum http1_kind kind);

/**
 * http2_head_read() - what a head made so says, when it was copied and changed since
 * @watch: may be NULL
 * @info:  positions in @head; version 20
 */
void http2_head_read(enum http1_kind kind, struct span head, const struct http1_watch *watch,
		     struct http1_head *info);
