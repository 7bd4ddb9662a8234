// SPDX-License-Identifier: Apache-2.0
#include "lib/json_scan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "lib/utf8.h"

/*
 * Theory of operation
 *
 * A value is skipped by counting brackets outside of strings: no recursion, no stack, one pass.
 * What is skipped is not judged: {"a":[}],"b":1} has a "b" here. What is answered was read by the
 * grammar: a name, a colon, a number, a literal. The first of several members with one name counts.
 */

#define NUMBER_TEXT_MAX                                                                            \
	64 /* longer numbers are read by their beginning: no double has as many digits */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct span skip_blanks(struct span s)
{
	while (s.len && is_blank(*s.ptr))
		s = span_of(s.ptr + 1, s.len - 1);
	return s;
}

/* The offset behind the string that begins at @s[0] == '"'; 0: it does not end. */
static size_t string_end(struct span s, bool *has_escapes)
{
	for (size_t i = 1; i < s.len; i++) {
		if (s.ptr[i] == '"')
			return i + 1;
		if (s.ptr[i] == '\\') {
			*has_escapes = true;
			i++;
		}
	}
	return 0;
}

/* The offset behind the array or object that begins at @s[0]; where it is cut: all of it. */
static size_t nest_end(struct span s)
{
	size_t depth = 0;
	bool unused;

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		if (c == '"') {
			size_t n = string_end(span_of(s.ptr + i, s.len - i), &unused);

			if (n == 0)
				break;
			i += n - 1;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if ((c == '}' || c == ']') && --depth == 0) {
			return i + 1;
		}
	}
	return s.len;
}

static struct json_scan take_text(struct span s)
{
	struct json_scan v = {0};
	size_t n = string_end(s, &v.has_escapes);

	if (n == 0)
		return (struct json_scan){0};
	v.type = JSON_SCAN_TEXT;
	v.text = span_of(s.ptr + 1, n - 2);
	v.behind = span_of(s.ptr + n, s.len - n);
	return v;
}

static bool is_number_char(uint8_t c)
{
	return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static struct json_scan take_number(struct span s)
{
	struct json_scan v = {.type = JSON_SCAN_INT};
	char text[NUMBER_TEXT_MAX + 1];
	size_t n = 0;
	char *end;

	for (; n < s.len && is_number_char(s.ptr[n]); n++)
		if (s.ptr[n] == '.' || (s.ptr[n] | 0x20) == 'e')
			v.type = JSON_SCAN_DOUBLE;
	if (n == 0 || *s.ptr == '+' || *s.ptr == '.')
		return (struct json_scan){0};
	v.behind = span_of(s.ptr + n, s.len - n);
	n = MIN(n, (size_t)NUMBER_TEXT_MAX);
	memcpy(text, s.ptr, n);
	text[n] = '\0';
	errno = 0;
	v.number = strtoll(text, &end, 10);
	if (v.type == JSON_SCAN_INT && errno == ERANGE)
		v.type = JSON_SCAN_DOUBLE;
	if (v.type == JSON_SCAN_DOUBLE)
		v.real = strtod(text, &end);
	return *end || !isfinite(v.real) ? (struct json_scan){0} : v;
}

static struct json_scan take_word(struct span s)
{
	static const struct {
		struct span word;
		uint8_t type;
		bool is_true;
	} words[] = {
		{{(const uint8_t *)"true", 4}, JSON_SCAN_BOOL, true},
		{{(const uint8_t *)"false", 5}, JSON_SCAN_BOOL, false},
		{{(const uint8_t *)"null", 4}, JSON_SCAN_NULL, false},
	};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		size_t n = words[i].word.len;

		if (s.len >= n && memcmp(s.ptr, words[i].word.ptr, n) == 0)
			return (struct json_scan){.type = words[i].type,
						  .is_true = words[i].is_true,
						  .behind = span_of(s.ptr + n, s.len - n)};
	}
	return (struct json_scan){0};
}

struct json_scan json_scan_value(struct span source)
{
	struct span s = skip_blanks(source);
	size_t n;

	if (s.len == 0)
		return (struct json_scan){0};
	if (*s.ptr == '"')
		return take_text(s);
	if (*s.ptr != '{' && *s.ptr != '[')
		return *s.ptr >= 'a' ? take_word(s) : take_number(s);
	n = nest_end(s);
	return (struct json_scan){.type = *s.ptr == '{' ? JSON_SCAN_OBJECT : JSON_SCAN_ARRAY,
				  .text = span_of(s.ptr, n),
				  .behind = span_of(s.ptr + n, s.len - n)};
}

