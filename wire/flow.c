// SPDX-License-Identifier: Apache-2.0
#include "wire/flow.h"

#include "wire/flow_table.h"

/*
 * Theory of operation
 *
 * What becomes of a connection, in the places that wire/flow_table.c keeps. A packet moves its
 * connection to the end of its class only if that was not done for TOUCH_NS: most packets are spared it.
 * When a place is needed the classes give theirs up in order: closed connections, which linger only to
 * absorb late copies of their packets; connections without a byte, so that a flood of SYNs drowns
 * itself; those nobody understands; and at last those that carry messages.
 *
 *            SYN, or first byte                 byte                    nobody wants the bytes
 *   (free) ----------------------> HALF_OPEN --------> ACTIVE <--------------------------------> IGNORED
 *     ^                                |                 |                                          |
 *     |  CLOSED_LINGER_NS              v                 v  FIN both ways, RST                      v
 *     +--------------------------------------------- CLOSED <---------------------------------------+
 *
 * A RST is believed if its number fits (RFC 5961 in spirit), and carried out STREAM_CHECK_NS later:
 * bytes that crossed it are still delivered, and if its sender goes on sending, it was someone else's
 * and is forgotten; if he does so later still, what he sends is a connection joined midstream. The
 * same ports with another initial sequence number are a new connection.
 *
 * Connections with a hole or a pending reset wait in a list of their own, each looked at again after
 * STREAM_CHECK_NS.
 *
 * Calls out: conn_*() may ask for blocks (wire_block()), which may give up another connection. So
 * no list is walked across such a call with more than its head in hand.
 */

#define TOUCH_NS	 (100 * NS_PER_MS)
#define CLOSED_LINGER_NS (30 * NS_PER_S)
#define ROOM_SEARCH_MAX	 1024 /* connections looked at for one that holds blocks */
#define OVER_SEARCH_MAX	 64   /* at each end, for one of a pod that has more than its part */

static struct flow *flow_of_stream(struct stream *s)
{
	return CONTAINER_OF(s - s->dir, struct flow, streams[0]);
}

static void count(struct flow_table *t, enum counter which, uint64_t n)
{
	counter_add(t->wire->counters, which, n);
}

/* --- the stream's host --- */

static void give_data(struct stream *s, uint64_t offset, uint64_t acked, struct span bytes,
		      uint64_t ts_ns)
{
	struct conn *c = &flow_of_stream(s)->conn;

	c->first_seq[s->dir] = s->base;
	conn_data(c, s->dir, offset, acked, bytes, ts_ns);
}

static void give_gap(struct stream *s, uint64_t offset, uint64_t len, uint64_t ts_ns)
{
	conn_gap(&flow_of_stream(s)->conn, s->dir, offset, len, ts_ns);
}

static void give_overlap(struct stream *s)
{
	conn_overlap(&flow_of_stream(s)->conn, s->dir);
}

static void *take_block(struct stream *s)
{
	struct conn *c = &flow_of_stream(s)->conn;

	return wire_block(c->wire, c);
}

/* --- the end of a connection --- */

static void tell_end(struct flow *f, enum conn_end how, unsigned dir, uint64_t ts_ns)
{
	conn_end(&f->conn, dir, how, ts_ns);
}

static void account(struct flow_table *t, struct flow *f)
{
	count(t, f->has_bytes ? conn_kind(&f->conn) : COUNTER_CONNECTIONS_EMPTY, 1);
	counter_sub(t->wire->counters, COUNTER_CONNECTIONS_OPEN, 1);
}

/* the message layer is done with it; what remains absorbs late copies */
static void finish(struct flow_table *t, struct flow *f)
{
	account(t, f);
	conn_close(&f->conn);
	list_remove(&f->waiting);
	f->touched_ns = t->wire->now_ns;
	flow_set_class(t, f, FLOW_CLOSED);
}

/* end both directions with a reason other than FIN */
static void end_both(struct flow_table *t, struct flow *f, enum conn_end how, unsigned dir,
		     uint64_t ts_ns)
{
	for (unsigned d = 0; d < 2; d++) {
		if (how == CONN_END_EVICTED) /* it is given up for its memory: ask for none */
			stream_drop(&f->streams[d], &t->host, COUNTER_BYTES_DROPPED);
		else
			stream_finish(&f->streams[d], &t->host);
	}
	tell_end(f, how, dir, ts_ns);
	finish(t, f);
}

