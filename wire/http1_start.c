// SPDX-License-Identifier: Apache-2.0
#include "wire/http1_start.h"

/*
 * Theory of operation (RFC 9112 3 and 4)
 *
 * A request line is read from both ends: the method is its first word, the version its last one, and whatever
 * stands between them is the target, blanks and all, as servers take it. More than one blank between the words
 * is accepted, and a few behind the version. The reason phrase of a status line may be missing.
 */

uint8_t http1_version_at(const uint8_t *s)
{
	static const uint8_t form[8] = "HTTP/\0.",
			     matters[8] = {0xdf, 0xdf, 0xdf, 0xdf, 0xff, 0, 0xff, 0};
	uint64_t text, want, mask;

	memcpy(&text, s, 8);
	memcpy(&want, form, 8);
	memcpy(&mask, matters, 8);
	if ((text & mask) != want || !http1_is_digit(s[5]) || !http1_is_digit(s[7]))
		return 0;
	return (uint8_t)((s[5] - '0') * 10 + (s[7] - '0'));
}

/* token of RFC 9110 5.6.2: bit c % 32 of word c / 32 */
static const uint32_t method_chars[8] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};

bool http1_is_method_char(uint8_t c)
{
	return method_chars[c >> 5] >> (c & 31) & 1;
}

/* the length of the method that @line begins with and that a blank ends; 0 when there is none */
static size_t method_length(struct span line)
{
	size_t n = 0;

	while (n < line.len && http1_is_method_char(line.ptr[n]))
		n++;
	return n < line.len && n <= HTTP1_METHOD_MAX && http1_is_blank(line.ptr[n]) ? n : 0;
}

static void note_method(struct http1_head *h, struct span method)
{
	h->method_len = (uint32_t)method.len;
	h->is_head = span_eq(method, SPAN_LIT("HEAD"));
	h->is_connect = span_eq(method, SPAN_LIT("CONNECT"));
}

static struct http1_at place_trimmed(struct span head, size_t from, size_t to)
{
	while (from < to && http1_is_blank(head.ptr[from]))
		from++;
	while (to > from && http1_is_blank(head.ptr[to - 1]))
		to--;
	return (struct http1_at){(uint32_t)from, (uint32_t)(to - from)};
}

/* method SP target SP HTTP/d.d: everything between the first and the last blank is the target */
static bool parse_request_line(struct span line, struct http1_head *h)
{
	size_t method = method_length(line), to;

	for (int i = 0; i < HTTP1_BLANKS_MAX && line.len && http1_is_blank(line.ptr[line.len - 1]);
	     i++)
		line.len--;
	if (method == 0 || line.len < method + 9)
		return false;
	to = line.len - 8;
	h->version = http1_version_at(line.ptr + to);
	if (!h->version || !http1_is_blank(line.ptr[to - 1]))
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

	if (line.len < 12 || !(h->version = http1_version_at(s)) || !http1_is_blank(s[8]))
		return false;
	while (at < line.len && http1_is_blank(s[at]))
		at++;
	if (line.len - at < 3 || !http1_is_digit(s[at]) || !http1_is_digit(s[at + 1]) ||
	    !http1_is_digit(s[at + 2]))
		return false;
	h->status = (uint16_t)((s[at] - '0') * 100 + (s[at + 1] - '0') * 10 + (s[at + 2] - '0'));
	return true;
}

bool http1_start_parse(enum http1_kind kind, struct span line, bool is_cut, struct http1_head *h)
{
	if (kind == HTTP1_RESPONSE)
		return parse_status_line(line, h);
	return is_cut ? parse_cut_line(line, h) : parse_request_line(line, h);
}
