// SPDX-License-Identifier: Apache-2.0
#include "wire/redact.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "wire/http2_head.h"
#include "wire/internal.h"

/*
 * Theory of operation
 *
 * The rules are rows (redact.tbl.h and the settings). One walk over a head copies everything and, where
 * a rule says so, a tag in place of a value. A tag's length is fixed, so a walk that hashes nothing gives
 * the exact size to reserve where the copy does not fit the caller's room. Most heads hold none of the
 * names: the parser noticed that on its way (struct http1_watch) and they are never walked. In others it
 * noted the lines that do, and what it found elsewhere is moved by as much as the tags before it are longer
 * than what they replace. A head that is unusual in any way is walked whole, whatever was noted.
 *
 * In a URL a parameter begins behind ? & ; or #, raw or percent-encoded, because a URL within a URL is
 * where tokens travel (redirects); its name is compared percent-decoded, in any case, - and _ alike. The
 * value of a parameter with a raw = ends at a raw delimiter; with an encoded %3D also at an encoded one.
 * Where it is not clear whether a value goes on, it does: too much is replaced rather than too little.
 * One level of encoding is looked through.
 *
 * What already is a tag stays as it is: a replay of what was recorded is recorded again.
 *
 * Clients send the same credentials again and again, and a keyed hash costs more than all the rest of a
 * head, so the newest secrets are remembered with their tags, for as long as the rules stand.
 */

enum form { FORM_NONE, FORM_WHOLE, FORM_CREDENTIALS, FORM_COOKIES, FORM_SET_COOKIE, FORM_URL, FORM_URLS };

struct header_rule {
	struct span name;
	enum form form;
};

#define STRING(s) {(const uint8_t *)(s), sizeof(s) - 1}

static const struct header_rule header_rules[] = {
#define REDACT_HEADER(name, form) {STRING(name), FORM_##form},
#include "wire/redact.tbl.h"
#undef REDACT_HEADER
};

static const struct span schemes[] = {
#define REDACT_SCHEME(name) STRING(name),
#include "wire/redact.tbl.h"
#undef REDACT_SCHEME
};

static const struct span params[] = {
#define REDACT_PARAM(name) STRING(name),
#include "wire/redact.tbl.h"
#undef REDACT_PARAM
};

#define NAME_MAX_BYTES 64 /* longer parameter names are none of ours */

#define INDEX_COUNT 256

_Static_assert(COUNT_OF(header_rules) < UINT8_MAX, "their numbers fit");

#define MEMO_COUNT 64 /* power of two */
#define MEMO_BYTES 160

/* A secret whose tag was made already. */
struct memo {
	uint16_t len; /* 0: free */
	uint8_t tag[REDACT_TAG_BYTES];
	uint8_t secret[MEMO_BYTES];
};

struct redactor {
	struct http1_watch watch; /* first: has_rule() gets from it to the rest */
	uint8_t key[32];
	struct span *headers; /* of the settings; each owned */
	size_t header_count;
	struct span *params;  /* likewise, normalised like a row */
	size_t param_count;
	/* the rules for headers by index_of(): numbers from 1, 0 ends a chain */
	uint8_t rule_first[INDEX_COUNT], rule_next[COUNT_OF(header_rules)];
	uint64_t words[NAME_MAX_BYTES + 1]; /* [length]: word_bit() of the parameters' names */
	struct memo *memos;                 /* MEMO_COUNT of them, by the secret's end */
};

/* --- rules --- */

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static uint8_t normal_param_char(uint8_t c)
{
	return c == '-' ? '_' : lower(c);
}

static void free_names(struct span *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free((void *)(uintptr_t)names[i].ptr);
	free(names);
}

void redactor_free(struct redactor *r)
{
	if (!r)
		return;
	free_names(r->headers, r->header_count);
	free_names(r->params, r->param_count);
	if (r->memos)
		sodium_memzero(r->memos, MEMO_COUNT * sizeof(*r->memos));
	free(r->memos);
	sodium_memzero(r->key, sizeof(r->key));
	free(r);
}