static void give_up(struct flow_table *t, struct flow *f)
{
	if (f->class != FLOW_CLOSED) {
		count(t, COUNTER_CONNECTIONS_EVICTED, 1);
		end_both(t, f, CONN_END_EVICTED, 0, t->wire->now_ns);
	}
	flow_forget(t, f);
}

/* a direction ends with its last byte; with both the connection is over */
static void check_fins(struct flow_table *t, struct flow *f, uint64_t ts_ns)
{
	unsigned ended = 0;

	for (unsigned d = 0; d < 2; d++) {
		struct stream *s = &f->streams[d];

		if (!stream_has_ended(s))
			continue;
		ended++;
		if (!s->was_end_told) {
			s->was_end_told = true;
			tell_end(f, CONN_END_FIN, d, ts_ns);
		}
	}
	if (ended == 2)
		finish(t, f);
}

/* --- a new connection --- */

static struct flow *take_place(struct flow_table *t, const struct flow_key *k, uint32_t hash)
{
	struct flow *f;

	for (unsigned which = 0; !(f = flow_place(t, k, hash)); which++) {
		struct flow *given = flow_oldest(t, (enum flow_class)which);

		if (given)
			give_up(t, given);
	}
	return f;
}

static uint64_t next_connection(struct wire *w, uint64_t ts_ns)
{
	w->connection_last = MAX(w->connection_last + 1, ts_ns);
	return w->connection_last;
}

static void set_end(struct conn *c, unsigned end, const uint8_t address[16], uint16_t port,
		    bool is_ipv4)
{
	memcpy(c->ends[end].address, address, 16);
	c->ends[end].port = port;
	c->ends[end].is_ipv4 = is_ipv4;
}

static struct flow *open_flow(struct flow_table *t, const struct flow_key *k, uint32_t hash,
			      unsigned dir, const struct packet *p, uint64_t ts_ns)
{
	struct flow *f = take_place(t, k, hash);

	f->touched_ns = t->wire->now_ns;
	f->conn.wire = t->wire;
	f->conn.id = next_connection(t->wire, ts_ns);
	f->conn.client = -1;
	f->conn.is_midstream = !(p->flags & PACKET_SYN);
	set_end(&f->conn, dir, p->src, p->src_port, p->is_ipv4);
	set_end(&f->conn, !dir, p->dst, p->dst_port, p->is_ipv4);
	if (p->flags & PACKET_SYN)
		f->conn.client = (int8_t)(p->flags & PACKET_ACK ? !dir : dir);
	count(t, COUNTER_CONNECTIONS_IN, 1);
	count(t, COUNTER_CONNECTIONS_OPEN, 1);
	conn_open(&f->conn, ts_ns);
	return f;
}

/* is @seq within what this direction sent, or may send next? */
static bool is_near(const struct stream *s, uint32_t seq)
{
	int64_t offset = stream_offset(s, seq);

	return offset >= -(int64_t)STREAM_WINDOW && offset <= (int64_t)s->next + STREAM_WINDOW;
}

/* a SYN with another number than this connection's began a new one on the same ports */
static bool is_other_syn(const struct flow *f, unsigned dir, const struct packet *p)
{
	const struct stream *s = &f->streams[dir], *other = &f->streams[!dir];

	if (s->has_base && p->seq + 1 == s->base)
		return false;
	if (!(p->flags & PACKET_ACK))
		return s->has_base;
	/* a SYN-ACK is ours if it answers our SYN, whatever its number */
	return other->has_base && !is_near(other, p->ack);
}

/* whoever reset a connection does not go on sending: then the RST was not his */
static bool is_reset_disproved(const struct flow *f, unsigned dir, const struct packet *p)
{
	return f->reset_ns && f->reset_dir == dir &&
	       stream_offset(&f->streams[dir], p->seq) >= (int64_t)f->streams[dir].next;
}

static bool is_reuse(const struct flow *f, unsigned dir, const struct packet *p)
{
	if (p->flags & PACKET_RST)
		return false;
	if (p->flags & PACKET_SYN)
		return is_other_syn(f, dir, p);
	if (f->class != FLOW_CLOSED || p->payload.len < 2 || !f->streams[dir].has_base)
		return false;
	return !is_near(&f->streams[dir], p->seq) || is_reset_disproved(f, dir, p);
}

/* is it worth a place in the table? A single 0 is what some keep-alive probes carry. */
static bool can_open(const struct packet *p)
{
	if (p->flags & PACKET_RST)
		return false;
	if (p->flags & PACKET_SYN)
		return true;
	return p->payload.len > 1 || (p->payload.len == 1 && p->payload.ptr[0] != 0) || p->missing;
}

