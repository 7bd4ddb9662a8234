// SPDX-License-Identifier: Apache-2.0
#include "schema/fingerprint.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/utf8.h"
#include "schema/content.h"
#include "schema/grpc.h"
#include "schema/mask.h"

/*
 * Theory of operation. Only the first octets of a body are looked at, decoded or not: what tells
 * errors apart stands at the beginning, and a failing service must not cost us a megabyte for each
 * failure. So the JSON reader here takes what may end anywhere, builds no tree and never fails: it
 * writes the shape of each value as it meets it, and what makes no sense ends it. (jansson would
 * refuse a body that was cut, and cost an allocation for each value.)
 *
 * Members of an object are sorted by their keys, since some languages write them in any order. Of
 * an array the first element stands for all. Numbers are {}, and so is the value of a key that
 * names something that varies (an id, a time, a trace) and each part of a string that mask_text()
 * masks.
 */
#define LOOK_BYTES   4096u
#define DEPTH_MAX    5
#define MEMBERS_MAX  16 /* of an object; further ones are left out */
#define KEY_BYTES    48u
#define STRING_BYTES 100u
#define JSON_BYTES   2048u /* all that is written of one body before it is cut */

void fingerprint_room_fini(struct fingerprint_room *room)
{
	buf_fini(&room->body);
	buf_fini(&room->text);
}

/* --- JSON --- */

struct reader_json {
	struct span in;
	struct buf *out;
	unsigned depth;
	bool is_lost; /* it ends here, or is no JSON from here on */
};

struct member {
	size_t at, len, key_len; /* in the output: "key":value */
};

static void skip_blanks(struct reader_json *j)
{
	while (j->in.len && j->in.ptr[0] <= ' ')
		j->in = span_from(j->in, 1);
}

static bool take(struct reader_json *j, char c)
{
	skip_blanks(j);
	if (j->in.len == 0 || j->in.ptr[0] != (uint8_t)c)
		return false;
	j->in = span_from(j->in, 1);
	return true;
}

/* What stands between quotation marks, escapes as they are. */
static struct span take_string(struct reader_json *j)
{
	struct span s;
	size_t n = 1;

	while (n < j->in.len && j->in.ptr[n] != '"')
		n += j->in.ptr[n] == '\\' ? 2 : 1;
	j->is_lost = n >= j->in.len;
	n = MIN(n, j->in.len);
	s = span_of(j->in.ptr + 1, n - 1);
	j->in = span_from(j->in, n + 1);
	return s;
}

/* The string with its simple escapes undone: marks are marks again, lines and tabs are blanks. */
static struct span unescape(struct span s, uint8_t out[LOOK_BYTES])
{
	size_t n = 0;

	for (size_t i = 0; i < s.len && n < LOOK_BYTES; i++) {
		uint8_t c = s.ptr[i];

		if (c == '\\' && i + 1 < s.len) {
			c = s.ptr[++i];
			if (c && strchr("nrtbf", c))
				c = ' ';
		}
		out[n++] = c;
	}
	return span_of(out, n);
}

static void put_string(struct reader_json *j, struct span s, size_t max)
{
	uint8_t room[LOOK_BYTES];

	buf_add_char(j->out, '"');
	mask_text(unescape(s, room), max, j->out);
	buf_add_char(j->out, '"');
}

/* Does the key name something that differs each time? */
static bool is_volatile(struct span key)
{
	static const char *const whole[] = {"id",   "time", "timestamp", "date",      "ts",
					    "uuid", "guid", "nonce",	 "trace",     "traceid",
					    "span", "hash", "requestid", "stacktrace"};
	static const char *const ends[] = {"_id", "-id", "Id", "ID", "_at", "_time", "Time"};

	for (size_t i = 0; i < COUNT_OF(whole); i++)
		if (span_ieq(key, span_str(whole[i])))
			return true;
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		struct span end = span_str(ends[i]);

		if (key.len > end.len && span_eq(span_from(key, key.len - end.len), end))
			return true;
	}
	return false;
}

