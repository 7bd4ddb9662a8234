// SPDX-License-Identifier: Apache-2.0
/* websocket.h - what every client of a WebSocket writes: its key, what must answer it, its frames */
#pragma once

#include "lib/buf.h"

#define WS_KEY_BYTES 24 /* in base64 */

/* ws_new_key() - 16 random bytes in base64. Return: false when there is no randomness. */
bool ws_new_key(char out[WS_KEY_BYTES + 1]);
/* ws_accept_of() - append what answers a Sec-WebSocket-Key; is_failed without memory */
void ws_accept_of(struct span key, struct buf *out);
/* ws_frame_new() - append a client's frame, masked afresh; @first: FIN, RSV and opcode; is_failed without memory or randomness */
void ws_frame_new(struct buf *out, uint8_t first, struct span payload);
