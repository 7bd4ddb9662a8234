// SPDX-License-Identifier: Apache-2.0
/* plain.h - text from the wire made safe for a terminal */
#pragma once

#include "lib/buf.h"

/*
 * plain_add() - @s on one line: what is no UTF-8 becomes \xNN, controls and invisible or reordering
 * code points \xNN or \u{NNNN}; what does not fit into @columns_max ends with an ellipsis
 *
 * Return: columns that were used, as lib/utf8.h counts them.
 */
size_t plain_add(struct buf *out, struct span s, size_t columns_max);
#define PLAIN_UNLIMITED SIZE_MAX
/* plain_add_lines() - the same, but line ends and tabs stay; each line begins with @prefix */
void plain_add_lines(struct buf *out, struct span s, const char *prefix);
/* plain_add_hex() - offset, 16 bytes in hex and as ASCII a line; each line begins with @prefix */
void plain_add_hex(struct buf *out, struct span s, const char *prefix);
/*
 * plain_add_json() - the same text with line breaks and indents between its values, which stay as
 * they are to the byte; escaped as plain_add() does
 *
 * Return: false, nothing added, when it is no one JSON object or array.
 */
bool plain_add_json(struct buf *out, struct span s, const char *prefix);
