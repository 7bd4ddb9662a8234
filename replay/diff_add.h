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
/* diff_contents() - bodies without codings, or messages: JSON by structure, anything else by bytes */
void diff_contents(struct diff *d, const struct ignore *rules, const struct message *a,
		   const struct message *b);
/* diff_texts() - replay/message_diff.c; the same of texts. @are_whole: nothing of them is missing */
void diff_texts(struct diff *d, const struct ignore *rules, struct span recorded, struct span now,
		bool are_whole);
/* diff_grpc() - replay/message_diff.c; the messages in two bodies of gRPC */
void diff_grpc(struct diff *d, const struct ignore *rules, const struct exchange *recorded,
	       const struct message *now);
/* diff_events() - replay/event_diff.c; the events in two bodies without codings */
void diff_events(struct diff *d, const struct ignore *rules, const struct message *recorded,
		 const struct message *now);
