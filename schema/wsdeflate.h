// SPDX-License-Identifier: Apache-2.0
/*
 * wsdeflate.h - WebSocket messages compressed by permessage-deflate (RFC 7692), read again
 *
 * A message may refer to the messages before it, so the children of an exchange are decoded in order
 * from the first. Once one is missing or cut, later ones of its direction may not be readable.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "schema/child.h"
#include "schema/exchange.h"

struct wsdeflate;

/**
 * wsdeflate_new() - for the conversation that this handshake opened
 *
 * Return: owned by the caller, free with wsdeflate_free(); NULL when out of memory.
 */
struct wsdeflate *wsdeflate_new(const struct exchange *handshake) MUST_USE;
void wsdeflate_free(struct wsdeflate *w); /* accepts NULL */
AUTO_DEFINE(wsdeflate, wsdeflate_free)

/**
 * wsdeflate_read() - the payload of the next child as its receiver read it
 * @c:        in the order in which child_next() gives them, none left out
 * @room:     the caller's; cleared and used
 * @text_out: in @room, or the child's own payload when it is not compressed
 *
 * Return: 0; -ENODATA it, or one that it refers to, was cut or has a gap (@text_out is what could be
 * read); -EBADMSG damaged; -E2BIG it grows beyond @bytes_max; -EOPNOTSUPP compressed though the
 * handshake did not agree on it; -ENOMEM.
 */
int wsdeflate_read(struct wsdeflate *w, const struct child *c, size_t bytes_max, struct buf *room,
		   struct span *text_out, struct err *e) MUST_USE;
