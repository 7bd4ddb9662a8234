// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * Fields leave as lines (`name: value` CRLF), and the dynamic table keeps them as such: an indexed field,
 * as nearly all are on a busy connection, is one copy for whoever wants lines. Lines lie one behind the other in one
 * buffer, oldest first; where its end is reached the living ones move to its front. A literal is written
 * behind them, and stays if it enters the table.
 *
 *   text: | dead | oldest ... newest | line being read |        entries: a ring of places in it
 *
 * A block may come in any pieces; what is left of one, a field that is not whole, is kept until the next.
 *
 * Who joins a connection late lacks the table, and an ordinary decoder loses every later block. Here it begins with
 * so many unknown entries, one more than a peer can have in a table of that size (an entry takes at least
 * 33 bytes, RFC 7541 4.1), each 34 bytes long. A reference to one of them is a field that is not known. New entries push
 * them out as they push out the peer's old ones, so an index below the number of entries that we saw arrive means
 * the same to both. Our table may be larger than the peer's: it then keeps entries that the peer has dropped
 * and will not refer to. A peer with a larger table refers beyond the unknown ones: -EBADMSG, and the
 * caller joins again with the next larger one.
 */
#include "wire/hpack.h"

#include <errno.h>
#include <stdlib.h>

#include "wire/http2_name.h"
#include "wire/huffman.h"

#define ENTRY_BYTES	32 /* RFC 7541 4.1: what an entry counts besides its name and value */
#define ENTRY_BYTES_MIN 33
#define UNKNOWN_BYTES	34
#define TABLE_BYTES	4096 /* at the beginning (RFC 9113 6.5.2) */
#define TABLE_BYTES_MAX                                                                            \
	(128 << 10) /* what a peer may raise it to; its SETTINGS are not looked at */
#define STRING_MAX     (64 << 10)
#define TEXT_BYTES_MIN 1024
#define ENTRIES_MIN    16 /* power of two */
#define LINE_EXTRA     4  /* colon, blank, CR, LF */
#define STATIC_COUNT   61

#define UNKNOWN_NAME ":unknown"
#define UNKNOWN_LINE UNKNOWN_NAME ": ?\r\n"

static const size_t join_table_bytes[HPACK_LEVEL_MAX + 1] = {4096, 16384, 65536};

struct static_entry {
	const char *line;
	uint8_t name_len, value_len, mark;
};

static const struct static_entry statics[STATIC_COUNT] = {
#define STATIC(name, value, mark)                                                                  \
	{name ": " value "\r\n", sizeof(name) - 1, sizeof(value) - 1, mark},
#include "wire/hpack.tbl.h"
#undef STATIC
};

struct entry {
	uint32_t at; /* of its line in the text */
	uint32_t value_len;
	uint32_t name_len;
	uint8_t mark;
	bool is_name_unknown;
	bool has_bad_name, has_bad; /* has_bad: in the name or in the value */
};

struct hpack {
	uint8_t *text;
	size_t text_len, text_max;
	struct entry *entries; /* a ring: the newest is before `next` */
	uint32_t next, count, max;
	uint32_t unknown_count; /* they are older than all others */
	size_t size, size_max;	/* of the table, as RFC 7541 4.1 counts */
	bool has_fields;	/* the block being read has had some */
	uint8_t *rest;		/* of a block that goes on: a field that is not whole */
	size_t rest_len, rest_max;
	size_t memory_bytes, memory_max;
};

/* --- memory --- */

/* Return: 0; -E2BIG beyond memory_max, -ENOMEM: nothing has changed */
static int resize(struct hpack *h, uint8_t **memory, size_t *max, size_t want)
{
	uint8_t *now;

	if (want - *max > h->memory_max - h->memory_bytes)
		return -E2BIG;
	now = realloc(*memory, want);
	if (!now)
		return -ENOMEM;
	h->memory_bytes += want - *max;
	*memory = now;
	*max = want;
	return 0;
}

static struct entry *entry_at(const struct hpack *h, uint32_t age)
{
	return &h->entries[(h->next - 1 - age) & (h->max - 1)];
}

/* the living lines to the front of the text */
static void compact(struct hpack *h)
{
	uint32_t from = h->count ? entry_at(h, h->count - 1)->at : (uint32_t)h->text_len;

	memmove(h->text, h->text + from, h->text_len - from);
	h->text_len -= from;
	for (uint32_t age = 0; age < h->count; age++)
		entry_at(h, age)->at -= from;
}

