// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <strings.h>

#include "replay/diff_add.h"

/*
 * Headers are compared by name, in any case, as multisets of values: their order has no meaning
 * across names (RFC 9110 5.3), and servers that build them from a map prove it.
 *
 * A secret was recorded as its tag: a value with tags equals any that has the same text around
 * them, for more is not known.
 *
 * Most answers have the same lines in the same places, but for Date and its like: those are told
 * line by line without a list. Only when that fails, both heads are listed and matched.
 */

#define TAG_BYTES   13	/* of a secret, as wire/redact.h writes it: [tl:XXXXXXXX] */
#define HEADERS_MAX 512 /* listed of one head; a head that has more is compared so far */

struct line {
	struct span name, value;
	bool is_matched;
	uint8_t how; /* enum ignore_how */
};

static struct header_iter lines_of(struct span lines, bool is_trailers)
{
	return (struct header_iter){.rest = lines, .is_trailers = is_trailers};
}

/* "sid" of "sid=7f3a; Path=/" */
static struct span cookie_name(struct span value)
{
	const uint8_t *eq = span_chr(value, '=');

	return eq ? span_of(value.ptr, (size_t)(eq - value.ptr)) : value;
}

static struct span after_semicolon(struct span s)
{
	const uint8_t *semi = span_chr(s, ';');

	return semi ? span_trim(span_from(s, (size_t)(semi - s.ptr) + 1)) : (struct span){0};
}

static struct span first_attribute(struct span s)
{
	const uint8_t *semi = span_chr(s, ';');

	return span_trim(semi ? span_of(s.ptr, (size_t)(semi - s.ptr)) : s);
}

/* times are reckoned from now */
static bool is_time_attribute(struct span a)
{
	return span_istarts(a, SPAN_LIT("expires=")) || span_istarts(a, SPAN_LIT("max-age="));
}

/* the same cookie with the same attributes in the same order; its value and its times do not count */
static bool equal_cookies(struct span a, struct span b)
{
	if (!span_eq(cookie_name(a), cookie_name(b)))
		return false;
	for (a = after_semicolon(a), b = after_semicolon(b); a.len && b.len;
	     a = after_semicolon(a), b = after_semicolon(b)) {
		struct span one = first_attribute(a), other = first_attribute(b);

		if (!span_ieq(one, other) && !(is_time_attribute(one) && is_time_attribute(other)))
			return false;
	}
	return a.len == b.len;
}

/* where the next tag [tl:XXXXXXXX] begins; s.len: there is none */
static size_t find_tag(struct span s)
{
	for (size_t from = 0; s.len - from >= TAG_BYTES; from++) {
		const uint8_t *at = memmem(s.ptr + from, s.len - from, "[tl:", 4);

		if (!at || s.len - (size_t)(at - s.ptr) < TAG_BYTES)
			break;
		from = (size_t)(at - s.ptr);
		if (at[TAG_BYTES - 1] == ']')
			return from;
	}
	return s.len;
}

/* a recorded value with tags in the place of secrets: what stands between them must be in @b, in order */
static bool equal_but_tags(struct span a, struct span b)
{
	size_t n = find_tag(a);

	if (n == a.len || b.len < n || memcmp(a.ptr, b.ptr, n) != 0)
		return false;
	for (;;) {
		const uint8_t *at;

		a = span_from(a, n + TAG_BYTES);
		b = span_from(b, n);
		if (a.len == 0)
			return true;
		n = find_tag(a);
		if (n == a.len)
			return b.len >= n && memcmp(b.ptr + b.len - n, a.ptr, n) == 0;
		at = n ? memmem(b.ptr, b.len, a.ptr, n) : b.ptr;
		if (!at || b.len == 0)
			return false;
		b = span_from(b, (size_t)(at - b.ptr));
	}
}

static bool equal_values(enum ignore_how how, struct span a, struct span b)
{
	switch (how) {
	case IGNORE_VALUE:
	case IGNORE_ALL:
	case IGNORE_WITH_BODY: return true;
	case IGNORE_COOKIE: return equal_cookies(a, b);
	case IGNORE_NOTHING: break;
	}
	return span_eq(a, b) || (find_tag(a) < a.len && equal_but_tags(a, b));
}

static enum ignore_how how_of(const struct ignore *rules, struct span name, bool has_body)
{
	enum ignore_how how = ignore_header(rules, name);

