// SPDX-License-Identifier: Apache-2.0
#include "wire/stream.h"

/*
 * Theory of operation
 *
 * RFC 9293 sequence numbers become 64-bit offsets: the nearest one to `next` that fits the 32 bits.
 * The usual segment begins at `next` while nothing is held: it is handed on where it lies. Any other
 * is cut to what is new and either delivered or held, sorted (wire/held.h); what was seen first
 * stays, as a receiver would have it in most cases, and a difference is reported.
 *
 * When is a hole a hole? A packet may be late because the network reordered it, because it was lost
 * and is sent again, or because the capture delivers two interfaces one after the other. So bytes
 * are only given up when
 *  - the receiver acknowledged what lies behind them (it has them: the capture does not), and that
 *    was so at the last check too, STREAM_CHECK_NS or more of packet time ago;
 *  - or nobody's acknowledgements are captured and the hole is STREAM_SILENT_NS old, long enough
 *    for the first retransmission; or STREAM_PATIENCE_NS old in any case;
 *  - or more is held than the limits allow, or there is no block left;
 *  - or the stream is at its end (stream_finish());
 *  - or the packet itself was cut by the capture: then what it lost never comes.
 * Bytes that are acknowledged while nothing behind them was seen are given up after
 * STREAM_TAIL_CHECKS checks, unless it is a single one: that is a FIN that was not captured.
 *
 * A stream joined midstream begins at the first number seen, its own or an acknowledgement of it. Its own may
 * be that of a segment that overtook another, so the first segment is held until the next one of either side:
 * if that belongs before it, the beginning moves back. STREAM_CHECK_NS later it is the beginning in any case.
 *
 * Urgent data is data. Window scale and SACK are not needed.
 */

#define PLAUSIBLE_ACK (1 << 30) /* the largest window there is (RFC 7323) */
#define TAIL_MAX      (1 << 20) /* an acknowledgement alone is not believed further */

void stream_init(struct stream *s, unsigned dir)
{
	*s = (struct stream){.dir = (uint8_t)dir, .end = UINT64_MAX};
}

void stream_start(struct stream *s, uint32_t seq, bool is_certain)
{
	s->base = seq;
	s->has_base = true;
	s->is_certain = is_certain;
}

static void deliver(struct stream *s, const struct stream_host *h, uint64_t acked,
		    struct span bytes, uint64_t ts_ns)
{
	uint64_t offset = s->next;

	s->next += bytes.len;
	if (UNLIKELY(bytes.len == 0)) /* all of the segment was cut off */
		return;
	if (UNLIKELY(s->is_ignoring)) {
		counter_add(h->counters, COUNTER_BYTES_IGNORED, bytes.len);
		return;
	}
	counter_add(h->counters, COUNTER_BYTES_DELIVERED, bytes.len);
	h->data(s, offset, acked, bytes, ts_ns);
}

/* the bytes before @to will not come */
static void declare(struct stream *s, const struct stream_host *h, uint64_t to, uint64_t ts_ns)
{
	uint64_t offset = s->next;

	if (to <= offset)
		return;
	s->next = to;
	s->tail_checks = 0;
	counter_add(h->counters, COUNTER_BYTES_MISSING, to - offset);
	if (!s->is_ignoring)
		h->gap(s, offset, to - offset, ts_ns);
}

/* what the capture cut off a packet whose bytes were just delivered */
static void declare_cut(struct stream *s, const struct stream_host *h, size_t missing,
			uint64_t ts_ns)
{
	uint64_t to = s->next + missing;

	if (s->held.first)
		to = MIN(to, s->held.first->offset);
	declare(s, h, to, ts_ns);
}

/* deliver held pieces as far as they join on */
static void drain(struct stream *s, const struct stream_host *h)
{
	struct held_piece *p;

	while (!s->is_beginning && (p = s->held.first) && p->offset <= s->next) {
		uint32_t missing = p->missing;
		uint64_t ts_ns = p->ts_ns;

		counter_sub(h->counters, COUNTER_BYTES_HELD, p->len);
		deliver(s, h, p->acked, span_of(p->bytes, p->len), ts_ns);
		held_drop(&s->held, h->pool);
		if (missing)
			declare_cut(s, h, missing, ts_ns);
	}
}

/* give up the hole before the first held piece */
static void declare_first(struct stream *s, const struct stream_host *h)
{
	struct held_piece *p = s->held.first;

	s->is_beginning = false;
	declare(s, h, p->offset, p->ts_ns);
	drain(s, h);
}

void stream_begin(struct stream *s, const struct stream_host *h)
{
	s->is_beginning = false;
	drain(s, h);
}

struct taker {
	struct stream *stream;
	const struct stream_host *host;
};

