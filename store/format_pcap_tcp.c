// SPDX-License-Identifier: Apache-2.0
#include "store/format_pcap_tcp.h"

#include <stdlib.h>

#include "store/format_pcap_packet.h"

/*
 * Theory of operation (RFC 9293). Exchanges come in order of their beginnings, but overlap. So what
 * is sent becomes events in a heap, and an event becomes a packet when an exchange comes that
 * begins later. Only then sequence and acknowledgement numbers are known: each packet acknowledges
 * what stands before it in the file, as its sender had seen it.
 *
 * Times are those of the exchange: the first segment of a message at its first byte, the last at
 * its last, the others in between; one that took time has two segments at least. A pure
 * acknowledgement follows each message and every ACK_EVERY segments. Bytes that are not there (a
 * body that was cut, a gap) leave a hole in the numbers, as in a capture that missed them.
 *
 * A connection is known by its addresses; another one with the same addresses closes the one
 * before. When there are too many the one that was silent longest is closed, and would begin anew.
 * Addresses that are not known are taken from the blocks for documentation (RFC 5737, RFC 3849).
 */
#define ACK_EVERY 32 /* segments; far less than the window */

enum event_kind { EVENT_SYN, EVENT_DATA, EVENT_LOST, EVENT_END };

struct pcap_event {
	uint64_t time_ns, order;
	struct pcap_flow *flow;
	uint64_t lost; /* bytes */
	uint32_t len;
	uint8_t kind;		 /* enum event_kind */
	uint8_t ending;		 /* enum pcap_ending */
	bool is_server, is_last; /* is_last: of a message */
	uint8_t bytes[];
};

struct pcap_flow {
	struct pcap_flow *next;		   /* in its slot */
	struct pcap_flow *older, *younger; /* by last use */
	uint64_t connection;
	struct pcap_ends ends;
	bool is_closed, is_known; /* is_known: in the table */
	uint32_t seq[2];	  /* of the next byte of each side */
	uint64_t latest_ns[2];	  /* of what was sent by each side */
	uint32_t unacked[2];	  /* segments of a side that the other has not acknowledged alone */
	size_t pending, pending_ends; /* events; of these EVENT_END */
	struct pcap_notes notes;
};

struct pcap_notes *pcap_flow_notes(struct pcap_flow *f)
{
	return &f->notes;
}

/* one packet, and what it does to the numbers */
static void put_packet(struct pcap_tcp *t, struct pcap_flow *f, unsigned from, unsigned flags,
		       struct span payload, uint64_t time_ns, struct buf *out)
{
	const struct pcap_packet p = {&f->ends,	     from,    flags,  f->seq[from],
				      f->seq[!from], payload, time_ns};

	t->late_count += time_ns < t->written_ns;
	t->written_ns = MAX(t->written_ns, time_ns);
	pcap_packet_put(&p, out);
	f->seq[from] += (uint32_t)payload.len + (flags & (PCAP_SYN | PCAP_FIN) ? 1 : 0);
	if (flags & PCAP_ACK)
		f->unacked[!from] = 0;
}

/* --- the heap --- */

static bool is_before(const struct pcap_event *a, const struct pcap_event *b)
{
	return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->order < b->order;
}

static void push(struct pcap_tcp *t, struct pcap_event *e)
{
	size_t i = t->count;

	if (t->count == t->room) {
		size_t room = t->room ? t->room * 2 : 256;
		struct pcap_event **grown = realloc(t->heap, room * sizeof(*grown));

		if (!grown) {
			t->is_failed = true;
			free(e);
			return;
		}
		t->heap = grown;
		t->room = room;
	}
	t->count++;
	e->flow->pending++;
	e->flow->pending_ends += e->kind == EVENT_END;
	t->pending_bytes += sizeof(*e) + e->len;
	for (; i && is_before(e, t->heap[(i - 1) / 2]); i = (i - 1) / 2)
		t->heap[i] = t->heap[(i - 1) / 2];
	t->heap[i] = e;
}

/* the earliest; the caller frees it */
static struct pcap_event *pop(struct pcap_tcp *t)
{
	struct pcap_event *first = t->heap[0], *last = t->heap[--t->count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < t->count) {
		if (child + 1 < t->count && is_before(t->heap[child + 1], t->heap[child]))
			child++;
		if (!is_before(t->heap[child], last))
			break;
		t->heap[i] = t->heap[child];
		i = child;
	}
	t->heap[i] = last;
	first->flow->pending--;
	first->flow->pending_ends -= first->kind == EVENT_END;
	t->pending_bytes -= sizeof(*first) + first->len;
	return first;
}

