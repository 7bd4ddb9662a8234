// SPDX-License-Identifier: Apache-2.0
#include "store/filter_tree.h"

#include "lib/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * The source is cut into tokens at once, because their number bounds everything the parser will
 * allocate. Strings follow the CEL specification: single or double quotes, r"raw", b"octets"; in a
 * string \xHH and \ooo are code points, written as UTF-8, in b"" they are octets. An escape is
 * never shorter than what it stands for, so all strings together fit in as many bytes as the source
 * has. A dotted word is one token: what is a field and what is a method is the parser's business.
 */

/* ---- messages ---- */

#define LINE_SHOWN_MAX 100 /* bytes of the source line that a message shows */

static bool continues_char(uint8_t c)
{
	return (c & 0xc0) == 0x80;
}

static size_t count_chars(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += !continues_char(s.ptr[i]);
	return n;
}

/* The part of a line to show around the byte @at of it, cut between characters. */
static struct span window(struct span line, size_t at)
{
	size_t from = 0, to = line.len;

	if (line.len > LINE_SHOWN_MAX && at > LINE_SHOWN_MAX / 2)
		from = MIN(at - LINE_SHOWN_MAX / 2, line.len - LINE_SHOWN_MAX);
	while (from < at && continues_char(line.ptr[from]))
		from++;
	if (to - from > LINE_SHOWN_MAX)
		to = from + LINE_SHOWN_MAX;
	while (to > from && to < line.len && continues_char(line.ptr[to]))
		to--;
	return span_of(line.ptr + from, to - from);
}

static void show_line(struct buf *out, struct span line, size_t at)
{
	struct span shown = window(line, at);
	const char *before = shown.ptr > line.ptr ? "..." : "";
	const char *after = shown.ptr + shown.len < line.ptr + line.len ? "..." : "";
	size_t skip = (size_t)(shown.ptr - line.ptr);

	buf_add_fmt(out, "\n  %s", before);
	for (size_t i = 0; i < shown.len; i++)
		buf_add_char(out,
			     shown.ptr[i] < ' ' || shown.ptr[i] == 0x7f ? ' ' : (char)shown.ptr[i]);
	buf_add_fmt(out, "%s\n  %*s^", after,
		    (int)(strlen(before) + count_chars(span_of(shown.ptr, at - skip))), "");
}

int filter_error(struct err *e, struct span source, size_t at, int code, const char *fmt, ...)
{
	char sentence[ERR_WHY_MAX / 2];
	size_t from = MIN(at, source.len), to = from, row = 1;
	AUTO_BUF why = {0};
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	at = from;
	while (from > 0 && source.ptr[from - 1] != '\n')
		from--;
	while (to < source.len && source.ptr[to] != '\n')
		to++;
	for (size_t i = 0; i < from; i++)
		row += source.ptr[i] == '\n';
	if (row > 1)
		buf_add_fmt(&why, "line %zu, ", row);
	buf_add_fmt(&why, "column %zu: %s", count_chars(span_of(source.ptr + from, at - from)) + 1,
		    sentence);
	show_line(&why, span_of(source.ptr + from, to - from), at - from);
	return err_set(e, code, "%s", buf_cstr(&why));
}

/* ---- tokens ---- */

struct lexer {
	struct span source;
	size_t at;
	uint8_t *bytes; /* next free byte for strings */
	struct err *e;
};

