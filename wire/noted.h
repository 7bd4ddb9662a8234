// SPDX-License-Identifier: Apache-2.0
/*
 * noted.h - the headers that say how long a body is or that an exchange carries as a field
 *
 * HTTP/1 and HTTP/2 recognise and read them here, so that both notice the same. Thread: any.
 */
#pragma once

#include "wire/http1_head.h"

enum noted {
	NOTED_NONE,
	NOTED_AUTHORITY, /* :authority of HTTP/2, which stands for Host */
	NOTED_B3,
	NOTED_B3_TRACE,
	NOTED_CONNECTION,
	NOTED_CONTENT_LENGTH,
	NOTED_CONTENT_TYPE,
	NOTED_HOST,
	NOTED_REPLAY,
	NOTED_REQUEST_ID,
	NOTED_TRACEPARENT,
	NOTED_TRANSFER_ENCODING,
	NOTED_COUNT
};

static inline bool noted_is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* noted_trim() - a value without what stands around it, line ends of folded lines included */
static inline struct span noted_trim(struct span s)
{
	while (s.len && noted_is_space(s.ptr[0]))
		s = (struct span){s.ptr + 1, s.len - 1};
	while (s.len && noted_is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

/* noted_name() - in lower case */
struct span noted_name(enum noted which);
/* noted_find() - which one a name is, in any case; NOTED_NONE for all others */
enum noted noted_find(struct span name);
/**
 * noted_read() - note in @h what a header says
 * @which: any but NOTED_NONE
 * @at:    where @value lies in the head; what is noted as a place lies there
 * @value: trimmed; line ends of folded lines count as blanks
 *
 * HTTP/2 has no use for Connection and Transfer-Encoding (RFC 9113 8.2.2): they are noted, and nobody asks.
 */
void noted_read(struct http1_head *h, enum noted which, struct http1_at at, struct span value);
/* noted_settle() - after the last header: Transfer-Encoding goes before Content-Length (RFC 9112 6.3 rule 3) */
void noted_settle(struct http1_head *h);
/* noted_has_token() - a comma-separated list holds @token (lower case), in any case */
bool noted_has_token(struct span list, const char *token);
