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

/* A header block as lines, while it is decoded. Zero-initialised but for lines and max. */
struct http2_block {
	uint8_t *lines;   /* the caller's memory */
	size_t len, max;  /* bytes */
	bool has_unknown; /* some name or value is not known */
	bool has_bad;     /* CR, LF or NUL in a field (RFC 9113 8.2.1), kept as a blank; or a field without a name, left out */
	bool is_cut;      /* lines are full: what did not fit was left out */
};

/* http2_block_add() - one more field; a hpack_field_fn, @ctx is the struct http2_block */
void http2_block_add(void *ctx, const struct hpack_field *f);

/* What fields of gRPC a block has; spans point into where it was read, ptr NULL when absent. */
struct http2_grpc {
	struct span status, timeout;
};

/* What the pseudo-header fields of a block say; spans point into its lines, ptr NULL when absent. */
struct http2_pseudo {
	struct span method, path, authority, protocol;
	uint16_t status; /* 0 = none */
	bool has_any;
};
struct http2_pseudo http2_pseudo_read(struct span lines);

#define HTTP2_START_LINE_EXTRA 32 /* what a head is longer than its lines, at most */

/**
 * http2_head_build() - the head of a message from its block's lines
 * @watch: may be NULL
 * @out:   lines.len + HTTP2_START_LINE_EXTRA bytes; does not overlap @lines
 * @info:  what it says, as http1_head_parse() gives it: positions in @out; version 20
 * @grpc:  spans in @out
 *
 * Return: the head's length.
 */
size_t http2_head_build(enum http1_kind kind, struct span lines, const struct http2_pseudo *pseudo,
			const struct http1_watch *watch, uint8_t *out, struct http1_head *info,
			struct http2_grpc *grpc);
/* http2_trailers_read() - the lines of a trailer section; spans in @lines. Return: false: some are not known */
bool http2_trailers_read(struct span lines, struct http2_grpc *grpc);
/**
 * http2_head_read() - what a head made so says, when it was copied and changed since
 * @watch: may be NULL
 * @info:  positions in @head; version 20
 */
void http2_head_read(enum http1_kind kind, struct span head, const struct http1_watch *watch,
		     struct http1_head *info);
