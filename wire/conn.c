// SPDX-License-Identifier: Apache-2.0
#include "wire/conn.h"

#include "wire/h2find.h"
#include "wire/http1_conn.h"
#include "wire/http2.h"
#include "wire/internal.h"
#include "wire/pair.h"
#include "wire/part.h"

/*
 * Theory of operation
 *
 * A table of protocols, asked in order about the first bytes of a connection; the first that says yes
 * has it. While one still says maybe (the HTTP/2 preface in pieces of one byte), the bytes are held in
 * the connection's one block of state: at most CONN_GUESS_MAX in each direction. Nearly always the first
 * byte decides, and nothing is held.
 *
 * TLS is recognised and left alone: its bytes are not wanted and the connection is counted under its
 * kind. HTTP/1 comes last and takes all that is left, because its parsers must find out anyway: when
 * they do not, the connection becomes conn_protocol_other.
 *
 * A connection that was joined midstream may be HTTP/2 at any byte. As long as nothing else was understood
 * there, its first JOIN_SEARCH_MAX bytes are searched for a chain of frames (wire/h2find.h).
 */

/* RFC 8446 5.1: type, 3, version; a handshake comes first, but joined midstream any record may */
static enum conn_guess recognise_tls(const struct conn *c, struct span first)
{
	uint8_t lowest = c->is_midstream ? 0x14 : 0x16, highest = c->is_midstream ? 0x18 : 0x16;

	if (first.ptr[0] < lowest || first.ptr[0] > highest)
		return CONN_NO;
	if (first.len < 3)
		return first.len < 2 || first.ptr[1] == 3 ? CONN_MAYBE : CONN_NO;
	return first.ptr[1] == 3 && first.ptr[2] <= 4 ? CONN_YES : CONN_NO;
}

static const struct conn_protocol protocol_tls = {
	.name = "tls",
	.kind = COUNTER_CONNECTIONS_TLS,
	.recognise = recognise_tls,
};

const struct conn_protocol conn_protocol_other = {
	.name = "other",
	.kind = COUNTER_CONNECTIONS_OTHER,
};

static const struct conn_protocol *const protocols[] = {
	&protocol_tls,
	&http2_conn_protocol,
	&http1_conn_protocol,
};

#define JOIN_SEARCH_MAX (64 << 10)

/* First bytes of both directions while it is not decided; c->state until then. */
struct guess {
	struct held {
		uint64_t offset, acked, ts_ns;
		size_t len;
		uint8_t bytes[CONN_GUESS_MAX];
	} held[2];
};
_Static_assert(sizeof(struct guess) <= POOL_BLOCK_BYTES, "a guess is one block");

static void free_state(struct conn *c)
{
	pool_give(c->wire->pool, c->state);
	c->state = NULL;
}

static void stop_search(struct conn *c)
{
	for (unsigned dir = 0; dir < 2; dir++) {
		pool_give(c->wire->pool, c->finders[dir]);
		c->finders[dir] = NULL;
	}
}

void conn_become(struct conn *c, const struct conn_protocol *to)
{
	const struct conn_protocol *from = c->protocol;

	if (from && from->close)
		from->close(c);
	free_state(c);
	c->protocol = to;
	if (!to->open)
		return;
	c->state = wire_block(c->wire, c);
	if (!c->state) {
		c->protocol = &conn_protocol_other;
		return;
	}
	memset(c->state, 0, POOL_BLOCK_BYTES);
	to->open(c);
}

void conn_open(struct conn *c, uint64_t ts_ns)
{
	(void)ts_ns;
	c->protocol = NULL;
	c->state = NULL;
	c->sequence = 0;
	c->searched = 0;
	c->finders[0] = c->finders[1] = NULL;
}

/* the protocol that these first bytes speak; NULL: more are needed */
static const struct conn_protocol *recognise(const struct conn *c, struct span first)
{
	for (size_t i = 0; i < COUNT_OF(protocols); i++) {
		enum conn_guess g = protocols[i]->recognise(c, first);

		if (g == CONN_YES)
			return protocols[i];
		if (g == CONN_MAYBE && first.len < CONN_GUESS_MAX)
			return NULL;
	}
	return &conn_protocol_other;
}

static void pass_on(struct conn *c, unsigned dir, const struct held *h)
{
	if (h->len && c->protocol->data)
		c->protocol->data(c, dir, h->offset, h->acked, span_of(h->bytes, h->len), h->ts_ns);
}

/* it is decided: what was held goes first, older bytes before younger ones */
static void decide(struct conn *c, const struct conn_protocol *protocol)
{
	struct guess held = {0};
	unsigned first;

	if (c->state)
		held = *(struct guess *)c->state;
	first = held.held[1].len && (!held.held[0].len || held.held[1].ts_ns < held.held[0].ts_ns);
	conn_become(c, protocol);
	pass_on(c, first, &held.held[first]);
	pass_on(c, !first, &held.held[!first]);
}

static struct held *held_in(struct conn *c, unsigned dir)
{
	struct guess *g = c->state;

	return g ? &g->held[dir] : NULL;
}

