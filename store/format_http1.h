// SPDX-License-Identifier: Apache-2.0
/* format_http1.h - a recorded message as bytes of HTTP/1, for formats that know nothing else */
#pragma once

#include "lib/buf.h"
#include "schema/exchange.h"

/**
 * format_http1_write() - append the message
 *
 * HTTP/1 as it was recorded (schema/message.h). HTTP/2 as HTTP/1.1 would say it: :authority as
 * Host, other pseudo-header fields left out, a body without Content-Length or with trailers in one
 * chunk.
 */
void format_http1_write(const struct message *m, bool is_request, struct buf *out);
