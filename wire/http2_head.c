// SPDX-License-Identifier: Apache-2.0
#include "wire/http2_head.h"

#include "schema/grpc.h"
#include "wire/http2_name.h"

/*
 * Theory of operation
 *
 * A block's fields come one by one, as lines, and are copied once, to where the head is being made. In front of them
 * room is left for the start line, which can be written when all pseudo-header fields were seen; the path waits behind
 * the lines meanwhile. A start line longer than its room makes them move.
 *
 *   memory: | room for the start line | :scheme: http CRLF ...        | path |
 *
 * What is noted of a field is where it lies behind the room, and moves by the start line's length at the end. Names are
 * numbers already (wire/http2_name.h), found when they entered the table.
 */

#define UNKNOWN_NAME  ":unknown"
#define UNKNOWN_VALUE "?"
#define VERSION	      " HTTP/2\r\n"
#define STATUS_LINE   "HTTP/2 000\r\n"
#define START_EXTRA   32 /* what a head is longer than its lines and its path, at most */

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

/* --- fields --- */

/* of :authority and Host the former counts (RFC 9113 8.3.1) */
static void note_field(struct http1_head *info, unsigned mark, struct span value,
		       struct http1_at at)
{
	if (mark != NOTED_NONE && mark < NOTED_COUNT && !(mark == NOTED_HOST && info->host.from))
		noted_read(info, (enum noted)mark, at, value);
}

void http2_block_begin(struct http2_block *b, uint8_t *memory, size_t head_max,
		       const struct http1_watch *watch)
{
	*b = (struct http2_block){
		.lines = memory + HTTP2_START_ROOM,
		.path = {memory + HTTP2_START_ROOM + head_max, 0},
		.max = head_max - START_EXTRA,
		.watch = watch,
		.info.version = 20,
		.grpc.status = -1,
	};
}

static size_t room_in(const struct http2_block *b)
{
	return b->max - b->len - b->path.len;
}

/* Return: where it stands; ptr NULL when there is no room */
static struct span add_line(struct http2_block *b, const struct hpack_field *f)
{
	struct span line = {b->lines + b->len, f->line.len};

	if (f->line.len > room_in(b)) {
		b->is_cut = true;
		return (struct span){0};
	}
	memcpy(b->lines + b->len, f->line.ptr, f->line.len);
	b->len += f->line.len;
	return line;
}

static void take_path(struct http2_block *b, struct span path)
{
	b->path.len = 0; /* of several the last one counts */
	if (path.len > room_in(b)) {
		b->is_cut = true;
		return;
	}
	if (path.len)
		memcpy((uint8_t *)(uintptr_t)b->path.ptr, path.ptr, path.len);
	b->path.len = path.len;
	b->has_path = true;
}

static void take_method(struct http2_block *b, struct span method)
{
	b->is_cut |= method.len > sizeof(b->method);
	b->method_len = (uint8_t)MIN(method.len, sizeof(b->method));
	memcpy(b->method, method.ptr, b->method_len);
}

/* RFC 9113 8.3. Return: true when the field is in the start line, and in no line of its own */
static bool take_pseudo(struct http2_block *b, const struct hpack_field *f)
{
	b->has_pseudo = true;
	switch (f->mark) {
	case HTTP2_NAME_METHOD: take_method(b, f->value); return true;
	case HTTP2_NAME_PATH: take_path(b, f->value); return true;
	case HTTP2_NAME_STATUS: b->status = number_of(f->value); return true;
	default: return false;
	}
}

static bool is_pseudo(unsigned mark)
{
	return (mark >= HTTP2_NAME_METHOD && mark <= HTTP2_NAME_PROTOCOL) ||
	       mark == NOTED_AUTHORITY;
}

static void note_marked(struct http2_block *b, const struct hpack_field *f, struct span line)
{
	size_t from = f->name.len + 2;
	struct span value = {line.ptr + from, f->value.len};

	if (f->mark == HTTP2_NAME_GRPC_STATUS)
		b->grpc.status = (int16_t)grpc_status_parse(value);
	else if (f->mark == HTTP2_NAME_GRPC_TIMEOUT)
		b->grpc.timeout_ns = grpc_timeout_ns(value);
	else
		note_field(&b->info, f->mark, value,
			   (struct http1_at){(uint32_t)(line.ptr + from - b->lines),
					     (uint32_t)value.len});
}

void http2_block_add(void *ctx, const struct hpack_field *f)
{
	struct http2_block *b = ctx;
	struct span line;

	b->has_unknown |= f->is_name_unknown || f->is_value_unknown;
	b->has_unknown_name |= f->is_name_unknown;
	b->has_bad |= f->has_bad;
	if (f->mark && is_pseudo(f->mark) && take_pseudo(b, f))
		return;
	if (f->name.len == 0 && !f->is_name_unknown) {
		b->has_bad = true;
		return;
	}
	b->has_authority |= f->mark == NOTED_AUTHORITY;
	line = add_line(b, f);
	if (!line.ptr)
		return;
	if (f->mark)
		note_marked(b, f, line);
	b->info.is_watched |= f->mark && f->mark < NOTED_COUNT
				      ? http1_is_noted_watched(b->watch, f->mark)
				      : http1_is_watched(b->watch, f->name);
}

