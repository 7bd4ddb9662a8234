// SPDX-License-Identifier: Apache-2.0
#include "http-api/request.h"

#include "http-api/server.h"
#include "lib/clock.h"
#include "lib/id.h"
#include "lib/log.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * The query is taken apart here and not by libmicrohttpd, so that a parameter that is unknown,
 * given twice or badly encoded is a problem that names it, never one that is silently dropped.
 * Values are decoded in place: decoding only shrinks. All answers of a known size go out from one
 * buffer, which the response takes over.
 */

struct request *request_new(struct server *s, const char *uri)
{
	struct request *q = calloc(1, sizeof(*q));
	const char *mark = strchr(uri, '?');

	if (!q)
		return NULL;
	q->server = s;
	q->uri = strdup(uri);
	q->query = strdup(mark ? mark + 1 : "");
	q->limit = REQUEST_LIMIT;
	q->stats.by[0] = FIELD_DST_SERVICE;
	q->stats.by[1] = FIELD_STATUS;
	q->stats.by_count = 2;
	if (!q->uri || !q->query) {
		request_free(q);
		return NULL;
	}
	q->path = span_of(q->uri, mark ? (size_t)(mark - uri) : strlen(uri));
	return q;
}

void request_free(struct request *q)
{
	if (!q)
		return;
	if (q->response)
		MHD_destroy_response(q->response);
	filter_free(q->filter);
	filter_free(q->scope);
	grant_fini(&q->grant);
	buf_fini(&q->body);
	free(q->query);
	free(q->uri);
	free(q);
}

/* ---- answers ---- */

void request_header(struct request *q, const char *name, const char *fmt, ...)
{
	struct request_header *h = &q->headers[q->header_count];
	va_list ap;

	if (q->header_count == REQUEST_HEADER_MAX)
		return;
	h->name = name;
	va_start(ap, fmt);
	(void)vsnprintf(h->value, sizeof(h->value), fmt, ap);
	va_end(ap);
	q->header_count++;
}

struct json request_json(struct request *q)
{
	buf_clear(&q->body);
	q->status = MHD_HTTP_OK;
	q->content_type = "application/json";
	return json_to(&q->body);
}

static void write_problem(struct request *q, unsigned status, const char *parameter,
			  const char *cursor, const char *detail)
{
	struct json j = request_json(q);

	q->status = status;
	q->content_type = "application/problem+json";
	json_object_begin(&j);
	json_key_str(&j, "type", "about:blank");
	json_key_str(&j, "title", MHD_get_reason_phrase_for(status));
	json_key_u64(&j, "status", status);
	json_key_str(&j, "detail", detail);
	if (parameter)
		json_key_str(&j, "parameter", parameter);
	if (cursor)
		json_key_str(&j, "cursor", cursor);
	json_object_end(&j);
}

void request_problem(struct request *q, unsigned status, const char *parameter, const char *fmt,
		     ...)
{
	char detail[ERR_WHY_MAX + 128];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	write_problem(q, status, parameter, NULL, detail);
}

static const struct {
	int error;
	unsigned status;
} statuses[] = {
	{-EINVAL, MHD_HTTP_BAD_REQUEST},	 {-E2BIG, MHD_HTTP_BAD_REQUEST},
	{-ENOENT, MHD_HTTP_NOT_FOUND},		 {-ENOTUNIQ, MHD_HTTP_CONFLICT},
	{-ETIMEDOUT, MHD_HTTP_GATEWAY_TIMEOUT},	 {-EAGAIN, MHD_HTTP_SERVICE_UNAVAILABLE},
	{-EBUSY, MHD_HTTP_SERVICE_UNAVAILABLE},	 {-EMFILE, MHD_HTTP_SERVICE_UNAVAILABLE},
	{-ENFILE, MHD_HTTP_SERVICE_UNAVAILABLE}, {-ENOMEM, MHD_HTTP_SERVICE_UNAVAILABLE},
};

/* Its reason names files, and perhaps exchanges of others. */
static bool is_of_the_store(unsigned status)
{
	return status >= MHD_HTTP_INTERNAL_SERVER_ERROR && status != MHD_HTTP_GATEWAY_TIMEOUT;
}

void request_failed(struct request *q, int error, const char *parameter, const struct err *e)
{
	unsigned status = MHD_HTTP_INTERNAL_SERVER_ERROR;

	for (size_t i = 0; i < COUNT_OF(statuses); i++)
		if (statuses[i].error == error)
			status = statuses[i].status;
	if (is_of_the_store(status) && !request_is_trusted(q)) {
		log_warn("api", "a question was not answered who=%s why=%s", q->grant.name, e->why);
		request_problem(q, status, parameter, "the store cannot be read");
		return;
	}
	request_problem(q, status, parameter, "%s", e->why);
}

