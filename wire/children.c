// SPDX-License-Identifier: Apache-2.0
#include "wire/children.h"

#include "wire/internal.h"

#define COPY_BYTES 1024

void children_cut(struct children *all, struct conn *c)
{
	if (!all->is_cut)
		counter_add(c->wire->counters, COUNTER_CHILDREN_CUT, 1);
	all->is_cut = true;
}

/* Return: false when there was no room for all of it */
static bool append(struct children *all, struct conn *c, struct span bytes)
{
	for (;;) {
		bytes = span_from(bytes, chain_add(&all->row, c->wire->pool, bytes));
		if (LIKELY(bytes.len == 0))
			return true;
		if (!wire_make_room(c->wire, c))
			return false;
	}
}

static bool append_chain(struct children *all, struct conn *c, const struct chain *from, size_t len)
{
	uint8_t some[COPY_BYTES];

	for (size_t at = 0; at < len; at += sizeof(some)) {
		size_t n = MIN(sizeof(some), len - at);

		chain_copy(from, at, n, some);
		if (!append(all, c, span_of(some, n)))
			return false;
	}
	return true;
}

/* What is kept of a payload, wherever it stands. */
struct kept {
	const struct chain *chain; /* NULL: bytes */
	struct span bytes;
	size_t len;
};

static bool append_kept(struct children *all, struct conn *c, const struct kept *k, size_t len)
{
	return k->chain ? append_chain(all, c, k->chain, len)
			: append(all, c, span_of(k->bytes.ptr, len));
}

static void add(struct children *all, struct conn *c, const struct child *child,
		const struct kept *payload)
{
	size_t before = all->row.len, max = c->wire->config.body_max, room;
	struct child record = *child;
	uint8_t head[CHILD_HEAD_BYTES];

	all->count[child->is_from_server]++;
	counter_add(c->wire->counters, COUNTER_CHILDREN, 1);
	/* once one is missing none follows: compressed ones refer to those before */
	if (all->is_cut || before + sizeof(head) > max) {
		children_cut(all, c);
		return;
	}
	room = max - before - sizeof(head);
	record.payload = span_of(NULL, MIN(payload->len, room));
	record.is_cut |= record.payload.len < payload->len;
	child_encode_head(&record, head);
	if (!append(all, c, span_of(head, sizeof(head))) ||
	    !append_kept(all, c, payload, record.payload.len)) {
		chain_cut(&all->row, c->wire->pool, before);
		children_cut(all, c);
	}
	if (record.is_cut)
		children_cut(all, c);
}

void children_add(struct children *all, struct conn *c, const struct child *child,
		  const struct chain *payload)
{
	add(all, c, child, &(struct kept){.chain = payload, .len = payload->len});
}

void children_add_bytes(struct children *all, struct conn *c, const struct child *child,
			struct span payload)
{
	add(all, c, child, &(struct kept){.bytes = payload, .len = payload.len});
}

bool children_have_room(const struct children *all, const struct conn *c, size_t len)
{
	return all->row.len + CHILD_HEAD_BYTES + len <= c->wire->config.body_max;
}

void children_free(struct children *all, struct pool *p)
{
	chain_free(&all->row, p);
}

bool is_event_stream(struct span content_type)
{
	return span_istarts(content_type, SPAN_LIT("text/event-stream"));
}
