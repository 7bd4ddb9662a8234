// SPDX-License-Identifier: Apache-2.0
#include "wire/http2_head.h"

#include "wire/noted.h"

#define UNKNOWN_NAME  ":unknown"
#define UNKNOWN_VALUE "?"

/* --- fields become lines --- */

static void put(struct http2_block *b, struct span s)
{
	if (s.len)
		memcpy(b->lines + b->len, s.ptr, s.len);
	b->len += s.len;
}

/* is a byte below 0x20 among these eight? (each byte's top bit tells, as in Bit Twiddling Hacks' hasless) */
static bool has_control(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return (v - UINT64_C(0x2020202020202020)) & ~v & UINT64_C(0x8080808080808080);
}

static bool may_break_lines(struct span s)
{
	for (; s.len >= 8; s = (struct span){s.ptr + 8, s.len - 8})
		if (has_control(s.ptr))
			return true;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < ' ')
			return true;
	return false;
}

/* Bytes that would break the lines: an endpoint must refuse them, an observer must not be fooled by them. */
static void put_clean(struct http2_block *b, struct span s)
{
	uint8_t *to = b->lines + b->len;

	put(b, s);
	if (LIKELY(!may_break_lines(s)))
		return;
	for (size_t i = 0; i < s.len; i++) {
		if (to[i] == '\r' || to[i] == '\n' || to[i] == '\0') {
			to[i] = ' ';
			b->has_bad = true;
		}
	}
}

void http2_block_add(void *ctx, const struct hpack_field *f)
{
	struct http2_block *b = ctx;
	struct span name = f->is_name_unknown ? SPAN_LIT(UNKNOWN_NAME) : f->name;
	struct span value = f->is_value_unknown ? SPAN_LIT(UNKNOWN_VALUE) : f->value;
	size_t need;

	if (name.len == 0 || name.len > b->max || value.len > b->max) {
		b->has_bad |= name.len == 0;
		b->is_cut |= name.len != 0;
		return;
	}
	need = name.len + value.len + 4;
	b->has_unknown |= f->is_name_unknown || f->is_value_unknown;
	if (need > b->max - b->len) {
		b->is_cut = true;
		return;
	}
	put_clean(b, name);
	put(b, SPAN_LIT(": "));
	put_clean(b, value);
	put(b, SPAN_LIT("\r\n"));
}

/* One line off the front of @lines: every line was written by http2_block_add(). */
static bool next_line(struct span *lines, struct span *name, struct span *value, struct span *line)
{
	const uint8_t *end = lines->len ? memchr(lines->ptr, '\n', lines->len) : NULL;
	const uint8_t *colon;

	if (!end || end - lines->ptr < 4)
		return false;
	*line = span_of(lines->ptr, (size_t)(end - lines->ptr) + 1);
	colon = memchr(line->ptr + 1, ':', line->len - 4); /* a pseudo-header's own colon is the first byte */
	if (!colon)
		return false;
	*name = span_of(line->ptr, (size_t)(colon - line->ptr));
	*value = span_of(colon + 2, line->len - name->len - 4);
	*lines = span_from(*lines, line->len);
	return true;
}

/* --- pseudo-header fields (RFC 9113 8.3) --- */

static uint16_t number_of(struct span s)
{
	unsigned n = 0;

	if (s.len != 3)
		return 0;
	for (size_t i = 0; i < 3; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return 0;
		n = n * 10 + (unsigned)(s.ptr[i] - '0');
	}
	return (uint16_t)n;
}

struct http2_pseudo http2_pseudo_read(struct span lines)
{
	struct http2_pseudo p = {0};
	struct span name, value, line;

	while (lines.len && lines.ptr[0] == ':' && next_line(&lines, &name, &value, &line)) {
		bool is_known = true;

		if (span_eq(name, SPAN_LIT(":method")))
			p.method = value;
		else if (span_eq(name, SPAN_LIT(":path")))
			p.path = value;
		else if (span_eq(name, SPAN_LIT(":authority")))
			p.authority = value;
		else if (span_eq(name, SPAN_LIT(":protocol")))
			p.protocol = value;
		else if (span_eq(name, SPAN_LIT(":status")))
			p.status = number_of(value);
		else
			is_known = span_eq(name, SPAN_LIT(":scheme"));
		p.has_any |= is_known;
	}
	return p;
}

static bool is_in_start_line(struct span name)
{
	return span_eq(name, SPAN_LIT(":method")) || span_eq(name, SPAN_LIT(":path")) ||
	       span_eq(name, SPAN_LIT(":status"));
}

/* --- the head --- */

/* Bytes that are being written from the front. */
struct builder {
	uint8_t *out;
	size_t len;
};

static void append(struct builder *b, struct span s)
{
	if (s.len)
		memcpy(b->out + b->len, s.ptr, s.len);
	b->len += s.len;
}

/*
 * RFC 9113 8.5: CONNECT has no :path, its target is the authority. With any other method a path that
 * is not there is one that is not known.
 */
static void request_line(struct builder *b, const struct http2_pseudo *p)
{
	bool is_connect = span_eq(p->method, SPAN_LIT("CONNECT"));
	struct span target = p->path.ptr || !is_connect ? p->path : p->authority;

	append(b, p->method.len ? p->method : SPAN_LIT(UNKNOWN_VALUE));
	append(b, SPAN_LIT(" "));
	append(b, target.ptr ? target : SPAN_LIT(UNKNOWN_VALUE));
	append(b, SPAN_LIT(" HTTP/2\r\n"));
}

