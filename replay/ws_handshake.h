// SPDX-License-Identifier: Apache-2.0
/* ws_handshake.h - open a WebSocket anew (RFC 6455 4): a key of our own, what we can do offered, the answer checked */
#pragma once

#include "lib/websocket.h"
#include "schema/exchange.h"

/* What was agreed on for this connection. */
struct ws_agreement {
	bool deflates;	       /* permessage-deflate (RFC 7692) */
	bool takes_no_context; /* the client's messages do not refer to those before them */
	uint8_t client_bits;   /* of the client's window: 8 to 15 */
};

/* ws_offer() - append what is left of a Sec-WebSocket-Extensions when only those that we speak are offered; maybe nothing */
void ws_offer(struct span value, struct buf *out);
/**
 * ws_check() - may the conversation begin?
 * @request: the head that was sent
 * @answer:  a 101
 * @out:     filled in
 *
 * Return: NULL; or what is wrong with it, in a few words that last.
 */
const char *ws_check(struct span request, const struct message *answer,
		     struct ws_agreement *out) MUST_USE;
