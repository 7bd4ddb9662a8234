// SPDX-License-Identifier: Apache-2.0
/* client_websocket.h - a link on which a WebSocket conversation goes on (RFC 6455); for client.c and client_link.c */
#pragma once

#include "replay/client_link.h"

struct websocket_session; /* struct link::websocket: from the 101 to the end of the conversation */

/* websocket_wants() - @item is a handshake, and a 101 answers it */
bool websocket_wants(const struct item *item, const struct answer *answer);
/**
 * websocket_open() - the first flying item is answered by l->answer, a 101: the conversation begins
 *
 * Return: false when it cannot; the item has its result and the connection is lost.
 */
bool websocket_open(struct client *c, struct link *l);
/* websocket_close() - free the session; no session is fine */
void websocket_close(struct link *l);
/* websocket_take() - bytes of the server. Return: false when the connection is closed by that */
bool websocket_take(struct client *c, struct link *l, struct span bytes);
/* websocket_closed() - the target closed the connection, or (@error) broke it */
void websocket_closed(struct client *c, struct link *l, int error);
/* websocket_go() - say what is due, write what can be written */
void websocket_go(struct client *c, struct link *l);
/* websocket_give_up() - nothing that was awaited has come for the time of client_config.timeout_ns */
void websocket_give_up(struct client *c, struct link *l);
