// SPDX-License-Identifier: Apache-2.0
#include "wire/http1_head.h"

#include <endian.h>

/*
 * Theory of operation
 *
 * One pass over the lines of a head, found with memchr(). A line's name is looked up by its length
 * in a table of the few headers that frame the body (RFC 9112 6) or that an exchange carries as a
 * field; all others cost a length and a letter. Only positions are noted, so the head may be
 * copied afterwards and the notes still hold.
 *
 * A line that begins with a blank continues the one before it (obs-fold, RFC 9112 5.2); the value
 * of a header in the table is taken with its continuation, line ends included, and those count as
 * blanks when it is read. LF alone ends a line (2.2). Names are read although a blank stands before
 * the colon: many servers do, and what they took to be the framing is what the wire shows.
 */

enum name {
	NAME_NONE,
	NAME_B3,
	NAME_CONNECTION,
	NAME_CONTENT_LENGTH,
	NAME_CONTENT_TYPE,
	NAME_HOST,
	NAME_REPLAY,
	NAME_REQUEST_ID,
	NAME_TRACEPARENT,
	NAME_TRANSFER_ENCODING,
	NAME_UPGRADE,
	NAME_B3_TRACE,
};

#define NAME_LEN_MAX 17


struct name_row {
	const char *name; /* lower case */
	enum name which;
};

/* by length, so that most headers fall through without a comparison */
static const struct name_row names[NAME_LEN_MAX + 1][3] = {
	[2] = {{"b3", NAME_B3}},
	[4] = {{"host", NAME_HOST}},
	[7] = {{"upgrade", NAME_UPGRADE}},
	[10] = {{"connection", NAME_CONNECTION}},
	[11] = {{"traceparent", NAME_TRACEPARENT}},
	[12] = {{"content-type", NAME_CONTENT_TYPE},
		{"x-request-id", NAME_REQUEST_ID},
		{"x-b3-traceid", NAME_B3_TRACE}},
	[14] = {{"content-length", NAME_CONTENT_LENGTH}},
	[15] = {{"tapeloop-replay", NAME_REPLAY}},
	[17] = {{"transfer-encoding", NAME_TRANSFER_ENCODING}},
};

/* where a trace id was found: the higher one wins */
enum trace_rank { TRACE_NONE, TRACE_REQUEST_ID, TRACE_B3, TRACE_PARENT };

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

/* eight letters at once: of the characters that names are made of, only letters have bit 6 */
static inline bool equals_lower_8(const uint8_t *s, const char *lower)
{
	uint64_t a, b;

	memcpy(&a, s, 8);
	memcpy(&b, lower, 8);
	return (a | (b & UINT64_C(0x4040404040404040)) >> 1) == b;
}

/* @lower: lower-case letters, digits, - and / */
static inline bool equals_lower(const uint8_t *s, const char *lower, size_t len)
{
	size_t i = 0;

	for (; i + 8 <= len; i += 8)
		if (!equals_lower_8(s + i, lower + i))
			return false;
	if (i == len)
		return true;
	if (i)
		return equals_lower_8(s + len - 8, lower + len - 8); /* the rest, some of it again */
	for (; i < len; i++)
		if ((s[i] | (lower[i] & 0x40) >> 1) != lower[i])
			return false;
	return true;
}

static enum name find_name(const uint8_t *s, size_t len)
{
	if (len > NAME_LEN_MAX)
		return NAME_NONE;
	for (size_t i = 0; i < COUNT_OF(names[0]) && names[len][i].name; i++)
		if (equals_lower(s, names[len][i].name, len))
			return names[len][i].which;
	return NAME_NONE;
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

/* next_token() - cut the first element off a comma-separated list */
static struct span next_token(struct span *list)
{
	const uint8_t *comma = list->len ? memchr(list->ptr, ',', list->len) : NULL;
	size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
	struct span token = {list->ptr, len};