static void *take_block(void *ctx)
{
	struct taker *t = ctx;

	return t->host->take_block(t->stream);
}

/*
 * There was no memory to hold all of it, so no hole before it can be waited for any longer.
 * Return: bytes delivered from @bytes.
 */
static size_t deliver_at_once(struct stream *s, const struct stream_host *h, uint64_t offset,
			      const struct stream_segment *seg, struct span bytes)
{
	uint64_t end = offset + bytes.len;
	size_t done = 0;

	while (s->next < end) {
		uint64_t at = MAX(s->next, offset), to = end;
		struct held_piece *p = s->held.first;

		if (p && p->offset <= at) {
			declare_first(s, h);
			continue;
		}
		if (p)
			to = MIN(to, p->offset);
		declare(s, h, at, seg->ts_ns);
		deliver(s, h, seg->acked, span_of(bytes.ptr + (at - offset), (size_t)(to - at)),
			seg->ts_ns);
		done += (size_t)(to - at);
	}
	drain(s, h);
	return done;
}

/* keep a segment that cannot be delivered as it lies; Return: STREAM_OLD if all of it was held */
static enum stream_verdict hold(struct stream *s, const struct stream_host *h, uint64_t offset,
				const struct stream_segment *seg, struct span bytes)
{
	struct taker taker = {s, h};
	const struct held_memory memory = {h->pool, take_block, &taker};
	const struct held_piece piece = {
		.offset = offset,
		.acked = seg->acked,
		.ts_ns = seg->ts_ns,
		.arrived_ns = seg->now_ns,
		.missing = (uint32_t)MIN(seg->missing, (size_t)UINT32_MAX),
	};
	size_t added, done = 0;
	unsigned result = held_add(&s->held, &memory, &piece, bytes, &added);

	counter_add(h->counters, COUNTER_BYTES_HELD, added);
	if (result & HELD_DIFFERS)
		h->overlap(s);
	if (UNLIKELY(result & HELD_FULL))
		done = deliver_at_once(s, h, offset, seg, bytes);
	counter_add(h->counters, COUNTER_BYTES_DUPLICATE, bytes.len - added - done);
	while (s->held.bytes > h->held_max || s->held.count > STREAM_HELD_COUNT_MAX)
		declare_first(s, h);
	return added + done ? STREAM_NEW : STREAM_OLD;
}

/* the stream began @by bytes earlier than the first number seen */
static void move_base(struct stream *s, uint32_t by)
{
	s->base -= by;
	s->acked = s->acked ? s->acked + by : 0;
	s->acked_before = s->acked_before ? s->acked_before + by : 0;
	if (s->end != UINT64_MAX)
		s->end += by;
	for (struct held_piece *p = s->held.first; p; p = p->next)
		p->offset += by;
}

static bool may_move_base(const struct stream *s, int64_t offset)
{
	return !s->is_certain && s->next == 0 && offset > -(int64_t)STREAM_WINDOW;
}

/* may a segment come that belongs before this one? The other side has acknowledged nothing yet. */
static bool may_be_early(const struct stream *s, int64_t offset)
{
	return !s->is_certain && s->next == 0 && offset == 0 && !s->has_acks && !s->held.first &&
	       !s->is_ignoring;
}

static enum stream_verdict old_bytes(const struct stream_host *h, size_t len)
{
	counter_add(h->counters, COUNTER_BYTES_DUPLICATE, len);
	return STREAM_OLD;
}

static enum stream_verdict ignore_bytes(struct stream *s, const struct stream_host *h, uint64_t end,
					size_t len)
{
	s->next = end;
	counter_add(h->counters, COUNTER_BYTES_IGNORED, len);
	return STREAM_NEW;
}

/* the segment begins at next: hand it on where it lies */
static void deliver_segment(struct stream *s, const struct stream_host *h,
			    const struct stream_segment *seg, struct span bytes)
{
	deliver(s, h, seg->acked, bytes, seg->ts_ns);
	if (UNLIKELY(seg->missing))
		declare_cut(s, h, seg->missing, seg->ts_ns);
	if (UNLIKELY(s->held.first))
		drain(s, h);
}