static int copy_names(const char *const *names, uint8_t (*normal)(uint8_t), struct span **out,
		      size_t *count_out)
{
	size_t count = 0;

	while (names && names[count])
		count++;
	if (count == 0)
		return 0;
	*out = calloc(count, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(names[i]);
		uint8_t *copy = malloc(len + 1);

		if (!copy)
			return -ENOMEM;
		for (size_t k = 0; k < len; k++)
			copy[k] = normal((uint8_t)names[i][k]);
		(*out)[i] = (struct span){copy, len};
		*count_out = i + 1;
	}
	return 0;
}

/* a name's place in the index of the rules, in any case; @name is not empty */
static size_t index_of(struct span name)
{
	unsigned first = name.ptr[0] & 31u, middle = name.ptr[name.len / 2] & 31u;
	unsigned last = name.ptr[name.len - 1] & 31u;

	return (name.len + first * 3 + middle * 7 + last * 13) % INDEX_COUNT;
}

static enum form find_rule(const struct redactor *r, struct span name)
{
	if (name.len == 0)
		return FORM_NONE;
	for (size_t i = 0; i < r->header_count; i++)
		if (name.len == r->headers[i].len && span_ieq(name, r->headers[i]))
			return FORM_WHOLE;
	for (uint8_t i = r->rule_first[index_of(name)]; i; i = r->rule_next[i - 1])
		if (name.len == header_rules[i - 1].name.len &&
		    span_ieq(name, header_rules[i - 1].name))
			return header_rules[i - 1].form;
	return FORM_NONE;
}

static void index_rules(struct redactor *r)
{
	for (size_t i = 0; i < COUNT_OF(header_rules); i++) {
		uint8_t *first = &r->rule_first[index_of(header_rules[i].name)];

		r->rule_next[i] = *first;
		*first = (uint8_t)(i + 1);
	}
}

static bool has_rule(const struct http1_watch *w, struct span name)
{
	return find_rule((const struct redactor *)w, name) != FORM_NONE;
}

static uint64_t word_bit(struct span word)
{
	return UINT64_C(1) << ((word.ptr[0] + word.ptr[word.len - 1] * 7u) & 63);
}

static void add_word(struct redactor *r, struct span word)
{
	if (word.len && word.len < COUNT_OF(r->words))
		r->words[word.len] |= word_bit(word);
}

struct redactor *redactor_new(const uint8_t key[32], const char *const *headers,
			      const char *const *more_params)
{
	struct redactor *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	memcpy(r->key, key, sizeof(r->key));
	r->memos = calloc(MEMO_COUNT, sizeof(*r->memos));
	if (!r->memos || copy_names(headers, lower, &r->headers, &r->header_count) < 0 ||
	    copy_names(more_params, normal_param_char, &r->params, &r->param_count) < 0) {
		redactor_free(r);
		return NULL;
	}
	r->watch.matches = has_rule;
	index_rules(r);
	for (size_t i = 0; i < COUNT_OF(header_rules); i++)
		http1_watch_add(&r->watch, header_rules[i].name);
	for (size_t i = 0; i < r->header_count; i++)
		http1_watch_add(&r->watch, r->headers[i]);
	for (size_t i = 0; i < COUNT_OF(params); i++)
		add_word(r, params[i]);
	for (size_t i = 0; i < r->param_count; i++)
		add_word(r, r->params[i]);
	return r;
}

const struct http1_watch *redactor_watch(const struct redactor *r)
{
	return r ? &r->watch : NULL;
}

static enum form form_of_header(const struct redactor *r, struct span name)
{
	return http1_is_watched(&r->watch, name) ? find_rule(r, name) : FORM_NONE;
}

static bool is_secret_word(const struct redactor *r, struct span word)
{
	if (word.len == 0 || word.len >= COUNT_OF(r->words) || !(r->words[word.len] & word_bit(word)))
		return false;
	for (size_t i = 0; i < COUNT_OF(params); i++)
		if (word.len == params[i].len && span_eq(word, params[i]))
			return true;
	for (size_t i = 0; i < r->param_count; i++)
		if (span_eq(word, r->params[i]))
			return true;
	return false;
}

/* --- the copy --- */

struct copy {
	const struct redactor *r;
	uint8_t *out; /* NULL: only measured */
	size_t room;  /* at out */
	size_t len;
	size_t count;
	const uint8_t *from;           /* of the head that is copied */
	const struct http1_head *info; /* positions in it; NULL: of no interest */
	struct http1_head *moved;      /* positions in the copy */
	bool is_unmovable;             /* a tag covers one of them */
	bool is_in_query;   /* a ? was passed in this URL */
	bool is_among_text; /* a URL ends at a blank, a quote or a bracket */
};

