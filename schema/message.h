// SPDX-License-Identifier: Apache-2.0
/* message.h - a recorded message as the bytes it was on the wire */
#pragma once

#include "lib/buf.h"
#include "schema/exchange.h"

/**
 * message_write() - append head, body and trailers, with the chunk lines as recorded
 *
 * Where the record ends early (cut body, gap, connection lost) the bytes end there too: nothing is
 * made up, except CRLF behind the bytes of a chunk, which the record does not keep.
 * Return: true when what was written is a whole message.
 */
bool message_write(const struct message *m, struct buf *out);
