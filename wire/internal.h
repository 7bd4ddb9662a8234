// SPDX-License-Identifier: Apache-2.0
/* internal.h - what struct wire holds; for the files of wire/ alone */
#pragma once

#include "wire/conn.h"

struct flow_table;
struct fragment_table;
struct redactor;

/* what decoders of headers, messages and events may take of memory_max, all together: one part in so many */
#define WIRE_DECODER_SHARE 8

#define WIRE_REDACTED_BYTES 4096 /* longer heads are walked twice */

struct wire {
	struct wire_config config;
	struct wire_sink sink;
	struct counters *counters;
	struct pool *pool;
	struct flow_table *flows;	  /* wire/flow.c */
	struct fragment_table *fragments; /* wire/fragment.c */
	struct redactor *redactor;	  /* wire/redact.c; NULL: nothing is redacted */
	/* counts wire_set_redaction(): heads read by older rules are looked at again */
	uint32_t redaction_rules;
	struct list pending; /* requests that wait, oldest first; wire/conn.c */
	/* responses under way, the one written longest ago first; wire/part.c */
	struct list running;
	bool has_shares;	  /* sources have shares: memory is divided among them */
	uint64_t now_ns;	  /* newest time seen */
	uint64_t tick_due_ns;	  /* packets' time at which wire_packet() ticks by itself */
	uint64_t connection_last; /* last conn.id given */
	/* head_max bytes: a head that spans blocks is parsed here */
	uint8_t *scratch;
	/* HTTP2_BLOCK_BYTES: a header block of HTTP/2 is decoded here */
	uint8_t *block;
	/* heads whose secrets were replaced; wire/emit.c */
	uint8_t redacted[2][WIRE_REDACTED_BYTES];
	/* that decoders have from malloc: http2.c, wsdecode.c, events.c */
	size_t decoder_bytes;
};

/**
 * wire_make_room() - give up the connection that was silent longest, to get blocks back
 * @except: the connection that asks; it is not given up
 *
 * wire/flow.c. Return: false when there is no other connection to give up.
 */
bool wire_make_room(struct wire *w, const struct conn *except);
/* wire_block() - a block from the pool, making room if need be; NULL when that failed too */
void *wire_block(struct wire *w, const struct conn *asking) MUST_USE;
/* wire/redact.c; accepts NULL. wire_set_redaction() makes w->redactor when there is none yet. */
void redactor_free(struct redactor *r);