static void put(struct copy *c, const uint8_t *from, const uint8_t *to)
{
	size_t n = (size_t)(to - from);

	if (c->len + n > c->room)
		c->out = NULL;
	if (c->out && n)
		memcpy(c->out + c->len, from, n);
	c->len += n;
}

/* one position, past a @secret that was replaced; false: it lies within it */
static bool move(const struct copy *c, struct span secret, struct http1_at at, struct http1_at *out)
{
	size_t from = (size_t)(secret.ptr - c->from), to = from + secret.len;

	if (at.from >= to)
		out->from += REDACT_TAG_BYTES - (uint32_t)secret.len; /* modulo 2^32 */
	return at.from == 0 || at.from >= to || at.from + at.len <= from;
}

static void move_all(struct copy *c, struct span secret)
{
	const struct http1_head *i = c->info;
	size_t from = (size_t)(secret.ptr - c->from);

	if (!i)
		return;
	if (from >= i->target.from && from + secret.len <= i->target.from + i->target.len)
		c->moved->target.len += REDACT_TAG_BYTES - (uint32_t)secret.len;
	else if (!move(c, secret, i->target, &c->moved->target))
		c->is_unmovable = true;
	if (!move(c, secret, i->host, &c->moved->host) ||
	    !move(c, secret, i->content_type, &c->moved->content_type) ||
	    !move(c, secret, i->trace_id, &c->moved->trace_id) ||
	    !move(c, secret, i->replay_of, &c->moved->replay_of))
		c->is_unmovable = true;
}

static bool is_tag(struct span s)
{
	return s.len == REDACT_TAG_BYTES && memcmp(s.ptr, "[tl:", 4) == 0 && s.ptr[s.len - 1] == ']';
}

static void write_tag(const struct redactor *r, struct span secret, uint8_t out[REDACT_TAG_BYTES])
{
	static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	uint8_t hash[crypto_generichash_BYTES_MIN];
	uint64_t bits = 0;

	(void)crypto_generichash(hash, sizeof(hash), secret.ptr, secret.len, r->key, sizeof(r->key));
	for (int i = 0; i < 5; i++)
		bits = bits << 8 | hash[i];
	memcpy(out, "[tl:", 4);
	for (int i = 0; i < 8; i++)
		out[4 + i] = (uint8_t)letters[bits >> (35 - 5 * i) & 31];
	out[12] = ']';
}

/* where the tag of @secret is remembered; NULL: too short or too long for that */
static struct memo *memo_of(const struct redactor *r, struct span secret)
{
	uint64_t end;

	if (secret.len < sizeof(end) || secret.len > MEMO_BYTES)
		return NULL;
	memcpy(&end, secret.ptr + secret.len - sizeof(end), sizeof(end));
	return &r->memos[(end * UINT64_C(0x9e3779b97f4a7c15) >> 32) % MEMO_COUNT];
}

static void put_tag(const struct redactor *r, struct span secret, uint8_t out[REDACT_TAG_BYTES])
{
	struct memo *m = memo_of(r, secret);

	if (m && m->len == secret.len && memcmp(m->secret, secret.ptr, secret.len) == 0) {
		memcpy(out, m->tag, REDACT_TAG_BYTES);
		return;
	}
	write_tag(r, secret, out);
	if (!m)
		return;
	m->len = (uint16_t)secret.len;
	memcpy(m->secret, secret.ptr, secret.len);
	memcpy(m->tag, out, REDACT_TAG_BYTES);
}

static void put_secret(struct copy *c, struct span secret)
{
	if (secret.len == 0 || is_tag(secret)) {
		put(c, secret.ptr, secret.ptr + secret.len);
		return;
	}
	if (c->len + REDACT_TAG_BYTES > c->room)
		c->out = NULL;
	if (c->out)
		put_tag(c->r, secret, c->out + c->len);
	move_all(c, secret);
	c->len += REDACT_TAG_BYTES;
	c->count++;
}

/* --- URLs --- */

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

/* may say something in a URL, encoded or not */
static bool is_mark(uint8_t c)
{
	static const bool marks[256] = {
		['?'] = true, ['&'] = true, [';'] = true, ['#'] = true, ['/'] = true, ['%'] = true,
	};

	return marks[c];
}

