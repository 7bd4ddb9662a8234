// SPDX-License-Identifier: Apache-2.0
#include "wire/redact_copy.h"

/*
 * Theory of operation. A function for each form of redact.tbl.h: credentials (RFC 9110 11.4), cookies as a client
 * sends them (RFC 6265 4.2) and as a server sets them (4.1). Where a value does not have the form that its header
 * promises, more of it is replaced, never less.
 */

static void put_credentials(struct redact_copy *c, struct span value)
{
	size_t n = 0;

	while (n < value.len && value.ptr[n] > ' ')
		n++;
	if (n == value.len || !redactor_is_scheme(span_of(value.ptr, n)))
		n = 0;
	while (n && n < value.len && (value.ptr[n] == ' ' || value.ptr[n] == '\t'))
		n++;
	redact_put(c, value.ptr, value.ptr + n);
	redact_secret(c, span_from(value, n));
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
static void put_cookie(struct redact_copy *c, struct span part)
{
	struct span text = span_trim(part);
	const uint8_t *equals = span_chr(text, '=');
	const uint8_t *from = equals ? equals + 1 : text.ptr;

	if (text.len == 0) {
		redact_put(c, part.ptr, part.ptr + part.len);
		return;
	}
	redact_put(c, part.ptr, from);
	redact_secret(c, span_of(from, (size_t)(text.ptr + text.len - from)));
	redact_put(c, text.ptr + text.len, part.ptr + part.len);
}

static void put_cookies(struct redact_copy *c, struct span value)
{
	while (value.len) {
		put_cookie(c, next_part(&value));
		if (value.len)
			redact_put(c, value.ptr, value.ptr + 1);
		value = span_from(value, 1);
	}
}

/* Attributes whose values say nothing of the cookie's. A second cookie behind a comma is no attribute. */
static bool is_plain_attribute(struct span part)
{
	static const char *const plain[] = {"expires",	"max-age",  "domain",	"path",
					    "secure",	"httponly", "samesite", "partitioned",
					    "priority", "version"};
	const uint8_t *equals = span_chr(part, '=');
	struct span name =
		span_trim(span_of(part.ptr, equals ? (size_t)(equals - part.ptr) : part.len));
	struct span value =
		equals ? span_from(part, (size_t)(equals - part.ptr) + 1) : (struct span){0};
	bool is_date = span_ieq(name, SPAN_LIT("expires"));

	if (value.len &&
	    (memchr(value.ptr, '=', value.len) || (!is_date && memchr(value.ptr, ',', value.len))))
		return false;
	for (size_t i = 0; i < COUNT_OF(plain); i++)
		if (span_ieq(name, span_str(plain[i])))
			return true;
	return false;
}

static void put_set_cookie(struct redact_copy *c, struct span value)
{
	for (bool is_first = true; value.len; is_first = false) {
		struct span part = next_part(&value);

		if (!is_first && is_plain_attribute(part))
			redact_put(c, part.ptr, part.ptr + part.len);
		else
			put_cookie(c, part);
		if (value.len)
			redact_put(c, value.ptr, value.ptr + 1);
		value = span_from(value, 1);
	}
}

void redact_value(struct redact_copy *c, enum redact_form form, struct span value)
{
	switch (form) {
	case FORM_NONE: redact_put(c, value.ptr, value.ptr + value.len); break;
	case FORM_WHOLE: redact_secret(c, value); break;
	case FORM_CREDENTIALS: put_credentials(c, value); break;
	case FORM_COOKIES: put_cookies(c, value); break;
	case FORM_SET_COOKIE: put_set_cookie(c, value); break;
	case FORM_URL:
	case FORM_URLS:
		c->is_among_text = form == FORM_URLS;
		redact_url(c, value);
		c->is_among_text = false;
		break;
	}
}