/* room for @len bytes behind the text */
static int reserve_text(struct hpack *h, size_t len)
{
	size_t want = h->text_max ? h->text_max : TEXT_BYTES_MIN;

	if (LIKELY(len <= h->text_max - h->text_len))
		return 0;
	if (h->text)
		compact(h);
	if (2 * h->text_len + len <= h->text_max)
		return 0; /* as much was dead as is moved: it pays */
	while (want < 2 * h->text_len + len)
		want *= 2;
	if (want > h->memory_max / 4 * 3)
		want = h->text_len + len; /* small limits: exactly what is needed */
	return want <= h->text_max ? 0 : resize(h, &h->text, &h->text_max, want);
}

static int reserve_entry(struct hpack *h)
{
	uint32_t max = h->max ? h->max * 2 : ENTRIES_MIN;
	struct entry *now;

	if (LIKELY(h->count < h->max))
		return 0;
	if ((max - h->max) * sizeof(*now) > h->memory_max - h->memory_bytes)
		return -E2BIG;
	now = malloc(max * sizeof(*now));
	if (!now)
		return -ENOMEM;
	for (uint32_t age = 0; age < h->count; age++)
		now[h->count - 1 - age] = *entry_at(h, age);
	free(h->entries);
	h->memory_bytes += (max - h->max) * sizeof(*now);
	h->entries = now;
	h->next = h->count;
	h->max = max;
	return 0;
}

struct hpack *hpack_new(size_t memory_max)
{
	struct hpack *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->memory_max = memory_max;
	h->memory_bytes = MIN(sizeof(*h), memory_max);
	h->size_max = TABLE_BYTES;
	return h;
}

void hpack_free(struct hpack *h)
{
	if (!h)
		return;
	free(h->text);
	free(h->entries);
	free(h->rest);
	free(h);
}

/* --- the table --- */

static size_t entry_bytes(const struct entry *e)
{
	return ENTRY_BYTES + (e->is_name_unknown ? 1 : e->name_len) + e->value_len;
}

static void shrink(struct hpack *h, size_t to)
{
	while (h->size > to) {
		if (h->unknown_count) {
			h->unknown_count--;
			h->size -= UNKNOWN_BYTES;
		} else {
			h->size -= entry_bytes(entry_at(h, --h->count));
		}
	}
}

/* The line behind the text becomes an entry, unless it is larger than the table: that empties it (4.4). */
static int insert(struct hpack *h, const struct entry *e)
{
	size_t bytes = entry_bytes(e);
	int r = reserve_entry(h);

	if (r < 0)
		return r;
	if (bytes > h->size_max) {
		shrink(h, 0);
		return 0;
	}
	shrink(h, h->size_max - bytes);
	h->entries[h->next++ & (h->max - 1)] = *e;
	h->count++;
	h->size += bytes;
	h->text_len += e->name_len + e->value_len + LINE_EXTRA;
	return 0;
}

int hpack_join(struct hpack *h, unsigned level)
{
	size_t count = join_table_bytes[MIN(level, HPACK_LEVEL_MAX)] / ENTRY_BYTES_MIN + 1;

	h->count = 0;
	h->text_len = h->rest_len = 0;
	h->has_fields = false;
	h->unknown_count = (uint32_t)count;
	h->size = h->size_max = count * UNKNOWN_BYTES;
	return 0;
}

/* --- what fields are made of --- */

struct cursor {
	const uint8_t *at, *end;
};

/* RFC 7541 5.1. Return: 0; -EAGAIN it goes on behind the end; -EBADMSG no length or index is so large */
static inline int take_number(struct cursor *c, unsigned prefix_bits, uint32_t *out)
{
	uint32_t max = (1U << prefix_bits) - 1;
	uint64_t n = *c->at++ & max;
	uint8_t byte = n == max ? 128 : 0;

	for (unsigned shift = 0; UNLIKELY(byte & 128); shift += 7) {
		if (c->at == c->end)
			return -EAGAIN;
		byte = *c->at++;
		n += (uint64_t)(byte & 127) << shift;
		if (shift > 28 || n > UINT32_MAX)
			return -EBADMSG;
	}
	*out = (uint32_t)n;
	return 0;
}

struct string {
	struct span bytes; /* as they are in the block */
	bool is_coded;
};

static size_t string_room(const struct string *s)
{
	return s->is_coded ? HUFFMAN_ROOM(s->bytes.len) : s->bytes.len;
}

static int take_string(struct cursor *c, struct string *s)
{
	uint32_t len;
	int r;

	if (c->at == c->end)
		return -EAGAIN;
	s->is_coded = c->at[0] & 0x80;
	r = take_number(c, 7, &len);
	if (r < 0)
		return r;
	if (len > STRING_MAX)
		return -EBADMSG;
	if (len > (size_t)(c->end - c->at))
		return -EAGAIN;
	s->bytes = span_of(c->at, len);
	c->at += len;
	return 0;
}

