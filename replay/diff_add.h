// SPDX-License-Identifier: Apache-2.0
/* diff_add.h - how the files that compare put a difference into struct diff; for them alone */
#pragma once

#include "replay/diff.h"

/* diff_add() - a difference; values are cut to DIFF_VALUE_MAX. All spans are copied. */
void diff_add(struct diff *d, enum diff_kind kind, enum diff_change change, struct span where,
	      struct span recorded, struct span now);
/* diff_has_room() - the next one will be kept, not only counted: worth naming its place */
static inline bool diff_has_room(const struct diff *d)
{
	return d->kept < DIFF_ITEMS_MAX;
}
/*
 * diff_headers() - replay/header_diff.c; @has_body: bodies are compared, too
 * HTTP/2: fields of trailers are compared as if they stood in the head, for gRPC says its status in either.
 */
void diff_headers(struct diff *d, const struct ignore *rules, const struct exchange *recorded,
		  const struct message *now, bool has_body);
