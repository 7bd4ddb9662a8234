// SPDX-License-Identifier: Apache-2.0
#include "wire/flow.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "wire/stream.h"

/*
 * Theory of operation
 *
 * A hash table with chaining over an array of places that is reserved once and touched as far as it
 * was ever filled. The key is both ends in a fixed order, so the two directions of a connection find
 * the same place, and its hash is seeded. Loopback addresses mean another host in each network
 * namespace: for them the namespace is part of the key; others are one connection wherever they are
 * captured, which makes the second copy of a packet a retransmission.
 *
 * Every place in use is in the list of its class, the one that was silent longest first (to within
 * TOUCH_NS, which spares moving it for each packet). When a place is needed the classes give theirs
 * up in order: closed connections, which linger only to absorb late copies of their packets;
 * connections without a byte, so that a flood of SYNs drowns itself; those nobody understands; and
 * at last those that carry messages.
 *
 *            SYN, or first byte                 byte                    nobody wants the bytes
 *   (free) ----------------------> HALF_OPEN --------> ACTIVE <--------------------------------> IGNORED
 *     ^                                |                 |                                          |
 *     |  CLOSED_LINGER_NS              v                 v  FIN both ways, RST                      v
 *     +--------------------------------------------- CLOSED <---------------------------------------+
 *
 * A RST is believed if its number fits (RFC 5961 in spirit), and carried out STREAM_CHECK_NS later:
 * bytes that crossed it are still delivered, and if its sender goes on sending, it was someone else's
 * and is forgotten; if he does so later still, what he sends is a connection joined midstream. The same ports with another initial sequence number are a new connection.
 *
 * Connections with a hole or a pending reset wait in a list of their own, each looked at again after
 * STREAM_CHECK_NS.
 *
 * Calls out: conn_*() may ask for blocks (wire_block()), which may give up another connection. So
 * no list is walked across such a call with more than its head in hand.
 */

#define TOUCH_NS         (100 * NS_PER_MS)
#define CLOSED_LINGER_NS (30 * NS_PER_S)
#define NO_FLOW          UINT32_MAX
#define ROOM_SEARCH_MAX  1024 /* connections looked at for one that holds blocks */

enum flow_class {
	FLOW_CLOSED,
	FLOW_HALF_OPEN,
	FLOW_IGNORED,
	FLOW_ACTIVE,
	FLOW_CLASS_COUNT
};

struct flow {
	struct conn conn;
	struct stream streams[2];
	struct list link;    /* flow_table::classes[class] */
	struct list waiting; /* flow_table::waiting; empty when it does not wait */
	uint64_t touched_ns; /* time of its newest packet, to within TOUCH_NS; when closed: since then */
	uint64_t waiting_ns; /* when it was put into the list */
	uint64_t reset_ns;   /* time of a RST that was believed but not yet carried out; 0 for none */
	uint32_t hash;
	uint32_t next;       /* index in the bucket's chain or of the next free place */
	uint32_t netns;
	uint8_t class;       /* enum flow_class */
	uint8_t reset_dir;
	bool has_bytes;
};

struct flow_table {
	struct wire *wire;
	struct flow *flows;
	uint32_t *buckets; /* index of the first flow, NO_FLOW for none */
	size_t memory_bytes;
	uint32_t bucket_mask;
	uint32_t flow_count;
	uint32_t touched; /* places ever used */
	uint32_t free;    /* first of the places that came back */
	struct list classes[FLOW_CLASS_COUNT];
	struct list waiting;
	struct stream_host host;
};

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
	conn_data(&flow_of_stream(s)->conn, s->dir, offset, acked, bytes, ts_ns);
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

/* --- the table --- */

/* Both ends in a fixed order. No padding: its bytes are hashed. */
struct flow_key {
	uint8_t address[2][16];
	uint16_t port[2];
	uint32_t netns;
};
_Static_assert(sizeof(struct flow_key) == 40, "padding would be hashed");

static bool is_loopback(const uint8_t a[16], bool is_ipv4)
{
	static const uint8_t one[16] = {[15] = 1};

	return is_ipv4 ? a[12] == 127 : memcmp(a, one, 16) == 0;
}

/* memcmp() of 16 bytes, without the call */
static int order_of(const uint8_t *a, const uint8_t *b)
{
	for (unsigned i = 0; i < 16; i += 8) {
		uint64_t x, y;

		memcpy(&x, a + i, 8);
		memcpy(&y, b + i, 8);
		if (x != y)
			return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
	}
	return 0;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "order_of() swaps");