static struct pcap_event *new_event(struct pcap_tcp *t, struct pcap_flow *f, enum event_kind kind,
				    bool is_server, uint64_t time_ns, struct span bytes)
{
	struct pcap_event *e = malloc(sizeof(*e) + bytes.len);

	if (!e) {
		t->is_failed = true;
		return NULL;
	}
	/* what one side sends comes in order, whatever the clock did; frames of streams overtake
	 * each other */
	if (!f->notes.is_http2)
		time_ns = MAX(time_ns, f->latest_ns[is_server]);
	f->latest_ns[is_server] = MAX(time_ns, f->latest_ns[is_server]);
	*e = (struct pcap_event){.time_ns = time_ns,
				 .order = t->order++,
				 .flow = f,
				 .kind = (uint8_t)kind,
				 .is_server = is_server,
				 .len = (uint32_t)bytes.len};
	if (bytes.len)
		memcpy(e->bytes, bytes.ptr, bytes.len);
	return e;
}

/* --- flows --- */

static uint64_t mix(uint64_t h)
{
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	return h ^ h >> 33;
}

static struct pcap_flow **slot_of(struct pcap_tcp *t, const struct pcap_flow *f)
{
	uint64_t h = (uint64_t)f->ends.port[0] << 16 | f->ends.port[1], word;

	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < 16; k += 8) {
			memcpy(&word, f->ends.address[i] + k, 8);
			h = mix(h ^ word);
		}
	return &t->flows[h % PCAP_FLOWS_MAX];
}

static void unlink_use(struct pcap_tcp *t, struct pcap_flow *f)
{
	*(f->older ? &f->older->younger : &t->oldest) = f->younger;
	*(f->younger ? &f->younger->older : &t->newest) = f->older;
	f->older = f->younger = NULL;
}

static void use(struct pcap_tcp *t, struct pcap_flow *f)
{
	f->older = t->newest;
	f->younger = NULL;
	*(t->newest ? &t->newest->younger : &t->oldest) = f;
	t->newest = f;
}

/* out of the table; what waits of it still comes */
static void forget(struct pcap_tcp *t, struct pcap_flow *f)
{
	struct pcap_flow **at = slot_of(t, f);

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	unlink_use(t, f);
	t->flow_count--;
	f->is_known = false;
	if (f->pending == 0)
		free(f);
}

static void put_close(struct pcap_tcp *t, struct pcap_flow *f, unsigned first, uint64_t time_ns,
		      struct buf *out)
{
	put_packet(t, f, first, PCAP_FIN | PCAP_ACK, (struct span){0}, time_ns, out);
	put_packet(t, f, !first, PCAP_FIN | PCAP_ACK, (struct span){0}, time_ns, out);
	put_packet(t, f, first, PCAP_ACK, (struct span){0}, time_ns, out);
}

static void put_ending(struct pcap_tcp *t, struct pcap_flow *f, enum pcap_ending how,
		       uint64_t time_ns, struct buf *out)
{
	if (f->is_closed)
		return;
	f->is_closed = true;
	switch (how) {
	case PCAP_OPEN: break;
	case PCAP_FIN_CLIENT:
	case PCAP_FIN_SERVER: put_close(t, f, how == PCAP_FIN_SERVER, time_ns, out); break;
	case PCAP_RST_CLIENT:
	case PCAP_RST_SERVER:
		put_packet(t, f, how == PCAP_RST_SERVER, PCAP_RST | PCAP_ACK, (struct span){0},
			   time_ns, out);
		break;
	}
}

/* --- events become packets --- */

static void put_handshake(struct pcap_tcp *t, struct pcap_flow *f, uint64_t time_ns,
			  struct buf *out)
{
	put_packet(t, f, 0, PCAP_SYN, (struct span){0}, time_ns, out);
	put_packet(t, f, 1, PCAP_SYN | PCAP_ACK, (struct span){0}, time_ns, out);
	put_packet(t, f, 0, PCAP_ACK, (struct span){0}, time_ns, out);
}