/* hold bytes until more have come; @bytes are few, or they would have told. Return: false without memory. */
static bool hold(struct conn *c, const struct held *what, unsigned dir)
{
	if (!c->state) {
		c->state = wire_block(c->wire, c);
		if (!c->state)
			return false;
		memset(c->state, 0, sizeof(struct guess));
	}
	*held_in(c, dir) = *what;
	return true;
}

/* Return: true when the bytes are dealt with; false: c->protocol is known now, give them to it */
static bool guess(struct conn *c, unsigned dir, uint64_t offset, uint64_t acked, struct span bytes,
		  uint64_t ts_ns)
{
	struct held h = {.offset = offset, .acked = acked, .ts_ns = ts_ns};
	const struct conn_protocol *protocol;
	size_t n;

	if (held_in(c, dir) && held_in(c, dir)->len)
		h = *held_in(c, dir);
	n = MIN(bytes.len, CONN_GUESS_MAX - h.len);
	memcpy(h.bytes + h.len, bytes.ptr, n);
	protocol = recognise(c, span_of(h.bytes, h.len + n));
	if (protocol) {
		decide(c, protocol);
		return false;
	}
	h.len += n;
	if (hold(c, &h, dir))
		return true;
	conn_become(c, &conn_protocol_other);
	return true;
}

/* is it unknown what is spoken, on a connection whose beginning was not seen? */
static bool may_be_joined(const struct conn *c)
{
	if (!c->is_midstream || c->searched >= JOIN_SEARCH_MAX)
		return false;
	return !c->protocol || c->protocol == &conn_protocol_other ||
	       (c->protocol == &http1_conn_protocol && !c->protocol->was_spoken(c));
}

static struct h2_finder *finder_of(struct conn *c, unsigned dir)
{
	if (!c->finders[dir]) {
		c->finders[dir] = wire_block(c->wire, c);
		if (c->finders[dir])
			memset(c->finders[dir], 0, sizeof(struct h2_finder));
	}
	return c->finders[dir];
}

/* Return: how many of @bytes are dealt with, because it is HTTP/2 and they were read; 0 while that is not certain */
static size_t try_to_join(struct conn *c, unsigned dir, uint64_t offset, struct span bytes,
			  uint64_t ts_ns)
{
	size_t n = MIN(bytes.len, (size_t)(JOIN_SEARCH_MAX - c->searched));
	struct span rest = {bytes.ptr, n};
	struct h2_finder *f;

	if (!may_be_joined(c)) {
		stop_search(c); /* something else is spoken, or it was searched for long enough */
		return 0;
	}
	if (offset == 0 && http2_conn_protocol.recognise(c, bytes) != CONN_NO)
		return 0;
	f = finder_of(c, dir);
	c->searched += (uint32_t)n;
	if (f && h2_find(f, offset, &rest, ts_ns, NULL, NULL)) {
		counter_add(c->wire->counters, COUNTER_CONNECTIONS_JOINED, 1);
		http2_join(c, dir);
		stop_search(c);
		return n - rest.len;
	}
	return 0;
}

void conn_data(struct conn *c, unsigned dir, uint64_t offset, uint64_t acked, struct span bytes,
	       uint64_t ts_ns)
{
	if (bytes.len == 0)
		return;
	if (UNLIKELY(c->is_midstream)) {
		size_t n = try_to_join(c, dir, offset, bytes, ts_ns);

		offset += n;
		bytes = span_from(bytes, n);
		if (bytes.len == 0)
			return;
	}
	if (!c->protocol && guess(c, dir, offset, acked, bytes, ts_ns))
		return;
	if (c->protocol->data)
		c->protocol->data(c, dir, offset, acked, bytes, ts_ns);
}

void conn_gap(struct conn *c, unsigned dir, uint64_t offset, uint64_t len, uint64_t ts_ns)
{
	/* nothing known yet: the offset of what comes next tells of the hole */
	if (!c->protocol && (!held_in(c, dir) || !held_in(c, dir)->len))
		return;
	if (!c->protocol)
		decide(c, &http1_conn_protocol);
	if (c->protocol->gap)
		c->protocol->gap(c, dir, offset, len, ts_ns);
}

void conn_end(struct conn *c, unsigned dir, enum conn_end how, uint64_t ts_ns)
{
	if (c->protocol && c->protocol->end)
		c->protocol->end(c, dir, how, ts_ns);
}

void conn_close(struct conn *c)
{
	if (c->protocol && c->protocol->close)
		c->protocol->close(c);
	free_state(c);
	stop_search(c);
	c->protocol = &conn_protocol_other;
}

void conn_overlap(struct conn *c, unsigned dir)
{
	if (c->protocol && c->protocol->overlap)
		c->protocol->overlap(c, dir);
}

void conn_tick(struct wire *w, uint64_t now_ns)
{
	pairs_tick(w, now_ns);
	parts_tick(w, now_ns);
}

bool conn_wants_data(const struct conn *c, unsigned dir)
{
	if (!c->protocol || may_be_joined(c))
		return true;
	if (c->protocol->wants_data)
		return c->protocol->wants_data(c, dir);
	return c->protocol->data != NULL;
}

enum counter conn_kind(const struct conn *c)
{
	if (!c->protocol || (c->protocol->was_spoken && !c->protocol->was_spoken(c)))
		return COUNTER_CONNECTIONS_OTHER;
	return c->protocol->kind;
}