static int64_t put_string(uint8_t *to, const struct string *s)
{
	if (s->is_coded)
		return huffman_decode(s->bytes, to);
	if (s->bytes.len)
		memcpy(to, s->bytes.ptr, s->bytes.len);
	return (int64_t)s->bytes.len;
}

/* is a byte below 0x20 among these eight? (each byte's top bit tells, as in Bit Twiddling Hacks' hasless) */
static inline bool has_control(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return (v - UINT64_C(0x2020202020202020)) & ~v & UINT64_C(0x8080808080808080);
}

static bool may_break_lines(const uint8_t *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8)
		if (has_control(p))
			return true;
	for (size_t i = 0; i < len; i++)
		if (p[i] < ' ')
			return true;
	return false;
}

/* Bytes that would break the lines: an endpoint must refuse them, an observer must not be fooled by them. */
static bool clean(uint8_t *p, size_t len)
{
	bool has_bad = false;

	if (LIKELY(!may_break_lines(p, len)))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (p[i] == '\r' || p[i] == '\n' || p[i] == '\0') {
			p[i] = ' ';
			has_bad = true;
		}
	}
	return has_bad;
}

/* --- fields --- */

static void give(const uint8_t *line, const struct entry *e, bool is_never_indexed,
		 hpack_field_fn *fn, void *ctx)
{
	struct hpack_field f = {
		.line = {line, e->name_len + e->value_len + LINE_EXTRA},
		.name = {line, e->is_name_unknown ? 0 : e->name_len},
		.value = {line + e->name_len + 2, e->value_len},
		.mark = e->mark,
		.is_name_unknown = e->is_name_unknown,
		.is_never_indexed = is_never_indexed,
		.has_bad = e->has_bad,
	};

	fn(ctx, &f);
}

static void give_unknown(hpack_field_fn *fn, void *ctx)
{
	struct hpack_field f = {
		.line = SPAN_LIT(UNKNOWN_LINE), .is_name_unknown = true, .is_value_unknown = true};

	fn(ctx, &f);
}

static struct entry static_as_entry(const struct static_entry *s)
{
	return (struct entry){.name_len = s->name_len, .value_len = s->value_len, .mark = s->mark};
}

static int take_indexed(struct hpack *h, struct cursor *c, hpack_field_fn *fn, void *ctx)
{
	uint32_t index;
	int r = take_number(c, 7, &index);

	if (r < 0)
		return r;
	if (index == 0)
		return -EBADMSG;
	if (index <= STATIC_COUNT) {
		const struct static_entry *s = &statics[index - 1];
		struct entry e = static_as_entry(s);

		give((const uint8_t *)s->line, &e, false, fn, ctx);
		return 0;
	}
	index -= STATIC_COUNT + 1;
	if (index < h->count) {
		const struct entry *e = entry_at(h, index);

		give(h->text + e->at, e, false, fn, ctx);
		return 0;
	}
	if (index - h->count >= h->unknown_count)
		return -EBADMSG;
	give_unknown(fn, ctx);
	return 0;
}

/* The name of a literal as the beginning of a line at @to. What is noted of it goes to *e. */
static int put_name(const struct hpack *h, uint32_t index, const struct string *name, uint8_t *to,
		    struct entry *e)
{
	int64_t n;

	if (index == 0) {
		n = put_string(to, name);
		if (n < 0)
			return (int)n;
		e->name_len = (uint32_t)n;
		e->has_bad_name = clean(to, (size_t)n);
		e->mark = http2_name_find(span_of(to, (size_t)n));
		return 0;
	}
	if (index <= STATIC_COUNT) {
		*e = static_as_entry(&statics[index - 1]);
		memcpy(to, statics[index - 1].line, e->name_len);
		return 0;
	}
	index -= STATIC_COUNT + 1;
	if (index < h->count) {
		const struct entry *old = entry_at(h, index);

		*e = *old;
		memcpy(to, h->text + old->at, old->name_len);
		return 0;
	}
	if (index - h->count >= h->unknown_count)
		return -EBADMSG;
	*e = (struct entry){.name_len = sizeof(UNKNOWN_NAME) - 1, .is_name_unknown = true};
	memcpy(to, UNKNOWN_NAME, e->name_len);
	return 0;
}

static size_t name_room(const struct hpack *h, uint32_t index, const struct string *name)
{
	if (index == 0)
		return string_room(name);
	index -= STATIC_COUNT + 1;
	return index < h->count ? entry_at(h, index)->name_len : 64;
}

