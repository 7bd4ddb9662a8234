// SPDX-License-Identifier: Apache-2.0
#include "wire/http1_head.h"

#include "lib/scan.h"
#include "wire/http1_start.h"
#include "wire/noted.h"

/*
 * Theory of operation
 *
 * One pass: line ends and colons are looked for together, 64 bytes at once (lib/scan.h), and a line costs a
 * few bits of the words that come of it. Its name is looked up once (wire/http1_watch.h), and nearly always
 * means nothing; else wire/noted.h reads it, or the rule by which its value is a secret is kept with the value's
 * place. Only places are noted, so the head may be copied afterwards and the notes still hold.
 *
 * A line that begins with a blank continues the one before it (obs-fold, RFC 9112 5.2); the value
 * of a header that is noted is taken with its continuation, line ends included, and those count as
 * blanks when it is read. LF alone ends a line (2.2). Names are read although a blank stands before
 * the colon: many servers do, and what they took to be the framing is what the wire shows.
 */

/* --- lines --- */

/* A head on its way from line to line. */
struct reader {
	struct span in;
	size_t at;	   /* where the next line begins */
	size_t base;	   /* of the bytes that were scanned last */
	struct scan ahead; /* line ends and colons in them that were not passed yet */
};

struct line {
	struct span text; /* without its line end */
	size_t colon;	  /* how far into text the first one is; text.len or more: there is none */
	bool has_end;
	bool is_bare; /* it ends in LF alone */
};

static ALWAYS_INLINE void scan_from(struct reader *r, size_t base)
{
	size_t left = r->in.len - base;

	r->base = base;
	r->ahead = LIKELY(left >= SCAN_BYTES) ? scan_two(r->in.ptr + base, '\n', ':')
					      : scan_tail(r->in, left, '\n', ':');
}

/* the line that begins at r->at */
static ALWAYS_INLINE struct line next_line(struct reader *r)
{
	struct line l = {.text = {r->in.ptr + r->at, 0}, .colon = SIZE_MAX, .has_end = true};
	uint64_t end, colon;

	while (UNLIKELY(r->ahead.first == 0)) {
		if (r->ahead.second && l.colon == SIZE_MAX)
			l.colon = r->base + (size_t)__builtin_ctzll(r->ahead.second) - r->at;
		if (UNLIKELY(r->in.len - r->base <= SCAN_BYTES)) {
			l.has_end = false;
			l.text.len = r->in.len - r->at;
			l.text.len -= l.text.len && l.text.ptr[l.text.len - 1] == '\r';
			return l;
		}
		scan_from(r, r->base + SCAN_BYTES);
	}
	end = r->ahead.first & (0 - r->ahead.first); /* its lowest bit */
	colon = r->ahead.second & (end - 1);
	if (colon && l.colon == SIZE_MAX)
		l.colon = r->base + (size_t)__builtin_ctzll(colon) - r->at;
	r->ahead.first ^= end;
	r->ahead.second &= 0 - end;
	l.text.len = r->base + (size_t)__builtin_ctzll(end) - r->at;
	r->at += l.text.len + 1;
	l.is_bare = l.text.len == 0 || l.text.ptr[l.text.len - 1] != '\r';
	l.text.len -= !l.is_bare;
	return l;
}

/* the value that starts in its line and goes on in the folded lines from @next on */
static struct span whole_value(struct span in, struct span value, size_t next)
{
	while (next < in.len && http1_is_blank(in.ptr[next])) {
		const uint8_t *lf = memchr(in.ptr + next, '\n', in.len - next);

		next = lf ? (size_t)(lf - in.ptr) + 1 : in.len;
		value.len = (size_t)(in.ptr + next - value.ptr);
	}
	return noted_trim(value);
}

static void note_rule(struct http1_head *h, struct http1_at at, uint8_t rule)
{
	h->is_watched = true;
	if (h->watched_count < HTTP1_WATCHED_MAX) {
		h->watched[h->watched_count] = at;
		h->rules[h->watched_count] = rule;
	}
	if (h->watched_count <= HTTP1_WATCHED_MAX)
		h->watched_count++;
}

