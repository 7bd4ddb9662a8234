// SPDX-License-Identifier: Apache-2.0
/* fingerprint.h - what a failed exchange says of its error, with the variable parts removed.
 * Thread: any */
#pragma once

#include "lib/buf.h"
#include "schema/exchange.h"

#define FINGERPRINT_BYTES_MAX 160 /* a longer one ends with "..." */

/* Zero-initialised it is ready; reused from one exchange to the next. */
struct fingerprint_room {
	struct buf body, text;
};
void fingerprint_room_fini(struct fingerprint_room *room);

/**
 * fingerprint_of() - the shape of a failed exchange's error
 *
 * The grpc-message, else the body of the response without its content codings: JSON by its keys,
 * sorted, and its constant strings; markup by its text; text by its words (schema/mask.h). Equal
 * errors about different things have equal shapes. UTF-8, no control characters.
 *
 * Return: empty when it did not fail, or says nothing. Lives in @room until the next call. Without
 * memory what was found so far.
 */
struct span fingerprint_of(const struct exchange *x, struct fingerprint_room *room);
