// SPDX-License-Identifier: Apache-2.0
/* websocket.h - a WebSocket conversation on one connection, kept with the handshake that opened it */
#pragma once

#include "wire/conn.h"

struct pair;

extern const struct conn_protocol websocket_conn_protocol;
/**
 * websocket_opened() - a 101 has answered `Upgrade: websocket`; call after conn_become()
 * @handshake: both messages are over; taken: it is handed out when the conversation ends
 */
void websocket_opened(struct conn *c, struct pair *handshake, uint64_t ts_ns);
