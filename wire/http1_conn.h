// SPDX-License-Identifier: Apache-2.0
/* http1_conn.h - HTTP/1 on one connection: both directions through their parsers into pairs. Thread: capture */
#pragma once

#include "wire/protocol.h"

extern const struct conn_protocol http1_conn_protocol;
/* behind a 101 or a 2xx to CONNECT: nothing more is understood (the door for WebSocket) */
extern const struct conn_protocol http1_tunnel_protocol;
