// SPDX-License-Identifier: Apache-2.0
#include "replay/json_scan.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Recursive descent over RFC 8259, strict in grammar, with one liberty: bytes over 0x7F inside
 * strings are taken as they are, valid UTF-8 or not, for a body is compared and not corrected.
 *
 * Why not a JSON library: a tree of a 1 KB document costs tens of microseconds to build and to
 * free, and a replay compares every answer; this costs two or three. And doubles are not good
 * enough to say that two numbers are equal: here they are compared as decimals.
 */

struct reader {
	struct json_scan *s;
	const uint8_t *at, *end;
	unsigned depth;
	int error;
};

static bool fail(struct reader *r, int error)
{
	r->error = error;
	return false;
}

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end &&
	       (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
		r->at++;
}

static bool grow(struct json_scan *s)
{
	uint32_t cap = s->cap ? s->cap * 2 : 256;
	struct json_token *tokens;

	tokens = reallocarray(s->tokens, cap, sizeof(*tokens));
	if (!tokens)
		return false;
	s->tokens = tokens;
	s->cap = cap;
	return true;
}

/* Return: index of a new token that begins here; UINT32_MAX on failure */
static uint32_t begin_token(struct reader *r, enum json_scan_type type)
{
	struct json_scan *s = r->s;

	if (s->count == JSON_SCAN_TOKENS_MAX || (s->count == s->cap && !grow(s))) {
		r->error = s->count == JSON_SCAN_TOKENS_MAX ? -E2BIG : -ENOMEM;
		return UINT32_MAX;
	}
	s->tokens[s->count] = (struct json_token){
		.from = (uint32_t)(r->at - s->text),
		.type = (uint8_t)type,
	};
	return s->count++;
}

static bool end_token(struct reader *r, uint32_t i)
{
	struct json_token *t = &r->s->tokens[i];

	t->len = (uint32_t)(r->at - r->s->text) - t->from;
	t->next = r->s->count;
	return true;
}

static bool read_word(struct reader *r, const char *word, enum json_scan_type type)
{
	size_t n = strlen(word);
	uint32_t i = begin_token(r, type);

	if (i == UINT32_MAX)
		return false;
	if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
		return fail(r, -EBADMSG);
	r->at += n;
	return end_token(r, i);
}

