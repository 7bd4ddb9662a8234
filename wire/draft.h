// SPDX-License-Identifier: Apache-2.0
/*
 * draft.h - a message while it is being read: what is kept of it, in pool blocks, within the limits
 *
 * Nothing here fails: what finds no room is left out, counted in the sizes and flagged. Thread: capture.
 */
#pragma once

#include "wire/conn.h"
#include "wire/http1_head.h"

struct draft {
	struct chain head, body, framing, trailers;
	uint64_t offset; /* of its first byte, in its direction */
	uint64_t acked;	 /* of the packet with its first byte, as conn_data() has it */
	uint64_t first_ns, last_ns;
	uint64_t body_bytes; /* seen, kept or not */
	/* enum message_flag; MESSAGE_PRESENT once its start line was read */
	uint32_t flags;
	bool has_plain_trailers; /* no name among the trailers is watched */
	bool is_over;		 /* nothing more comes of it */
	bool is_part;		 /* what came before was handed out already: wire/part.h */
	/* what its head says; offsets into head; all 0 until it was read */
	struct http1_head info;
};

/* draft_begin() - of one that is empty, or whose chains were given back; info is left as it is */
void draft_begin(struct draft *d, uint64_t offset, uint64_t acked, uint64_t ts_ns);
void draft_add_head(struct draft *d, struct conn *c, struct span bytes);
void draft_add_body(struct draft *d, struct conn *c, struct span bytes);
void draft_add_framing(struct draft *d, struct conn *c, struct span bytes);
void draft_add_trailer(struct draft *d, struct conn *c, struct span bytes);
/* draft_note_gap() - bytes are missing here: what is kept of the body ends at the first hole */
void draft_note_gap(struct draft *d);
/* draft_head() - the head in one piece: in its block, or copied to wire->scratch; lasts until the next call */
struct span draft_head(const struct draft *d, struct wire *w);
struct span draft_trailers(const struct draft *d, struct wire *w); /* likewise */
/* draft_move() - @from, whose head was not read yet, becomes @to, which is empty; @from is empty then */
static inline void draft_move(struct draft *to, struct draft *from)
{
	memcpy(to, from, offsetof(struct draft, info));
	from->head = from->body = from->framing = from->trailers = (struct chain){0};
	from->flags = 0;
}
static inline bool draft_has_begun(const struct draft *d)
{
	return d->flags & MESSAGE_PRESENT;
}
/* draft_free() - give all blocks back; the draft is then as if it had never begun */
void draft_free(struct draft *d, struct pool *p);