/* One line off the front of @lines: every line came from wire/hpack.c. */
static bool next_line(struct span *lines, struct span *name, struct span *value, struct span *line)
{
	const uint8_t *end = lines->len ? memchr(lines->ptr, '\n', lines->len) : NULL;
	const uint8_t *colon;

	if (!end || end - lines->ptr < 4)
		return false;
	*line = span_of(lines->ptr, (size_t)(end - lines->ptr) + 1);
	/* a pseudo-header's own colon is the first byte */
	colon = memchr(line->ptr + 1, ':', line->len - 4);
	if (!colon)
		return false;
	*name = span_of(line->ptr, (size_t)(colon - line->ptr));
	*value = span_of(colon + 2, line->len - name->len - 4);
	*lines = span_from(*lines, line->len);
	return true;
}

void http2_block_add_lines(struct http2_block *b, struct span lines)
{
	struct hpack_field f = {0};

	while (next_line(&lines, &f.name, &f.value, &f.line)) {
		f.is_name_unknown = span_eq(f.name, SPAN_LIT(UNKNOWN_NAME));
		f.is_value_unknown = f.is_name_unknown && span_eq(f.value, SPAN_LIT(UNKNOWN_VALUE));
		f.mark = http2_name_find(f.name);
		if (f.is_name_unknown)
			f.name = (struct span){0};
		http2_block_add(b, &f);
	}
}

/* --- the head --- */

static struct http1_at moved(struct http1_at at, size_t by)
{
	return at.from ? (struct http1_at){at.from + (uint32_t)by, at.len} : at;
}

static uint8_t *put(uint8_t *to, struct span s)
{
	if (s.len)
		memcpy(to, s.ptr, s.len);
	return to + s.len;
}

/* the @len bytes before the lines, which make way if that is more than the room */
static uint8_t *room_for_start(struct http2_block *b, size_t len)
{
	if (UNLIKELY(len > HTTP2_START_ROOM)) {
		memmove(b->lines + len - HTTP2_START_ROOM, b->lines, b->len);
		b->lines += len - HTTP2_START_ROOM;
	}
	return b->lines - len;
}

/* METHOD SP target SP HTTP/2. Return: its length */
static size_t put_request_line(struct http2_block *b)
{
	struct span unknown = SPAN_LIT(UNKNOWN_VALUE), method = {b->method, b->method_len};
	struct span target = b->has_path ? b->path : unknown;
	size_t before = (method.len ? method.len : unknown.len) + 1,
	       len = before + target.len + sizeof(VERSION) - 1;
	uint8_t *at = put(room_for_start(b, len), method.len ? method : unknown);

	*at++ = ' ';
	at = put(at, target);
	(void)put(at, SPAN_LIT(VERSION));
	if (!span_eq(method, unknown))
		b->info.method_len = (uint32_t)method.len;
	if (!span_eq(target, unknown))
		b->info.target = (struct http1_at){(uint32_t)before, (uint32_t)target.len};
	return len;
}

static size_t put_status_line(struct http2_block *b)
{
	char text[] = STATUS_LINE;
	size_t len = sizeof(text) - 1;

	b->info.status = b->status;
	if (!b->status) {
		struct span unknown = SPAN_LIT("HTTP/2 " UNKNOWN_VALUE "\r\n");

		(void)put(room_for_start(b, unknown.len), unknown);
		return unknown.len;
	}
	text[7] = (char)('0' + b->status / 100);
	text[8] = (char)('0' + b->status / 10 % 10);
	text[9] = (char)('0' + b->status % 10);
	(void)put(room_for_start(b, len), span_of(text, len));
	return len;
}

/* RFC 9113 8.5: CONNECT has no :path, its target is the authority; with any other method it is not known */
static void read_method(struct http2_block *b)
{
	struct span method = {b->method, b->method_len};

	b->info.is_head = span_eq(method, SPAN_LIT("HEAD"));
	b->info.is_connect = span_eq(method, SPAN_LIT("CONNECT"));
	if (b->info.is_connect && !b->has_path && b->has_authority)
		take_path(b, span_of(b->lines + b->info.host.from, b->info.host.len));
}

struct span http2_block_head(struct http2_block *b, enum http1_kind kind)
{
	struct http1_head *info = &b->info;
	size_t len;

	if (kind == HTTP1_REQUEST)
		read_method(b);
	len = kind == HTTP1_REQUEST ? put_request_line(b) : put_status_line(b);
	(void)put(b->lines + b->len, SPAN_LIT("\r\n"));
	info->host = moved(info->host, len);
	info->content_type = moved(info->content_type, len);
	info->trace_id = moved(info->trace_id, len);
	info->replay_of = moved(info->replay_of, len);
	info->bytes = (uint32_t)(len + b->len + 2);
	return span_of(b->lines - len, info->bytes);
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
	const uint8_t *end = span_chr(head, '\n');
	struct span lines, start, name, value, line;

	*info = (struct http1_head){.version = 20, .bytes = (uint32_t)head.len};
	if (!end || end == head.ptr)
		return;
	start = span_of(head.ptr, (size_t)(end - head.ptr) - 1);
	lines = span_from(head, start.len + 2);
	read_start_line(kind, head, start, info);
	while (next_line(&lines, &name, &value, &line)) {
		note_field(info, http2_name_find(name), value, at_of(head, value));
		info->is_watched |= http1_is_watched(watch, name);
	}
}