/* --- a segment --- */

static void touch(struct flow_table *t, struct flow *f)
{
	uint64_t now_ns = t->wire->now_ns;

	if (LIKELY(now_ns - f->touched_ns < TOUCH_NS))
		return;
	f->touched_ns = now_ns;
	if (f->class != FLOW_CLOSED)
		flow_set_class(t, f, (enum flow_class)f->class);
}

/* may it still begin with another number? A second SYN-ACK, of another server behind the same address,
 * does not count once the first one was answered. */
static bool is_untouched(const struct stream *s)
{
	return s->next == 0 && !s->held.first && !s->has_acks;
}

/* what the segment's numbers tell about both streams; Return: conn_data()'s acked */
static uint64_t note_numbers(struct flow *f, unsigned dir, const struct packet *p)
{
	struct stream *s = &f->streams[dir], *other = &f->streams[!dir];
	bool is_syn = p->flags & PACKET_SYN;

	if (UNLIKELY(is_syn)) {
		if (!s->has_base || s->base == p->seq + 1 || is_untouched(s))
			stream_start(s, p->seq + 1, true);
		f->conn.client = (int8_t)(p->flags & PACKET_ACK ? !dir : dir);
	} else if (UNLIKELY(!s->has_base)) {
		stream_start(s, p->seq, false);
	}
	if (!(p->flags & PACKET_ACK))
		return UINT64_MAX;
	if (UNLIKELY(!other->has_base))
		stream_start(other, p->ack, false);
	return stream_ack(other, p->ack);
}

/* follow the bytes only, or again, as the message layer wants */
static void note_wants(struct flow_table *t, struct flow *f, unsigned dir)
{
	struct stream *s = &f->streams[dir];
	bool is_ignoring = !conn_wants_data(&f->conn, dir);

	if (LIKELY(is_ignoring == s->is_ignoring))
		return;
	if (is_ignoring)
		stream_drop(s, &t->host, COUNTER_BYTES_IGNORED);
	s->is_ignoring = is_ignoring;
	flow_set_class(t, f,
		       f->streams[0].is_ignoring && f->streams[1].is_ignoring ? FLOW_IGNORED
									      : FLOW_ACTIVE);
}

static enum counter feed(struct flow_table *t, struct flow *f, unsigned dir, const struct packet *p,
			 uint64_t acked, uint64_t ts_ns)
{
	struct stream *s = &f->streams[dir];
	const struct stream_segment seg = {
		.seq = p->seq + !!(p->flags & PACKET_SYN),
		.bytes = p->payload,
		.missing = p->missing,
		.acked = acked,
		.ts_ns = ts_ns,
		.now_ns = t->wire->now_ns,
	};

	if (UNLIKELY(!f->has_bytes)) {
		f->has_bytes = true;
		flow_set_class(t, f, FLOW_ACTIVE);
	}
	if (UNLIKELY(p->missing))
		f->conn.was_cut[dir] = true;
	note_wants(t, f, dir);
	if (LIKELY(stream_feed(s, &t->host, &seg) == STREAM_NEW))
		return COUNTER_PACKETS_DATA;
	if (p->payload.len == 1 && stream_offset(s, p->seq) + 1 == (int64_t)s->next)
		return COUNTER_PACKETS_CONTROL; /* a keep-alive probe (RFC 9293 3.8.4) */
	return COUNTER_PACKETS_DUPLICATE;
}

static void note_reset(struct flow_table *t, struct flow *f, unsigned dir, const struct packet *p,
		       uint64_t ts_ns)
{
	struct stream *s = &f->streams[dir];

	if (!s->has_base && !f->has_bytes) { /* the answer to a SYN */
		end_both(t, f, CONN_END_RST, dir, ts_ns);
		return;
	}
	if (f->reset_ns == 0 && (!s->has_base || stream_can_reset(s, p->seq))) {
		f->reset_ns = MAX(ts_ns, 1);
		f->reset_dir = (uint8_t)dir;
	}
}

static void doubt_reset(struct flow *f, unsigned dir, enum counter which)
{
	if (f->reset_ns && f->reset_dir == dir && which == COUNTER_PACKETS_DATA)
		f->reset_ns = 0;
}

static bool waits(const struct flow *f)
{
	return stream_waits(&f->streams[0]) || stream_waits(&f->streams[1]) || f->reset_ns;
}

