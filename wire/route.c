// SPDX-License-Identifier: Apache-2.0
#include "wire/route.h"

/*
 * Theory of operation
 *
 * One look at each segment counts what it is made of; the rules judge by these counts. They lean towards
 * keeping words: a route with one {} too few is two rows in a list, one with a {} too many mixes what
 * does not belong together.
 */

#define HASH_LEN_MIN   8  /* hexadecimal with digits and letters: abbreviated commit ids */
#define HEX_LEN_MIN    16 /* hexadecimal whatever the mix, but not letters alone */
#define OPAQUE_LEN_MIN 16 /* digits and letters mixed */
#define ENDING_LEN_MAX 5  /* .json, .html, .m3u8 */
#define SWITCHES_MIN   3  /* changes between digit and letter, or in case, that no word has */

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower(uint8_t c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(uint8_t c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_hex(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* What a segment is made of. */
struct makeup {
	size_t digits, letters, hex, marks, others; /* marks: -_.:,+~=%T and the like */
	size_t switches; /* from digit to letter and back, from lower to upper */
};

static void add_char(struct makeup *m, uint8_t before, uint8_t c)
{
	m->hex += is_hex(c);
	if (is_digit(c)) {
		m->digits++;
		m->switches += is_lower(before) || is_upper(before);
	} else if (is_lower(c) || is_upper(c)) {
		m->letters++;
		m->switches += is_digit(before) || (is_upper(c) && is_lower(before));
	} else if (strchr("-_.:,+~=%", c) && c) {
		m->marks++;
	} else {
		m->others++;
	}
}

static struct makeup look_at(struct span s)
{
	struct makeup m = {0};

	for (size_t i = 0; i < s.len; i++)
		add_char(&m, i ? s.ptr[i - 1] : 0, s.ptr[i]);
	return m;
}

/* 8-4-4-4-12 hexadecimal digits (RFC 9562 4), also in braces or behind urn:uuid: */
static bool is_uuid(struct span s)
{
	if (s.len > 36)
		s = span_from(s, s.ptr[0] == '{'			  ? 1
				 : span_istarts(s, SPAN_LIT("urn:uuid:")) ? 9
									  : 0);
	if (s.len == 37 && s.ptr[36] == '}')
		s.len = 36;
	if (s.len != 36)
		return false;
	for (size_t i = 0; i < 36; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (is_dash ? s.ptr[i] != '-' : !is_hex(s.ptr[i]))
			return false;
	}
	return true;
}

static size_t count_digits(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += is_digit(s.ptr[i]);
	return n;
}

static bool is_variable(struct span s)
{
	size_t digits = count_digits(s);
	struct makeup m;

	if (digits == 0 || digits == s.len)
		return digits > 0; /* nearly all segments are words, most others plain numbers */
	m = look_at(s);
	if (m.letters == 0 && m.others == 0)
		return true;
	if (is_uuid(s))
		return true;
	if (m.hex == s.len && (s.len >= HEX_LEN_MIN || s.len >= HASH_LEN_MIN))
		return true;
	return s.len >= OPAQUE_LEN_MIN && m.others == 0 && m.switches >= SWITCHES_MIN;
}

/* the segment without its parameters */
static struct span without_params(struct span s)
{
	const uint8_t *semicolon = span_chr(s, ';');

	return semicolon ? span_of(s.ptr, (size_t)(semicolon - s.ptr)) : s;
}

/* where the ending of a file name begins; s.len without one */
static size_t ending_at(struct span s)
{
	const uint8_t *dot = memrchr(s.ptr, '.', s.len);
	size_t at = dot ? (size_t)(dot - s.ptr) : s.len;
	struct makeup m;

	if (!dot)
		return s.len;
	m = look_at(span_from(s, at + 1));
	return at && s.len - at - 1 <= ENDING_LEN_MAX && m.letters && !m.others && !m.marks ? at
											    : s.len;
}

struct text {
	uint8_t *out;
	size_t len;
};

static void add(struct text *t, struct span s)
{
	size_t n = MIN(s.len, ROUTE_BYTES_MAX - t->len);

	if (n)
		memcpy(t->out + t->len, s.ptr, n);
	t->len += n;
}

static void add_segment(struct text *t, struct span segment)
{
	struct span s = without_params(segment);
	size_t at = ending_at(s);

	if (at < s.len && is_variable(span_of(s.ptr, at))) {
		add(t, SPAN_LIT("{}"));
		add(t, span_from(s, at));
	} else {
		add(t, is_variable(s) ? SPAN_LIT("{}") : s);
	}
}

/* Nearly all segments are words: without a digit and without parameters they stay as they are. */
enum mark { MARK_NONE, MARK_MATTERS, MARK_SLASH };

static const uint8_t marks[256] = {
	['0'] = MARK_MATTERS, ['1'] = MARK_MATTERS, ['2'] = MARK_MATTERS, ['3'] = MARK_MATTERS,
	['4'] = MARK_MATTERS, ['5'] = MARK_MATTERS, ['6'] = MARK_MATTERS, ['7'] = MARK_MATTERS,
	['8'] = MARK_MATTERS, ['9'] = MARK_MATTERS, [';'] = MARK_MATTERS, ['/'] = MARK_SLASH,
};

/* the length of the words that @path begins with, with the slash behind the last one */
static size_t words(struct span path)
{
	size_t end = 0, i = 0;

	for (; i < path.len; i++) {
		if (marks[path.ptr[i]] == MARK_MATTERS)
			return end;
		if (marks[path.ptr[i]] == MARK_SLASH)
			end = i + 1;
	}
	return i;
}

size_t route_of(struct span path, uint8_t out[ROUTE_BYTES_MAX])
{
	struct text t = {.out = out};

	while (path.len && t.len < ROUTE_BYTES_MAX) {
		size_t n = words(path);
		const uint8_t *slash;

		add(&t, span_of(path.ptr, n));
		path = span_from(path, n);
		if (path.len == 0)
			break;
		slash = memchr(path.ptr, '/', path.len);
		n = slash ? (size_t)(slash - path.ptr) : path.len;
		add_segment(&t, span_of(path.ptr, n));
		path = span_from(path, n); /* its slash is a word's end */
	}
	return t.len;
}
