// SPDX-License-Identifier: Apache-2.0
#include "store/format_har.h"

#include "lib/clock.h"
#include "lib/id.h"
#include "lib/utf8.h"
#include "schema/content.h"
#include "schema/exchange_json.h"
#include "schema/wsdeflate.h"
#include "store/format_har_lists.h"
#include "store/format_kind.h"

/*
 * Theory of operation (HTTP Archive 1.2, www.softwareishard.com/blog/har-12-spec). One entry for
 * each exchange, in their order, each on a line of its own.
 *
 * HAR tells of a message what a browser shows: header fields one by one, the body with its content
 * codings undone. What it cannot hold stands under "_tapeloop", in the exact form of docs/json.md:
 * all fields of the exchange, its times, and those bytes that an entry does not give back. So a
 * head is there only where it differs from what format_har_head.c makes of the entry, and a body
 * only where a coding was undone. Reading it back gives every byte.
 *
 * An exchange without a response has the status 0 and says why in "_error", as Chromium does.
 * WebSocket messages are written in Chromium's form, "_webSocketMessages".
 */
#define WS_TEXT_MAX                                                                                \
	((size_t)64 << 20) /* octets of a conversation's messages when inflated, together */
#define FORM_TYPE "application/x-www-form-urlencoded"

static void begin(struct format_writer *w, struct buf *out)
{
	(void)w;
	buf_add_str(out,
		    "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"tapeloop\",\"version\":"
		    "\"" TAPELOOP_VERSION "\"},\"pages\":[],\"entries\":[");
}

static void end(struct format_writer *w, struct buf *out)
{
	buf_add_str(out, w->count ? "\n]}}\n" : "]}}\n");
}

static void put_authority(struct buf *url, const struct exchange *x)
{
	char text[ENDPOINT_TEXT_MAX];

	if (x->host.len) {
		buf_add_span(url, x->host);
		return;
	}
	buf_add_fmt(url, x->dst.is_ipv4 ? "%s" : "[%s]", endpoint_text(&x->dst, text));
	if (x->dst.port != 80)
		buf_add_fmt(url, ":%u", x->dst.port);
}

/* RFC 9110 7.1: the target URI; a target that is one already stands for itself */
static void make_url(const struct exchange *x, struct buf *url)
{
	if (x->target.len && x->target.ptr[0] != '/' && span_find(x->target, SPAN_LIT("://"))) {
		buf_add_span(url, x->target);
		return;
	}
	buf_add_str(url, "http://");
	put_authority(url, x);
	if (x->target.len == 0 || x->target.ptr[0] != '/')
		buf_add_char(url, '/');
	buf_add_span(url, x->target);
}

/* does the entry tell these bytes? Then they need not stand beside it. */
static bool is_told(struct span recorded, const struct buf *told)
{
	return span_eq(recorded, buf_span(told)) && utf8_is_valid(recorded);
}

static void add_fields(struct buf *out, struct span head)
{
	struct header_iter it = {.rest = head};

	while (header_next(&it))
		har_header_line(out, it.name, it.value);
	buf_add_str(out, "\r\n");
}

static bool is_request_head_told(const struct exchange *x, struct span url)
{
	AUTO_BUF told = {0};
	struct span authority;

	har_request_line(&told, x->method, har_target_of_url(url, &authority), x->request.version);
	add_fields(&told, x->request.head);
	return is_told(x->request.head, &told);
}

/* HTTP/1.1 200 OK -> OK */
static struct span reason_phrase(const struct message *m)
{
	struct span line = message_start_line(m);
	const uint8_t *blank = span_chr(line, ' ');

	line = blank ? span_from(line, (size_t)(blank - line.ptr) + 1) : (struct span){0};
	blank = span_chr(line, ' ');
	return blank ? span_from(line, (size_t)(blank - line.ptr) + 1) : (struct span){0};
}

static bool is_response_head_told(const struct exchange *x)
{
	AUTO_BUF told = {0};

	har_status_line(&told, x->status, reason_phrase(&x->response), x->response.version);
	add_fields(&told, x->response.head);
	return is_told(x->response.head, &told);
}

/* --- bodies --- */

static void put_octets(struct json *j, const char *encoding_key, struct span octets)
{
	if (utf8_is_valid(octets)) {
		json_key_text(j, "text", octets);
		return;
	}
	json_key(j, "text");
	json_base64(j, octets);
	json_key_str(j, encoding_key, "base64");
}

