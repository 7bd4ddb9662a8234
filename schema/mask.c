// SPDX-License-Identifier: Apache-2.0
#include "schema/mask.h"

/*
 * Theory of operation. The text is cut into words (letters and digits), quotations and what stands
 * between. A word with a digit in it varies, but for the letters that it may begin with (utf8,
 * item7); so does one that is hexadecimal and long, or longer than words are. What is between two
 * {} and looks like part of a number, an address, a date or a list is swallowed, so that a list of
 * three reads like one of two.
 *
 * Octets from 0x80 on are letters: any language's words are kept. Each octet is looked at a few
 * times at most, whatever the text, and no more of it than fills @max.
 */
#define QUOTE_MAX                                                                                  \
	256 /* octets between quotation marks; farther apart they are marks of their own */
#define WORD_MAX    32 /* octets of a word; longer is no word */
#define HEX_LEN_MIN 16 /* hexadecimal letters alone: shorter may be a word */
#define UUID_LEN    36
#define GLUE_MAX    2 /* octets between two {} that make them one */

static const char hole[] = "{}";

struct masker {
	struct buf *out;
	size_t from, max;
	bool is_full;
	uint8_t before; /* the octet before this one in the text; 0 at its beginning */
};

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static bool is_hex(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_word(uint8_t c)
{
	return is_digit(c) || is_letter(c);
}

static bool is_blank(uint8_t c)
{
	return c <= ' ' || c == 0x7f;
}

/* --- what is written --- */

static bool ends_in_hole(const struct masker *m, size_t end)
{
	return end >= m->from + 2 && memcmp(m->out->ptr + end - 2, hole, 2) == 0;
}

static void put(struct masker *m, struct span s)
{
	size_t used = m->out->len - m->from;

	if (m->is_full || used + s.len > m->max) {
		m->is_full = true;
		return;
	}
	buf_add_span(m->out, s);
}

static void put_hole(struct masker *m)
{
	static const char glue[] = " .,:;/-+_|x";
	size_t end = m->out->len;

	for (size_t n = 0; n <= GLUE_MAX && end > m->from; n++, end--) {
		if (ends_in_hole(m, end)) {
			m->out->len = end;
			return;
		}
		if (!memchr(glue, m->out->ptr[end - 1], sizeof(glue) - 1))
			break;
	}
	put(m, SPAN_LIT("{}"));
}

static void put_blank(struct masker *m)
{
	if (m->out->len > m->from && m->out->ptr[m->out->len - 1] != ' ')
		put(m, SPAN_LIT(" "));
}

/* --- what is read --- */

static size_t word_len(struct span s)
{
	size_t n = 0;

	while (n < s.len && is_word(s.ptr[n]))
		n++;
	return n;
}

static bool is_uuid(struct span s)
{
	if (s.len < UUID_LEN || (s.len > UUID_LEN && is_word(s.ptr[UUID_LEN])))
		return false;
	for (size_t i = 0; i < UUID_LEN; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (is_dash ? s.ptr[i] != '-' : !is_hex(s.ptr[i]))
			return false;
	}
	return true;
}

/* user@example.com from its first octet; 0: it is none */
static size_t mail_len(struct span s)
{
	size_t at = 0, n;

	while (at < s.len && at < WORD_MAX * 2 &&
	       (is_word(s.ptr[at]) || strchr("._+-", s.ptr[at])) && s.ptr[at])
		at++;
	if (at == 0 || at + 1 >= s.len || s.ptr[at] != '@' || !is_word(s.ptr[at + 1]))
		return 0;
	for (n = at + 1; n < s.len && s.ptr[n] && (is_word(s.ptr[n]) || strchr(".-", s.ptr[n]));
	     n++)
		;
	return s.ptr[n - 1] == '.' ? n - 1 : n; /* the end of the sentence */
}

/* letters that a word begins with, where only digits follow */
static size_t stem_len(struct span word)
{
	size_t n = 0, end;

	while (n < word.len && is_letter(word.ptr[n]))
		n++;
	for (end = n; end < word.len && is_digit(word.ptr[end]); end++)
		;
	return end == word.len ? n : 0;
}

static void put_word(struct masker *m, struct span word)
{
	size_t digits = 0, hex = 0;

	for (size_t i = 0; i < word.len; i++) {
		digits += is_digit(word.ptr[i]);
		hex += is_hex(word.ptr[i]);
	}
	if (word.len > WORD_MAX || (hex == word.len && word.len >= HEX_LEN_MIN)) {
		put_hole(m);
	} else if (digits == 0) {
		put(m, word);
	} else {
		put(m,
		    span_of(word.ptr, hex == word.len && digits < word.len ? 0 : stem_len(word)));
		put_hole(m);
	}
}

/* The octets from an opening mark to the closing one, both included; 0: it is none. */
static size_t quote_len(const struct masker *m, struct span s)
{
	uint8_t mark = s.ptr[0];

	if ((mark != '"' && mark != '\'' && mark != '`') || is_word(m->before))
		return 0;
	for (size_t i = 1; i < s.len && i <= QUOTE_MAX; i++)
		if (s.ptr[i] == mark && (i + 1 == s.len || !is_word(s.ptr[i + 1])))
			return i + 1;
	return 0;
}

static void put_quote(struct masker *m, uint8_t mark)
{
	uint8_t text[] = {mark, '{', '}', mark};

	put(m, span_of(text, sizeof(text)));
}

/* Return: how many octets of @s were taken. */
static size_t mask_next(struct masker *m, struct span s)
{
	size_t n;

	if (is_blank(s.ptr[0])) {
		put_blank(m);
		return 1;
	}
	n = quote_len(m, s);
	if (n) {
		put_quote(m, s.ptr[0]);
		return n;
	}
	if (!is_word(s.ptr[0])) {
		put(m, span_of(s.ptr, 1));
		return 1;
	}
	n = is_uuid(s) ? UUID_LEN : mail_len(s);
	if (n) {
		put_hole(m);
		return n;
	}
	n = word_len(s);
	put_word(m, span_of(s.ptr, n));
	return n;
}

/* The cut falls between characters. */
static void mark_cut(struct masker *m)
{
	size_t room = m->max > 3 ? m->max - 3 : 0;

	while (m->out->len > m->from && m->out->len - m->from > room)
		m->out->len--;
	while (m->out->len > m->from && (m->out->ptr[m->out->len - 1] & 0xc0) == 0x80)
		m->out->len--;
	if (m->out->len > m->from && m->out->ptr[m->out->len - 1] >= 0xc0)
		m->out->len--;
	if (m->max >= 3)
		buf_add_str(m->out, "...");
}

void mask_text(struct span text, size_t max, struct buf *out)
{
	struct masker m = {.out = out, .from = out->len, .max = max};

	while (text.len && !m.is_full && !out->is_failed) {
		size_t n = mask_next(&m, text);

		m.before = text.ptr[n - 1];
		text = span_from(text, n);
	}
	if (m.is_full)
		mark_cut(&m);
	else if (out->len > m.from && out->ptr[out->len - 1] == ' ')
		out->len--;
}