static int peek_byte(const struct lexer *l, size_t ahead)
{
	return l->at + ahead < l->source.len ? l->source.ptr[l->at + ahead] : -1;
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool begins_word(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int hex_digit(int c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int take_digits(struct lexer *l, unsigned count, unsigned base, uint32_t *out)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < count; i++, l->at++) {
		int d = hex_digit(peek_byte(l, 0));

		if (d < 0 || d >= (int)base)
			return filter_error(l->e, l->source, l->at, -EINVAL,
					    "this escape needs %u %s digits", count,
					    base == 8 ? "octal" : "hexadecimal");
		v = v * base + (uint32_t)d;
	}
	*out = v;
	return 0;
}

/* Escapes of one letter, and what they stand for. */
static const char plain_escapes[] = "a\a"
				    "b\b"
				    "f\f"
				    "n\n"
				    "r\r"
				    "t\t"
				    "v\v"
				    "\\\\"
				    "\"\""
				    "''"
				    "``"
				    "??";

/* Escapes with digits: the letter, how many. An octal one begins with its first digit. */
static int take_numbered_escape(struct lexer *l, int c, bool is_octets)
{
	unsigned count = c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 3;
	bool is_octal = c >= '0' && c <= '3';
	size_t begin = l->at - 1;
	uint32_t v = 0;
	int r;

	if (!is_octal && count == 3)
		return filter_error(l->e, l->source, begin, -EINVAL, "no such escape: \\%c",
				    c > ' ' && c < 0x7f ? c : '?');
	if (is_octets && count >= 4)
		return filter_error(l->e, l->source, begin, -EINVAL,
				    "b\"\" holds octets: use \\xHH");
	if (!is_octal)
		l->at++;
	r = take_digits(l, count, is_octal ? 8 : 16, &v);
	if (r < 0)
		return r;
	if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return filter_error(l->e, l->source, begin, -EINVAL, "not a Unicode character");
	if (is_octets)
		*l->bytes++ = (uint8_t)v;
	else
		l->bytes += utf8_put(v, l->bytes);
	return 0;
}

static int take_escape(struct lexer *l, bool is_octets)
{
	int c;

	l->at++;
	c = peek_byte(l, 0);
	for (size_t i = 0; c > 0 && i + 1 < sizeof(plain_escapes); i += 2) {
		if (plain_escapes[i] == c) {
			*l->bytes++ = (uint8_t)plain_escapes[i + 1];
			l->at++;
			return 0;
		}
	}
	return take_numbered_escape(l, c, is_octets);
}

static int take_string(struct lexer *l, struct token *t, bool is_raw, bool is_octets)
{
	int quote = peek_byte(l, 0), r = 0;
	uint8_t *begin = l->bytes;
	size_t at = l->at++;

	for (;;) {
		int c = peek_byte(l, 0);

		if (c < 0 || c == '\n')
			return filter_error(l->e, l->source, at, -EINVAL,
					    "this text has no closing %c", quote);
		if (c == quote)
			break;
		if (c == '\\' && !is_raw) {
			r = take_escape(l, is_octets);
			if (r < 0)
				return r;
			continue;
		}
		*l->bytes++ = (uint8_t)c;
		l->at++;
	}
	l->at++;
	t->type = TOKEN_STRING;
	t->text = span_of(begin, (size_t)(l->bytes - begin));
	return 0;
}

static const char number_mistake[] = "not a number; a time span is duration(\"300ms\"), "
				     "a class of status is status >= 500 && status <= 599";

/* How many characters from here on are a number with a fraction or an exponent; 0: they are not. */
static size_t double_len(const struct lexer *l)
{
	size_t n = 0;
	bool has_fraction;

	while (is_digit(peek_byte(l, n)))
		n++;
	has_fraction = peek_byte(l, n) == '.' && is_digit(peek_byte(l, n + 1));
	if (has_fraction)
		for (n++; is_digit(peek_byte(l, n));)
			n++;
	if ((peek_byte(l, n) | 0x20) != 'e')
		return has_fraction ? n : 0;
	n += peek_byte(l, n + 1) == '-' || peek_byte(l, n + 1) == '+' ? 2 : 1;
	if (!is_digit(peek_byte(l, n)))
		return 0;
	while (is_digit(peek_byte(l, n)))
		n++;
	return n;
}

#define DOUBLE_TEXT_MAX 64

static int take_double(struct lexer *l, struct token *t, size_t len)
{
	char text[DOUBLE_TEXT_MAX + 1];

	if (len > DOUBLE_TEXT_MAX)
		return filter_error(l->e, l->source, t->at, -EINVAL, "this number is too long");
	memcpy(text, l->source.ptr + l->at, len);
	text[len] = '\0';
	l->at += len;
	t->type = TOKEN_DOUBLE;
	t->real = strtod(text, NULL);
	if (!isfinite(t->real))
		return filter_error(l->e, l->source, t->at, -EINVAL, "this number is too large");
	return 0;
}

static int take_int(struct lexer *l, struct token *t)
{
	bool is_hex = peek_byte(l, 0) == '0' && (peek_byte(l, 1) | 0x20) == 'x';
	int64_t base = is_hex ? 16 : 10, v = 0;

	l->at += is_hex ? 2 : 0;
	for (;; l->at++) {
		int d = hex_digit(peek_byte(l, 0));

		if (d < 0 || d >= base)
			break;
		if (v > (INT64_MAX - d) / base)
			return filter_error(l->e, l->source, t->at, -EINVAL,
					    "this number is too large");
		v = v * base + d;
	}
	t->type = TOKEN_INT;
	t->number = v;
	return l->source.ptr[l->at - 1] == 'x'
		       ? filter_error(l->e, l->source, t->at, -EINVAL, "%s", number_mistake)
		       : 0;
}

static int take_number(struct lexer *l, struct token *t)
{
	size_t len = double_len(l);
	int r = len ? take_double(l, t, len) : take_int(l, t);

	if (r == 0 && begins_word(peek_byte(l, 0)))
		return filter_error(l->e, l->source, t->at, -EINVAL, "%s", number_mistake);
	return r;
}

static void take_word(struct lexer *l, struct token *t)
{
	const uint8_t *begin = l->source.ptr + l->at;

	while (begins_word(peek_byte(l, 0)) || is_digit(peek_byte(l, 0)) ||
	       (peek_byte(l, 0) == '.' && begins_word(peek_byte(l, 1))))
		l->at++;
	t->text = span_of(begin, (size_t)(l->source.ptr + l->at - begin));
	t->type = span_eq(t->text, SPAN_LIT("in")) ? TOKEN_IN : TOKEN_NAME;
}

/* Longer signs first. A sign with a sentence is a mistake that people make. */
static const struct sign {
	const char *text;
	enum token_type type;
	const char *mistake;
} signs[] = {
	{"=~", TOKEN_MATCH, NULL},
	{"!~", TOKEN_NOT_MATCH, NULL},
	{"&&", TOKEN_AND, NULL},
	{"||", TOKEN_OR, NULL},
	{"==", TOKEN_EQ, NULL},
	{"!=", TOKEN_NE, NULL},
	{"<>", TOKEN_END, "'differs from' is written !="},
	{"<=", TOKEN_LE, NULL},
	{">=", TOKEN_GE, NULL},
	{"=>", TOKEN_END, "'at least' is written >="},
	{"=<", TOKEN_END, "'at most' is written <="},
	{"<", TOKEN_LT, NULL},
	{">", TOKEN_GT, NULL},
	{"!", TOKEN_NOT, NULL},
	{"(", TOKEN_OPEN, NULL},
	{")", TOKEN_CLOSE, NULL},
	{"[", TOKEN_LIST_OPEN, NULL},
	{"]", TOKEN_LIST_CLOSE, NULL},
	{",", TOKEN_COMMA, NULL},
	{".", TOKEN_DOT, NULL},
	{"-", TOKEN_MINUS, NULL},
	{"=", TOKEN_END, "'equals' is written =="},
	{"&", TOKEN_END, "'and' is written &&"},
	{"|", TOKEN_END, "'or' is written ||"},
	{"+", TOKEN_PLUS, NULL},
	{"*", TOKEN_TIMES, NULL},
	{"/", TOKEN_OVER, NULL},
	{"%", TOKEN_MODULO, NULL},
	{"?", TOKEN_QUESTION, NULL},
	{":", TOKEN_COLON, NULL},
};

static int take_sign(struct lexer *l, struct token *t)
{
	struct span rest = span_from(l->source, l->at);

	for (size_t i = 0; i < COUNT_OF(signs); i++) {
		size_t n = strlen(signs[i].text);

		if (rest.len < n || memcmp(rest.ptr, signs[i].text, n) != 0)
			continue;
		if (signs[i].mistake)
			return filter_error(l->e, l->source, l->at, -EINVAL, "%s",
					    signs[i].mistake);
		t->type = signs[i].type;
		l->at += n;
		return 0;
	}
	return filter_error(l->e, l->source, l->at, -EINVAL, "this character has no meaning here");
}

static bool is_quote(int c)
{
	return c == '"' || c == '\'';
}

static int take_token(struct lexer *l, struct token *t)
{
	int c = peek_byte(l, 0);

	*t = (struct token){.type = TOKEN_END, .at = l->at};
	if (c < 0)
		return 0;
	if (is_quote(c))
		return take_string(l, t, false, false);
	if (((c | 0x20) == 'r' || (c | 0x20) == 'b') && is_quote(peek_byte(l, 1))) {
		l->at++;
		return take_string(l, t, (c | 0x20) == 'r', (c | 0x20) == 'b');
	}
	if (is_digit(c))
		return take_number(l, t);
	if (begins_word(c)) {
		take_word(l, t);
		return 0;
	}
	return take_sign(l, t);
}

int filter_lex(struct span source, struct token *tokens, uint8_t *bytes, struct err *e)
{
	struct lexer l = {.source = source, .bytes = bytes, .e = e};

	for (;; tokens++) {
		int r;

		while (peek_byte(&l, 0) == ' ' || peek_byte(&l, 0) == '\t' ||
		       peek_byte(&l, 0) == '\n' || peek_byte(&l, 0) == '\r')
			l.at++;
		r = take_token(&l, tokens);
		if (r < 0 || tokens->type == TOKEN_END)
			return r;
	}
}