/* any segment but the usual one; @offset may lie before the stream's beginning */
static enum stream_verdict feed_unusual(struct stream *s, const struct stream_host *h,
					int64_t offset, const struct stream_segment *seg)
{
	struct span bytes = seg->bytes;
	struct held_piece *first;
	uint64_t at;

	if (offset < 0 && may_move_base(s, offset)) {
		move_base(s, (uint32_t)-offset);
		offset = 0;
	}
	if (s->is_beginning)
		stream_begin(s, h);
	else if (may_be_early(s, offset)) {
		s->is_beginning = true;
		return hold(s, h, 0, seg, bytes);
	}
	if (offset < (int64_t)s->next && offset + (int64_t)bytes.len <= (int64_t)s->next)
		return old_bytes(h, bytes.len);
	if (offset < (int64_t)s->next) {
		size_t old = (size_t)((int64_t)s->next - offset);

		(void)old_bytes(h, MIN(old, bytes.len));
		bytes = span_from(bytes, old);
	}
	at = offset < (int64_t)s->next ? s->next : (uint64_t)offset;
	if (at + bytes.len > s->end) /* then that FIN was not the sender's */
		s->end = UINT64_MAX;
	if (s->is_ignoring)
		return ignore_bytes(s, h, at + bytes.len + seg->missing, bytes.len);
	first = s->held.first;
	if (at > s->next || (first && at + bytes.len > first->offset)) {
		enum stream_verdict v = hold(s, h, at, seg, bytes);

		drain(s, h);
		return v;
	}
	deliver_segment(s, h, seg, bytes);
	return STREAM_NEW;
}

enum stream_verdict stream_feed(struct stream *s, const struct stream_host *h,
				const struct stream_segment *seg)
{
	int64_t offset = stream_offset(s, seg->seq);

	if (UNLIKELY(offset != (int64_t)s->next || s->held.first || s->is_ignoring ||
		     s->end != UINT64_MAX || (s->next == 0 && !s->is_certain)))
		return feed_unusual(s, h, offset, seg);
	deliver_segment(s, h, seg, seg->bytes);
	return STREAM_NEW;
}

static uint64_t highest(const struct stream *s)
{
	return s->held.last ? held_piece_end(s->held.last) : s->next;
}

uint64_t stream_ack(struct stream *s, uint32_t seq)
{
	int64_t offset = stream_offset(s, seq);

	if (UNLIKELY(offset > (int64_t)highest(s) + PLAUSIBLE_ACK))
		return UINT64_MAX;
	if (UNLIKELY(offset < 0))
		return 0;
	s->has_acks = true;
	if (UNLIKELY((uint64_t)offset > s->end))
		offset = (int64_t)s->end; /* the FIN has a number, but is no byte */
	if ((uint64_t)offset > s->acked)
		s->acked = (uint64_t)offset;
	return (uint64_t)offset;
}

void stream_fin(struct stream *s, uint32_t seq)
{
	int64_t offset = stream_offset(s, seq);

	if (offset < (int64_t)highest(s) || offset > (int64_t)highest(s) + PLAUSIBLE_ACK)
		return; /* bytes behind it were seen: not this stream's FIN */
	s->end = (uint64_t)offset;
	s->acked = MIN(s->acked, s->end);
	s->acked_before = MIN(s->acked_before, s->end);
}

bool stream_can_reset(const struct stream *s, uint32_t seq)
{
	int64_t offset = stream_offset(s, seq);

	return offset >= (int64_t)MIN(s->acked, s->next) &&
	       offset <= (int64_t)MAX(highest(s), s->acked) + STREAM_WINDOW;
}

static bool has_waited(const struct stream *s, const struct held_piece *p, uint64_t now_ns)
{
	uint64_t age_ns = now_ns > p->arrived_ns ? now_ns - p->arrived_ns : 0;

	if (s->acked_before >= p->offset)
		return true;
	return age_ns >= (s->has_acks ? STREAM_PATIENCE_NS : STREAM_SILENT_NS);
}

/* acknowledged, yet nothing behind it was seen */
static void check_tail(struct stream *s, const struct stream_host *h, uint64_t now_ns)
{
	uint64_t missing = s->acked_before > s->next ? s->acked_before - s->next : 0;

	if (s->held.first || missing < 2 || missing > TAIL_MAX) {
		s->tail_checks = 0;
		return;
	}
	if (++s->tail_checks >= STREAM_TAIL_CHECKS)
		declare(s, h, s->acked_before, now_ns);
}

void stream_check(struct stream *s, const struct stream_host *h, uint64_t now_ns)
{
	if (s->is_beginning)
		stream_begin(s, h);
	while (s->held.first && has_waited(s, s->held.first, now_ns))
		declare_first(s, h);
	check_tail(s, h, now_ns);
	s->acked_before = s->acked;
}

void stream_finish(struct stream *s, const struct stream_host *h)
{
	while (s->held.first)
		declare_first(s, h);
}

void stream_drop(struct stream *s, const struct stream_host *h, enum counter why)
{
	counter_sub(h->counters, COUNTER_BYTES_HELD, s->held.bytes);
	counter_add(h->counters, why, s->held.bytes);
	held_clear(&s->held, h->pool);
	s->is_beginning = false;
}
