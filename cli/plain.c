// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * Whatever a client or a server sent may be shown to the person on call, in a terminal that obeys
 * escape sequences (change the title, answer back, write to the clipboard) and renders text that
 * hides or reorders itself. So everything from the wire passes plain_add(), which lets through only
 * code points with a visible width. A backslash stays a backslash: the text is for eyes; JSON
 * output is for programs.
 */
#include "cli/plain.h"

#include <jansson.h>
#include <stdio.h>

#include "lib/utf8.h"

#define ELLIPSIS "\xe2\x80\xa6"

/* One visible unit of @s into @text. Return: its columns; *used_out bytes of @s were taken. */
static size_t unit_of(struct span s, char text[16], size_t *text_len_out, size_t *used_out)
{
	size_t n = utf8_len(s.ptr, s.len);
	uint32_t rune = n ? utf8_rune(s.ptr, n) : s.ptr[0];
	int width = n ? utf8_width(rune) : -1;

	*used_out = n ? n : 1;
	if (width >= 0) {
		memcpy(text, s.ptr, n);
		*text_len_out = n;
		return (size_t)width;
	}
	*text_len_out = (size_t)snprintf(text, 16, n && rune > 0xff ? "\\u{%x}" : "\\x%02x",
					 (unsigned)rune);
	return *text_len_out;
}

size_t plain_add(struct buf *out, struct span s, size_t columns_max)
{
	size_t columns = 0;
	size_t cut_at = out->len, cut_columns = 0; /* where the ellipsis still fits */

	while (s.len) {
		char text[16];
		size_t len, used, width = unit_of(s, text, &len, &used);

		if (columns + width > columns_max) {
			out->len = cut_at;
			if (columns_max == 0)
				return 0;
			buf_add_str(out, ELLIPSIS);
			return cut_columns + 1;
		}
		buf_add(out, text, len);
		columns += width;
		s = span_from(s, used);
		if (columns < columns_max) {
			cut_at = out->len;
			cut_columns = columns;
		}
	}
	return columns;
}

void plain_add_lines(struct buf *out, struct span s, const char *prefix)
{
	while (s.len) {
		const uint8_t *nl = memchr(s.ptr, '\n', s.len);
		size_t n = nl ? (size_t)(nl - s.ptr) : s.len;
		struct span line = span_of(s.ptr, n);

		s = span_from(s, n + 1);
		if (nl && line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		buf_add_str(out, prefix);
		for (;;) {
			const uint8_t *tab = span_chr(line, '\t');
			size_t part = tab ? (size_t)(tab - line.ptr) : line.len;

			(void)plain_add(out, span_of(line.ptr, part), PLAIN_UNLIMITED);
			if (!tab)
				break;
			buf_add_char(out, '\t');
			line = span_from(line, part + 1);
		}
		buf_add_char(out, '\n');
	}
}

void plain_add_hex(struct buf *out, struct span s, const char *prefix)
{
	for (size_t at = 0; at < s.len; at += 16) {
		size_t n = MIN(s.len - at, (size_t)16);

		buf_add_fmt(out, "%s%08zx ", prefix, at);
		for (size_t i = 0; i < 16; i++) {
			if (i == 8)
				buf_add_char(out, ' ');
			if (i < n)
				buf_add_fmt(out, " %02x", s.ptr[at + i]);
			else
				buf_add_str(out, "   ");
		}
		buf_add_str(out, "  |");
		for (size_t i = 0; i < n; i++) {
			uint8_t c = s.ptr[at + i];

			buf_add_char(out, c >= 0x20 && c < 0x7f ? (char)c : '.');
		}
		buf_add_str(out, "|\n");
	}
}

static bool is_json(struct span s)
{
	json_t *root = s.len ? json_loadb((const char *)s.ptr, s.len,
					  JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL)
			     : NULL;

	json_decref(root);
	return root != NULL;
}

/* Bytes of the token at @s: a string, a number or name, or one sign; whitespace was skipped. */
static size_t token_len(struct span s)
{
	size_t n = 1;

	if (s.ptr[0] == '"') {
		while (n < s.len && s.ptr[n] != '"')
			n += s.ptr[n] == '\\' ? 2 : 1;
		return MIN(n + 1, s.len);
	}
	if (strchr("{}[],:", s.ptr[0]))
		return 1;
	while (n < s.len && !strchr("{}[],: \t\r\n\"", s.ptr[n]))
		n++;
	return n;
}

static struct span skip_blanks(struct span s)
{
	while (s.len && (s.ptr[0] == ' ' || (s.ptr[0] >= '\t' && s.ptr[0] <= '\r')))
		s = span_from(s, 1);
	return s;
}

static void new_line(struct buf *out, const char *prefix, unsigned depth)
{
	buf_add_fmt(out, "\n%s%*s", prefix, (int)(2 * MIN(depth, 60U)), "");
}

bool plain_add_json(struct buf *out, struct span s, const char *prefix)
{
	unsigned depth = 0;

	s = skip_blanks(s);
	if (!is_json(s))
		return false;
	buf_add_str(out, prefix);
	while (s.len) {
		struct span token = span_of(s.ptr, token_len(s));
		uint8_t c = token.ptr[0];
		bool is_open = c == '{' || c == '[';

		s = skip_blanks(span_from(s, token.len));
		(void)plain_add(out, token, PLAIN_UNLIMITED);
		if (is_open && s.len && s.ptr[0] != '}' && s.ptr[0] != ']')
			new_line(out, prefix, ++depth);
		else if (is_open)
			depth++;
		else if (c == ',')
			new_line(out, prefix, depth);
		else if (c == ':')
			buf_add_char(out, ' ');
		if (s.len && (s.ptr[0] == '}' || s.ptr[0] == ']')) {
			depth--;
			if (!is_open)
				new_line(out, prefix, depth);
		}
	}
	buf_add_char(out, '\n');
	return true;
}
