// SPDX-License-Identifier: Apache-2.0
#include "store/format_har_scan.h"

#include <errno.h>

/*
 * Theory of operation. A HAR may be larger than memory, and its entries are what is wanted of it.
 *So the document is not parsed: brackets are counted and strings are stepped over, which suffices
 *to find
 *
 *	{ "log": { ..., "entries": [ ENTRY, ENTRY, ... ] } }
 *	1         2                3 4     3
 *
 * ENTRY is handed out as text as soon as its last bracket has come. Whether it is JSON is for its
 *reader to say. Keys are compared as they are written: nobody writes "log" with escapes.
 */
#define DEPTH_LOG     2
#define DEPTH_ENTRIES 3
#define DEPTH_ENTRY   4

static bool is_word(const struct har_scan *s, const char *word)
{
	return s->word_len == strlen(word) && memcmp(s->word, word, s->word_len) == 0;
}

/* a string outside of entries: one too long for any of our keys is none of them */
static void note_char(struct har_scan *s, uint8_t c)
{
	if (s->word_len < sizeof(s->word))
		s->word[s->word_len++] = c;
}

static void open_bracket(struct har_scan *s, uint8_t c)
{
	if (s->depth == 1 && s->is_key && c == '{')
		s->is_in_log = true;
	if (s->depth == DEPTH_LOG && s->is_in_log && s->is_key && c == '[')
		s->is_in_entries = s->has_entries = true;
	s->depth++;
	s->is_key = false;
	if (s->is_in_entries && s->depth == DEPTH_ENTRY) {
		s->is_in_entry = true;
		s->count++;
		buf_clear(&s->entry);
	}
}

/* Return: true when an entry ends here */
static bool close_bracket(struct har_scan *s)
{
	bool is_end = s->is_in_entry && s->depth == DEPTH_ENTRY;

	if (s->depth == DEPTH_ENTRIES)
		s->is_in_entries = false;
	if (s->depth == DEPTH_LOG)
		s->is_in_log = false;
	s->depth--;
	s->is_key = false;
	return is_end;
}

static void end_key(struct har_scan *s)
{
	s->is_key = (s->depth == 1 && is_word(s, "log")) ||
		    (s->depth == DEPTH_LOG && is_word(s, "entries"));
}

static void step_in_string(struct har_scan *s, uint8_t c)
{
	if (s->is_escaped)
		s->is_escaped = false;
	else if (c == '\\')
		s->is_escaped = true;
	else if (c == '"')
		s->is_in_string = false;
	else if (!s->is_in_entry)
		note_char(s, c);
}

/* One character outside of strings. Return: 1 an entry ends with it; 0; -EBADMSG */
static int step(struct har_scan *s, uint8_t c)
{
	switch (c) {
	case '"':
		s->is_in_string = true;
		s->word_len = 0;
		break;
	case '{':
	case '[': open_bracket(s, c); break;
	case '}':
	case ']':
		if (s->depth == 0)
			return -EBADMSG;
		return close_bracket(s);
	case ':': end_key(s); break;
	case ',': s->is_key = false; break;
	default: break;
	}
	/* a byte order mark may stand in front */
	return s->depth == 0 && c > ' ' && c < 0x80 ? -EBADMSG : 0;
}

/* In a string nothing counts but its end: how many bytes of @in may be stepped over */
static size_t plain_bytes(const struct har_scan *s, struct span in)
{
	size_t n = 0;

	if (!s->is_in_string || s->is_escaped || !s->is_in_entry)
		return 0;
	while (n < in.len && in.ptr[n] != '"' && in.ptr[n] != '\\')
		n++;
	return n;
}

static int keep(struct har_scan *s, const uint8_t *from, const uint8_t *until, struct err *e)
{
	if (s->entry.len + (size_t)(until - from) > s->entry_max)
		return err_set(e, -E2BIG, "entry %llu is longer than %zu MiB",
			       (unsigned long long)s->count, s->entry_max >> 20);
	buf_add(&s->entry, from, (size_t)(until - from));
	return s->entry.is_failed ? err_set(e, -ENOMEM, "out of memory") : 0;
}

static int hand_out(struct har_scan *s, const uint8_t *from, const uint8_t *until, har_entry_fn *fn,
		    void *ctx, struct err *e)
{
	int r = keep(s, from, until, e);

	s->is_in_entry = false;
	if (r == 0)
		r = fn(ctx, buf_span(&s->entry));
	buf_clear(&s->entry);
	return r;
}

int har_scan_feed(struct har_scan *s, struct span bytes, har_entry_fn *fn, void *ctx, struct err *e)
{
	const uint8_t *from = bytes.ptr, *p = bytes.ptr, *end = bytes.ptr + bytes.len;

	while (p < end) {
		bool was_in_entry = s->is_in_entry;
		int r = 0;

		p += plain_bytes(s, span_of(p, (size_t)(end - p)));
		if (p == end)
			break;
		if (s->is_in_string)
			step_in_string(s, *p);
		else
			r = step(s, *p);
		if (r < 0)
			return err_set(e, r, "no HAR: not a JSON object");
		if (!was_in_entry && s->is_in_entry)
			from = p;
		p++;
		if (r == 1 && (r = hand_out(s, from, p, fn, ctx, e)) < 0)
			return r;
	}
	return s->is_in_entry ? keep(s, from, end, e) : 0;
}

int har_scan_end(const struct har_scan *s, struct err *e)
{
	if (s->depth && (s->has_entries || s->count))
		return err_set(e, -ENODATA, "ends in the middle, after %llu entries",
			       (unsigned long long)(s->count - s->is_in_entry));
	return s->has_entries ? 0 : err_set(e, -EBADMSG, "no HAR: it has no log.entries");
}

void har_scan_fini(struct har_scan *s)
{
	buf_fini(&s->entry);
}
