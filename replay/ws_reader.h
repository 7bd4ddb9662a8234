// SPDX-License-Identifier: Apache-2.0
/*
 * ws_reader.h - messages out of the bytes of a WebSocket's server: fragments joined, compression undone
 *
 * Bounded: of a message at most 16 MiB is kept. Hostile input: an error is told once and for good.
 */
#pragma once

#include "lib/buf.h"
#include "schema/child.h"
#include "schema/exchange.h"

struct ws_reader;

/* ws_reader_new() - @answer: the 101, borrowed for the call. Return: owned by the caller; NULL without memory. */
struct ws_reader *ws_reader_new(const struct message *answer) MUST_USE;
void ws_reader_free(struct ws_reader *r); /* accepts NULL */
AUTO_DEFINE(ws_reader, ws_reader_free)

enum ws_read {
	WS_READ_MORE,	 /* all bytes are used up */
	WS_READ_MESSAGE, /* *out is filled; its payload lasts until the next call */
	WS_READ_BROKEN,	 /* the server broke RFC 6455: ws_reader_why() */
};

/* ws_read() - the next whole message or control frame; what is used up is taken from the beginning of @bytes */
enum ws_read ws_read(struct ws_reader *r, struct span *bytes, struct child *out) MUST_USE;
const char *ws_reader_why(const struct ws_reader *r); /* a few words that last */
