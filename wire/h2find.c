// SPDX-License-Identifier: Apache-2.0
#include "wire/h2find.h"

#include "wire/h2frame.h"

/*
 * Theory of operation
 *
 * Whatever nine bytes could be a frame head open a candidate; its length says where the next head must
 * stand. A candidate whose next head is none is dropped, so a chain grows only from a true beginning, or by
 * chance: how improbable the chain is, its weight says.
 *
 *   ...payload | HEADERS 5 |  block  | DATA 5 |  payload  | HEADERS 5
 *                ^ first: weight 1     ^ on the same stream: 1 + 2, certain
 *
 * The bytes before that place are kept, as many as a constant says, for the chain is to be read from its first head.
 * Where that is too far behind, reading begins with the last one. Everything depends on offsets in the
 * stream alone, so cuts do not matter; when bytes came is noted by offset too, as finely as there is room for.
 */

#define LENGTH_MAX                                                                                 \
	(64 << 10) /* of a frame met midstream; senders rarely raise the default of 16 KiB */
#define WEIGHT_CERTAIN 3

static void restart(struct h2_finder *f, uint64_t offset)
{
	f->from = f->at = offset;
	f->kept = 0;
	f->mark_count = 0;
}

/* --- what is kept --- */

static void mark(struct h2_finder *f, uint64_t ts_ns)
{
	struct h2_mark *m = f->marks;

	if (f->mark_count && m[f->mark_count - 1].ts_ns == ts_ns)
		return;
	if (f->mark_count == H2_FIND_MARKS) {
		/* the second one must go before what is kept, or it is still needed */
		if (m[1].at + H2_FIND_KEPT > f->at)
			return;
		memmove(m, m + 1, sizeof(*m) * (H2_FIND_MARKS - 1));
		f->mark_count--;
	}
	m[f->mark_count++] = (struct h2_mark){f->at, ts_ns};
}

static void keep(struct h2_finder *f, struct span bytes)
{
	if (bytes.len > H2_FIND_KEPT)
		bytes = span_from(bytes, bytes.len - H2_FIND_KEPT);
	if (f->kept + bytes.len > sizeof(f->bytes)) {
		size_t stay = MIN((size_t)f->kept, H2_FIND_KEPT - bytes.len);

		memmove(f->bytes, f->bytes + f->kept - stay, stay);
		f->kept = (uint16_t)stay;
	}
	if (bytes.len)
		memcpy(f->bytes + f->kept, bytes.ptr, bytes.len);
	f->kept = (uint16_t)(f->kept + bytes.len);
}

static uint64_t oldest_kept(const struct h2_finder *f)
{
	return f->at - f->from > H2_FIND_KEPT ? f->at - H2_FIND_KEPT : f->from;
}

/* --- candidates --- */

static bool read_head(const struct h2_finder *f, struct h2_frame *head)
{
	uint64_t w = f->window;

	*head = (struct h2_frame){
		.length = (uint32_t)f->before << 16 | (uint32_t)(w >> 48),
		.type = (uint8_t)(w >> 40),
		.flags = (uint8_t)(w >> 32),
		.stream = (uint32_t)w,
	};
	/* an empty DATA frame is sent to end the stream and for nothing else */
	return head->length <= LENGTH_MAX && !(head->stream >> 31) && h2_frame_is_plausible(head) &&
	       !(head->type == H2_DATA && head->length == 0 && !(head->flags & H2_FLAG_END_STREAM));
}

/* the weightiest of those that lead to @at; all of them are taken out */
static struct h2_candidate take_candidate(struct h2_finder *f, uint64_t at)
{
	struct h2_candidate best = {0};
	unsigned stay = 0;

	for (unsigned i = 0; i < f->candidate_count; i++) {
		const struct h2_candidate *c = &f->candidates[i];

		if (c->next > at)
			f->candidates[stay++] = *c;
		else if (c->next == at && c->weight > best.weight)
			best = *c;
	}
	f->candidate_count = (uint8_t)stay;
	return best;
}

/* where there is no room, the one that will be judged last goes */
static void put_candidate(struct h2_finder *f, const struct h2_candidate *new)
{
	struct h2_candidate *last = &f->candidates[0];

	if (f->candidate_count < H2_FIND_CANDIDATES) {
		f->candidates[f->candidate_count++] = *new;
		return;
	}
	for (unsigned i = 1; i < f->candidate_count; i++)
		if (f->candidates[i].next > last->next)
			last = &f->candidates[i];
	if (new->next < last->next)
		*last = *new;
}