static void begin_to_wait(struct flow_table *t, struct flow *f)
{
	if (!list_is_empty(&f->waiting))
		return;
	f->waiting_ns = t->wire->now_ns;
	list_append(&t->waiting, &f->waiting);
}

/* a segment of a connection that is over: a late copy, or the rest of what crossed its end */
static void absorb(struct flow_table *t, const struct flow *f, unsigned dir, const struct packet *p)
{
	const struct stream *s = &f->streams[dir];
	bool is_old = s->has_base && stream_offset(s, p->seq) < (int64_t)s->next;

	if (p->payload.len == 0) {
		count(t, COUNTER_PACKETS_CONTROL, 1);
		return;
	}
	count(t, is_old ? COUNTER_PACKETS_DUPLICATE : COUNTER_PACKETS_DATA, 1);
	count(t, is_old ? COUNTER_BYTES_DUPLICATE : COUNTER_BYTES_IGNORED, p->payload.len);
}

static void follow(struct flow_table *t, struct flow *f, unsigned dir, const struct packet *p,
		   uint64_t ts_ns)
{
	enum counter which = COUNTER_PACKETS_CONTROL;
	uint64_t acked;

	if (UNLIKELY(p->flags & PACKET_RST)) {
		count(t, which, 1);
		/* an error text (RFC 9293 3.5.3) */
		count(t, COUNTER_BYTES_IGNORED, p->payload.len);
		note_reset(t, f, dir, p, ts_ns);
	} else {
		acked = note_numbers(f, dir, p);
		if (UNLIKELY(f->streams[!dir].is_beginning && f->streams[!dir].has_acks))
			stream_begin(&f->streams[!dir], &t->host);
		if (p->payload.len || p->missing)
			which = feed(t, f, dir, p, acked, ts_ns);
		count(t, which, 1);
		if (UNLIKELY(p->flags & PACKET_FIN))
			stream_fin(&f->streams[dir],
				   p->seq + !!(p->flags & PACKET_SYN) +
					   (uint32_t)(p->payload.len + p->missing));
		doubt_reset(f, dir, which);
	}
	if (f->class == FLOW_CLOSED)
		return;
	if (UNLIKELY(stream_has_ended(&f->streams[0]) || stream_has_ended(&f->streams[1])))
		check_fins(t, f, ts_ns);
	if (UNLIKELY(waits(f)) && f->class != FLOW_CLOSED)
		begin_to_wait(t, f);
}

void flow_packet(struct flow_table *t, const struct packet *p, const struct wire_source *source,
		 uint64_t ts_ns)
{
	struct flow_key key;
	unsigned dir = flow_key_of(&key, p, source);
	uint32_t hash;
	struct flow *f = flow_find(t, &key, &hash);

	count(t, COUNTER_BYTES_IN, p->payload.len);
	pool_set_owner(t->wire->pool, source->share);
	t->wire->has_shares |= source->share != 0;
	if (UNLIKELY(f && is_reuse(f, dir, p))) {
		if (f->class != FLOW_CLOSED)
			end_both(t, f, CONN_END_REUSED, dir, ts_ns);
		flow_forget(t, f);
		f = NULL;
	}
	if (UNLIKELY(!f)) {
		if (!can_open(p)) {
			count(t, COUNTER_PACKETS_CONTROL, 1);
			count(t, COUNTER_BYTES_IGNORED, p->payload.len);
			return;
		}
		f = open_flow(t, &key, hash, dir, p, ts_ns);
		f->conn.netns = source->netns;
		f->conn.share = source->share;
	}
	touch(t, f);
	if (UNLIKELY(f->class == FLOW_CLOSED))
		absorb(t, f, dir, p);
	else
		follow(t, f, dir, p, ts_ns);
}

/* --- time --- */

static bool is_past(uint64_t since_ns, uint64_t wait_ns, uint64_t now_ns)
{
	return now_ns > since_ns && now_ns - since_ns >= wait_ns;
}

static void look_again(struct flow_table *t, struct flow *f, uint64_t now_ns)
{
	list_remove(&f->waiting);
	if (f->reset_ns && is_past(f->waiting_ns, STREAM_CHECK_NS, now_ns)) {
		end_both(t, f, CONN_END_RST, f->reset_dir, f->reset_ns);
		return;
	}
	stream_check(&f->streams[0], &t->host, now_ns);
	stream_check(&f->streams[1], &t->host, now_ns);
	check_fins(t, f, now_ns);
	if (f->class != FLOW_CLOSED && waits(f))
		begin_to_wait(t, f);
}

