// SPDX-License-Identifier: Apache-2.0
#include "wire/redactor.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "wire/internal.h"

/*
 * Theory of operation
 *
 * The rules are rows: redact.tbl.h, and names from the settings. Headers are found through struct http1_watch,
 * which the parser uses, too: a name's rule is the form in which the secret lies. Parameters have a filter of
 * length and two letters before any comparison, since nearly every name is none of them.
 *
 * Clients send the same credentials again and again, and a keyed hash costs more than all the rest of a
 * head, so the newest secrets are remembered with their tags, for as long as the rules stand.
 */

struct header_rule {
	struct span name;
	enum redact_form form;
};

#define STRING(s)                                                                                  \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	}

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

#define MEMO_COUNT 64 /* power of two */
#define MEMO_BYTES 160

/* A secret whose tag was made already. */
struct memo {
	uint16_t len; /* 0: free */
	uint8_t tag[REDACT_TAG_BYTES];
	uint8_t secret[MEMO_BYTES];
};

struct redactor {
	struct http1_watch watch; /* a name's rule is its enum redact_form */
	uint8_t key[32];
	struct span *headers; /* of the settings; each owned */
	size_t header_count;
	struct span *params; /* likewise, normalised like a row */
	size_t param_count;
	uint64_t words[REDACT_NAME_MAX + 1]; /* [length]: word_bit() of the parameters' names */
	struct memo *memos;		     /* MEMO_COUNT of them, by the secret's end */
};

/* --- rules --- */

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

uint8_t redactor_param_char(uint8_t c)
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
	free(r->watch.rows);
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

static uint64_t word_bit(struct span word)
{
	return UINT64_C(1) << ((word.ptr[0] + word.ptr[word.len - 1] * 7u) & 63);
}

static void add_word(struct redactor *r, struct span word)
{
	if (word.len && word.len < COUNT_OF(r->words))
		r->words[word.len] |= word_bit(word);
}

static bool watch_headers(struct redactor *r)
{
	size_t max = HTTP1_WATCH_ROWS_MIN + COUNT_OF(header_rules) + r->header_count;
	struct http1_name *rows = max < UINT16_MAX ? calloc(max, sizeof(*rows)) : NULL;

	if (!rows)
		return false;
	http1_watch_init(&r->watch, rows, max);
	for (size_t i = 0; i < COUNT_OF(header_rules); i++)
		http1_watch_add(&r->watch, header_rules[i].name, (uint8_t)header_rules[i].form);
	for (size_t i = 0; i < r->header_count; i++)
		http1_watch_add(&r->watch, r->headers[i], FORM_WHOLE);
	return true;
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
	    copy_names(more_params, redactor_param_char, &r->params, &r->param_count) < 0 ||
	    !watch_headers(r)) {
		redactor_free(r);
		return NULL;
	}
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

enum redact_form redactor_form(const struct redactor *r, struct span name)
{
	const struct http1_name *row = name.len ? http1_watch_find(&r->watch, name) : NULL;

	return row ? (enum redact_form)row->rule : FORM_NONE;
}

bool redactor_is_secret_param(const struct redactor *r, struct span word)
{
	if (word.len == 0 || word.len >= COUNT_OF(r->words) ||
	    !(r->words[word.len] & word_bit(word)))
		return false;
	for (size_t i = 0; i < COUNT_OF(params); i++)
		if (word.len == params[i].len && span_eq(word, params[i]))
			return true;
	for (size_t i = 0; i < r->param_count; i++)
		if (span_eq(word, r->params[i]))
			return true;
	return false;
}

bool redactor_is_scheme(struct span word)
{
	for (size_t i = 0; i < COUNT_OF(schemes); i++)
		if (word.len == schemes[i].len && span_ieq(word, schemes[i]))
			return true;
	return false;
}

bool redactor_has_headers(const struct redactor *r)
{
	return r->header_count > 0;
}

/* --- tags --- */

static void write_tag(const struct redactor *r, struct span secret, uint8_t out[REDACT_TAG_BYTES])
{
	static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	uint8_t hash[crypto_generichash_BYTES_MIN];
	uint64_t bits = 0;

	(void)crypto_generichash(hash, sizeof(hash), secret.ptr, secret.len, r->key,
				 sizeof(r->key));
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

void redactor_tag(const struct redactor *r, struct span secret, uint8_t out[REDACT_TAG_BYTES])
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