static bool is_expected(const struct h2_candidate *before, const struct h2_frame *head,
			h2_is_open_fn *is_open, const void *ctx)
{
	if (head->stream == 0)
		return false;
	return (before->weight && before->streams[1] == head->stream) ||
	       ((head->type == H2_HEADERS || head->type == H2_DATA) && is_open &&
		is_open(ctx, head->stream));
}

/* A plausible head ends at f->at. Return: true when it makes a beginning certain. */
static bool take_head(struct h2_finder *f, const struct h2_frame *head, h2_is_open_fn *is_open,
		      const void *ctx)
{
	uint64_t at = f->at - H2_FRAME_HEAD_BYTES;
	struct h2_candidate c = take_candidate(f, at);
	bool had_one = c.weight;

	c.weight = (uint8_t)(c.weight + 1 + is_expected(&c, head, is_open, ctx));
	c.first = had_one ? c.first : at;
	c.streams[0] = had_one ? c.streams[0] : head->stream;
	c.streams[1] = head->stream;
	c.next = f->at + head->length;
	if (c.weight < WEIGHT_CERTAIN) {
		put_candidate(f, &c);
		return false;
	}
	f->start = c.first >= oldest_kept(f) ? c.first : at;
	return true;
}

static void drop_candidates_at(struct h2_finder *f, uint64_t at)
{
	for (unsigned i = 0; i < f->candidate_count; i++)
		if (f->candidates[i].next <= at) {
			(void)take_candidate(f, at);
			return;
		}
}

/* One more byte. Return: true when it makes a beginning certain. */
static bool take_byte(struct h2_finder *f, uint8_t byte, h2_is_open_fn *is_open, const void *ctx)
{
	struct h2_frame head;

	f->before = (uint8_t)(f->window >> 56);
	f->window = f->window << 8 | byte;
	f->at++;
	if (f->at - f->from < H2_FRAME_HEAD_BYTES)
		return false;
	if (UNLIKELY((uint8_t)(f->window >> 40) < H2_TYPE_COUNT && read_head(f, &head)))
		return take_head(f, &head, is_open, ctx);
	drop_candidates_at(f, f->at - H2_FRAME_HEAD_BYTES);
	return false;
}

bool h2_find(struct h2_finder *f, uint64_t offset, struct span *bytes, uint64_t ts_ns,
	     h2_is_open_fn *is_open, const void *ctx)
{
	struct span all = *bytes;
	bool is_found = false;

	if (offset != f->at)
		restart(f, offset);
	mark(f, ts_ns);
	while (bytes->len && !is_found) {
		is_found = take_byte(f, bytes->ptr[0], is_open, ctx);
		*bytes = span_from(*bytes, 1);
	}
	keep(f, span_of(all.ptr, all.len - bytes->len));
	return is_found;
}

bool h2_find_on_stream(struct h2_finder *f, uint32_t stream)
{
	uint64_t oldest = oldest_kept(f), first = UINT64_MAX;

	for (unsigned i = 0; i < f->candidate_count; i++) {
		const struct h2_candidate *c = &f->candidates[i];

		if ((c->streams[0] == stream || c->streams[1] == stream) && c->first >= oldest)
			first = MIN(first, c->first);
	}
	f->start = first;
	return first != UINT64_MAX;
}

/* where the bytes end that came with those at f->start */
static uint64_t end_of_piece(const struct h2_finder *f, uint64_t *ts_ns_out)
{
	for (unsigned i = f->mark_count; i-- > 0;) {
		if (f->marks[i].at > f->start && i)
			continue;
		*ts_ns_out = f->marks[i].ts_ns;
		return i + 1 < f->mark_count ? f->marks[i + 1].at : f->at;
	}
	return f->at;
}

bool h2_find_next(struct h2_finder *f, struct span *piece_out, uint64_t *ts_ns_out)
{
	uint64_t end;

	if (f->start >= f->at)
		return false;
	end = end_of_piece(f, ts_ns_out);
	*piece_out = span_of(f->bytes + f->kept - (f->at - f->start), end - f->start);
	f->start = end;
	return true;
}
