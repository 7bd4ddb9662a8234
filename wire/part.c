// SPDX-License-Identifier: Apache-2.0
#include "wire/part.h"

#include "wire/emit.h"
#include "wire/internal.h"

/*
 * Theory of operation
 *
 * Event streams, gRPC streams and WebSockets last for days; so may a download. What is under way stands in
 * wire->running, by the time when it was last written, so a tick looks at those that are due and no others:
 *
 *   response begins ---> running ---part_interval, or as many messages or bytes as a part has---> written, running
 *                           |                                                                     (and so on)
 *                           +---its end---> the last part: outcome and reason as always
 *
 * A part takes along what it has of the bodies and the children, up to the end of a message, for readers
 * split a body by its messages. What is left begins the next part. The beginning of a message that was not kept
 * (body_max) makes the rest of it unreadable: then the next part keeps nothing of that body and says that it was cut.
 *
 * Chunk lines belong to a body as a whole: only a first part has them.
 */

static struct draft *draft_of(struct pair *p, bool is_response)
{
	return is_response ? &p->response : &p->request;
}

static bool is_kept_to_the_end(const struct draft *d)
{
	return !(d->flags & (MESSAGE_BODY_CUT | MESSAGE_HAS_GAP));
}

/* how much of the body belongs to messages that are whole */
static size_t whole_bytes(struct pair *p, bool is_response)
{
	const struct draft *d = draft_of(p, is_response);
	uint64_t begun = p->begun_bytes[is_response];

	return is_kept_to_the_end(d) && begun <= d->body.len ? d->body.len - (size_t)begun
							     : d->body.len;
}

static bool has_news(struct pair *p)
{
	return !p->is_continuation || p->children.count[0] || p->children.count[1] ||
	       p->response.trailers.len || whole_bytes(p, false) || whole_bytes(p, true) ||
	       !is_kept_to_the_end(&p->response);
}

static enum outcome outcome_so_far(const struct pair *p)
{
	unsigned status = p->response.info.status;

	if (status == 0)
		return OUTCOME_INCOMPLETE; /* joined late: it is not known */
	if (status >= 500)
		return OUTCOME_SERVER_ERROR;
	return status >= 400 ? OUTCOME_CLIENT_ERROR : OUTCOME_OK;
}

/* What goes on of a message when its part was written; @tail begins its body. */
static void go_on(struct pair *p, bool is_response, struct chain tail, uint64_t ts_ns)
{
	struct draft *d = draft_of(p, is_response);
	bool is_torn = p->begun_bytes[is_response] != tail.len || p->grpc[is_response].is_lost;

	chain_free(&d->body, p->owner->c->wire->pool);
	chain_free(&d->framing, p->owner->c->wire->pool);
	chain_free(&d->trailers, p->owner->c->wire->pool);
	d->body = tail;
	d->body_bytes = tail.len;
	d->is_part = true;
	d->flags &= ~(uint32_t)(MESSAGE_BODY_CUT | MESSAGE_HAS_GAP | MESSAGE_CHUNKED);
	if (is_torn && p->protocol == PROTOCOL_GRPC && !d->is_over)
		d->flags |= MESSAGE_BODY_CUT;
	else if (is_torn)
		p->begun_bytes[is_response] = 0; /* what is left of an event counts as one */
	d->first_ns = d->last_ns = ts_ns;
}

/* A call with one message each way has no order worth a row, so the first of each side waits for a second. */
static void add_first_messages(struct pair *p)
{
	static const struct chain none;

	for (unsigned i = 0; i < p->first_count; i++)
		children_add(&p->children, p->owner->c, &p->first[i], &none);
	p->first_count = 0;
}

void part_write(struct pair *p, uint64_t ts_ns)
{
	struct wire *w = p->owner->c->wire;
	struct chain tails[2] = {{0}, {0}};

	if (p->on_part)
		p->on_part(p);
	add_first_messages(p);
	for (unsigned side = 0; side < 2; side++) {
		struct draft *d = draft_of(p, side);

		chain_split(&d->body, w->pool, whole_bytes(p, side), &tails[side]);
		d->body_bytes -= tails[side].len;
	}
	if (!p->is_continuation)
		p->begun_ns = p->request.first_ns;
	counter_add(w->counters, COUNTER_PARTS, draft_has_begun(&p->request));
	emit_pair(p, outcome_so_far(p), REASON_ONGOING);
	for (unsigned side = 0; side < 2; side++) {
		if (draft_has_begun(draft_of(p, side)))
			go_on(p, side, tails[side], ts_ns);
		p->grpc[side].messages = 0;
	}
	children_free(&p->children, w->pool);
	p->children = (struct children){0};
	p->is_continuation = true;
	part_watch(p, ts_ns);
}

/* --- when --- */

