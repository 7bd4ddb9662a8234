// SPDX-License-Identifier: Apache-2.0
#include "store/filter_tree.h"

/*
 * Theory of operation
 *
 * The bare forms are what people type without thinking of a language: a status, a class of status,
 * a path, a service. One is recognised only when it is the whole text, and is rewritten as an
 * expression, so that nothing behind this file knows of it. A word that is a field is none: to
 * forget the comparison is more likely than to have a service of that name.
 */

static bool is_status(struct span s)
{
	if (s.len != 3 || s.ptr[0] < '1' || s.ptr[0] > '9')
		return false;
	return s.ptr[1] >= '0' && s.ptr[1] <= '9' && s.ptr[2] >= '0' && s.ptr[2] <= '9';
}

static bool is_status_class(struct span s)
{
	return s.len == 3 && s.ptr[0] >= '1' && s.ptr[0] <= '5' && (s.ptr[1] | 0x20) == 'x' &&
	       (s.ptr[2] | 0x20) == 'x';
}

/* No blanks, no quotes; a star only at the end. */
static bool is_path(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		if (c <= ' ' || c == 0x7f || c == '"' || c == '\'' || c == '\\' ||
		    (c == '*' && i + 1 < s.len))
			return false;
	}
	return s.len && s.ptr[0] == '/';
}

static bool is_service(struct span s)
{
	static const char *const words[] = {"true", "false", "failed", "in", "and", "or", "not"};

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i] | 0x20, d = s.ptr[i];

		if (!(c >= 'a' && c <= 'z') &&
		    (i == 0 || !((d >= '0' && d <= '9') || d == '-' || d == '.' || d == '_')))
			return false;
	}
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (span_eq(s, span_str(words[i])))
			return false;
	return s.len && field_parse(s) < 0 && !span_istarts(s, SPAN_LIT("request.")) &&
	       !span_istarts(s, SPAN_LIT("response."));
}

static void write_path(struct span s, struct buf *out)
{
	bool is_beginning = s.ptr[s.len - 1] == '*';

	if (is_beginning)
		s.len--;
	/* with a query it is the whole target that is meant */
	buf_add_str(out, memchr(s.ptr, '?', s.len) ? "target" : "path");
	buf_add_str(out, is_beginning ? ".startsWith(" : " == ");
	filter_quote(s, out);
	if (is_beginning)
		buf_add_char(out, ')');
}

bool filter_bare(struct span source, struct buf *out)
{
	while (source.len &&
	       (source.ptr[source.len - 1] == '\n' || source.ptr[source.len - 1] == '\r'))
		source.len--;
	source = span_trim(source);
	if (is_status(source)) {
		buf_add_str(out, "status == ");
		buf_add_span(out, source);
	} else if (is_status_class(source)) {
		buf_add_fmt(out, "status >= %c00 && status <= %c99", source.ptr[0], source.ptr[0]);
	} else if (is_path(source)) {
		write_path(source, out);
	} else if (is_service(source)) {
		buf_add_str(out, "dst.service == ");
		filter_quote(source, out);
	} else {
		return false;
	}
	return true;
}
