// SPDX-License-Identifier: Apache-2.0
#include "store/format_gor.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/list.h"
#include "store/format_reader_kind.h"

/*
 * Theory of operation. Payloads end at the separator (store/format_gor.c). A request waits for the
 * payload with its id that answers it: a response (2), or, where only those were written, a
 * replayed one (3). Requests wait in the order of the file and in a table by id; when they hold
 * more than FORMAT_PENDING_MAX the oldest goes as it is, without a response. An answer whose
 * request was answered before is what a replay adds, and left out; one whose request was never seen
 * is an exchange of its own.
 *
 * Times: a payload's own, and how long it took, which GoReplay writes since 1.3; before, a request
 * says -1 and a response how long it was waited for, which tells nothing of its end.
 */
#define BUCKETS	      16384 /* power of two */
#define ANSWERED_BITS 20    /* ids that were answered: one bit each, by hash */
#define SEPARATOR     GOR_SEPARATOR
#define SEPARATOR_LEN (sizeof(SEPARATOR) - 1)

struct request {
	struct list link;     /* gor::pending, oldest first */
	struct request *next; /* in its bucket */
	uint64_t hash, first_ns, last_ns;
	size_t id_len, bytes;
	uint8_t text[]; /* id, then the message */
};

struct gor {
	struct buf payload; /* its beginning, from earlier pieces */
	struct list pending;
	size_t pending_bytes;
	bool has_begun;
	struct request *buckets[BUCKETS];
	uint64_t answered[(1 << ANSWERED_BITS) / 64];
};

struct payload {
	enum gor_type type;
	struct span id, bytes;
	uint64_t first_ns, last_ns;
};

static bool recognises(struct span first)
{
	size_t n = 2;

	if (first.len < 4 || first.ptr[0] < GOR_REQUEST || first.ptr[0] > GOR_REPLAYED ||
	    first.ptr[1] != ' ')
		return false;
	while (n < first.len &&
	       ((first.ptr[n] >= '0' && first.ptr[n] <= '9') ||
		(first.ptr[n] >= 'a' && first.ptr[n] <= 'f') || first.ptr[n] == '-'))
		n++;
	return n > 2 && (n == first.len || first.ptr[n] == ' ');
}

/* the next word of a payload's first line */
static struct span next_word(struct span *rest)
{
	const uint8_t *blank = rest->len ? memchr(rest->ptr, ' ', rest->len) : NULL;
	struct span word = {rest->ptr, blank ? (size_t)(blank - rest->ptr) : rest->len};

	*rest = span_from(*rest, word.len + 1);
	return word;
}

/* Return: false when it is no number of at most 18 digits */
static bool read_number(struct span s, uint64_t *out)
{
	uint64_t n = 0;

	if (s.len == 0 || s.len > 19)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(s.ptr[i] - '0');
	}
	*out = n;
	return n <= INT64_MAX;
}

static bool read_payload(struct span text, struct payload *p)
{
	const uint8_t *nl = span_chr(text, '\n');
	struct span line = {text.ptr, nl ? (size_t)(nl - text.ptr) : 0}, type;
	uint64_t took_ns = 0;

	if (!nl)
		return false;
	type = next_word(&line);
	p->id = next_word(&line);
	if (type.len != 1 || type.ptr[0] < GOR_REQUEST || type.ptr[0] > GOR_REPLAYED ||
	    p->id.len == 0 || p->id.len > 128)
		return false;
	p->type = (enum gor_type)type.ptr[0];
	if (!read_number(next_word(&line), &p->first_ns))
		return false;
	if (!read_number(next_word(&line), &took_ns))
		took_ns = 0; /* -1, or not there */
	p->last_ns = p->first_ns + MIN(took_ns, INT64_MAX - p->first_ns);
	p->bytes = span_from(text, (size_t)(nl - text.ptr) + 1);
	return true;
}