void part_watch(struct pair *p, uint64_t ts_ns)
{
	if (p->is_told)
		return;
	p->waits_since_ns = ts_ns;
	list_remove(&p->pending);
	list_append(&p->owner->c->wire->running, &p->pending);
}

static bool is_full(const struct pair *p)
{
	const struct conn *c = p->owner->c;

	if (p->is_told || !draft_has_begun(&p->response))
		return false;
	return p->children.count[0] + p->children.count[1] >= c->wire->config.part_messages ||
	       !children_have_room(&p->children, c, 0);
}

void part_write_full(struct pair *p, uint64_t ts_ns)
{
	if (UNLIKELY(is_full(p)))
		part_write(p, ts_ns);
}

/* --- what is said --- */

static void note_grpc(struct pair *p, bool is_response, uint64_t ts_ns)
{
	struct child c = {.kind = CHILD_GRPC,
			  .is_from_server = is_response,
			  .time_ns = ts_ns,
			  .bytes = p->grpc[is_response].length};
	static const struct chain none;

	if (p->grpc[is_response].messages == 1 && p->grpc[!is_response].messages <= 1 &&
	    !p->is_continuation) {
		p->first[p->first_count++] = c;
		return;
	}
	add_first_messages(p);
	children_add(&p->children, p->owner->c, &c, &none);
}

static void note_event(struct pair *p, uint64_t ts_ns)
{
	struct child c = {.kind = CHILD_SSE,
			  .is_from_server = true,
			  .time_ns = ts_ns,
			  .bytes = p->begun_bytes[1]};
	static const struct chain none;

	children_add(&p->children, p->owner->c, &c, &none);
}

static bool has_messages(const struct pair *p, bool is_response)
{
	return p->protocol == PROTOCOL_GRPC ? !p->grpc[is_response].is_lost
					    : is_response && p->events.is_on && !p->events.codec;
}

/* Up to the end of the next message in @bytes. Return: true when one ends there. */
static bool walk_message(struct pair *p, bool is_response, struct span *bytes)
{
	struct span piece;

	if (!has_messages(p, is_response)) {
		*bytes = (struct span){0};
		return false;
	}
	if (p->protocol != PROTOCOL_GRPC)
		return sse_walk(&p->events.walker, bytes, &piece);
	if (grpc_walk(&p->grpc[is_response], bytes))
		return true;
	*bytes = (struct span){0}; /* or it makes no sense any more */
	return false;
}

static void end_message(struct pair *p, bool is_response, uint64_t ts_ns)
{
	if (p->protocol == PROTOCOL_GRPC)
		note_grpc(p, is_response, ts_ns);
	else
		note_event(p, ts_ns);
	p->begun_bytes[is_response] = 0;
	part_write_full(p, ts_ns);
}

/* rather two parts than one that is cut: are there whole messages, and is there no room for @n bytes more? */
static bool is_overflowing(struct pair *p, bool is_response, size_t n)
{
	const struct draft *d = draft_of(p, is_response);

	if (d->body.len + n <= p->owner->c->wire->config.body_max || !has_messages(p, is_response))
		return false;
	return draft_has_begun(&p->response) && !p->is_told &&
	       (is_kept_to_the_end(d) ? whole_bytes(p, is_response) > 0
				      : p->begun_bytes[is_response] == 0);
}

void part_take_body(struct pair *p, bool is_response, struct span bytes, uint64_t ts_ns)
{
	struct conn *c = p->owner->c;
	struct draft *d = draft_of(p, is_response);

	if (UNLIKELY(is_response && p->events.codec)) {
		draft_add_body(d, c, bytes);
		events_decode(&p->events, &p->children, c, bytes, d->flags & MESSAGE_HAS_GAP,
			      ts_ns);
		part_write_full(p, ts_ns);
		return;
	}
	while (bytes.len) {
		struct span rest = bytes;
		bool is_end = walk_message(p, is_response, &rest);
		size_t n = bytes.len - rest.len;

		if (UNLIKELY(is_overflowing(p, is_response, n)))
			part_write(p, ts_ns);
		draft_add_body(d, c, span_of(bytes.ptr, n));
		p->begun_bytes[is_response] =
			has_messages(p, is_response) ? p->begun_bytes[is_response] + n : 0;
		if (is_end)
			end_message(p, is_response, ts_ns);
		bytes = rest;
	}
}

void parts_tick(struct wire *w, uint64_t now_ns)
{
	struct list *first;

	while (w->config.part_interval_ns && (first = list_first(&w->running))) {
		struct pair *p = CONTAINER_OF(first, struct pair, pending);

		if (p->waits_since_ns + w->config.part_interval_ns > now_ns)
			return;
		if (has_news(p))
			part_write(p, now_ns);
		else
			part_watch(p, now_ns);
	}
}