/* Return: the packet's direction */
static unsigned make_key(struct flow_key *k, const struct packet *p, uint32_t netns)
{
	int order = order_of(p->src, p->dst);
	unsigned dir = order > 0 || (order == 0 && p->src_port > p->dst_port);

	memcpy(k->address[dir], p->src, 16);
	memcpy(k->address[!dir], p->dst, 16);
	k->port[dir] = p->src_port;
	k->port[!dir] = p->dst_port;
	k->netns = UNLIKELY(is_loopback(p->src, p->is_ipv4)) ? netns : 0;
	return dir;
}

static bool has_key(const struct flow *f, const struct flow_key *k)
{
	const struct conn_address *a = f->conn.ends;

	return f->netns == k->netns && a[0].port == k->port[0] && a[1].port == k->port[1] &&
	       memcmp(a[0].address, k->address[0], 16) == 0 &&
	       memcmp(a[1].address, k->address[1], 16) == 0;
}

static struct flow *find(const struct flow_table *t, const struct flow_key *k, uint32_t hash)
{
	for (uint32_t i = t->buckets[hash & t->bucket_mask]; i != NO_FLOW;) {
		struct flow *f = &t->flows[i];

		if (LIKELY(f->hash == hash && has_key(f, k)))
			return f;
		i = f->next;
	}
	return NULL;
}

static void set_class(struct flow_table *t, struct flow *f, enum flow_class class)
{
	list_remove(&f->link);
	list_append(&t->classes[class], &f->link);
	f->class = (uint8_t)class;
}

static struct flow *oldest(const struct flow_table *t, enum flow_class class)
{
	struct list *l = list_first(&t->classes[class]);

	return l ? CONTAINER_OF(l, struct flow, link) : NULL;
}

