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

struct codec_stream;
struct children {
	struct chain row;  /* records, as schema/child.h reads them */
	uint32_t count[2]; /* seen, kept or not: by the client, by the server */
	bool is_cut;	   /* not all of them are in the row, or not whole */
};

/**
 * children_add() - one more
 * @child:   its payload is not read
 * @payload: what is kept of the payload
 */
void children_add(struct children *all, struct conn *c, const struct child *child,
		  const struct chain *payload);
/* children_add_bytes() - the same, with the payload in one piece; borrowed */
void children_add_bytes(struct children *all, struct conn *c, const struct child *child,
			struct span payload);
/* children_have_room() - one more with a payload of @len bytes is kept whole */
bool children_have_room(const struct children *all, const struct conn *c, size_t len);
/* children_cut() - some of them cannot be kept */
void children_cut(struct children *all, struct conn *c);
void children_free(struct children *all, struct pool *p);

/* The events of a response that is a text/event-stream: times and sizes; their bytes stand in its body. */
struct events {
	struct sse_walker walker;
	bool is_on;
	/* of a body with a content coding: events are kept decoded; NULL otherwise */
	struct codec_stream *codec;
	size_t codec_bytes;	      /* of wire->decoder_bytes */
	struct chain text;	      /* of the event being read, decoded */
	uint64_t text_bytes;	      /* of it, kept or not */
	uint64_t in_bytes, out_bytes; /* of the whole body */
};
/* events_begin() - the head of a response was read: do events follow? */
void events_begin(struct events *e, struct conn *c, struct span head, unsigned version,
		  struct span content_type);
/* events_decode() - the next bytes of a body with a content coding; @has_gap: some before them are missing */
void events_decode(struct events *e, struct children *all, struct conn *c, struct span bytes,
		   bool has_gap, uint64_t ts_ns);
/* events_free() - afterwards no events are looked for */
void events_free(struct events *e, struct wire *w);
/* is_event_stream() - the media type whose body is events */
bool is_event_stream(struct span content_type);