static void status_line(struct builder *b, const struct http2_pseudo *p)
{
	char text[] = "HTTP/2 000\r\n";

	if (!p->status) {
		append(b, SPAN_LIT("HTTP/2 " UNKNOWN_VALUE "\r\n"));
		return;
	}
	text[7] = (char)('0' + p->status / 100);
	text[8] = (char)('0' + p->status / 10 % 10);
	text[9] = (char)('0' + p->status % 10);
	append(b, span_of(text, sizeof(text) - 1));
}

/* --- what a head says --- */

static struct http1_at at_of(struct span head, struct span part)
{
	return (struct http1_at){(uint32_t)(part.ptr - head.ptr), (uint32_t)part.len};
}

static bool is_unknown(struct span s)
{
	return span_eq(s, SPAN_LIT(UNKNOWN_VALUE));
}

/* METHOD SP target SP HTTP/2: the target may hold blanks, the method and the version do not */
static void read_request_line(struct span head, struct span line, struct http1_head *info)
{
	const uint8_t *blank = memchr(line.ptr, ' ', line.len);
	size_t version = sizeof(" HTTP/2") - 1, n = blank ? (size_t)(blank - line.ptr) : 0;
	struct span method = {line.ptr, n}, target;

	if (line.len < n + 1 + version)
		return;
	target = span_of(line.ptr + n + 1, line.len - n - 1 - version);
	info->method_len = is_unknown(method) ? 0 : (uint32_t)n;
	if (!is_unknown(target))
		info->target = at_of(head, target);
	info->is_head = span_eq(method, SPAN_LIT("HEAD"));
	info->is_connect = span_eq(method, SPAN_LIT("CONNECT"));
}

static bool is_name(struct span name, const char *want)
{
	return span_eq(name, span_str(want));
}

/* of :authority and Host the former counts (RFC 9113 8.3.1) */
static void note_field(struct http1_head *info, struct span name, struct span value,
		       struct http1_at at)
{
	enum noted which = noted_find(name);

	if (which != NOTED_NONE && !(which == NOTED_HOST && info->host.from))
		noted_read(info, which, at, value);
}

static void note_grpc(struct http2_grpc *grpc, struct span name, struct span value)
{
	if (name.len == sizeof("grpc-status") - 1 && is_name(name, "grpc-status"))
		grpc->status = value;
	else if (name.len == sizeof("grpc-timeout") - 1 && is_name(name, "grpc-timeout"))
		grpc->timeout = value;
}

bool http2_trailers_read(struct span lines, struct http2_grpc *grpc)
{
	struct span name, value, line;
	bool are_known = true;

	*grpc = (struct http2_grpc){0};
	while (next_line(&lines, &name, &value, &line)) {
		note_grpc(grpc, name, value);
		are_known &= !span_eq(name, SPAN_LIT(UNKNOWN_NAME));
	}
	return are_known;
}

static void read_start_line(enum http1_kind kind, struct span head, struct span start,
			    struct http1_head *info)
{
	if (kind == HTTP1_REQUEST)
		read_request_line(head, start, info);
	else
		info->status = number_of(span_from(start, sizeof("HTTP/2 ") - 1));
}

void http2_head_read(enum http1_kind kind, struct span head, const struct http1_watch *watch,
		     struct http1_head *info)
{
	const uint8_t *end = head.len ? memchr(head.ptr, '\n', head.len) : NULL;
	struct span lines, start, name, value, line;

	*info = (struct http1_head){.version = 20, .bytes = (uint32_t)head.len};
	if (!end || end == head.ptr)
		return;
	start = span_of(head.ptr, (size_t)(end - head.ptr) - 1);
	lines = span_from(head, start.len + 2);
	read_start_line(kind, head, start, info);
	while (next_line(&lines, &name, &value, &line)) {
		note_field(info, name, value, at_of(head, value));
		info->is_watched |= http1_is_watched(watch, name);
	}
}

size_t http2_head_build(enum http1_kind kind, struct span lines, const struct http2_pseudo *pseudo,
			const struct http1_watch *watch, uint8_t *out, struct http1_head *info,
			struct http2_grpc *grpc)
{
	struct builder b = {.out = out};
	struct span name, value, line;

	*info = (struct http1_head){.version = 20};
	*grpc = (struct http2_grpc){0};
	if (kind == HTTP1_REQUEST)
		request_line(&b, pseudo);
	else
		status_line(&b, pseudo);
	read_start_line(kind, span_of(out, b.len), span_of(out, b.len - 2), info);
	while (next_line(&lines, &name, &value, &line)) {
		struct http1_at at = {(uint32_t)(b.len + name.len + 2), (uint32_t)value.len};

		if (name.ptr[0] == ':' && is_in_start_line(name))
			continue;
		append(&b, line);
		note_field(info, name, value, at);
		note_grpc(grpc, name, span_of(out + at.from, at.len));
		info->is_watched |= http1_is_watched(watch, name);
	}
	append(&b, SPAN_LIT("\r\n"));
	info->bytes = (uint32_t)b.len;
	return b.len;
}
