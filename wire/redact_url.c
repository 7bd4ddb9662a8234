// SPDX-License-Identifier: Apache-2.0
#include "wire/redact_copy.h"

/*
 * Theory of operation
 *
 * In a URL a parameter begins behind ? & ; or #, raw or percent-encoded, because a URL within a URL is
 * where tokens travel (redirects); its name is compared percent-decoded, in any case, - and _ alike. The
 * value of a parameter with a raw = ends at a raw delimiter; with an encoded %3D also at an encoded one.
 * Where it is not clear whether a value goes on, it does: too much is replaced rather than too little.
 * One level of encoding is looked through.
 */

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One character of a URL, its encoding looked through. */
struct letter {
	uint8_t c;
	uint8_t bytes; /* 1, or 3 when it was encoded */
};

static struct letter letter_at(struct span s, size_t at)
{
	if (s.ptr[at] == '%' && s.len - at >= 3) {
		int high = hex_value(s.ptr[at + 1]), low = hex_value(s.ptr[at + 2]);

		if (high >= 0 && low >= 0)
			return (struct letter){(uint8_t)(high * 16 + low), 3};
	}
	return (struct letter){s.ptr[at], 1};
}

static bool is_delimiter(uint8_t c)
{
	return c == '?' || c == '&' || c == ';' || c == '#';
}

/* Characters that may say something in a URL, encoded or not. */
enum mark {
	MARK_WALK = 1,	 /* a walk over a URL stops there */
	MARK_SECRET = 2, /* without any of them there is no secret in a target or Host */
};

static const uint8_t marks[256] = {
	['?'] = MARK_WALK | MARK_SECRET,
	['&'] = MARK_WALK | MARK_SECRET,
	[';'] = MARK_WALK | MARK_SECRET,
	['#'] = MARK_WALK | MARK_SECRET,
	['%'] = MARK_WALK | MARK_SECRET,
	['/'] = MARK_WALK,
	['@'] = MARK_SECRET,
};

static bool is_mark(uint8_t c)
{
	return marks[c] & MARK_WALK;
}

/* what ends a URL that stands among other text in a header's value */
static bool ends_url(const struct redact_copy *c, uint8_t letter)
{
	return c->is_among_text &&
	       (letter <= ' ' || letter == '"' || letter == '<' || letter == '>');
}

/* A parameter's name as the rows have it; a name that is too long is none. */
struct param_name {
	uint8_t text[REDACT_NAME_MAX];
	size_t len;
	bool is_too_long;
};

static void add_letter(struct param_name *n, uint8_t c)
{
	if (n->len < sizeof(n->text))
		n->text[n->len++] = redactor_param_char(c);
	else
		n->is_too_long = true;
}

static bool is_word_end(uint8_t c)
{
	return c == '[' || c == ']' || c == '.' || c == '$' || c == ' ' || c == '+';
}

/* the name itself, or its last word: user[password] */
static bool is_secret_name(const struct redactor *r, const struct param_name *n)
{
	size_t from, to = n->len;

	if (n->is_too_long)
		return false;
	while (to && is_word_end(n->text[to - 1]))
		to--;
	for (from = to; from && !is_word_end(n->text[from - 1]); from--)
		;
	return redactor_is_secret_param(r, span_of(n->text + from, to - from)) ||
	       redactor_is_secret_param(r, span_of(n->text, to));
}

/* does a name and = follow here, before another delimiter? */
static bool begins_param(struct span s, size_t at)
{
	while (at < s.len) {
		struct letter l = letter_at(s, at);

		if (l.c == '=' || is_delimiter(l.c))
			return l.c == '=';
		at += l.bytes;
	}
	return false;
}

/* In a query ? is a letter like others, and ; separates only what looks like parameters. */
static bool ends_value(const struct redact_copy *c, struct span s, size_t at, struct letter l)
{
	if (c->is_in_query && l.c == '?')
		return false;
	if (c->is_in_query && l.c == ';')
		return begins_param(s, at + l.bytes);
	return is_delimiter(l.c);
}