/* Past the opening bracket or the comma; false at the end. */
static bool step_in(struct json_scan_iter *it)
{
	struct span s = skip_blanks(it->rest);
	uint8_t want = ',';

	if (s.len == 0)
		return false;
	if (!it->has_begun)
		want = *s.ptr == '{' ? '{' : '[';
	if (*s.ptr != want)
		return false;
	it->rest = skip_blanks(span_of(s.ptr + 1, s.len - 1));
	return it->rest.len && *it->rest.ptr != ']' && *it->rest.ptr != '}';
}

static bool step_key(struct json_scan_iter *it)
{
	it->key = *it->rest.ptr == '"' ? take_text(it->rest) : (struct json_scan){0};
	it->rest = skip_blanks(it->key.behind);
	if (it->key.type != JSON_SCAN_TEXT || !it->rest.len || *it->rest.ptr != ':')
		return false;
	it->rest = span_of(it->rest.ptr + 1, it->rest.len - 1);
	return true;
}

bool json_scan_next(struct json_scan_iter *it)
{
	bool is_object = it->has_begun ? it->key.type == JSON_SCAN_TEXT
				       : it->rest.len && *it->rest.ptr == '{';

	if (!step_in(it) || (is_object && !step_key(it)))
		return false;
	it->has_begun = true;
	it->value = json_scan_value(it->rest);
	it->rest = it->value.behind;
	return it->value.type != JSON_SCAN_ABSENT;
}

/* ---- escapes ---- */

static unsigned hex4(const uint8_t *p)
{
	unsigned v = 0;

	for (int i = 0; i < 4; i++) {
		uint8_t c = p[i] | 0x20;

		if (p[i] >= '0' && p[i] <= '9')
			v = v << 4 | (unsigned)(p[i] - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (unsigned)(c - 'a' + 10);
		else
			return UINT32_MAX;
	}
	return v;
}

/* \uXXXX, with its other half where there is one. Return: bytes of @s that it took; 0: no escape.
 */
static size_t take_unicode(struct span s, uint8_t *out, size_t *written)
{
	uint32_t c = s.len >= 6 ? hex4(s.ptr + 2) : UINT32_MAX, low;
	size_t took = 6;

	if (c == UINT32_MAX)
		return 0;
	if (c >= 0xd800 && c < 0xe000) {
		low = s.len >= 12 && s.ptr[6] == '\\' && s.ptr[7] == 'u' ? hex4(s.ptr + 8) : 0;
		if (c < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			took = 12;
		} else {
			c = 0xfffd;
		}
	}
	*written = utf8_put(c, out);
	return took;
}

static uint8_t plain_escape(uint8_t c)
{
	static const char from[] = "bfnrt\"\\/", to[] = "\b\f\n\r\t\"\\/";
	const char *at = c ? strchr(from, c) : NULL;

	return at ? (uint8_t)to[at - from] : c;
}

size_t json_scan_unescape(struct span text, uint8_t *out)
{
	size_t n = 0, i = 0;

	while (i < text.len) {
		size_t took = 1, wrote = 1;

		if (text.ptr[i] != '\\' || i + 1 == text.len) {
			out[n] = text.ptr[i];
		} else if (text.ptr[i + 1] == 'u') {
			took = take_unicode(span_of(text.ptr + i, text.len - i), out + n, &wrote);
			if (took == 0) { /* no escape at all: as it stands */
				out[n] = '\\';
				took = 1;
			}
		} else {
			out[n] = plain_escape(text.ptr[i + 1]);
			took = 2;
		}
		i += took;
		n += wrote;
	}
	return n;
}

/* ---- one step of a path ---- */

/* Names are short: one with escapes is undone into a small room, a longer one is not found. */
#define NAME_ROOM 1024

static bool has_name(const struct json_scan *key, struct span name)
{
	uint8_t room[NAME_ROOM];

	if (!key->has_escapes)
		return span_eq(key->text, name);
	return key->text.len <= sizeof(room) &&
	       span_eq(span_of(room, json_scan_unescape(key->text, room)), name);
}

struct json_scan json_scan_member(const struct json_scan *object, struct span name)
{
	struct json_scan_iter it = {.rest = object->text};

	if (object->type != JSON_SCAN_OBJECT)
		return (struct json_scan){0};
	while (json_scan_next(&it))
		if (has_name(&it.key, name))
			return it.value;
	return (struct json_scan){0};
}

struct json_scan json_scan_element(const struct json_scan *array, uint64_t index)
{
	struct json_scan_iter it = {.rest = array->text};

	if (array->type != JSON_SCAN_ARRAY)
		return (struct json_scan){0};
	while (json_scan_next(&it))
		if (index-- == 0)
			return it.value;
	return (struct json_scan){0};
}