/* FNV-1a: ids are random, and a file that makes them collide slows down itself only */
static uint64_t hash_of(struct span s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ s.ptr[i]) * UINT64_C(0x100000001b3);
	return h ^ h >> 29;
}

static struct request **find(struct gor *g, struct span id, uint64_t hash)
{
	struct request **at = &g->buckets[hash & (BUCKETS - 1)];

	while (*at && !((*at)->hash == hash && span_eq(span_of((*at)->text, (*at)->id_len), id)))
		at = &(*at)->next;
	return at;
}

static bool was_answered(struct gor *g, uint64_t hash)
{
	uint64_t bit = hash & ((UINT64_C(1) << ANSWERED_BITS) - 1);

	return g->answered[bit / 64] >> bit % 64 & 1;
}

static void note_answered(struct gor *g, uint64_t hash)
{
	uint64_t bit = hash & ((UINT64_C(1) << ANSWERED_BITS) - 1);

	g->answered[bit / 64] |= UINT64_C(1) << bit % 64;
}

static void set_times(struct message *m, uint64_t first_ns, uint64_t last_ns)
{
	m->first_ns = first_ns;
	m->last_ns = last_ns;
}

/* one exchange of a request and an answer, of which one may be NULL */
static int hand_out(struct format_reader *r, const struct request *q, const struct payload *answer)
{
	struct foreign f = {0};

	if (q) {
		f.raw[0] = span_of(q->text + q->id_len, q->bytes - q->id_len);
		set_times(&f.x.request, q->first_ns, q->last_ns);
	}
	if (answer) {
		f.raw[1] = answer->bytes;
		set_times(&f.x.response, answer->first_ns, answer->last_ns);
	}
	r->flaws[FORMAT_FLAW_UNANSWERED] += !answer;
	r->flaws[FORMAT_FLAW_LONELY] += !q;
	return r->fn(r->ctx, &f);
}

static int release(struct format_reader *r, struct request **at, const struct payload *answer)
{
	struct gor *g = r->state;
	struct request *q = *at;
	int result;

	*at = q->next;
	list_remove(&q->link);
	g->pending_bytes -= q->bytes;
	result = hand_out(r, q, answer);
	free(q);
	return result;
}

static int release_oldest(struct format_reader *r)
{
	struct gor *g = r->state;
	struct request *q = CONTAINER_OF(list_first(&g->pending), struct request, link);

	return release(r, find(g, span_of(q->text, q->id_len), q->hash), NULL);
}

static int take_request(struct format_reader *r, const struct payload *p, uint64_t hash)
{
	struct gor *g = r->state;
	struct request **at = find(g, p->id, hash), *q;
	int result = 0;

	if (*at) /* its id comes again: nothing answered the first */
		result = release(r, at, NULL);
	q = malloc(sizeof(*q) + p->id.len + p->bytes.len);
	if (!q)
		return -ENOMEM;
	*q = (struct request){.hash = hash,
			      .first_ns = p->first_ns,
			      .last_ns = p->last_ns,
			      .id_len = p->id.len,
			      .bytes = p->id.len + p->bytes.len};
	memcpy(q->text, p->id.ptr, p->id.len);
	if (p->bytes.len)
		memcpy(q->text + p->id.len, p->bytes.ptr, p->bytes.len);
	at = find(g, p->id, hash);
	q->next = *at;
	*at = q;
	list_append(&g->pending, &q->link);
	g->pending_bytes += q->bytes;
	while (result == 0 && g->pending_bytes > FORMAT_PENDING_MAX)
		result = release_oldest(r);
	return result;
}

static int take_answer(struct format_reader *r, const struct payload *p, uint64_t hash)
{
	struct gor *g = r->state;
	struct request **at = find(g, p->id, hash);

	if (*at) {
		note_answered(g, hash);
		return release(r, at, p);
	}
	if (p->type == GOR_REPLAYED && was_answered(g, hash)) {
		r->flaws[FORMAT_FLAW_SURPLUS]++;
		return 0;
	}
	return hand_out(r, NULL, p);
}

