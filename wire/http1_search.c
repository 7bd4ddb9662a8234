// SPDX-License-Identifier: Apache-2.0
#include "wire/http1_search.h"

/*
 * Theory of operation
 *
 * Both forms are short: with the last 16 bytes of what was searched before, each beginning lies whole
 * in one buffer, so what is found does not depend on where the segments were cut. First the seam is
 * searched (the old tail and the first bytes that follow), then the bytes themselves, in place.
 *
 * A status line is found by its "HTTP/1.", a request line by a space behind a method: anything else
 * in a request line could as well be text.
 */

#define STATUS_BYTES 12 /* "HTTP/1.1 200" */
#define BEGIN_MAX    12 /* the longest method, a space, one character of the target; a status line */
#define BEFORE_MAX   16
#define SEAM_MAX     (BEFORE_MAX + BEGIN_MAX)

/* the methods worth finding, longer ones before their endings; where a message must begin all are taken */
static const char *const methods[] = {
	"GET",	   "POST",	"PUT",	    "HEAD",	"DELETE",    "PATCH",	   "OPTIONS",
	"CONNECT", "TRACE",	"PROPFIND", "REPORT",	"PROPPATCH", "MKCOL",	   "COPY",
	"MOVE",	   "UNLOCK",	"LOCK",	    "M-SEARCH", "SEARCH",    "PURGE",	   "MERGE",
	"NOTIFY",  "SUBSCRIBE", "UNLINK",   "LINK",	"CHECKOUT",  "MKACTIVITY", "QUERY",
};

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* length of the well-known method that ends just before @end; 0: none */
static size_t method_before(const uint8_t *start, const uint8_t *end)
{
	for (size_t i = 0; i < COUNT_OF(methods); i++) {
		size_t n = strlen(methods[i]);

		if ((size_t)(end - start) >= n && memcmp(end - n, methods[i], n) == 0)
			return n;
	}
	return 0;
}

static bool may_begin_target(uint8_t c)
{
	return c == '/' || c == '*' || c == '[' || is_digit(c) ||
	       ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Where to look: beginnings from @from on that end behind @end_after; @before: the byte before @from. */
struct hay {
	const uint8_t *from, *end, *end_after;
	int before; /* -1: not known */
};

static bool is_text(const struct hay *h, const uint8_t *begin)
{
	int before = begin == h->from ? h->before : begin[-1];

	return before == ' ' || before == '\t';
}

/* the first request line's beginning; NULL: none */
static const uint8_t *find_request(const struct hay *h)
{
	const uint8_t *at = h->from;

	while (at < h->end && (at = memchr(at, ' ', (size_t)(h->end - at))) != NULL) {
		size_t n = method_before(h->from, at);

		if (n && at + 1 < h->end && may_begin_target(at[1]) && at + 2 > h->end_after &&
		    !is_text(h, at - n))
			return at - n;
		at++;
	}
	return NULL;
}

static bool is_status_line(const uint8_t *s)
{
	return memcmp(s, "HTTP/1.", 7) == 0 && (s[7] == '0' || s[7] == '1') && s[8] == ' ' &&
	       s[9] >= '1' && s[9] <= '5' && is_digit(s[10]) && is_digit(s[11]);
}

static const uint8_t *find_status(const struct hay *h)
{
	const uint8_t *at = h->from;

	while (h->end - at >= STATUS_BYTES) {
		at = memchr(at, 'H', (size_t)(h->end - at) - STATUS_BYTES + 1);
		if (!at)
			return NULL;
		if (is_status_line(at) && at + STATUS_BYTES > h->end_after && !is_text(h, at))
			return at;
		at++;
	}
	return NULL;
}

static const uint8_t *find_any(enum http1_kind kind, const struct hay *h, enum http1_kind *kind_out)
{
	const uint8_t *request = kind == HTTP1_RESPONSE ? NULL : find_request(h);
	const uint8_t *status = kind == HTTP1_REQUEST ? NULL : find_status(h);
	bool is_status = status && (!request || status < request);

	*kind_out = is_status ? HTTP1_RESPONSE : HTTP1_REQUEST;
	return is_status ? status : request;
}

/* beginnings that lie across the seam of @before and @in; those that ended before were judged then */
static const uint8_t *find_across(enum http1_kind kind, uint8_t seam[SEAM_MAX], struct span before,
				  struct span in, enum http1_kind *kind_out)
{
	size_t more = MIN(in.len, (size_t)BEGIN_MAX);
	struct hay hay = {seam, seam + before.len + more, seam + before.len, -1};

	memcpy(seam, before.ptr, before.len);
	memcpy(seam + before.len, in.ptr, more);
	return find_any(kind, &hay, kind_out);
}

struct http1_found http1_search_in(enum http1_kind kind, struct span before, struct span in)
{
	struct hay hay = {in.ptr, in.ptr + in.len, in.ptr, -1};
	struct http1_found f = {0};
	const uint8_t *at;

	if (before.len) {
		uint8_t seam[SEAM_MAX];

		before = span_from(before, before.len > BEFORE_MAX ? before.len - BEFORE_MAX : 0);
		hay.before = before.ptr[before.len - 1];
		at = find_across(kind, seam, before, in, &f.kind);
		if (at && (size_t)(at - seam) < before.len) {
			f.is_found = true;
			f.behind = before.len - (size_t)(at - seam);
			return f;
		}
	}
	at = find_any(kind, &hay, &f.kind);
	f.is_found = at != NULL;
	f.at = at ? (size_t)(at - in.ptr) : 0;
	return f;
}

enum goes_on {
	METHOD,
	FIRST,
	TARGET,
	VERSION,
	LAST_DIGIT = VERSION + 7,
	LINE_END,
	LINE_FEED,
	OVER
};

bool http1_search_goes_on(uint8_t *phase, uint8_t c)
{
	static const char version[] = "HTTP/1.";

	switch (*phase) {
	case METHOD:
		*phase = c == ' ' ? FIRST : METHOD;
		return c == ' ' || c == '-' || c == '_' || (c >= 'A' && c <= 'Z');
	case FIRST: *phase = TARGET; return may_begin_target(c);
	case TARGET: *phase = c == ' ' ? VERSION : TARGET; return c >= ' ';
	case LAST_DIGIT: ++*phase; return c == '0' || c == '1';
	case LINE_END: *phase = c == '\r' ? LINE_FEED : OVER; return c == '\r' || c == '\n';
	case LINE_FEED: *phase = OVER; return c == '\n';
	case OVER: return true;
	default: return c == (uint8_t)version[(*phase)++ - VERSION];
	}
}