void request_out_of_time(struct request *q, int error, uint64_t cursor, const struct err *e)
{
	char id[ID_TEXT_LEN + 1];

	if (error != -ETIMEDOUT || !cursor) {
		request_failed(q, error, NULL, e);
		return;
	}
	request_header(q, "Tapeloop-Next-Cursor", "%s", id_format(cursor, id));
	write_problem(q, MHD_HTTP_GATEWAY_TIMEOUT, NULL, id, e->why);
}

struct reader *request_borrow(struct request *q)
{
	struct reader *r = NULL;
	struct err e = {0};

	if (readers_borrow(q->server->readers, q->scope, &r, &e) < 0)
		request_failed(q, -EAGAIN, NULL, &e);
	return r;
}

/* What could not be read is named with what could; it is no failure of the request. */
static void say_damage(struct request *q, struct reader *r)
{
	struct reader_damage d;

	if (reader_take_damage(r, &d))
		request_header(q, "Tapeloop-Damage", "%s",
			       request_is_trusted(q) ? d.why.why : "some of it cannot be read");
}

void request_return(struct request *q, struct reader *r, int result)
{
	say_damage(q, r);
	readers_return(q->server->readers, r, result);
}

/* The body moves into the response, which frees it. */
static struct MHD_Response *take_response(struct request *q)
{
	struct MHD_Response *r = q->response;

	q->response = NULL;
	if (r)
		return r;
	r = MHD_create_response_from_buffer(q->body.len, q->body.ptr, MHD_RESPMEM_MUST_FREE);
	if (r)
		q->body = (struct buf){0};
	return r;
}

bool request_send(struct request *q)
{
	struct MHD_Response *r;
	bool is_queued;

	if (q->body.is_failed) {
		buf_clear(&q->body);
		request_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, NULL, "out of memory");
	}
	r = take_response(q);
	if (!r)
		return false;
	if (q->content_type &&
	    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, q->content_type) == MHD_NO)
		(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
					      "application/octet-stream");
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	(void)MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	for (size_t i = 0; i < q->header_count; i++)
		(void)MHD_add_response_header(r, q->headers[i].name, q->headers[i].value);
	is_queued = MHD_queue_response(q->connection, q->status, r) == MHD_YES;
	MHD_destroy_response(r);
	return is_queued;
}

/* ---- parameters ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decode in place (RFC 3986 2.1; + is a blank in a query). Return: the length, -1: broken.
 */
