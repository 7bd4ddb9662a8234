// SPDX-License-Identifier: Apache-2.0
#include "lib/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/utf8.h"

static void before_value(struct json *j)
{
	if (j->needs_comma)
		buf_add_char(j->out, ',');
	j->needs_comma = true;
}

static void open_with(struct json *j, char c)
{
	before_value(j);
	buf_add_char(j->out, c);
	j->needs_comma = false;
}

static void close_with(struct json *j, char c)
{
	buf_add_char(j->out, c);
	j->needs_comma = true;
}

void json_object_begin(struct json *j)
{
	open_with(j, '{');
}

void json_object_end(struct json *j)
{
	close_with(j, '}');
}

void json_array_begin(struct json *j)
{
	open_with(j, '[');
}

void json_array_end(struct json *j)
{
	close_with(j, ']');
}

static void escape_control(struct buf *out, uint8_t c)
{
	switch (c) {
	case '"': buf_add(out, "\\\"", 2); break;
	case '\\': buf_add(out, "\\\\", 2); break;
	case '\n': buf_add(out, "\\n", 2); break;
	case '\r': buf_add(out, "\\r", 2); break;
	case '\t': buf_add(out, "\\t", 2); break;
	default: buf_add_fmt(out, "\\u%04x", c); break;
	}
}

/*
 * Code points that steer a terminal or hide text (C1 controls, direction overrides, tags) are
 * escaped too: the meaning stays, and a document is safe to look at.
 */
static void escape_unseen(struct buf *out, uint32_t rune)
{
	if (rune > 0xffff)
		buf_add_fmt(out, "\\u%04x\\u%04x", 0xd800 + ((rune - 0x10000) >> 10),
			    0xdc00 + (rune & 0x3ff));
	else
		buf_add_fmt(out, "\\u%04x", rune);
}

static void quoted(struct buf *out, struct span s)
{
	size_t i = 0, from = 0;

	buf_add_char(out, '"');
	while (i < s.len) {
		uint8_t c = s.ptr[i];
		size_t n;

		if (LIKELY(c >= 0x20 && c < 0x7f && c != '"' && c != '\\')) {
			i++;
			continue;
		}
		n = utf8_len(s.ptr + i, s.len - i);
		if (n > 1 && utf8_width(utf8_rune(s.ptr + i, n)) >= 0) {
			i += n;
			continue;
		}
		buf_add(out, s.ptr + from, i - from);
		if (n > 1)
			escape_unseen(out, utf8_rune(s.ptr + i, n));
		else if (n == 1)
			escape_control(out, c);
		else
			buf_add_fmt(out, "\\\\x%02x", c);
		i += n ? n : 1;
		from = i;
	}
	if (i > from)
		buf_add(out, s.ptr + from, i - from);
	buf_add_char(out, '"');
}

void json_key(struct json *j, const char *key)
{
	json_key_span(j, span_str(key));
}

void json_key_span(struct json *j, struct span key)
{
	before_value(j);
	quoted(j->out, key);
	buf_add_char(j->out, ':');
	j->needs_comma = false;
}

void json_text(struct json *j, struct span s)
{
	before_value(j);
	quoted(j->out, s);
}

void json_str(struct json *j, const char *s)
{
	if (s)
		json_text(j, span_str(s));
	else
		json_none(j);
}

void json_u64(struct json *j, uint64_t v)
{
	before_value(j);
	buf_add_u64(j->out, v);
}

void json_i64(struct json *j, int64_t v)
{
	before_value(j);
	buf_add_fmt(j->out, "%" PRId64, v);
}

void json_double(struct json *j, double v)
{
	if (!isfinite(v)) {
		json_none(j);
		return;
	}
	before_value(j);
	buf_add_fmt(j->out, "%.6g", v);
}

void json_double_exact(struct json *j, double v)
{
	char text[32];
	int digits = 6;

	if (!isfinite(v)) {
		json_none(j);
		return;
	}
	do
		(void)snprintf(text, sizeof(text), "%.*g", digits, v);
	while (strtod(text, NULL) != v && ++digits <= 17);
	before_value(j);
	buf_add_str(j->out, text);
}

void json_bool(struct json *j, bool v)
{
	before_value(j);
	buf_add_str(j->out, v ? "true" : "false");
}

void json_none(struct json *j)
{
	before_value(j);
	buf_add_str(j->out, "null");
}

void json_time(struct json *j, uint64_t wall_ns)
{
	if (wall_ns == 0) {
		json_none(j);
		return;
	}
	before_value(j);
	buf_add_char(j->out, '"');
	clock_format_utc(j->out, wall_ns);
	buf_add_char(j->out, '"');
}

void json_base64(struct json *j, struct span s)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char four[4];

	before_value(j);
	buf_add_char(j->out, '"');
	for (size_t i = 0; i < s.len; i += 3) {
		size_t n = MIN(s.len - i, (size_t)3);
		uint32_t v = (uint32_t)s.ptr[i] << 16;

		v |= n > 1 ? (uint32_t)s.ptr[i + 1] << 8 : 0;
		v |= n > 2 ? (uint32_t)s.ptr[i + 2] : 0;
		four[0] = letters[v >> 18];
		four[1] = letters[v >> 12 & 63];
		four[2] = n > 1 ? letters[v >> 6 & 63] : '=';
		four[3] = n > 2 ? letters[v & 63] : '=';
		buf_add(j->out, four, 4);
	}
	buf_add_char(j->out, '"');
}

void json_key_text(struct json *j, const char *key, struct span s)
{
	json_key(j, key);
	json_text(j, s);
}

void json_key_str(struct json *j, const char *key, const char *s)
{
	json_key(j, key);
	json_str(j, s);
}

void json_key_u64(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	json_u64(j, v);
}

void json_key_bool(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	json_bool(j, v);
}

void json_key_counts(struct json *j, const char *key, const uint64_t *values, size_t n)
{
	json_key(j, key);
	json_array_begin(j);
	for (size_t i = 0; i < n; i++)
		json_u64(j, values[i]);
	json_array_end(j);
}