/* what ends a URL that stands among other text in a header's value */
static bool ends_url(const struct copy *c, uint8_t letter)
{
	return c->is_among_text && (letter <= ' ' || letter == '"' || letter == '<' || letter == '>');
}

/* A parameter's name as the rows have it; a name that is too long is none. */
struct param_name {
	uint8_t text[NAME_MAX_BYTES];
	size_t len;
	bool is_too_long;
};

static void add_letter(struct param_name *n, uint8_t c)
{
	if (n->len < sizeof(n->text))
		n->text[n->len++] = normal_param_char(c);
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
	return is_secret_word(r, span_of(n->text + from, to - from)) ||
	       is_secret_word(r, span_of(n->text, to));
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
static bool ends_value(const struct copy *c, struct span s, size_t at, struct letter l)
{
	if (c->is_in_query && l.c == '?')
		return false;
	if (c->is_in_query && l.c == ';')
		return begins_param(s, at + l.bytes);
	return is_delimiter(l.c);
}

/* where the value at @from ends; @is_nested: its = was encoded */
static size_t value_end(const struct copy *c, struct span s, size_t from, bool is_nested)
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
static size_t put_param(struct copy *c, struct span s, size_t at)
{
	struct param_name name = {0};
	size_t from = at;

	while (at < s.len) {
		struct letter l = letter_at(s, at);

		if (is_delimiter(l.c) || (l.bytes == 1 && ends_url(c, l.c)))
			break;
		at += l.bytes;
		if (l.c == '=') {
			put(c, s.ptr + from, s.ptr + at);
			if (is_secret_name(c->r, &name)) {
				from = at;
				at = value_end(c, s, at, l.bytes == 3);
				put_secret(c, span_of(s.ptr + from, at - from));
			}
			return at;
		}
		add_letter(&name, l.c);
	}
	put(c, s.ptr + from, s.ptr + at);
	return at;
}

/* user:password@ behind the :// at @at; copied up to the @. Return: where it went on from. */
static size_t put_userinfo(struct copy *c, struct span s, size_t at)
{
	size_t last = 0;

	for (size_t i = at; i < s.len && !ends_url(c, s.ptr[i]); i++) {
		if (s.ptr[i] == '/' || s.ptr[i] == '?' || s.ptr[i] == '#')
			break;
		if (s.ptr[i] == '@')
			last = i;
	}
	if (last)
		put_secret(c, span_of(s.ptr + at, last - at));
	return last ? last : at;
}

static void put_url(struct copy *c, struct span s)
{
	size_t at = 0, from = 0;

	c->is_in_query = false;
	while (at < s.len) {
		struct letter l;

		if (!c->is_among_text && !is_mark(s.ptr[at])) {
			at++;
			continue;
		}
		l = letter_at(s, at);
		at += l.bytes;
		c->is_in_query = (c->is_in_query || l.c == '?') && !(l.bytes == 1 && ends_url(c, l.c));
		if (l.c == '/' && at >= 3 && memcmp(s.ptr + at - 3, "://", 3) == 0) {
			put(c, s.ptr + from, s.ptr + at);
			from = at = put_userinfo(c, s, at);
		} else if (is_delimiter(l.c)) {
			put(c, s.ptr + from, s.ptr + at);
			from = at = put_param(c, s, at);
		}
	}
	put(c, s.ptr + from, s.ptr + s.len);
}

bool redact_target_may_matter(struct span target)
{
	for (size_t i = 0; i < target.len; i++)
		if ((is_mark(target.ptr[i]) && target.ptr[i] != '/') || target.ptr[i] == '@')
			return true;
	return false;
}

/* --- header values --- */

static void put_credentials(struct copy *c, struct span value)
{
	size_t n = 0;

	while (n < value.len && value.ptr[n] > ' ')
		n++;
	for (size_t i = 0; n < value.len && i < COUNT_OF(schemes); i++) {
		if (!span_ieq(span_of(value.ptr, n), schemes[i]))
			continue;
		while (n < value.len && (value.ptr[n] == ' ' || value.ptr[n] == '\t'))
			n++;
		put(c, value.ptr, value.ptr + n);
		put_secret(c, span_from(value, n));
		return;
	}
	put_secret(c, value);
}

/* what stands before the next ; and the rest behind it */
static struct span next_part(struct span *rest)
{
	const uint8_t *semicolon = rest->len ? memchr(rest->ptr, ';', rest->len) : NULL;
	size_t n = semicolon ? (size_t)(semicolon - rest->ptr) : rest->len;
	struct span part = {rest->ptr, n};

	*rest = span_from(*rest, n);
	return part;
}

/* name=value: the value is secret; without = all of it is */
static void put_cookie(struct copy *c, struct span part)
{
	struct span text = span_trim(part);
	const uint8_t *equals = text.len ? memchr(text.ptr, '=', text.len) : NULL;
	const uint8_t *from = equals ? equals + 1 : text.ptr;

	if (text.len == 0) {
		put(c, part.ptr, part.ptr + part.len);
		return;
	}
	put(c, part.ptr, from);
	put_secret(c, span_of(from, (size_t)(text.ptr + text.len - from)));
	put(c, text.ptr + text.len, part.ptr + part.len);
}

static void put_cookies(struct copy *c, struct span value)
{
	while (value.len) {
		put_cookie(c, next_part(&value));
		if (value.len)
			put(c, value.ptr, value.ptr + 1);
		value = span_from(value, 1);
	}
}

/* Attributes whose values say nothing of the cookie's. A second cookie behind a comma is no attribute. */
static bool is_plain_attribute(struct span part)
{
	static const char *const plain[] = {"expires", "max-age",  "domain",      "path",    "secure",
					    "httponly", "samesite", "partitioned", "priority", "version"};
	const uint8_t *equals = part.len ? memchr(part.ptr, '=', part.len) : NULL;
	struct span name = span_trim(span_of(part.ptr, equals ? (size_t)(equals - part.ptr) : part.len));
	struct span value = equals ? span_from(part, (size_t)(equals - part.ptr) + 1) : (struct span){0};
	bool is_date = span_ieq(name, SPAN_LIT("expires"));

	if (value.len && (memchr(value.ptr, '=', value.len) ||
			  (!is_date && memchr(value.ptr, ',', value.len))))
		return false;
	for (size_t i = 0; i < COUNT_OF(plain); i++)
		if (span_ieq(name, span_str(plain[i])))
			return true;
	return false;
}

static void put_set_cookie(struct copy *c, struct span value)
{
	for (bool is_first = true; value.len; is_first = false) {
		struct span part = next_part(&value);

		if (!is_first && is_plain_attribute(part))
			put(c, part.ptr, part.ptr + part.len);
		else
			put_cookie(c, part);
		if (value.len)
			put(c, value.ptr, value.ptr + 1);
		value = span_from(value, 1);
	}
}

static void put_value(struct copy *c, enum form form, struct span value)
{
	switch (form) {
	case FORM_NONE:
		put(c, value.ptr, value.ptr + value.len);
		break;
	case FORM_WHOLE:
		put_secret(c, value);
		break;
	case FORM_CREDENTIALS:
		put_credentials(c, value);
		break;
	case FORM_COOKIES:
		put_cookies(c, value);
		break;
	case FORM_SET_COOKIE:
		put_set_cookie(c, value);
		break;
	case FORM_URL:
	case FORM_URLS:
		c->is_among_text = form == FORM_URLS;
		put_url(c, value);
		c->is_among_text = false;
		break;
	}
}

static bool is_host(struct span name)
{
	return span_ieq(name, SPAN_LIT("host")) || span_ieq(name, SPAN_LIT(":authority"));
}

/* user:password@host in a Host header or in the target of CONNECT */
static void put_authority(struct copy *c, struct span s)
{
	const uint8_t *at = s.len ? memrchr(s.ptr, '@', s.len) : NULL;

	if (at)
		put_secret(c, span_of(s.ptr, (size_t)(at - s.ptr)));
	put(c, at ? at : s.ptr, s.ptr + s.len);
}

/* --- heads --- */

static void put_lines(struct copy *c, struct span lines, bool has_start_line)
{
	struct header_iter it = {.rest = lines, .is_trailers = !has_start_line, .has_begun = has_start_line};
	const uint8_t *done = lines.ptr;

	if (lines.len == 0)
		return;
	while (header_next(&it)) {
		enum form form = form_of_header(c->r, it.name);

		if (it.value.len == 0 || (form == FORM_NONE && !is_host(it.name)))
			continue;
		put(c, done, it.value.ptr);
		if (form == FORM_NONE)
			put_authority(c, it.value);
		else
			put_value(c, form, it.value);
		done = it.value.ptr + it.value.len;
	}
	put(c, done, lines.ptr + lines.len);
}

/* the first line, with its target wherever the parser sees it */
static void put_request_line(struct copy *c, struct span line)
{
	struct http1_head h;
	struct span target;

	if (!http1_head_parse(HTTP1_REQUEST, line, true, NULL, &h))
		http2_head_read(HTTP1_REQUEST, line, NULL, &h);
	target = http1_span(line, h.target);
	if (!target.ptr) {
		put(c, line.ptr, line.ptr + line.len);
		return;
	}
	put(c, line.ptr, target.ptr);
	if (h.is_connect)
		put_authority(c, target);
	else
		put_url(c, target);
	put(c, target.ptr + target.len, line.ptr + line.len);
}

/* the parser's notes tell all there is to be replaced */
static bool is_usual(const struct http1_head *h)
{
	const uint64_t odd = ANOMALY_BIT(OBS_FOLD) | ANOMALY_BIT(BAD_HEADER) |
			     ANOMALY_BIT(DUPLICATE_HOST) | ANOMALY_BIT(HEAD_CUT);

	return h->version && h->version < 20 && !h->is_cut && !(h->anomalies & odd) &&
	       h->watched_count <= HTTP1_WATCHED_MAX;
}

/* lines noted by the parser, and what lies between them */
static void put_noted(struct copy *c, const struct redact_job *job, size_t done)
{
	const struct http1_head *h = c->info;

	for (unsigned i = 0; i < h->watched_count; i++) {
		struct span line = http1_span(job->head, h->watched[i]);

		put(c, job->head.ptr + done, line.ptr);
		put_lines(c, line, true);
		done = h->watched[i].from + line.len;
	}
	put(c, job->head.ptr + done, job->head.ptr + job->head.len);
}

static void put_usual(struct copy *c, const struct redact_job *job)
{
	struct span target = http1_span(job->head, c->info->target);

	if (!target.ptr) {
		put_noted(c, job, 0);
		return;
	}
	put(c, job->head.ptr, target.ptr);
	if (c->info->is_connect)
		put_authority(c, target);
	else
		put_url(c, target);
	put_noted(c, job, c->info->target.from + target.len);
}

static void put_head(struct copy *c, const struct redact_job *job)
{
	const uint8_t *lf = job->head.len ? memchr(job->head.ptr, '\n', job->head.len) : NULL;
	size_t n = lf ? (size_t)(lf - job->head.ptr) + 1 : job->head.len;

	if (job->kind == HTTP1_REQUEST)
		put_request_line(c, span_of(job->head.ptr, n));
	else
		put(c, job->head.ptr, job->head.ptr + n);
	put_lines(c, span_from(job->head, n), true);
}

size_t redact_head(const struct redactor *r, struct redact_job *job, uint8_t *out)
{
	struct http1_head info;
	struct copy c = {.r = r, .out = out, .room = job->room, .from = job->head.ptr};

	if (job->info && is_usual(job->info)) {
		info = *job->info;
		c.info = &info;
		c.moved = job->info;
	}
	if (c.info && !redact_target_may_matter(http1_span(job->head, info.host)))
		put_usual(&c, job);
	else
		put_head(&c, job);
	job->secrets = c.count;
	/* a header that only the settings call a secret may be one that the parser reads */
	job->is_moved = c.info && !c.is_unmovable && !r->header_count;
	return c.len;
}

size_t redact_trailers(const struct redactor *r, struct span lines, uint8_t *out, size_t *count_out)
{
	struct copy c = {.r = r, .out = out, .room = SIZE_MAX};

	put_lines(&c, lines, false);
	*count_out = c.count;
	return c.len;
}

int wire_set_redaction(struct wire *w, bool is_redacting, const char *const *headers,
		       const char *const *more_params)
{
	struct redactor *r = NULL;

	if (is_redacting) {
		r = redactor_new(w->config.redact_key, headers, more_params);
		if (!r)
			return -ENOMEM;
	}
	redactor_free(w->redactor);
	w->redactor = r;
	w->redaction_rules++;
	return 0;
}