static bool is_digit(const struct reader *r)
{
	return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static bool skip_digits(struct reader *r)
{
	if (!is_digit(r))
		return fail(r, -EBADMSG);
	while (is_digit(r))
		r->at++;
	return true;
}

static bool read_number(struct reader *r)
{
	uint32_t i = begin_token(r, JSON_SCAN_NUMBER);

	if (i == UINT32_MAX)
		return false;
	if (*r->at == '-')
		r->at++;
	if (r->at < r->end && *r->at == '0')
		r->at++;
	else if (!skip_digits(r))
		return false;
	if (r->at < r->end && *r->at == '.') {
		r->at++;
		if (!skip_digits(r))
			return false;
	}
	if (r->at < r->end && (*r->at | 0x20) == 'e') {
		r->at++;
		if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
			r->at++;
		if (!skip_digits(r))
			return false;
	}
	return end_token(r, i);
}

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* behind a backslash */
static bool skip_escape(struct reader *r)
{
	if (r->at == r->end)
		return fail(r, -EBADMSG);
	if (*r->at != 'u') {
		if (*r->at == '\0' || !strchr("\"\\/bfnrt", *r->at))
			return fail(r, -EBADMSG);
		r->at++;
		return true;
	}
	r->at++;
	for (unsigned i = 0; i < 4; i++, r->at++)
		if (r->at == r->end || !is_hex(*r->at))
			return fail(r, -EBADMSG);
	return true;
}

static bool read_string(struct reader *r)
{
	uint32_t i = begin_token(r, JSON_SCAN_STRING);

	if (i == UINT32_MAX)
		return false;
	for (r->at++; r->at < r->end; r->at++) {
		if (*r->at == '"') {
			r->at++;
			return end_token(r, i);
		}
		if (*r->at < 0x20)
			return fail(r, -EBADMSG);
		if (*r->at == '\\') {
			r->s->tokens[i].has_escape = true;
			r->at++;
			if (!skip_escape(r))
				return false;
			r->at--; /* the loop goes on behind it */
		}
	}
	return fail(r, -EBADMSG);
}

static bool read_value(struct reader *r);

static bool read_member(struct reader *r)
{
	skip_blanks(r);
	if (r->at == r->end || *r->at != '"')
		return fail(r, -EBADMSG);
	if (!read_string(r))
		return false;
	skip_blanks(r);
	if (r->at == r->end || *r->at != ':')
		return fail(r, -EBADMSG);
	r->at++;
	return read_value(r);
}

static bool read_items(struct reader *r, uint8_t end, bool (*read_item)(struct reader *r))
{
	r->at++;
	skip_blanks(r);
	if (r->at < r->end && *r->at == end) {
		r->at++;
		return true;
	}
	for (;;) {
		if (!read_item(r))
			return false;
		skip_blanks(r);
		if (r->at == r->end || (*r->at != ',' && *r->at != end))
			return fail(r, -EBADMSG);
		if (*r->at++ == end)
			return true;
	}
}

static bool read_container(struct reader *r, enum json_scan_type type)
{
	uint32_t i = begin_token(r, type);
	bool is_read;

	if (i == UINT32_MAX)
		return false;
	if (++r->depth > JSON_SCAN_DEPTH_MAX)
		return fail(r, -E2BIG);
	is_read = type == JSON_SCAN_OBJECT ? read_items(r, '}', read_member)
					   : read_items(r, ']', read_value);
	r->depth--;
	return is_read && end_token(r, i);
}

static bool read_value(struct reader *r)
{
	skip_blanks(r);
	if (r->at == r->end)
		return fail(r, -EBADMSG);
	switch (*r->at) {
	case '{': return read_container(r, JSON_SCAN_OBJECT);
	case '[': return read_container(r, JSON_SCAN_ARRAY);
	case '"': return read_string(r);
	case 't': return read_word(r, "true", JSON_SCAN_TRUE);
	case 'f': return read_word(r, "false", JSON_SCAN_FALSE);
	case 'n': return read_word(r, "null", JSON_SCAN_NULL);
	default: break;
	}
	if (*r->at == '-' || (*r->at >= '0' && *r->at <= '9'))
		return read_number(r);
	return fail(r, -EBADMSG);
}

int json_scan(struct json_scan *s, struct span text)
{
	struct reader r = {.s = s, .at = text.ptr};

	if (text.len >= UINT32_MAX)
		return -E2BIG;
	s->text = text.ptr;
	s->count = 0;
	if (text.len == 0)
		return -EBADMSG;
	r.end = text.ptr + text.len;
	if (!read_value(&r))
		return r.error;
	skip_blanks(&r);
	return r.at == r.end ? 0 : -EBADMSG;
}

void json_scan_fini(struct json_scan *s)
{
	free(s->tokens);
	*s = (struct json_scan){0};
}

/* ---- equal as values ---- */

static uint32_t hex4(const uint8_t *p)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++)
		v = v << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
	return v;
}

static size_t utf8(uint32_t c, uint8_t out[4])
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xC0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xE0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
		out[2] = (uint8_t)(0x80 | (c & 0x3F));
		return 3;
	}
	out[0] = (uint8_t)(0xF0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
	out[3] = (uint8_t)(0x80 | (c & 0x3F));
	return 4;
}

/* the characters of a string, one at a time, as 1 to 4 bytes of UTF-8 */
struct letters {
	const uint8_t *at, *end; /* inside the quotes */
	uint8_t out[4];
	size_t len;
};