/* where the value at @from ends; @is_nested: its = was encoded */
static size_t value_end(const struct redact_copy *c, struct span s, size_t from, bool is_nested)
{
	while (from < s.len) {
		struct letter l = letter_at(s, from);

		if ((l.bytes == 1 || is_nested) && ends_value(c, s, from, l))
			break;
		if (l.bytes == 1 && ends_url(c, l.c))
			break;
		from += l.bytes;
	}
	return from;
}

/* the parameter whose name begins at @at; everything up to its value's end is copied. Return: that end. */
static size_t put_param(struct redact_copy *c, struct span s, size_t at)
{
	struct param_name name = {0};
	size_t from = at;

	while (at < s.len) {
		struct letter l = letter_at(s, at);

		if (is_delimiter(l.c) || (l.bytes == 1 && ends_url(c, l.c)))
			break;
		at += l.bytes;
		if (l.c == '=') {
			redact_put(c, s.ptr + from, s.ptr + at);
			if (is_secret_name(c->r, &name)) {
				from = at;
				at = value_end(c, s, at, l.bytes == 3);
				redact_secret(c, span_of(s.ptr + from, at - from));
			}
			return at;
		}
		add_letter(&name, l.c);
	}
	redact_put(c, s.ptr + from, s.ptr + at);
	return at;
}

/* user:password@ behind the :// at @at; copied up to the @. Return: where it went on from. */
static size_t put_userinfo(struct redact_copy *c, struct span s, size_t at)
{
	size_t last = 0;

	for (size_t i = at; i < s.len && !ends_url(c, s.ptr[i]); i++) {
		if (s.ptr[i] == '/' || s.ptr[i] == '?' || s.ptr[i] == '#')
			break;
		if (s.ptr[i] == '@')
			last = i;
	}
	if (last)
		redact_secret(c, span_of(s.ptr + at, last - at));
	return last ? last : at;
}

/* behind a / at @at: is it the end of :// ? */
static bool is_after_scheme(struct span s, size_t at)
{
	return at >= 2 && s.ptr[at - 1] == '/' && s.ptr[at - 2] == ':';
}

/* from @at on: the first character that may say something; a slash says something in :// alone */
static size_t next_mark(const struct redact_copy *c, struct span s, size_t at)
{
	if (c->is_among_text)
		return at;
	while (at < s.len && (!is_mark(s.ptr[at]) || (s.ptr[at] == '/' && !is_after_scheme(s, at))))
		at++;
	return at;
}

void redact_url(struct redact_copy *c, struct span s)
{
	size_t at, from = 0;

	c->is_in_query = false;
	for (at = next_mark(c, s, 0); at < s.len; at = next_mark(c, s, at)) {
		struct letter l = letter_at(s, at);

		at += l.bytes;
		c->is_in_query =
			(c->is_in_query || l.c == '?') && !(l.bytes == 1 && ends_url(c, l.c));
		if (l.c == '/' && at >= 3 && memcmp(s.ptr + at - 3, "://", 3) == 0) {
			redact_put(c, s.ptr + from, s.ptr + at);
			from = at = put_userinfo(c, s, at);
		} else if (is_delimiter(l.c)) {
			redact_put(c, s.ptr + from, s.ptr + at);
			from = at = put_param(c, s, at);
		}
	}
	redact_put(c, s.ptr + from, s.ptr + s.len);
}

bool redact_target_may_matter(struct span target)
{
	for (size_t i = 0; i < target.len; i++)
		if (marks[target.ptr[i]] & MARK_SECRET)
			return true;
	return false;
}

/* user:password@host in a Host header or in the target of CONNECT */
void redact_authority(struct redact_copy *c, struct span s)
{
	const uint8_t *at = s.len ? memrchr(s.ptr, '@', s.len) : NULL;

	if (at)
		redact_secret(c, span_of(s.ptr, (size_t)(at - s.ptr)));
	redact_put(c, at ? at : s.ptr, s.ptr + s.len);
}