static void put_type(struct json *j, const struct message *m, const char *otherwise)
{
	json_key_text(j, "mimeType", m->content_type.len ? m->content_type : span_str(otherwise));
}

static void put_post_data(struct json *j, const struct message *m)
{
	if (m->body.len == 0 && m->body_bytes == 0)
		return;
	json_key(j, "postData");
	json_object_begin(j);
	put_type(j, m, "");
	har_put_params(j, "params",
		       span_istarts(m->content_type, SPAN_LIT(FORM_TYPE)) ? m->body
									  : (struct span){0});
	put_octets(j, "_encoding", m->body);
	json_object_end(j);
}

/* Return: true when the text is not the recorded body but what it decodes to */
static bool put_content(struct json *j, const struct message *m)
{
	AUTO_BUF room = {0};
	struct span body = m->body;
	struct err e = {0};
	int undone = content_decode(m, &room, &body, &e);

	if (undone < 0)
		body = m->body;
	json_key(j, "content");
	json_object_begin(j);
	json_key_u64(j, "size", undone > 0 ? body.len : m->body_bytes);
	if (undone > 0) {
		json_key(j, "compression");
		json_i64(j, (int64_t)body.len - (int64_t)m->body.len);
	}
	put_type(j, m, "x-unknown");
	put_octets(j, "encoding", body);
	json_object_end(j);
	return undone > 0;
}

/* --- the two messages --- */

static void put_sizes(struct json *j, const struct message *m)
{
	json_key(j, "headersSize");
	json_i64(j, m->version == 20 ? -1 : (int64_t)m->head.len);
	json_key(j, "bodySize");
	json_i64(j, (int64_t)MIN(m->body_bytes, (uint64_t)INT64_MAX));
}

static struct span query_of(const struct exchange *x)
{
	const uint8_t *mark = span_chr(x->target, '?');

	return mark ? span_from(x->target, (size_t)(mark - x->target.ptr) + 1) : (struct span){0};
}

static void put_request(struct json *j, const struct exchange *x, struct span url)
{
	const struct message *m = &x->request;

	json_key(j, "request");
	json_object_begin(j);
	json_key_text(j, "method", x->method);
	json_key_text(j, "url", url);
	json_key_str(j, "httpVersion", har_version_text(m->version));
	har_put_cookies(j, m);
	har_put_headers(j, "headers", m->head, false);
	har_put_params(j, "queryString", query_of(x));
	put_post_data(j, m);
	if (m->trailers.len)
		har_put_headers(j, "_trailers", m->trailers, true);
	put_sizes(j, m);
	json_object_end(j);
}

static void put_no_response(struct json *j, const struct exchange *x)
{
	json_key_u64(j, "status", 0);
	json_key_str(j, "statusText", "");
	json_key_str(j, "httpVersion", "");
	buf_add_str(j->out, ",\"cookies\":[],\"headers\":[],\"content\":{\"size\":0,\"mimeType\":"
			    "\"x-unknown\"}");
	json_key_str(j, "redirectURL", "");
	buf_add_str(j->out, ",\"headersSize\":-1,\"bodySize\":-1");
	json_key_str(j, "_error", x->reason ? reason_name(x->reason) : outcome_name(x->outcome));
}

static bool put_response(struct json *j, const struct exchange *x)
{
	const struct message *m = &x->response;
	bool is_decoded = false;

	json_key(j, "response");
	json_object_begin(j);
	if (!(m->flags & MESSAGE_PRESENT)) {
		put_no_response(j, x);
	} else {
		json_key_u64(j, "status", x->status);
		json_key_text(j, "statusText", reason_phrase(m));
		json_key_str(j, "httpVersion", har_version_text(m->version));
		har_put_set_cookies(j, m);
		har_put_headers(j, "headers", m->head, false);
		is_decoded = put_content(j, m);
		json_key_text(j, "redirectURL", message_header(m, "location"));
		if (m->trailers.len)
			har_put_headers(j, "_trailers", m->trailers, true);
		put_sizes(j, m);
	}
	json_object_end(j);
	return is_decoded;
}

/* --- times --- */