static ptrdiff_t decode(char *s, size_t n)
{
	char *to = s;

	for (size_t i = 0; i < n; i++) {
		char c = s[i] == '+' ? ' ' : s[i];

		if (c == '%') {
			int high = i + 2 < n ? hex_digit(s[i + 1]) : -1;
			int low = i + 2 < n ? hex_digit(s[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -1;
			c = (char)(high << 4 | low);
			i += 2;
		}
		*to++ = c;
	}
	return to - s;
}

static bool read_filter(struct request *q, struct span v, uint64_t now_ns)
{
	struct err e = {0};
	int r = filter_parse_at(v, now_ns, &q->filter, &e);

	if (r < 0)
		request_failed(q, r, "filter", &e);
	return r == 0;
}

static bool read_time(struct request *q, enum param which, struct span v, uint64_t now_ns,
		      uint64_t *out)
{
	if (clock_parse(v, now_ns, out) == 0)
		return true;
	request_problem(q, MHD_HTTP_BAD_REQUEST, param_rows[which].name,
			"no time: write 2026-11-22T03:00:00Z, or 10m for ten minutes ago");
	return false;
}

static bool read_limit(struct request *q, struct span v)
{
	uint64_t n = 0;

	for (size_t i = 0; i < v.len && n <= REQUEST_LIMIT_MAX; i++)
		n = v.ptr[i] >= '0' && v.ptr[i] <= '9' ? n * 10 + (v.ptr[i] - '0')
						       : UINT64_MAX / 16;
	q->limit = n;
	if (n >= 1 && n <= REQUEST_LIMIT_MAX)
		return true;
	request_problem(q, MHD_HTTP_BAD_REQUEST, "limit", "a number from 1 to %d",
			REQUEST_LIMIT_MAX);
	return false;
}

static bool read_cursor(struct request *q, struct span v)
{
	unsigned bits = 0;

	if (id_parse(v, &q->cursor, &bits) == 0 && bits == 64 && q->cursor)
		return true;
	request_problem(q, MHD_HTTP_BAD_REQUEST, "cursor",
			"no cursor: give next_cursor of the page before");
	return false;
}

/* The position of a word in a list of choices; answers the problem when it is none. */
static int read_choice(struct request *q, enum param which, struct span v, const char *const *words,
		       size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_eq(v, span_str(words[i])))
			return (int)i;
	request_problem(q, MHD_HTTP_BAD_REQUEST, param_rows[which].name, "it is %s, %s%s%s",
			words[0], count > 2 ? words[1] : "or ", count > 2 ? " or " : "",
			words[count - 1]);
	return -1;
}

static bool read_namespace(struct request *q, struct span v)
{
	q->name_space = v;
	if (v.len && !memchr(v.ptr, 0, v.len))
		return true;
	request_problem(q, MHD_HTTP_BAD_REQUEST, "namespace", "the name of a namespace");
	return false;
}

static bool read_order(struct request *q, struct span v)
{
	static const char *const words[] = {"desc", "asc"};
	int choice = read_choice(q, PARAM_INDEX_ORDER, v, words, COUNT_OF(words));

	q->is_reverse = choice == 1;
	return choice >= 0;
}

static bool read_part(struct request *q, struct span v)
{
	static const char *const words[] = {"summary", "messages", "exact"};
	int choice = read_choice(q, PARAM_INDEX_PART, v, words, COUNT_OF(words));

	if (choice >= 0)
		q->part = (enum exchange_json_part)choice;
	return choice >= 0;
}

static bool read_sketches(struct request *q, struct span v)
{
	static const char *const words[] = {"false", "true"};
	int choice = read_choice(q, PARAM_INDEX_SKETCHES, v, words, COUNT_OF(words));

	q->stats.wants_sketches = choice == 1;
	return choice >= 0;
}

static bool read_format(struct request *q, struct span v)
{
	AUTO_BUF names = {0};

	q->format = format_find(v);
	for (size_t i = 0; format_at(i); i++)
		buf_add_fmt(&names, "%s%s", i ? ", " : "", format_name(format_at(i)));
	if (!q->format)
		request_problem(q, MHD_HTTP_BAD_REQUEST, "as", "it is one of %s", buf_cstr(&names));
	return q->format != NULL;
}

static bool read_by(struct request *q, struct span v)
{
	struct err e = {0};
	int r = stats_parse_by(v, &q->stats, &e);

	if (r < 0)
		request_failed(q, r, "by", &e);
	return r == 0;
}

static bool read_every(struct request *q, struct span v)
{
	if (clock_parse_duration(v, &q->stats.every_ns) == 0 && q->stats.every_ns >= NS_PER_S)
		return true;
	request_problem(q, MHD_HTTP_BAD_REQUEST, "every", "a span of 1s or more: 1m, 10m, 1h");
	return false;
}

static bool read_param(struct request *q, enum param which, struct span v, uint64_t now_ns)
{
	switch (which) {
	case PARAM_INDEX_FILTER: return read_filter(q, v, now_ns);
	case PARAM_INDEX_NAMESPACE: return read_namespace(q, v);
	case PARAM_INDEX_SINCE: return read_time(q, which, v, now_ns, &q->since_ns);
	case PARAM_INDEX_UNTIL: return read_time(q, which, v, now_ns, &q->until_ns);
	case PARAM_INDEX_NEW_SINCE: return read_time(q, which, v, now_ns, &q->new_since_ns);
	case PARAM_INDEX_BY: return read_by(q, v);
	case PARAM_INDEX_EVERY: return read_every(q, v);
	case PARAM_INDEX_SKETCHES: return read_sketches(q, v);
	case PARAM_INDEX_LIMIT: return read_limit(q, v);
	case PARAM_INDEX_CURSOR: return read_cursor(q, v);
	case PARAM_INDEX_ORDER: return read_order(q, v);
	case PARAM_INDEX_PART: return read_part(q, v);
	case PARAM_INDEX_AS: return read_format(q, v);
	case PARAM_COUNT: break;
	}
	return false;
}

static bool unknown_param(struct request *q, const char *name)
{
	AUTO_BUF known = {0};

	for (unsigned i = 0; i < PARAM_COUNT; i++)
		if (q->route->params >> i & 1)
			buf_add_fmt(&known, "%s%s", known.len ? ", " : "", param_rows[i].name);
	request_problem(q, MHD_HTTP_BAD_REQUEST, name, "no such parameter here; there are: %s",
			known.len ? buf_cstr(&known) : "none");
	return false;
}

/* name[=value], NUL-terminated */
static bool take_param(struct request *q, char *pair, unsigned *seen, uint64_t now_ns)
{
	char *value = strchrnul(pair, '=');
	ptrdiff_t n;

	if (*value)
		*value++ = '\0';
	for (unsigned i = 0; i < PARAM_COUNT; i++) {
		if (strcmp(pair, param_rows[i].name) != 0 || !(q->route->params >> i & 1))
			continue;
		n = decode(value, strlen(value));
		if (n < 0 || *seen >> i & 1) {
			request_problem(q, MHD_HTTP_BAD_REQUEST, pair, "%s",
					n < 0 ? "a %% without two hexadecimal digits"
					      : "given twice");
			return false;
		}
		*seen |= 1U << i;
		return read_param(q, (enum param)i, span_of(value, (size_t)n), now_ns);
	}
	return unknown_param(q, pair);
}

bool request_read_params(struct request *q, uint64_t now_ns)
{
	char *save = NULL;
	unsigned seen = 0;

	for (char *p = strtok_r(q->query, "&", &save); p; p = strtok_r(NULL, "&", &save))
		if (!take_param(q, p, &seen, now_ns))
			return false;
	return true;
}
