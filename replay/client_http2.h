// SPDX-License-Identifier: Apache-2.0
/* client_http2.h - a link that speaks HTTP/2 (RFC 9113, prior knowledge); for client.c and client_link.c */
#pragma once

#include "replay/client_link.h"

struct http2_session; /* struct link::http2: of an open connection */
struct http2_stream;  /* struct item::stream: of an item that was handed to the session */

/* http2_open() - the connection is made: preface, SETTINGS, and the items that already fly */
void http2_open(struct client *c, struct link *l);
/* http2_close() - free the session; items that fly are left without a stream. NULL session is fine. */
void http2_close(struct link *l);
/* http2_may_send() - those that were answered before @next was sent, when recorded, are answered now */
bool http2_may_send(const struct link *l, const struct item *next);
/* http2_send() - @item flies: its stream begins, or waits for the target's limit of streams */
void http2_send(struct client *c, struct link *l, struct item *item);
/* http2_event() - the socket of an open link is ready */
void http2_event(struct client *c, struct link *l, uint32_t events);
/* http2_go() - the time of a turn has come */
void http2_go(struct client *c, struct link *l);
/* http2_forget() - @item has its result: its stream is cancelled if it goes on */
void http2_forget(struct link *l, struct item *item);
/* http2_give_up() - @item flies for too long */
void http2_give_up(struct client *c, struct link *l, struct item *item);
