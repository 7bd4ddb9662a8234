// SPDX-License-Identifier: Apache-2.0
/*
 * content.h - the body of a message as people mean it: its content codings undone
 *
 * Tapes keep the octets of the wire; whoever shows, compares or searches a body decodes it here.
 */
#pragma once

#include "lib/buf.h"
#include "schema/exchange.h"

struct err;

#define CONTENT_CODINGS_MAX 4
#define CONTENT_BYTES_MAX   (8 << 20)
#define CONTENT_RATIO_MAX   200

/**
 * content_decode() - undo the codings that the message's Content-Encoding names (RFC 9110 8.4)
 * @out_body: set to the decoded octets: in *@room, or the message's own body if it is not encoded
 * @room:     the caller's; cleared and filled
 *
 * Return: how many codings were undone; or a negative errno with @out_body set to what was decoded
 * before the failure (maybe nothing): -ENOENT a coding that is not known (@out_body is then the body
 * as it was on the wire), -EBADMSG, -ENODATA (also for a body that was cut when recorded), -E2BIG.
 */
int content_decode(const struct message *m, struct buf *room, struct span *out_body,
		   struct err *e) MUST_USE;
/* content_peek() - likewise, but no more than the first @max octets: -E2BIG where there are more */
int content_peek(const struct message *m, size_t max, struct buf *room, struct span *out_body,
		 struct err *e) MUST_USE;