static int by_key(const void *a, const void *b, void *base)
{
	const struct member *x = a, *y = b;
	const uint8_t *text = base;
	int order = memcmp(text + x->at, text + y->at, MIN(x->key_len, y->key_len));

	return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* The members, written one after another from @from on, in order of their keys. */
static void sort_members(struct reader_json *j, size_t from, struct member *all, size_t count)
{
	AUTO_BUF sorted = {0};

	if (j->out->is_failed || count == 0)
		return;
	qsort_r(all, count, sizeof(*all), by_key, j->out->ptr);
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_add_char(&sorted, ',');
		buf_add(&sorted, j->out->ptr + all[i].at, all[i].len);
	}
	j->out->len = from;
	buf_add_span(j->out, buf_span(&sorted));
}

static void put_value(struct reader_json *j, bool is_masked);

static struct member take_member(struct reader_json *j)
{
	struct member m = {.at = j->out->len};
	struct span key = take_string(j);

	put_string(j, key, KEY_BYTES);
	m.key_len = j->out->len - m.at;
	buf_add_char(j->out, ':');
	if (take(j, ':'))
		put_value(j, is_volatile(key));
	else
		j->is_lost = true;
	m.len = j->out->len - m.at;
	return m;
}

static void put_object(struct reader_json *j)
{
	struct member all[MEMBERS_MAX];
	size_t count = 0, from;

	(void)take(j, '{');
	buf_add_char(j->out, '{');
	from = j->out->len;
	do {
		struct member m;

		skip_blanks(j);
		if (j->in.len == 0 || j->in.ptr[0] != '"')
			break;
		m = take_member(j);
		if (count < MEMBERS_MAX)
			all[count++] = m;
		else
			j->out->len = m.at;
	} while (!j->is_lost && take(j, ','));
	j->is_lost = j->is_lost || !take(j, '}');
	sort_members(j, from, all, count);
	buf_add_char(j->out, '}');
}

static void put_array(struct reader_json *j)
{
	bool is_first = true;

	(void)take(j, '[');
	buf_add_char(j->out, '[');
	if (take(j, ']')) {
		buf_add_char(j->out, ']');
		return;
	}
	do {
		size_t end = j->out->len;

		put_value(j, false);
		if (!is_first)
			j->out->len = end;
		is_first = false;
	} while (!j->is_lost && take(j, ','));
	j->is_lost = j->is_lost || !take(j, ']');
	buf_add_char(j->out, ']');
}

/* true, false and null are what they are, numbers vary; anything else is no JSON */
static void put_literal(struct reader_json *j)
{
	static const char *const words[] = {"true", "false", "null"};
	size_t at = j->out->len, n = 0;

	while (n < j->in.len && j->in.ptr[n] > ' ' && !strchr(",]}", j->in.ptr[n]))
		n++;
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (span_eq(span_of(j->in.ptr, n), span_str(words[i])))
			buf_add_str(j->out, words[i]);
	if (n && (j->in.ptr[0] == '-' || (j->in.ptr[0] >= '0' && j->in.ptr[0] <= '9')))
		buf_add_str(j->out, "{}");
	j->is_lost = j->out->len == at;
	j->in = span_from(j->in, n);
}

static void put_value(struct reader_json *j, bool is_masked)
{
	size_t at = j->out->len;

	skip_blanks(j);
	if (j->in.len == 0 || j->depth == DEPTH_MAX || j->out->len > JSON_BYTES) {
		j->is_lost = true;
		return;
	}
	j->depth++;
	if (j->in.ptr[0] == '{')
		put_object(j);
	else if (j->in.ptr[0] == '[')
		put_array(j);
	else if (j->in.ptr[0] == '"')
		put_string(j, take_string(j), STRING_BYTES);
	else
		put_literal(j);
	j->depth--;
	if (is_masked && !j->out->is_failed) {
		j->out->len = at;
		buf_add_str(j->out, "{}");
	}
}

/* What only begins like JSON is text. */
static void put_json(struct span s, struct buf *out)
{
	struct reader_json j = {.in = s, .out = out};
	size_t at = out->len;

	put_value(&j, false);
	if (!j.is_lost || out->is_failed || out->len - at > 2)
		return;
	out->len = at;
	mask_text(s, FINGERPRINT_BYTES_MAX, out);
}

/* --- markup --- */

static bool is_element(struct span tag, const char *name)
{
	struct span want = span_str(name);

	return span_istarts(tag, want) && (tag.len == want.len || !(tag.ptr[want.len] >= 'a'));
}

/* Where the text goes on behind the tag that @s begins with. */
static struct span skip_tag(struct span s)
{
	static const char *const silent[] = {"script", "style"};
	const uint8_t *end;