static void tick_waiting(struct flow_table *t, uint64_t now_ns)
{
	struct list *l;

	while ((l = list_first(&t->waiting))) {
		struct flow *f = CONTAINER_OF(l, struct flow, waiting);

		if (!is_past(f->waiting_ns, STREAM_CHECK_NS, now_ns))
			return;
		look_again(t, f, now_ns);
	}
}

static void tick_class(struct flow_table *t, enum flow_class which, uint64_t wait_ns,
		       uint64_t now_ns)
{
	struct flow *f;

	while ((f = flow_oldest(t, which)) && is_past(f->touched_ns, wait_ns, now_ns)) {
		if (which != FLOW_CLOSED)
			end_both(t, f, CONN_END_IDLE, 0, now_ns);
		flow_forget(t, f);
	}
}

void flow_tick(struct flow_table *t, uint64_t now_ns)
{
	tick_waiting(t, now_ns);
	tick_class(t, FLOW_CLOSED, CLOSED_LINGER_NS, now_ns);
	for (unsigned which = FLOW_HALF_OPEN; which < FLOW_CLASS_COUNT; which++)
		tick_class(t, (enum flow_class)which, t->wire->config.flow_timeout_ns, now_ns);
}

static void flush(struct flow_table *t, struct flow *f, uint64_t now_ns)
{
	if (f->class != FLOW_CLOSED)
		end_both(t, f, f->reset_ns ? CONN_END_RST : CONN_END_CAPTURE, f->reset_dir,
			 f->reset_ns ? f->reset_ns : now_ns);
	flow_forget(t, f);
}

void flow_flush(struct flow_table *t, uint64_t now_ns)
{
	for (unsigned which = 0; which < FLOW_CLASS_COUNT; which++) {
		struct flow *f;

		while ((f = flow_oldest(t, (enum flow_class)which)))
			flush(t, f, now_ns);
	}
}

/* By place, not along a list: ending one may give up another. */
void flow_flush_netns(struct flow_table *t, uint32_t netns, uint64_t now_ns)
{
	for (uint32_t i = 0; i < t->touched; i++)
		if (netns && t->flows[i].netns == netns && flow_is_used(&t->flows[i]))
			flush(t, &t->flows[i], now_ns);
}

/* --- memory --- */

struct flow_table *flow_table_new(struct wire *w)
{
	struct flow_table *t = flow_table_reserve(w, w->config.flows_max);

	if (!t)
		return NULL;
	t->host = (struct stream_host){
		.data = give_data,
		.gap = give_gap,
		.overlap = give_overlap,
		.take_block = take_block,
		.pool = w->pool,
		.counters = w->counters,
		.held_max = MIN((size_t)1 << 20, w->config.memory_max / 16),
	};
	return t;
}

static bool has_blocks(const struct flow *f)
{
	return f->conn.state || f->streams[0].held.first || f->streams[1].held.first;
}

/* The connections of who has more than his part of the memory go first: from the one that was silent
 * longest, for a while, then from the loudest, since that is where such a one is found. */
static struct flow *find_over(const struct wire *w, const struct conn *except)
{
	struct list *head = &w->flows->classes[FLOW_ACTIVE];
	struct list *at[2] = {head->next, head->prev};

	for (unsigned end = 0; end < 2; end++)
		for (unsigned n = 0; at[end] != head && n < OVER_SEARCH_MAX; n++) {
			struct flow *f = CONTAINER_OF(at[end], struct flow, link);

			at[end] = end ? at[end]->prev : at[end]->next;
			if (&f->conn != except && has_blocks(f) &&
			    pool_is_over(w->pool, f->conn.share))
				return f;
		}
	return NULL;
}

static struct flow *find_silent(const struct wire *w, const struct conn *except)
{
	struct list *head = &w->flows->classes[FLOW_ACTIVE], *l = head->next;

	for (unsigned n = 0; l != head && n < ROOM_SEARCH_MAX; n++, l = l->next) {
		struct flow *f = CONTAINER_OF(l, struct flow, link);

		if (&f->conn != except && has_blocks(f))
			return f;
	}
	return NULL;
}

bool wire_make_room(struct wire *w, const struct conn *except)
{
	struct flow *f = w->has_shares ? find_over(w, except) : NULL;

	if (!f)
		f = find_silent(w, except);
	if (f)
		give_up(w->flows, f);
	return f;
}

void *wire_block(struct wire *w, const struct conn *asking)
{
	void *block;

	while (!(block = pool_take(w->pool)))
		if (!wire_make_room(w, asking))
			return NULL;
	return block;
}
