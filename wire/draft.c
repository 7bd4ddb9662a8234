// SPDX-License-Identifier: Apache-2.0
#include "wire/draft.h"

#include "wire/internal.h"

/*
 * Theory of operation
 *
 * Four chains of pool blocks. head_max limits head and trailers, body_max the body and, on its own,
 * the chunk-size lines (a hostile peer may send a line for every octet). When the pool is empty the
 * connection that was silent longest is given up; when that does not help either, the rest of the
 * message is left out as if the limit had been reached, and flagged the same way.
 */

void draft_begin(struct draft *d, uint64_t offset, uint64_t acked, uint64_t ts_ns)
{
	d->head = d->body = d->framing = d->trailers = (struct chain){0};
	d->offset = offset;
	d->acked = acked;
	d->first_ns = d->last_ns = ts_ns;
	d->body_bytes = 0;
	d->flags = 0;
	d->is_over = d->is_part = d->has_plain_trailers = false;
}

/* Return: false when not all of @bytes could be kept */
static bool keep(struct chain *chain, struct conn *c, struct span bytes, size_t max)
{
	size_t room = max - MIN(max, chain->len);
	struct span fits = {bytes.ptr, MIN(bytes.len, room)};

	for (;;) {
		fits = span_from(fits, chain_add(chain, c->wire->pool, fits));
		if (LIKELY(fits.len == 0))
			return bytes.len <= room;
		if (!wire_make_room(c->wire, c))
			return false;
	}
}

void draft_add_head(struct draft *d, struct conn *c, struct span bytes)
{
	if (!keep(&d->head, c, bytes, c->wire->config.head_max))
		d->flags |= MESSAGE_HEAD_CUT;
}

static void note_cut(struct draft *d, struct conn *c)
{
	if (!(d->flags & MESSAGE_BODY_CUT))
		counter_add(c->wire->counters, COUNTER_BODIES_CUT, 1);
	d->flags |= MESSAGE_BODY_CUT;
}

void draft_add_body(struct draft *d, struct conn *c, struct span bytes)
{
	d->body_bytes += bytes.len;
	if (d->flags & (MESSAGE_BODY_CUT | MESSAGE_HAS_GAP))
		return;
	if (!keep(&d->body, c, bytes, c->wire->config.body_max))
		note_cut(d, c);
}

void draft_add_framing(struct draft *d, struct conn *c, struct span bytes)
{
	if (d->is_part || (d->flags & (MESSAGE_BODY_CUT | MESSAGE_HAS_GAP)))
		return;
	if (!keep(&d->framing, c, bytes, c->wire->config.body_max))
		note_cut(d, c);
}

void draft_add_trailer(struct draft *d, struct conn *c, struct span bytes)
{
	if (!keep(&d->trailers, c, bytes, c->wire->config.head_max))
		d->flags |= MESSAGE_HEAD_CUT;
}

void draft_note_gap(struct draft *d)
{
	d->flags |= MESSAGE_HAS_GAP;
}

/* at most head_max bytes, which is the size of the scratch */
static struct span in_one_piece(const struct chain *chain, struct wire *w)
{
	struct span s = chain_span(chain);

	if (s.ptr || chain->len == 0)
		return s;
	chain_copy(chain, 0, chain->len, w->scratch);
	return span_of(w->scratch, chain->len);
}

struct span draft_head(const struct draft *d, struct wire *w)
{
	return in_one_piece(&d->head, w);
}

struct span draft_trailers(const struct draft *d, struct wire *w)
{
	return in_one_piece(&d->trailers, w);
}

void draft_free(struct draft *d, struct pool *p)
{
	chain_free(&d->head, p);
	chain_free(&d->body, p);
	chain_free(&d->framing, p);
	chain_free(&d->trailers, p);
	d->flags = 0;
}
