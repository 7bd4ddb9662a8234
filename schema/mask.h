// SPDX-License-Identifier: Apache-2.0
/* mask.h - text with its variable parts as {}, so that messages of one kind read the same. Thread:
 * any */
#pragma once

#include "lib/buf.h"

/**
 * mask_text() - append @text to @out, masked
 * @max: octets to append at most; what is longer ends there with "..."
 *
 * Numbers (dates, addresses, versions, lists of them), UUIDs, hexadecimal, tokens, mail addresses
 * and what stands in quotes become {}. White space and control characters become one blank.
 */
void mask_text(struct span text, size_t max, struct buf *out);
