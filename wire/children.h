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
void children_free(struct children *all, struct pool *p);

/* The events of a response that is a text/event-stream: times and sizes; their bytes stand in its body. */
struct events {
	struct sse_walker walker;
	uint64_t bytes; /* of the event being read */
	bool is_on;
};
/* is_event_stream() - the media type whose body is events */
bool is_event_stream(struct span content_type);
/* events_note() - the next bytes of the body */
void events_note(struct events *e, struct children *all, struct conn *c, struct span bytes,
		 uint64_t ts_ns);
