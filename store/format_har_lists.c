// SPDX-License-Identifier: Apache-2.0
#include "store/format_har_lists.h"

#include <time.h>

/*
 * Theory of operation. What HAR lists apart (cookies, parameters of the query and of forms) stands
 * in the headers, the target and the body too, byte for byte: these lists are for people and are
 * not read back.
 */

static void put_pair(struct json *j, struct span name, struct span value)
{
	json_object_begin(j);
	json_key_text(j, "name", name);
	json_key_text(j, "value", value);
}

/* what stands before the next @c, which is taken off too */
static struct span next_part(struct span *rest, char c)
{
	const uint8_t *end = rest->len ? memchr(rest->ptr, c, rest->len) : NULL;
	struct span part = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};

	*rest = span_from(*rest, part.len + 1);
	return part;
}

/* "a=b" -> a and b, trimmed; without = all of it is the name */
static struct span split(struct span part, struct span *value)
{
	const uint8_t *equals = span_chr(part, '=');
	size_t n = equals ? (size_t)(equals - part.ptr) : part.len;

	*value = span_trim(span_from(part, n + 1));
	return span_trim(span_of(part.ptr, n));
}

void har_put_headers(struct json *j, const char *key, struct span lines, bool is_trailers)
{
	struct header_iter it = {.rest = lines, .is_trailers = is_trailers};

	json_key(j, key);
	json_array_begin(j);
	while (header_next(&it)) {
		put_pair(j, it.name, it.value);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_cookie_list(struct json *j, struct span list)
{
	while (list.len) {
		struct span value, name = split(next_part(&list, ';'), &value);

		if (name.len == 0 && value.len == 0)
			continue;
		put_pair(j, name, value);
		json_object_end(j);
	}
}

void har_put_cookies(struct json *j, const struct message *m)
{
	struct header_iter it = {.rest = m->head};

	json_key(j, "cookies");
	json_array_begin(j);
	while (header_next(&it))
		if (span_ieq(it.name, SPAN_LIT("cookie")))
			put_cookie_list(j, it.value);
	json_array_end(j);
}

/* HAR wants ISO 8601; a date that is none of HTTP's (RFC 9110 5.6.7) is left out */
static void put_expires(struct json *j, struct span value)
{
	char text[40], iso[32];
	struct tm tm = {0};
	const char *end;

	if (value.len >= sizeof(text))
		return;
	memcpy(text, value.ptr, value.len);
	text[value.len] = '\0';
	end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	if (!end)
		end = strptime(text, "%a, %d-%b-%Y %H:%M:%S GMT", &tm);
	if (end && !*end && strftime(iso, sizeof(iso), "%Y-%m-%dT%H:%M:%S.000Z", &tm))
		json_key_str(j, "expires", iso);
}

static void put_attribute(struct json *j, struct span name, struct span value)
{
	if (span_ieq(name, SPAN_LIT("path")))
		json_key_text(j, "path", value);
	else if (span_ieq(name, SPAN_LIT("domain")))
		json_key_text(j, "domain", value);
	else if (span_ieq(name, SPAN_LIT("expires")) && value.len)
		put_expires(j, value);
	else if (span_ieq(name, SPAN_LIT("httponly")))
		json_key_bool(j, "httpOnly", true);
	else if (span_ieq(name, SPAN_LIT("secure")))
		json_key_bool(j, "secure", true);
	else if (span_ieq(name, SPAN_LIT("samesite")))
		json_key_text(j, "_sameSite", value);
}

/* attributes that were seen once: a JSON object may not say a key twice */
static bool is_first(uint32_t *seen, struct span name)
{
	static const char *const names[] = {"path",	"domain", "expires",
					    "httponly", "secure", "samesite"};

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		bool was_seen = *seen >> i & 1;

		if (!span_ieq(name, span_str(names[i])))
			continue;
		*seen |= UINT32_C(1) << i;
		return !was_seen;
	}
	return false;
}

static void put_set_cookie(struct json *j, struct span line)
{
	struct span value, name = split(next_part(&line, ';'), &value);
	uint32_t seen = 0;

	put_pair(j, name, value);
	while (line.len) {
		name = split(next_part(&line, ';'), &value);
		if (is_first(&seen, name))
			put_attribute(j, name, value);
	}
	json_object_end(j);
}

void har_put_set_cookies(struct json *j, const struct message *m)
{
	struct header_iter it = {.rest = m->head};

	json_key(j, "cookies");
	json_array_begin(j);
	while (header_next(&it))
		if (span_ieq(it.name, SPAN_LIT("set-cookie")))
			put_set_cookie(j, it.value);
	json_array_end(j);
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* a % without two digits behind it stands for itself */
static struct span decoded(struct buf *room, struct span s)
{
	buf_clear(room);
	for (size_t i = 0; i < s.len; i++) {
		int high = s.ptr[i] == '%' && s.len - i > 2 ? hex_digit(s.ptr[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(s.ptr[i + 2]) : -1;

		if (low >= 0)
			i += 2;
		buf_add_char(room, (char)(low >= 0	    ? high << 4 | low
					  : s.ptr[i] == '+' ? ' '
							    : s.ptr[i]));
	}
	return buf_span(room);
}

static void put_param(struct json *j, struct span part)
{
	const uint8_t *equals = span_chr(part, '=');
	size_t n = equals ? (size_t)(equals - part.ptr) : part.len;
	AUTO_BUF name = {0}, value = {0};

	put_pair(j, decoded(&name, span_of(part.ptr, n)), decoded(&value, span_from(part, n + 1)));
	json_object_end(j);
}

void har_put_params(struct json *j, const char *key, struct span query)
{
	json_key(j, key);
	json_array_begin(j);
	while (query.len) {
		struct span part = next_part(&query, '&');

		if (part.len)
			put_param(j, part);
	}
	json_array_end(j);
}