	*list = span_from(*list, len + 1);
	return trim(token);
}

static bool is_token(struct span s, const char *lower)
{
	return s.len == strlen(lower) && equals_lower(s.ptr, lower, s.len);
}

bool http1_head_has_token(struct span list, const char *token)
{
	while (list.len)
		if (is_token(next_token(&list), token))
			return true;
	return false;
}

/* a decimal number and nothing else; false when it is none or does not fit */
static bool take_number(struct span s, uint64_t *out)
{
	uint64_t n = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!is_digit(s.ptr[i]) || n > (INT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (uint64_t)(s.ptr[i] - '0');
	}
	*out = n;
	return true;
}

/* Content-Length, maybe as a list, maybe repeated (RFC 9112 6.3 rule 5) */
static void note_content_length(struct http1_head *h, struct span value)
{
	bool had_one = h->framing == HTTP1_LENGTH;

	do {
		uint64_t n;

		if (!take_number(next_token(&value), &n)) {
			h->anomalies |= ANOMALY_BIT(CL_INVALID);
			h->framing = HTTP1_BAD_LENGTH;
			return;
		}
		if (had_one && n != h->content_length) {
			h->anomalies |= ANOMALY_BIT(CL_CONFLICT);
			h->framing = HTTP1_BAD_LENGTH;
			return;
		}
		had_one = true;
		h->content_length = n;
	} while (value.len);
	if (h->framing != HTTP1_BAD_LENGTH)
		h->framing = HTTP1_LENGTH;
}

/* what Content-Length and Transfer-Encoding say together; the latter wins (RFC 9112 6.3 rule 3) */
struct framing_notes {
	bool has_length, has_coding, is_chunked;
};

static void note_transfer_encoding(struct framing_notes *f, struct span value)
{
	while (value.len) {
		struct span coding = next_token(&value);

		if (coding.len == 0 || is_token(coding, "identity"))
			continue;
		f->has_coding = true;
		f->is_chunked = is_token(coding, "chunked");
	}
}

static void settle_framing(struct http1_head *h, const struct framing_notes *f)
{
	if (!f->has_coding)
		return;
	if (f->has_length)
		h->anomalies |= ANOMALY_BIT(CL_AND_TE);
	if (!f->is_chunked)
		h->anomalies |= ANOMALY_BIT(TE_UNKNOWN);
	h->framing = f->is_chunked ? HTTP1_CHUNKED : HTTP1_UNKNOWN_TE;
}

static struct http1_at place(struct span head, struct span value)
{
	return (struct http1_at){(uint32_t)(value.ptr - head.ptr), (uint32_t)value.len};
}

static void note_connection(struct http1_head *h, struct span value)
{
	while (value.len) {
		struct span option = next_token(&value);

		h->has_close |= is_token(option, "close");
		h->has_keep_alive |= is_token(option, "keep-alive");
		h->has_upgrade |= is_token(option, "upgrade");
	}
}

/* the trace id proper: traceparent is version-id-parent-flags, b3 is id-span-sampled-parent */
static struct span trace_part(enum name which, struct span value)
{
	const uint8_t *dash;

	if (which == NAME_TRACEPARENT)
		value = value.len >= 35 ? span_from(value, 3) : (struct span){0};
	if (which == NAME_REQUEST_ID || value.len == 0)
		return value;
	dash = memchr(value.ptr, '-', value.len);
	return dash ? span_of(value.ptr, (size_t)(dash - value.ptr)) : value;
}

static void note_trace(struct http1_head *h, struct span head, enum name which, struct span value)
{
	uint8_t rank = which == NAME_TRACEPARENT  ? TRACE_PARENT
		       : which == NAME_REQUEST_ID ? TRACE_REQUEST_ID
						  : TRACE_B3;

	value = trace_part(which, value);
	if (rank <= h->trace_rank || value.len == 0)
		return;
	h->trace_rank = rank;
	h->trace_id = place(head, value);
}

static void note_host(struct http1_head *h, struct span head, struct span value)
{
	if (h->host.from)
		h->anomalies |= ANOMALY_BIT(DUPLICATE_HOST);
	else
		h->host = place(head, value);
}

static void note_header(struct http1_head *h, struct framing_notes *f, struct span head,
			enum name which, struct span value)
{
	switch (which) {
	case NAME_NONE:
		break;
	case NAME_HOST:
		note_host(h, head, value);
		break;
	case NAME_CONTENT_TYPE:
		if (!h->content_type.from)
			h->content_type = place(head, value);
		break;
	case NAME_CONTENT_LENGTH:
		f->has_length = true;
		note_content_length(h, value);
		break;
	case NAME_TRANSFER_ENCODING:
		note_transfer_encoding(f, value);
		break;
	case NAME_CONNECTION:
		note_connection(h, value);
		break;
	case NAME_UPGRADE:
		h->has_upgrade = true;
		break;
	case NAME_REPLAY:
		h->replay_of = place(head, value);
		break;
	case NAME_B3:
	case NAME_B3_TRACE:
	case NAME_REQUEST_ID:
	case NAME_TRACEPARENT:
		note_trace(h, head, which, value);
		break;
	}
}

uint8_t http1_version_at(const uint8_t *s)
{
	if (!equals_lower(s, "http", 4) || s[4] != '/' || !is_digit(s[5]) || s[6] != '.' ||
	    !is_digit(s[7]))
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

static inline void parse_header_line(struct http1_head *h, struct framing_notes *f,
				     const struct http1_watch *watch, struct span in,
				     struct span line, size_t next)
{
	size_t len = colon_in(line, in.ptr + in.len);
	const uint8_t *colon;
	enum name which;

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
	which = find_name(line.ptr, len);
	if (which != NAME_NONE)
		note_header(h, f, in, which,
			    whole_value(in, span_of(colon + 1, (size_t)(line.ptr + line.len - colon - 1)), next));
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
	struct framing_notes f = {0};
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
			settle_framing(out, &f);
			out->bytes = (uint32_t)next;
			return next;
		}
		if (is_blank(line.ptr[0]))
			out->anomalies |= ANOMALY_BIT(OBS_FOLD);
		else
			parse_header_line(out, &f, watch, in, line, next);
		at = next;
	}
	if (!is_cut)
		return 0;
	settle_framing(out, &f);
	out->anomalies |= ANOMALY_BIT(HEAD_CUT);
	out->bytes = (uint32_t)in.len;
	return in.len;
}