	if (s.len >= 4 && memcmp(s.ptr, "<!--", 4) == 0) {
		end = span_find(s, SPAN_LIT("-->"));
		return end ? span_from(s, (size_t)(end - s.ptr) + 3) : (struct span){0};
	}
	for (size_t i = 0; i < COUNT_OF(silent); i++) {
		if (!is_element(span_from(s, 1), silent[i]))
			continue;
		end = span_find(s, SPAN_LIT("</"));
		if (!end)
			return (struct span){0};
		s = span_from(s, (size_t)(end - s.ptr));
	}
	end = memchr(s.ptr, '>', s.len);
	return end ? span_from(s, (size_t)(end - s.ptr) + 1) : (struct span){0};
}

/* The text between tags; a tag separates words. */
static void put_markup(struct span s, struct buf *out)
{
	uint8_t text[LOOK_BYTES];
	size_t n = 0;

	while (s.len && n < sizeof(text)) {
		if (s.ptr[0] == '<') {
			s = skip_tag(s);
			text[n++] = ' ';
		} else {
			text[n++] = s.ptr[0];
			s = span_from(s, 1);
		}
	}
	mask_text(span_trim(span_of(text, n)), FINGERPRINT_BYTES_MAX, out);
}

/* --- which, and how --- */

static struct span without_blanks(struct span s)
{
	if (s.len >= 3 && memcmp(s.ptr, "\xef\xbb\xbf", 3) == 0)
		s = span_from(s, 3);
	while (s.len && s.ptr[0] <= ' ' && s.ptr[0])
		s = span_from(s, 1);
	return s;
}

/* Text as far as it goes; a character that was cut at the end does not count. */
static bool is_text(struct span s)
{
	for (size_t i = 0; i < s.len;) {
		size_t n = utf8_len(s.ptr + i, s.len - i);

		if (n == 0)
			return s.len - i < 4 && s.len >= LOOK_BYTES;
		if (n == 1 && s.ptr[i] < ' ' && !strchr("\t\n\r\f\x1b", s.ptr[i]))
			return false;
		if (s.ptr[i] == 0)
			return false;
		i += n;
	}
	return true;
}

/* No longer than it may be, at a character. */
static void cut(struct buf *out)
{
	size_t n = FINGERPRINT_BYTES_MAX - 3;

	if (out->len <= FINGERPRINT_BYTES_MAX)
		return;
	while (n && (out->ptr[n] & 0xc0) == 0x80)
		n--;
	out->len = n;
	buf_add_str(out, "...");
}

static void put_body(struct span body, struct buf *out)
{
	struct span s = without_blanks(body);

	s.len = MIN(s.len, (size_t)LOOK_BYTES);
	if (s.len == 0)
		return;
	if (!is_text(s)) {
		buf_add_str(out, "(binary)");
	} else if (s.ptr[0] == '{' || s.ptr[0] == '[') {
		put_json(s, out);
	} else if (s.ptr[0] == '<') {
		put_markup(s, out);
	} else {
		mask_text(s, FINGERPRINT_BYTES_MAX, out);
	}
	cut(out);
}

static struct span find_grpc_message(const struct message *m)
{
	const struct span parts[] = {m->trailers, m->head};

	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		struct header_iter it = {
			.rest = parts[i], .is_trailers = i == 0, .is_http2 = m->version == 20};

		while (header_next(&it))
			if (span_ieq(it.name, SPAN_LIT("grpc-message")))
				return it.value;
	}
	return (struct span){0};
}

static void put_grpc(const struct exchange *x, struct fingerprint_room *room)
{
	grpc_message_decode(find_grpc_message(&x->response), &room->body);
	if (is_text(buf_span(&room->body)))
		mask_text(buf_span(&room->body), FINGERPRINT_BYTES_MAX, &room->text);
}

struct span fingerprint_of(const struct exchange *x, struct fingerprint_room *room)
{
	struct span body = {0};

	buf_clear(&room->body);
	buf_clear(&room->text);
	if (!exchange_is_failed(x) || !(x->response.flags & MESSAGE_PRESENT))
		return body;
	if (x->has_grpc_status) {
		put_grpc(x, room);
	} else if (content_peek(&x->response, LOOK_BYTES, &room->body, &body, NULL) != -ENOENT) {
		put_body(body, &room->text);
	}
	return room->text.is_failed ? (struct span){0} : buf_span(&room->text);
}