static uint32_t take_code(struct letters *l)
{
	uint32_t c = hex4(l->at);

	l->at += 4;
	/* a pair of surrogates is one character (RFC 8259 section 7); a lone one stays as it is */
	if (c >= 0xD800 && c < 0xDC00 && l->end - l->at >= 6 && l->at[0] == '\\' &&
	    l->at[1] == 'u') {
		uint32_t low = hex4(l->at + 2);

		if (low >= 0xDC00 && low < 0xE000) {
			l->at += 6;
			return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
		}
	}
	return c;
}

static bool next_letter(struct letters *l)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

	if (l->at >= l->end)
		return false;
	l->len = 1;
	l->out[0] = *l->at++;
	if (l->out[0] != '\\')
		return true;
	if (*l->at == 'u') {
		l->at++;
		l->len = utf8(take_code(l), l->out);
		return true;
	}
	l->out[0] = (uint8_t)to[strchr(from, *l->at++) - from];
	return true;
}

bool json_equal_strings(struct span a, struct span b)
{
	struct letters la = {.at = a.ptr + 1, .end = a.ptr + a.len - 1};
	struct letters lb = {.at = b.ptr + 1, .end = b.ptr + b.len - 1};
	size_t ia = 0, ib = 0;

	/* byte by byte: an escape may stand for what the other writes as several bytes */
	for (;;) {
		bool has_a = ia < la.len || (ia = 0, next_letter(&la));
		bool has_b = ib < lb.len || (ib = 0, next_letter(&lb));

		if (!has_a || !has_b)
			return has_a == has_b;
		if (la.out[ia++] != lb.out[ib++])
			return false;
	}
}

/* A number as sign, digits without zeros at either end, and the power of ten of the first digit. */
struct decimal {
	bool is_negative;
	const uint8_t *from, *to; /* digits, perhaps with a point between */
	int64_t power;		  /* 0.d1d2d3... * 10^power */
};

static int64_t read_exponent(const uint8_t *at, const uint8_t *end)
{
	bool is_negative = *at == '-';
	int64_t v = 0;

	for (at += *at == '-' || *at == '+'; at < end; at++)
		if (v < INT64_C(1) << 40)
			v = v * 10 + (*at - '0');
	return is_negative ? -v : v;
}

static const uint8_t *find_point(const uint8_t *p, const uint8_t *end)
{
	while (p < end && *p != '.')
		p++;
	return p < end ? p : NULL;
}

static struct decimal read_decimal(struct span s)
{
	struct decimal d = {.from = s.ptr, .to = s.ptr + s.len};
	const uint8_t *end = s.ptr + s.len, *point;

	d.is_negative = *d.from == '-';
	d.from += d.is_negative;
	for (const uint8_t *p = d.from; p < end; p++)
		if ((*p | 0x20) == 'e') {
			d.power = read_exponent(p + 1, end);
			d.to = p;
			break;
		}
	point = find_point(d.from, d.to);
	d.power += (point ? point : d.to) - d.from;
	while (d.from < d.to && (*d.from == '0' || *d.from == '.')) {
		d.power -= *d.from == '0';
		d.from++;
	}
	while (point && d.to > d.from && (d.to[-1] == '0' || d.to[-1] == '.'))
		d.to--;
	return d;
}

/* the next digit, the point passed over; '0' behind the last */
static uint8_t next_digit(struct decimal *d)
{
	if (d->from < d->to && *d->from == '.')
		d->from++;
	return d->from < d->to ? *d->from++ : '0';
}

bool json_equal_numbers(struct span a, struct span b)
{
	struct decimal da = read_decimal(a), db = read_decimal(b);

	if (da.from == da.to || db.from == db.to) /* zero has no sign and no power */
		return da.from == da.to && db.from == db.to;
	if (da.is_negative != db.is_negative || da.power != db.power)
		return false;
	while (da.from < da.to || db.from < db.to)
		if (next_digit(&da) != next_digit(&db))
			return false;
	return true;
}