static int take_payload(struct format_reader *r, struct span text)
{
	struct payload p;
	uint64_t hash;

	r->entry++;
	if (!read_payload(text, &p)) {
		format_refuse(
			r, "payload",
			&(struct err){-EBADMSG, "its first line is not TYPE ID TIME [DURATION]"});
		return 0;
	}
	hash = hash_of(p.id);
	return p.type == GOR_REQUEST ? take_request(r, &p, hash) : take_answer(r, &p, hash);
}

static int keep(struct format_reader *r, struct span part, struct err *e)
{
	struct gor *g = r->state;

	if (g->payload.len + part.len > FORMAT_ENTRY_MAX)
		return err_set(e, -E2BIG, "payload %llu is longer than %zu MiB",
			       (unsigned long long)r->entry + 1, FORMAT_ENTRY_MAX >> 20);
	buf_add_span(&g->payload, part);
	return g->payload.is_failed ? err_set(e, -ENOMEM, "out of memory") : 0;
}

/* whole payloads at the front of @in. Return: 0 with @in moved behind them. */
static int take_all(struct format_reader *r, struct span *in)
{
	int result = 0;

	while (result == 0 && in->len) {
		const uint8_t *end = memmem(in->ptr, in->len, SEPARATOR, SEPARATOR_LEN);

		if (!end)
			return 0;
		result = take_payload(r, span_of(in->ptr, (size_t)(end - in->ptr)));
		*in = span_from(*in, (size_t)(end - in->ptr) + SEPARATOR_LEN);
	}
	return result;
}

/* the payload that earlier pieces began goes on: look for its end no earlier than it can be */
static int go_on(struct format_reader *r, struct span *bytes, struct err *e)
{
	struct gor *g = r->state;
	size_t before = g->payload.len, from = before - MIN(before, SEPARATOR_LEN - 1), len;
	int result = keep(r, *bytes, e);
	const uint8_t *end;

	if (result < 0)
		return result;
	end = memmem(g->payload.ptr + from, g->payload.len - from, SEPARATOR, SEPARATOR_LEN);
	if (!end) {
		*bytes = (struct span){0};
		return 0;
	}
	len = (size_t)(end - g->payload.ptr);
	result = take_payload(r, span_of(g->payload.ptr, len));
	*bytes = span_from(*bytes, len + SEPARATOR_LEN - before);
	buf_clear(&g->payload);
	return result;
}

static int feed(struct format_reader *r, struct span bytes, struct err *e)
{
	struct gor *g = r->state;
	int result = 0;

	if (!g->has_begun)
		list_init(&g->pending);
	g->has_begun = true;
	if (g->payload.len)
		result = go_on(r, &bytes, e);
	if (result == 0)
		result = take_all(r, &bytes);
	if (result == 0 && bytes.len)
		result = keep(r, bytes, e);
	return result;
}

static int end(struct format_reader *r, struct err *e)
{
	struct gor *g = r->state;
	int result = 0;
	bool is_cut = span_trim(buf_span(&g->payload)).len > 1;

	if (is_cut)
		result = take_payload(r, buf_span(&g->payload));
	while (result == 0 && g->has_begun && g->pending.next != &g->pending)
		result = release_oldest(r);
	if (result == 0 && is_cut)
		return err_set(e, -ENODATA, "ends in the middle of payload %llu",
			       (unsigned long long)r->entry);
	return result;
}

static void fini(struct format_reader *r)
{
	struct gor *g = r->state;

	while (g->has_begun && g->pending.next != &g->pending) {
		struct request *q = CONTAINER_OF(list_first(&g->pending), struct request, link);

		list_remove(&q->link);
		free(q);
	}
	buf_fini(&g->payload);
}

const struct format_reader_kind format_reader_gor = {
	.format = "gor",
	.state_bytes = sizeof(struct gor),
	.recognises = recognises,
	.feed = feed,
	.end = end,
	.fini = fini,
};