static void put_data(struct pcap_tcp *t, struct pcap_event *e, struct buf *out)
{
	struct pcap_flow *f = e->flow;

	put_packet(t, f, e->is_server, e->is_last ? PCAP_PSH | PCAP_ACK : PCAP_ACK,
		   span_of(e->bytes, e->len), e->time_ns, out);
	if (e->is_last || ++f->unacked[e->is_server] >= ACK_EVERY)
		put_packet(t, f, !e->is_server, PCAP_ACK, (struct span){0}, e->time_ns, out);
}

/* more was sent since: the end comes behind it. Return: true when it waits again. */
static bool comes_later(struct pcap_tcp *t, struct pcap_event *e)
{
	struct pcap_flow *f = e->flow;
	uint64_t latest_ns = MAX(f->latest_ns[0], f->latest_ns[1]);

	if (f->is_closed || (f->pending == f->pending_ends && latest_ns <= e->time_ns))
		return false;
	e->time_ns = MAX(latest_ns, e->time_ns);
	e->order = t->order++;
	push(t, e);
	return true;
}

/* the earliest event; @e is freed or waits again */
static void put_event(struct pcap_tcp *t, struct buf *out)
{
	struct pcap_event *e = pop(t);
	struct pcap_flow *f = e->flow;

	if (e->kind == EVENT_END && comes_later(t, e))
		return;
	switch ((enum event_kind)e->kind) {
	case EVENT_SYN: put_handshake(t, f, e->time_ns, out); break;
	case EVENT_DATA: put_data(t, e, out); break;
	case EVENT_LOST: f->seq[e->is_server] += (uint32_t)e->lost; break;
	case EVENT_END: put_ending(t, f, (enum pcap_ending)e->ending, e->time_ns, out); break;
	}
	if (f->pending == 0 && !f->is_known)
		free(f);
	free(e);
}

void pcap_tcp_advance(struct pcap_tcp *t, uint64_t now_ns, struct buf *out)
{
	while (t->count && (t->heap[0]->time_ns < now_ns || t->pending_bytes > PCAP_PENDING_MAX))
		put_event(t, out);
}

/* --- what others call --- */

static bool is_unknown(const struct endpoint *e)
{
	static const uint8_t none[16];

	return memcmp(e->address, none, sizeof(none)) == 0;
}

/* 192.0.2.1 and 2, or 2001:db8::1 and 2 */
static void set_documentation(uint8_t address[16], bool is_ipv4, unsigned side)
{
	static const uint8_t v4[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1},
			     v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

	memcpy(address, is_ipv4 ? v4 : v6, 16);
	address[15] = (uint8_t)(1 + side);
}

static void set_addresses(struct pcap_flow *f, const struct exchange *x)
{
	const struct endpoint *ends[] = {&x->src, &x->dst};
	bool is_unknown_end[] = {is_unknown(&x->src), is_unknown(&x->dst)};

	/* both ends of a packet are of one family */
	f->ends.is_ipv4 =
		(x->src.is_ipv4 || is_unknown_end[0]) && (x->dst.is_ipv4 || is_unknown_end[1]);
	for (unsigned i = 0; i < 2; i++) {
		memcpy(f->ends.address[i], ends[i]->address, 16);
		if (is_unknown_end[i])
			set_documentation(f->ends.address[i], f->ends.is_ipv4, i);
		f->ends.port[i] = ends[i]->port;
	}
	if (!f->ends.port[0])
		f->ends.port[0] = (uint16_t)(10000 + mix(x->connection) % 50000);
	if (!f->ends.port[1])
		f->ends.port[1] = 80;
}

static bool is_same(const struct pcap_flow *a, const struct pcap_flow *b)
{
	return memcmp(a->ends.address, b->ends.address, sizeof(a->ends.address)) == 0 &&
	       memcmp(a->ends.port, b->ends.port, sizeof(a->ends.port)) == 0;
}

static void make_room(struct pcap_tcp *t, struct buf *out)
{
	struct pcap_flow *f = t->oldest;

	while (f && f->pending)
		f = f->younger;
	if (!f || t->flow_count < PCAP_FLOWS_MAX)
		return;
	put_ending(t, f, f->notes.is_unfinished ? PCAP_OPEN : PCAP_FIN_CLIENT, t->written_ns, out);
	forget(t, f);
}

