// SPDX-License-Identifier: Apache-2.0
#include "wire/http1_head.h"

#include "wire/noted.h"

#include <endian.h>

/*
 * Theory of operation
 *
 * One pass over the lines of a head, found with memchr(). A line whose name means something is read by
 * wire/noted.h; all others cost a length and a letter. Only positions are noted, so the head may be
 * copied afterwards and the notes still hold.
 *
 * A line that begins with a blank continues the one before it (obs-fold, RFC 9112 5.2); the value
 * of a header in the table is taken with its continuation, line ends included, and those count as
 * blanks when it is read. LF alone ends a line (2.2). Names are read although a blank stands before
 * the colon: many servers do, and what they took to be the framing is what the wire shows.
 */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool is_space(uint8_t c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static struct span trim(struct span s)
{
	while (s.len && is_space(s.ptr[0]))
		s = (struct span){s.ptr + 1, s.len - 1};
	while (s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

/* first, middle and last letter, in any case */
static inline uint64_t watch_bit(const uint8_t *name, size_t len)
{
	unsigned a = name[0] & 31u, b = name[len / 2] & 31u, c = name[len - 1] & 31u;

	return UINT64_C(1) << ((a + b * 5 + c * 11) & 63);
}

void http1_watch_add(struct http1_watch *w, struct span name)
{
	if (name.len && name.len < COUNT_OF(w->bits))
		w->bits[name.len] |= watch_bit(name.ptr, name.len);
}

bool http1_is_watched(const struct http1_watch *w, struct span name)
{
	if (!w || name.len == 0)
		return false;
	if (LIKELY(name.len < COUNT_OF(w->bits) && !(w->bits[name.len] & watch_bit(name.ptr, name.len))))
		return false;
	return w->matches(w, name);
}

uint8_t http1_version_at(const uint8_t *s)
{
	static const uint8_t form[8] = "HTTP/\0.", matters[8] = {0xdf, 0xdf, 0xdf, 0xdf, 0xff, 0, 0xff, 0};
	uint64_t text, want, mask;

	memcpy(&text, s, 8);
	memcpy(&want, form, 8);
	memcpy(&mask, matters, 8);
	if ((text & mask) != want || !is_digit(s[5]) || !is_digit(s[7]))
		return 0;
	return (uint8_t)((s[5] - '0') * 10 + (s[7] - '0'));
}

bool http1_is_method_char(uint8_t c)
{
	uint8_t letter = c | 0x20;

	return (letter >= 'a' && letter <= 'z') || is_digit(c) ||
	       (c && memchr("!#$%&'*+-.^_`|~", c, 15));
}

/* the length of the method that @line begins with and that a blank ends; 0 when there is none */
static size_t method_length(struct span line)
{
	size_t n = 0;

	while (n < line.len && http1_is_method_char(line.ptr[n]))
		n++;
	return n < line.len && n <= HTTP1_METHOD_MAX && is_blank(line.ptr[n]) ? n : 0;
}

static void note_method(struct http1_head *h, struct span method)
{
	h->method_len = (uint32_t)method.len;
	h->is_head = span_eq(method, SPAN_LIT("HEAD"));
	h->is_connect = span_eq(method, SPAN_LIT("CONNECT"));
}

static struct http1_at place_trimmed(struct span head, size_t from, size_t to)
{
	while (from < to && is_blank(head.ptr[from]))
		from++;
	while (to > from && is_blank(head.ptr[to - 1]))
		to--;
	return (struct http1_at){(uint32_t)from, (uint32_t)(to - from)};
}

/* method SP target SP HTTP/d.d: everything between the first and the last blank is the target */
static bool parse_request_line(struct span line, struct http1_head *h)
{
	size_t method = method_length(line), to;

	for (int i = 0; i < HTTP1_BLANKS_MAX && line.len && is_blank(line.ptr[line.len - 1]); i++)
		line.len--;
	if (method == 0 || line.len < method + 9)
		return false;
	to = line.len - 8;
	h->version = http1_version_at(line.ptr + to);
	if (!h->version || !is_blank(line.ptr[to - 1]))
		return false;
	note_method(h, span_of(line.ptr, method));
	h->target = place_trimmed(line, method, to);
	return true;
}

/* a request line longer than what was kept of it: the version is out of sight */
static bool parse_cut_line(struct span line, struct http1_head *h)
{
	size_t method = method_length(line);

	if (method == 0)
		return false;
	note_method(h, span_of(line.ptr, method));
	h->target = place_trimmed(line, method, line.len);
	return true;
}

/* HTTP/d.d blank digit digit digit; the reason phrase may be missing */
static bool parse_status_line(struct span line, struct http1_head *h)
{
	const uint8_t *s = line.ptr;
	size_t at = 8;

	if (line.len < 12 || !(h->version = http1_version_at(s)) || !is_blank(s[8]))
		return false;
	while (at < line.len && is_blank(s[at]))
		at++;
	if (line.len - at < 3 || !is_digit(s[at]) || !is_digit(s[at + 1]) || !is_digit(s[at + 2]))
		return false;
	h->status = (uint16_t)((s[at] - '0') * 100 + (s[at + 1] - '0') * 10 + (s[at + 2] - '0'));
	return true;
}

/* the line at @at, without its line end; *next_out is where the following one begins, 0: no LF */
static inline struct span line_at(struct span in, size_t at, size_t *next_out, uint64_t *anomalies)
{
	const uint8_t *lf = at < in.len ? memchr(in.ptr + at, '\n', in.len - at) : NULL;
	size_t end = lf ? (size_t)(lf - in.ptr) : in.len;

	*next_out = lf ? end + 1 : 0;
	if (end > at && in.ptr[end - 1] == '\r')
		end--;
	else if (lf)
		*anomalies |= ANOMALY_BIT(BARE_LF);
	return (struct span){in.ptr + at, end - at};
}

static struct http1_at place(struct span head, struct span value)
{
	return (struct http1_at){(uint32_t)(value.ptr - head.ptr), (uint32_t)value.len};
}

/* the value that starts in @line and goes on in the folded lines from @next on */
static struct span whole_value(struct span in, struct span value, size_t next)
{
	while (next && next < in.len && is_blank(in.ptr[next])) {
		uint64_t ignored = 0;
		struct span more = line_at(in, next, &next, &ignored);

		value.len = (size_t)(more.ptr + more.len - value.ptr);
	}
	return trim(value);
}

static void note_watched(struct http1_head *h, struct span in, struct span line, size_t next)
{
	size_t from = (size_t)(line.ptr - in.ptr);

	h->is_watched = true;
	if (h->watched_count < HTTP1_WATCHED_MAX)
		h->watched[h->watched_count] =
			(struct http1_at){(uint32_t)from, (uint32_t)(next - from)};
	if (h->watched_count <= HTTP1_WATCHED_MAX)
		h->watched_count++;
}

/* where the first colon of @line is, or its length; @in goes on behind it */
static inline size_t colon_in(struct span line, const uint8_t *in_end)
{
	size_t i = 0;

	/* eight at once, as names are short: cheaper than a call; what lies behind the line does no harm */
	for (; i < line.len && in_end - (line.ptr + i) >= 8; i += 8) {
		uint64_t eight, low = UINT64_C(0x0101010101010101), found;

		memcpy(&eight, line.ptr + i, 8);
		eight = le64toh(eight) ^ ':' * low;
		found = (eight - low) & ~eight & low << 7; /* its lowest bit is that of the first colon */
		if (found)
			return MIN(i + ((size_t)__builtin_ctzll(found) >> 3), line.len);
	}
	while (i < line.len && line.ptr[i] != ':')
		i++;
	return MIN(i, line.len);
}

static inline void parse_header_line(struct http1_head *h, const struct http1_watch *watch, struct span in,
				     struct span line, size_t next)
{
	size_t len = colon_in(line, in.ptr + in.len);
	const uint8_t *colon;
	enum noted which;
	struct span value;

	colon = line.ptr + len;
	if (len == 0 || len == line.len) {
		h->anomalies |= ANOMALY_BIT(BAD_HEADER);
		return;
	}
	if (UNLIKELY(is_blank(line.ptr[len - 1]))) {
		h->anomalies |= ANOMALY_BIT(BAD_HEADER);
		len = trim(span_of(line.ptr, len)).len;
	}
	if (UNLIKELY(http1_is_watched(watch, span_of(line.ptr, len))))
		note_watched(h, in, line, next);
	which = noted_find(span_of(line.ptr, len));
	if (which == NOTED_NONE)
		return;
	value = whole_value(in, span_of(colon + 1, (size_t)(line.ptr + line.len - colon - 1)), next);
	noted_read(h, which, place(in, value), value);
}

/* a line whose end is missing: its value cannot be relied on, but it may hold a secret */
static bool is_line_watched(const struct http1_watch *watch, struct span line)
{
	const uint8_t *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;

	return colon && http1_is_watched(watch, trim(span_of(line.ptr, (size_t)(colon - line.ptr))));
}

static bool parse_start_line(enum http1_kind kind, struct span line, bool is_cut,
			     struct http1_head *h)
{
	if (kind == HTTP1_RESPONSE)
		return parse_status_line(line, h);
	return is_cut ? parse_cut_line(line, h) : parse_request_line(line, h);
}

size_t http1_head_parse(enum http1_kind kind, struct span in, bool is_cut,
			const struct http1_watch *watch, struct http1_head *out)
{
	struct span line;
	size_t at;

	*out = (struct http1_head){.is_cut = is_cut};
	line = line_at(in, 0, &at, &out->anomalies);
	if (at == 0 && !is_cut)
		return 0;
	if (!parse_start_line(kind, line, at == 0, out))
		return 0;
	while (at) {
		size_t next;

		line = line_at(in, at, &next, &out->anomalies);
		if (!next) {
			out->is_watched |= is_cut && is_line_watched(watch, line);
			break;
		}
		if (line.len == 0) {
			noted_settle(out);
			out->bytes = (uint32_t)next;
			return next;
		}
		if (is_blank(line.ptr[0]))
			out->anomalies |= ANOMALY_BIT(OBS_FOLD);
		else
			parse_header_line(out, watch, in, line, next);
		at = next;
	}
	if (!is_cut)
		return 0;
	noted_settle(out);
	out->anomalies |= ANOMALY_BIT(HEAD_CUT);
	out->bytes = (uint32_t)in.len;
	return in.len;
}