	if (how == IGNORE_WITH_BODY)
		return has_body ? IGNORE_ALL : IGNORE_NOTHING;
	return how;
}

static bool is_http2(uint8_t protocol)
{
	return protocol == PROTOCOL_HTTP2 || protocol == PROTOCOL_GRPC;
}

/* line by line. Return: false when that does not prove them equal */
static bool equal_in_step(const struct ignore *rules, struct span recorded, struct span now,
			  bool has_body, bool is_trailers)
{
	struct header_iter a = lines_of(recorded, is_trailers), b = lines_of(now, is_trailers);

	for (;;) {
		bool has_a = header_next(&a), has_b = header_next(&b);

		if (!has_a || !has_b)
			return has_a == has_b;
		if (span_eq(a.line, b.line))
			continue;
		if (!span_ieq(a.name, b.name) ||
		    !equal_values(how_of(rules, a.name, has_body), a.value, b.value))
			return false;
	}
}

/* Return: how many there are now */
static size_t list_lines(struct line *lines, size_t n, const struct ignore *rules,
			 struct header_iter it, bool has_body, uint8_t protocol)
{
	while (n < HEADERS_MAX && header_next(&it)) {
		enum ignore_how how = how_of(rules, it.name, has_body);

		if (protocol == PROTOCOL_GRPC && span_eq(it.name, SPAN_LIT("grpc-status")))
			continue; /* compared as a status */
		if (how != IGNORE_ALL)
			lines[n++] = (struct line){it.name, it.value, false, (uint8_t)how};
	}
	return n;
}

static struct line *find_line(struct line *lines, size_t count, const struct line *wanted,
			      bool by_value)
{
	for (size_t i = 0; i < count; i++)
		if (!lines[i].is_matched && span_ieq(lines[i].name, wanted->name) &&
		    (!by_value ||
		     equal_values((enum ignore_how)wanted->how, wanted->value, lines[i].value)))
			return &lines[i];
	return NULL;
}

static void match(struct diff *d, struct line *a, size_t a_count, struct line *b, size_t b_count)
{
	struct line *other;

	for (size_t i = 0; i < a_count; i++)
		if ((other = find_line(b, b_count, &a[i], true)) != NULL)
			a[i].is_matched = other->is_matched = true;
	for (size_t i = 0; i < a_count; i++) {
		if (a[i].is_matched)
			continue;
		other = find_line(b, b_count, &a[i], false);
		if (other)
			other->is_matched = true;
		diff_add(d, DIFF_HEADER, other ? DIFF_CHANGED : DIFF_REMOVED, a[i].name, a[i].value,
			 other ? other->value : (struct span){0});
	}
	for (size_t i = 0; i < b_count; i++)
		if (!b[i].is_matched)
			diff_add(d, DIFF_HEADER, DIFF_ADDED, b[i].name, (struct span){0},
				 b[i].value);
}

static size_t list_all(struct line *lines, const struct ignore *rules, const struct message *m,
		       bool has_body, uint8_t protocol)
{
	size_t n = list_lines(lines, 0, rules, lines_of(m->head, false), has_body, protocol);

	if (!is_http2(protocol))
		return n;
	return list_lines(lines, n, rules, lines_of(m->trailers, true), has_body, protocol);
}

void diff_headers(struct diff *d, const struct ignore *rules, const struct exchange *recorded,
		  const struct message *now, bool has_body)
{
	const struct message *was = &recorded->response;
	uint8_t protocol = recorded->protocol;
	struct line *lines;

	if (equal_in_step(rules, was->head, now->head, has_body, false) &&
	    (!is_http2(protocol) ||
	     equal_in_step(rules, was->trailers, now->trailers, has_body, true)))
		return;
	/* clearing all of it would cost more than the rest */
	lines = reallocarray(NULL, 2 * HEADERS_MAX, sizeof(*lines));
	if (!lines) {
		diff_add(d, DIFF_HEADER, DIFF_CHANGED, SPAN_LIT("headers"),
			 SPAN_LIT("out of memory"), SPAN_LIT("out of memory"));
		return;
	}
	match(d, lines, list_all(lines, rules, was, has_body, protocol), lines + HEADERS_MAX,
	      list_all(lines + HEADERS_MAX, rules, now, has_body, protocol));
	free(lines);
}
