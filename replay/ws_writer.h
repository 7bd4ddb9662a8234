// SPDX-License-Identifier: Apache-2.0
/* ws_writer.h - messages of a WebSocket's client as frames: masked, compressed where that was agreed on */
#pragma once

#include "replay/ws_handshake.h"
#include "schema/child.h"

struct ws_writer;

/* ws_writer_new() - Return: owned by the caller, free with ws_writer_free(); NULL when out of memory */
struct ws_writer *ws_writer_new(const struct ws_agreement *agreed) MUST_USE;
void ws_writer_free(struct ws_writer *w); /* accepts NULL */
AUTO_DEFINE(ws_writer, ws_writer_free)
/**
 * ws_write() - append one message as one frame, masked with fresh random bytes (RFC 6455 5.3)
 * @message: its kind and payload; compressed when it was recorded so (is_compressed) and that was agreed on
 * @out:     is_failed without memory or randomness
 */
void ws_write(struct ws_writer *w, const struct child *message, struct buf *out);