/* take it out of the table; its place is free */
static void forget(struct flow_table *t, struct flow *f)
{
	uint32_t index = (uint32_t)(f - t->flows);
	uint32_t *at = &t->buckets[f->hash & t->bucket_mask];

	while (*at != index)
		at = &t->flows[*at].next;
	*at = f->next;
	list_remove(&f->link);
	list_remove(&f->waiting);
	f->next = t->free;
	t->free = index;
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
	set_class(t, f, FLOW_CLOSED);
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
	forget(t, f);
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

static struct flow *take_place(struct flow_table *t)
{
	for (unsigned class = 0; t->free == NO_FLOW && t->touched == t->flow_count; class++) {
		struct flow *f = oldest(t, (enum flow_class)class);

		if (f)
			give_up(t, f);
	}
	if (t->free == NO_FLOW)
		return &t->flows[t->touched++];
	struct flow *f = &t->flows[t->free];

	t->free = f->next;
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

static struct flow *open_flow(struct flow_table *t, uint32_t hash, unsigned dir, uint32_t netns,
			      const struct packet *p, uint64_t ts_ns)
{
	struct flow *f = take_place(t);
	uint32_t *bucket = &t->buckets[hash & t->bucket_mask];

	*f = (struct flow){
		.conn = {.wire = t->wire,
			 .id = next_connection(t->wire, ts_ns),
			 .client = -1,
			 .is_midstream = !(p->flags & PACKET_SYN)},
		.touched_ns = t->wire->now_ns,
		.hash = hash,
		.netns = netns,
		.next = *bucket,
		.class = FLOW_HALF_OPEN,
	};
	set_end(&f->conn, dir, p->src, p->src_port, p->is_ipv4);
	set_end(&f->conn, !dir, p->dst, p->dst_port, p->is_ipv4);
	if (p->flags & PACKET_SYN)
		f->conn.client = (int8_t)(p->flags & PACKET_ACK ? !dir : dir);
	*bucket = (uint32_t)(f - t->flows);
	stream_init(&f->streams[0], 0);
	stream_init(&f->streams[1], 1);
	list_init(&f->waiting);
	list_append(&t->classes[FLOW_HALF_OPEN], &f->link);
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
		set_class(t, f, (enum flow_class)f->class);
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
	set_class(t, f, f->streams[0].is_ignoring && f->streams[1].is_ignoring ? FLOW_IGNORED
									      : FLOW_ACTIVE);
}

static enum counter feed(struct flow_table *t, struct flow *f, unsigned dir,
			 const struct packet *p, uint64_t acked, uint64_t ts_ns)
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
		set_class(t, f, FLOW_ACTIVE);
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
		count(t, COUNTER_BYTES_IGNORED, p->payload.len); /* an error text (RFC 9293 3.5.3) */
		note_reset(t, f, dir, p, ts_ns);
	} else {
		acked = note_numbers(f, dir, p);
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

void flow_packet(struct flow_table *t, const struct packet *p, uint32_t netns, uint64_t ts_ns)
{
	struct flow_key key;
	unsigned dir = make_key(&key, p, netns);
	uint32_t hash = (uint32_t)XXH3_64bits_withSeed(&key, sizeof(key), t->wire->config.hash_seed);
	struct flow *f = find(t, &key, hash);

	count(t, COUNTER_BYTES_IN, p->payload.len);
	if (UNLIKELY(f && is_reuse(f, dir, p))) {
		if (f->class != FLOW_CLOSED)
			end_both(t, f, CONN_END_REUSED, dir, ts_ns);
		forget(t, f);
		f = NULL;
	}
	if (UNLIKELY(!f)) {
		if (!can_open(p)) {
			count(t, COUNTER_PACKETS_CONTROL, 1);
			count(t, COUNTER_BYTES_IGNORED, p->payload.len);
			return;
		}
		f = open_flow(t, hash, dir, key.netns, p, ts_ns);
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

static void tick_class(struct flow_table *t, enum flow_class class, uint64_t wait_ns,
		       uint64_t now_ns)
{
	struct flow *f;

	while ((f = oldest(t, class)) && is_past(f->touched_ns, wait_ns, now_ns)) {
		if (class != FLOW_CLOSED)
			end_both(t, f, CONN_END_IDLE, 0, now_ns);
		forget(t, f);
	}
}

void flow_tick(struct flow_table *t, uint64_t now_ns)
{
	tick_waiting(t, now_ns);
	tick_class(t, FLOW_CLOSED, CLOSED_LINGER_NS, now_ns);
	for (unsigned class = FLOW_HALF_OPEN; class < FLOW_CLASS_COUNT; class++)
		tick_class(t, (enum flow_class)class, t->wire->config.flow_timeout_ns, now_ns);
}

void flow_flush(struct flow_table *t, uint64_t now_ns)
{
	for (unsigned class = 0; class < FLOW_CLASS_COUNT; class++) {
		struct flow *f;

		while ((f = oldest(t, (enum flow_class)class))) {
			if (f->class != FLOW_CLOSED)
				end_both(t, f, f->reset_ns ? CONN_END_RST : CONN_END_CAPTURE,
					 f->reset_dir, f->reset_ns ? f->reset_ns : now_ns);
			forget(t, f);
		}
	}
}

/* --- memory --- */

static uint32_t bucket_count(size_t flows_max)
{
	uint32_t n = 64;

	while (n < flows_max)
		n *= 2;
	return n;
}

size_t flow_bytes(size_t flows_max)
{
	return flows_max * sizeof(struct flow) + bucket_count(flows_max) * sizeof(uint32_t);
}

size_t flow_used_bytes(const struct flow_table *t)
{
	return t->touched * sizeof(struct flow) + (t->bucket_mask + (size_t)1) * sizeof(uint32_t);
}

static bool reserve(struct flow_table *t)
{
	void *memory = mmap(NULL, t->memory_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return false;
	t->flows = memory;
	t->buckets = (uint32_t *)(void *)(t->flows + t->flow_count);
	memset(t->buckets, 0xff, (t->bucket_mask + (size_t)1) * sizeof(uint32_t));
	return true;
}

struct flow_table *flow_table_new(struct wire *w)
{
	struct flow_table *t = calloc(1, sizeof(*t));
	size_t flows = MIN(w->config.flows_max, (size_t)NO_FLOW - 1);

	if (!t)
		return NULL;
	t->wire = w;
	t->flow_count = (uint32_t)flows;
	t->bucket_mask = bucket_count(flows) - 1;
	t->memory_bytes = flow_bytes(flows);
	t->free = NO_FLOW;
	for (unsigned class = 0; class < FLOW_CLASS_COUNT; class++)
		list_init(&t->classes[class]);
	list_init(&t->waiting);
	t->host = (struct stream_host){
		.data = give_data,
		.gap = give_gap,
		.overlap = give_overlap,
		.take_block = take_block,
		.pool = w->pool,
		.counters = w->counters,
		.held_max = MIN((size_t)1 << 20, w->config.memory_max / 16),
	};
	if (!reserve(t)) {
		free(t);
		return NULL;
	}
	return t;
}

void flow_table_free(struct flow_table *t)
{
	if (!t)
		return;
	(void)munmap(t->flows, t->memory_bytes);
	free(t);
}

static bool has_blocks(const struct flow *f)
{
	return f->conn.state || f->streams[0].held.first || f->streams[1].held.first;
}

bool wire_make_room(struct wire *w, const struct conn *except)
{
	struct list *head = &w->flows->classes[FLOW_ACTIVE], *l = head->next;

	for (unsigned n = 0; l != head && n < ROOM_SEARCH_MAX; n++, l = l->next) {
		struct flow *f = CONTAINER_OF(l, struct flow, link);

		if (&f->conn == except || !has_blocks(f))
			continue;
		give_up(w->flows, f);
		return true;
	}
	return false;
}

void *wire_block(struct wire *w, const struct conn *asking)
{
	void *block;

	while (!(block = pool_take(w->pool)))
		if (!wire_make_room(w, asking))
			return NULL;
	return block;
}