/* The line of a literal, behind the text. */
static int put_line(struct hpack *h, uint32_t index, const struct string *name,
		    const struct string *value, struct entry *e)
{
	int r = reserve_text(h, name_room(h, index, name) + string_room(value) + LINE_EXTRA);
	uint8_t *line = h->text + h->text_len, *to;
	int64_t n;

	if (r == 0)
		r = put_name(h, index, name, line, e);
	if (r < 0)
		return r;
	to = line + e->name_len;
	memcpy(to, ": ", 2);
	n = put_string(to + 2, value);
	if (n < 0)
		return (int)n;
	e->value_len = (uint32_t)n;
	e->has_bad = clean(to + 2, (size_t)n) || e->has_bad_name;
	memcpy(to + 2 + n, "\r\n", 2);
	e->at = (uint32_t)h->text_len;
	return 0;
}

static int take_literal(struct hpack *h, struct cursor *c, unsigned prefix_bits, hpack_field_fn *fn,
			void *ctx)
{
	bool is_never_indexed = prefix_bits == 4 && (c->at[0] & 0x10);
	struct string name = {0}, value;
	struct entry e = {0};
	uint32_t index;
	int r = take_number(c, prefix_bits, &index);

	if (r == 0 && index == 0)
		r = take_string(c, &name);
	if (r == 0)
		r = take_string(c, &value);
	if (r == 0)
		r = put_line(h, index, &name, &value, &e);
	if (r < 0)
		return r;
	give(h->text + e.at, &e, is_never_indexed, fn, ctx);
	return prefix_bits == 6 ? insert(h, &e) : 0;
}

static int take_size(struct hpack *h, struct cursor *c)
{
	uint32_t bytes;
	int r = take_number(c, 5, &bytes);

	if (r < 0)
		return r;
	if (bytes > TABLE_BYTES_MAX || h->has_fields) /* before the first field only (4.2) */
		return -EBADMSG;
	h->size_max = bytes;
	shrink(h, bytes);
	return 0;
}

/* RFC 7541 6: its first bits say what it is */
static inline int take_field(struct hpack *h, struct cursor *c, hpack_field_fn *fn, void *ctx)
{
	uint8_t first = c->at[0];

	if (first & 0x80)
		return take_indexed(h, c, fn, ctx);
	if (first & 0x40)
		return take_literal(h, c, 6, fn, ctx);
	return first & 0x20 ? take_size(h, c) : take_literal(h, c, 4, fn, ctx);
}

/* --- blocks --- */

/* What is not a whole field yet waits. */
static int keep_rest(struct hpack *h, struct span rest)
{
	int r = 0;

	if (h->rest_max < rest.len)
		r = resize(h, &h->rest, &h->rest_max, rest.len);
	if (r == 0 && rest.len)
		memmove(h->rest, rest.ptr, rest.len);
	h->rest_len = r == 0 ? rest.len : 0;
	return r;
}

/* @bytes behind what waits. Return: all of it, in h->rest */
static int join_rest(struct hpack *h, struct span *bytes)
{
	size_t want = h->rest_len + bytes->len;
	int r = want > h->rest_max ? resize(h, &h->rest, &h->rest_max, want) : 0;

	if (r < 0)
		return r;
	if (bytes->len)
		memcpy(h->rest + h->rest_len, bytes->ptr, bytes->len);
	*bytes = span_of(h->rest, want);
	return 0;
}

int hpack_block(struct hpack *h, struct span bytes, bool is_last, hpack_field_fn *fn, void *ctx)
{
	struct cursor c;
	int r = 0;

	if (UNLIKELY(h->rest_len))
		r = join_rest(h, &bytes);
	c = (struct cursor){bytes.ptr, bytes.ptr + bytes.len};
	while (r == 0 && c.at < c.end) {
		struct cursor field = c;

		r = take_field(h, &field, fn, ctx);
		if (r == 0) {
			h->has_fields |= (c.at[0] & 0xe0) != 0x20;
			c = field;
		}
	}
	h->rest_len = 0;
	if (UNLIKELY(r == -EAGAIN && !is_last))
		return keep_rest(h, span_of(c.at, (size_t)(c.end - c.at)));
	h->has_fields &= !is_last;
	return r == -EAGAIN ? -EBADMSG : r;
}

size_t hpack_unknown_entries(const struct hpack *h)
{
	return h->unknown_count;
}

size_t hpack_memory_bytes(const struct hpack *h)
{
	return h->memory_bytes;
}
