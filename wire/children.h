// SPDX-License-Identifier: Apache-2.0
/*
 * children.h - what follows a response, kept with its pair: WebSocket messages, server-sent events
 *
 * At most body_max bytes of records are kept; what comes later is counted. Thread: capture.
 */
#pragma once

#include "schema/child.h"
#include "wire/conn.h"
#include "wire/sse.h"

struct children {
	struct chain row;  /* records, as schema/child.h reads them */
	uint32_t count[2]; /* seen, kept or not: by the client, by the server */
	bool is_cut;       /* not all of them are in the row, or not whole */
};

/**
 * children_add() - one more
 * @child:   its payload is not read
 * @payload: what is kept of the payload
 */
void children_add(struct children *all, struct conn *c, const struct child *child,
		  const struct chain *payload);
/* children_add_bytes() - the same, with the payload in one piece; borrowed */
void children_add_bytes(struct children *all, struct conn *c, const struct child *child, struct span payload);
/* children_have_room() - one more with a payload of @len bytes is kept whole */
bool children_have_room(const struct children *all, const struct conn *c, size_t len);
void children_free(struct children *all, struct pool *p);

/* The events of a response that is a text/event-stream: times and sizes; their bytes stand in its body. */
struct events {
	struct sse_walker walker;
	bool is_on;
};
/* is_event_stream() - the media type whose body is events */
bool is_event_stream(struct span content_type);