/* a header whose name means something, with the value as far as it stands in its line */
static void read_header(struct http1_head *h, struct span in, const struct http1_name *name,
			struct span value, size_t next)
{
	if (UNLIKELY(next < in.len && http1_is_blank(in.ptr[next])))
		value = whole_value(in, value, next);
	if (LIKELY(value.len && value.ptr[0] == ' '))
		value = (struct span){value.ptr + 1, value.len - 1};
	if (UNLIKELY(value.len && (value.ptr[0] <= ' ' || value.ptr[value.len - 1] <= ' ')))
		value = noted_trim(value);
	if (name->noted != NOTED_NONE)
		noted_read(h, (enum noted)name->noted, http1_place(in, value), value);
	if (name->rule)
		note_rule(h, http1_place(in, value), name->rule);
}

/* the same without a watch list */
static void read_noted(struct http1_head *h, struct span in, struct span name, struct span value,
		       size_t next)
{
	struct http1_name row = {.noted = (uint8_t)noted_find(name)};

	if (row.noted != NOTED_NONE)
		read_header(h, in, &row, value, next);
}

static ALWAYS_INLINE void take_line(struct http1_head *h, const struct http1_watch *watch,
				    const struct reader *r, const struct line *l)
{
	struct span name = {l->text.ptr, l->colon};
	struct span value;
	const struct http1_name *found;

	if (UNLIKELY(http1_is_blank(l->text.ptr[0]))) {
		h->anomalies |= ANOMALY_BIT(OBS_FOLD);
		return;
	}
	if (UNLIKELY(l->colon == 0 || l->colon >= l->text.len)) {
		h->anomalies |= ANOMALY_BIT(BAD_HEADER);
		return;
	}
	value = (struct span){name.ptr + l->colon + 1, l->text.len - l->colon - 1};
	if (UNLIKELY(http1_is_blank(name.ptr[name.len - 1]))) {
		h->anomalies |= ANOMALY_BIT(BAD_HEADER);
		name = noted_trim(name);
		if (name.len == 0)
			return;
	}
	if (UNLIKELY(!watch))
		read_noted(h, r->in, name, value, r->at);
	else if ((found = http1_watch_find(watch, name)))
		read_header(h, r->in, found, value, r->at);
}

/* a line whose end is missing: its value cannot be relied on, but it may hold a secret */
static bool is_line_watched(const struct http1_watch *watch, const struct line *l)
{
	return l->colon < l->text.len &&
	       http1_is_watched(watch, noted_trim(span_of(l->text.ptr, l->colon)));
}

/* the lines behind the start line. Return: whether the empty one was found */
static bool take_lines(struct http1_head *h, const struct http1_watch *watch, struct reader r,
		       size_t *end_out)
{
	for (;;) {
		struct line l = next_line(&r);

		if (UNLIKELY(!l.has_end)) {
			h->is_watched |= h->is_cut && is_line_watched(watch, &l);
			return false;
		}
		if (UNLIKELY(l.is_bare))
			h->anomalies |= ANOMALY_BIT(BARE_LF);
		if (UNLIKELY(l.text.len == 0)) {
			*end_out = r.at;
			return true;
		}
		take_line(h, watch, &r, &l);
	}
}

size_t http1_head_parse(enum http1_kind kind, struct span in, bool is_cut,
			const struct http1_watch *watch, struct http1_head *out)
{
	struct reader r = {.in = in};
	struct line start;
	size_t end = in.len;
	bool is_whole;

	*out = (struct http1_head){.is_cut = is_cut};
	scan_from(&r, 0);
	start = next_line(&r);
	if ((!start.has_end && !is_cut) ||
	    !http1_start_parse(kind, start.text, !start.has_end, out))
		return 0;
	if (start.is_bare)
		out->anomalies |= ANOMALY_BIT(BARE_LF);
	is_whole = start.has_end && take_lines(out, watch, r, &end);
	if (!is_whole && !is_cut)
		return 0;
	noted_settle(out);
	if (!is_whole)
		out->anomalies |= ANOMALY_BIT(HEAD_CUT);
	out->bytes = (uint32_t)end;
	return end;
}