static double ms_between(uint64_t from_ns, uint64_t to_ns)
{
	return from_ns && to_ns > from_ns ? (double)(to_ns - from_ns) / (double)NS_PER_MS : 0;
}

static void put_ms(struct json *j, const char *key, double ms)
{
	json_key(j, key);
	json_double_exact(j, ms);
}

static void put_timings(struct json *j, const struct exchange *x)
{
	const struct message *q = &x->request, *r = &x->response;
	double send = ms_between(q->first_ns, q->last_ns),
	       wait = ms_between(q->last_ns, r->first_ns);
	double receive = ms_between(r->first_ns, r->last_ns);

	put_ms(j, "time", send + wait + receive);
	json_key(j, "timings");
	json_object_begin(j);
	buf_add_str(j->out, "\"blocked\":-1,\"dns\":-1,\"connect\":-1,\"ssl\":-1");
	j->needs_comma = true;
	put_ms(j, "send", send);
	put_ms(j, "wait", wait);
	put_ms(j, "receive", receive);
	json_object_end(j);
}

/* --- WebSocket --- */

static void put_ws_message(struct json *j, const struct child *c, struct span text)
{
	json_object_begin(j);
	json_key_str(j, "type", c->is_from_server ? "receive" : "send");
	json_key(j, "time");
	json_double_exact(j, (double)(c->time_ns / NS_PER_US) / 1e6);
	json_key_u64(j, "opcode", c->kind);
	json_key(j, "data");
	if (c->kind == CHILD_WS_TEXT && utf8_is_valid(text))
		json_text(j, text);
	else
		json_base64(j, text);
	json_object_end(j);
}

static void put_ws_messages(struct json *j, const struct exchange *x)
{
	AUTO(wsdeflate) inflater = wsdeflate_new(x);
	AUTO_BUF room = {0};
	struct span row = x->children;
	size_t left = WS_TEXT_MAX;
	struct child c;

	json_key_str(j, "_resourceType", "websocket");
	json_key(j, "_webSocketMessages");
	json_array_begin(j);
	while (child_next(&row, &c) == 1) {
		struct span text = c.payload;

		if (c.is_compressed && inflater)
			(void)!wsdeflate_read(inflater, &c, left, &room, &text, NULL);
		left -= MIN(left, text.len);
		put_ws_message(j, &c, text);
	}
	json_array_end(j);
}

/* --- an entry --- */

/* What the entry does not say: all fields, and the bytes that do not come back from it. */
static void put_own(struct json *j, const struct exchange *x, struct span url, bool is_decoded)
{
	struct exchange rest = *x;

	if (is_request_head_told(x, url))
		rest.request.head = (struct span){0};
	if (is_response_head_told(x))
		rest.response.head = (struct span){0};
	rest.request.body = (struct span){0};
	if (!is_decoded)
		rest.response.body = (struct span){0};
	json_key(j, HAR_OWN);
	exchange_to_json(j, &rest, EXCHANGE_JSON_EXACT);
}

static bool add(struct format_writer *w, const struct exchange *x, struct buf *out)
{
	char text[MAX(ENDPOINT_TEXT_MAX, ID_TEXT_LEN + 1)];
	struct json j = json_to(out);
	AUTO_BUF url = {0};
	bool is_decoded;

	buf_add_str(out, w->count ? ",\n" : "\n");
	make_url(x, &url);
	json_object_begin(&j);
	json_key(&j, "startedDateTime");
	json_time(&j, MAX(x->start_ns, 1));
	put_timings(&j, x);
	put_request(&j, x, buf_span(&url));
	is_decoded = put_response(&j, x);
	buf_add_str(out, ",\"cache\":{}");
	json_key_str(&j, "serverIPAddress", endpoint_text(&x->dst, text));
	json_key_str(&j, "connection", id_format(x->connection, text));
	if (x->protocol == PROTOCOL_WEBSOCKET)
		put_ws_messages(&j, x);
	put_own(&j, x, buf_span(&url), is_decoded);
	json_object_end(&j);
	out->is_failed |= url.is_failed;
	if ((x->request.flags | x->response.flags) & MESSAGE_BODY_CUT)
		format_lose(w, FORMAT_LOSS_BODY_CUT);
	return true;
}

const struct format_kind format_kind_har = {
	.wants_messages = true, .begin = begin, .add = add, .end = end};