static struct pcap_flow *open_flow(struct pcap_tcp *t, const struct pcap_flow *want,
				   bool has_handshake, uint64_t start_ns)
{
	struct pcap_flow *f = malloc(sizeof(*f)), **slot = slot_of(t, want);
	struct pcap_event *e;

	if (!f) {
		t->is_failed = true;
		return NULL;
	}
	*f = *want;
	f->is_known = true;
	f->seq[0] = (uint32_t)mix(f->connection);
	f->seq[1] = (uint32_t)(mix(f->connection) >> 32);
	f->next = *slot;
	*slot = f;
	use(t, f);
	t->flow_count++;
	if (has_handshake && (e = new_event(t, f, EVENT_SYN, false, start_ns, (struct span){0})))
		push(t, e);
	return f;
}

struct pcap_flow *pcap_tcp_flow(struct pcap_tcp *t, const struct exchange *x, bool has_handshake,
				struct buf *out)
{
	struct pcap_flow want = {.connection = x->connection}, *f;

	if (!t->flows && !(t->flows = calloc(PCAP_FLOWS_MAX, sizeof(*t->flows)))) {
		t->is_failed = true;
		return NULL;
	}
	set_addresses(&want, x);
	for (f = *slot_of(t, &want); f && !is_same(f, &want); f = f->next)
		;
	if (f && f->connection == x->connection && !f->is_closed) {
		unlink_use(t, f);
		use(t, f);
		return f;
	}
	if (f) {
		if (f->pending == 0)
			put_ending(t, f, f->notes.is_unfinished ? PCAP_OPEN : PCAP_FIN_CLIENT,
				   MAX(t->written_ns, x->start_ns), out);
		forget(t, f);
	}
	make_room(t, out);
	return open_flow(t, &want, has_handshake, x->start_ns);
}

/* @i of @n equal parts of a time */
static uint64_t part_of(uint64_t ns, size_t i, size_t n)
{
	return n ? ns / n * i + ns % n * i / n : 0;
}

void pcap_tcp_send(struct pcap_tcp *t, struct pcap_flow *f, bool is_server, struct span bytes,
		   uint64_t first_ns, uint64_t last_ns)
{
	size_t each = pcap_packet_payload_max(f->ends.is_ipv4),
	       count = (bytes.len + each - 1) / each;
	uint64_t took_ns = last_ns > first_ns ? last_ns - first_ns : 0;

	if (count == 1 && took_ns && bytes.len > 1) {
		count = 2;
		each = bytes.len / 2 + bytes.len % 2;
	}
	for (size_t i = 0; i < count; i++) {
		uint64_t part = part_of(took_ns, i, count - 1);
		struct span segment = span_of(bytes.ptr, MIN(each, bytes.len));
		struct pcap_event *e =
			new_event(t, f, EVENT_DATA, is_server, first_ns + part, segment);

		bytes = span_from(bytes, each);
		if (!e)
			return;
		e->is_last = i + 1 == count;
		push(t, e);
	}
}

void pcap_tcp_lose(struct pcap_tcp *t, struct pcap_flow *f, bool is_server, uint64_t len,
		   uint64_t at_ns)
{
	struct pcap_event *e = new_event(t, f, EVENT_LOST, is_server, at_ns, (struct span){0});

	if (!e)
		return;
	e->lost = len;
	push(t, e);
}

void pcap_tcp_end(struct pcap_tcp *t, struct pcap_flow *f, enum pcap_ending how, uint64_t at_ns)
{
	uint64_t latest_ns = MAX(f->latest_ns[0], f->latest_ns[1]);
	uint64_t sent_ns[2] = {f->latest_ns[0], f->latest_ns[1]};
	struct pcap_event *e =
		new_event(t, f, EVENT_END, false, MAX(at_ns, latest_ns), (struct span){0});

	memcpy(f->latest_ns, sent_ns, sizeof(sent_ns)); /* the end itself sends nothing */
	if (!e)
		return;
	e->ending = (uint8_t)how;
	push(t, e);
}

void pcap_tcp_finish(struct pcap_tcp *t, struct buf *out)
{
	pcap_tcp_advance(t, UINT64_MAX, out);
	while (t->oldest) {
		struct pcap_flow *f = t->oldest;

		put_ending(t, f, f->notes.is_unfinished ? PCAP_OPEN : PCAP_FIN_CLIENT,
			   t->written_ns, out);
		forget(t, f);
	}
}

void pcap_tcp_fini(struct pcap_tcp *t)
{
	while (t->count) {
		struct pcap_event *e = pop(t);

		if (e->flow->pending == 0 && !e->flow->is_known)
			free(e->flow);
		free(e);
	}
	while (t->oldest)
		forget(t, t->oldest);
	free(t->heap);
	free(t->flows);
}
