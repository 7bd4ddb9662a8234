// SPDX-License-Identifier: Apache-2.0
#include "store/format_har_entry.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "lib/base64.h"
#include "lib/clock.h"
#include "schema/child.h"
#include "schema/exchange_json.h"
#include "store/format_har.h"

/*
 * Theory of operation. Two kinds of entries:
 *
 * Ours have "_tapeloop": all fields of the exchange and the bytes that the entry does not tell;
 * what is not there is put together from the entry, as the writer saw that it can be.
 *
 * Those of browsers and proxies tell header fields and decoded bodies. Heads are put together in
 * the version that the entry names, and the anomaly "synthesised" says so. A body that came with a
 * content coding is there without it: Content-Encoding goes and Content-Length is made to fit, or
 * nobody could read the message again. Several Set-Cookie lines come as one value with line ends
 * (Chromium, Firefox). The exchange begins with its request's first byte: after what was spent
 * waiting and connecting.
 */
struct har_reading {
	const json_t *request, *response, *entry;
	struct har_room *room;
	struct har_flaws *flaws;
	struct err *e;
};

void har_room_fini(struct har_room *room)
{
	for (size_t i = 0; i < 2; i++) {
		buf_fini(&room->heads[i]);
		buf_fini(&room->bodies[i]);
	}
	buf_fini(&room->children);
	free(room->own);
	room->own = NULL;
}

static void room_clear(struct har_room *room)
{
	for (size_t i = 0; i < 2; i++) {
		buf_clear(&room->heads[i]);
		buf_clear(&room->bodies[i]);
	}
	buf_clear(&room->children);
	free(TAKE(room->own));
}

static struct span text_in(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_string(v) ? span_of(json_string_value(v), json_string_length(v))
				 : (struct span){0};
}

static double number_in(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

/* --- bodies --- */

/* Return: 0, -EINVAL when it claims to be base64 and is none */
static int put_octets(const struct har_reading *h, struct buf *out, struct span text,
		      struct span encoding)
{
	size_t len = 0;

	if (!span_ieq(encoding, SPAN_LIT("base64"))) {
		buf_add_span(out, text);
		return 0;
	}
	if (!buf_reserve(out, base64_decoded_max(text.len) + 1))
		return err_set(h->e, -ENOMEM, "out of memory");
	if (!base64_decode(text, out->ptr + out->len, &len))
		return err_set(h->e, -EINVAL, "a body that is said to be base64 and is none");
	out->len += len;
	return 0;
}

static int read_bodies(const struct har_reading *h)
{
	const json_t *post = json_object_get(h->request, "postData");
	const json_t *content = json_object_get(h->response, "content");
	int r = put_octets(h, &h->room->bodies[0], text_in(post, "text"),
			   text_in(post, "_encoding"));

	if (r == 0)
		r = put_octets(h, &h->room->bodies[1], text_in(content, "text"),
			       text_in(content, "encoding"));
	return r;
}

/* --- heads --- */

/* Which lines of a browser's list are not taken over. */
struct head_rules {
	bool is_own;	 /* none of these: lines are as they were */
	bool is_decoded; /* the body has no coding any more */
	uint64_t body_bytes;
};

static bool is_one_of(struct span name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_ieq(name, span_str(names[i])))
			return true;
	return false;
}

static bool is_left_out(const struct head_rules *rules, struct span name)
{
	/* the start line says these */
	static const char *const in_start_line[] = {":method", ":path", ":status"};
	static const char *const of_coding[] = {"content-encoding", "content-length"};

	return name.len == 0 || is_one_of(name, in_start_line, COUNT_OF(in_start_line)) ||
	       (rules->is_decoded && is_one_of(name, of_coding, COUNT_OF(of_coding)));
}

/* bytes that would end the line: a name or value that holds them was not one line on the wire */
static void add_clean(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		buf_add_char(out, s.ptr[i] == '\r' || s.ptr[i] == '\n' || s.ptr[i] == '\0'
					  ? ' '
					  : (char)s.ptr[i]);
}

/* a value with line ends stands for several fields of that name */
static void add_field(struct buf *out, struct span name, struct span value)
{
	do {
		const uint8_t *nl = span_chr(value, '\n');
		size_t n = nl ? (size_t)(nl - value.ptr) : value.len;

		add_clean(out, name);
		buf_add_str(out, ": ");
		add_clean(out, span_of(value.ptr, n && value.ptr[n - 1] == '\r' ? n - 1 : n));
		buf_add_str(out, "\r\n");
		value = span_from(value, n + 1);
	} while (value.len);
}

static void add_fields(struct buf *out, const json_t *message, const struct head_rules *rules)
{
	const json_t *list = json_object_get(message, "headers");
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		struct span name = text_in(v, "name"), value = text_in(v, "value");

		if (rules->is_own)
			har_header_line(out, name, value);
		else if (!is_left_out(rules, name))
			add_field(out, name, value);
	}
	if (rules->is_decoded)
		buf_add_fmt(out, "Content-Length: %llu\r\n", (unsigned long long)rules->body_bytes);
}

static bool has_field(const json_t *message, const char *name)
{
	const json_t *list = json_object_get(message, "headers");
	const json_t *v;
	size_t i;

	json_array_foreach(list, i,
			   v) if (span_ieq(text_in(v, "name"), span_str(name))) return true;
	return false;
}

/* --- ours --- */

static int read_own(const struct har_reading *h, const json_t *own, struct exchange *x)
{
	char *text = json_dumps(own, JSON_COMPACT);
	int r;

	if (!text)
		return err_set(h->e, -ENOMEM, "out of memory");
	r = exchange_from_json(span_str(text), x, &h->room->own, h->e);
	free(text);
	return r;
}

static void fill_own_heads(const struct har_reading *h, struct exchange *x)
{
	const struct head_rules rules = {.is_own = true};
	struct buf *heads = h->room->heads;
	struct span authority, target = har_target_of_url(text_in(h->request, "url"), &authority);

	har_request_line(&heads[0], text_in(h->request, "method"), target, x->request.version);
	add_fields(&heads[0], h->request, &rules);
	buf_add_str(&heads[0], "\r\n");
	har_status_line(&heads[1], x->status, text_in(h->response, "statusText"),
			x->response.version);
	add_fields(&heads[1], h->response, &rules);
	buf_add_str(&heads[1], "\r\n");
	for (unsigned i = 0; i < 2; i++) {
		struct message *m = i ? &x->response : &x->request;

		if ((m->flags & MESSAGE_PRESENT) && m->head.len == 0)
			m->head = buf_span(&heads[i]);
		if ((m->flags & MESSAGE_PRESENT) && m->body.len == 0)
			m->body = buf_span(&h->room->bodies[i]);
	}
}

/* --- those of others --- */

static uint64_t ns_of_ms(double ms)
{
	return isfinite(ms) && ms > 0 && ms < 1e12 ? (uint64_t)llround(ms * (double)NS_PER_MS) : 0;
}

static int read_times(const struct har_reading *h, struct exchange *x)
{
	const json_t *t = json_object_get(h->entry, "timings");
	struct span started = text_in(h->entry, "startedDateTime");
	uint64_t ns = 0;

	if (started.len == 0 || clock_parse(started, 0, &ns) < 0 || ns == 0 || ns > INT64_MAX / 2)
		return err_set(h->e, -EINVAL, "\"startedDateTime\" is no time (RFC 3339)");
	x->request.first_ns = ns + ns_of_ms(number_in(t, "blocked")) +
			      ns_of_ms(number_in(t, "dns")) + ns_of_ms(number_in(t, "connect"));
	x->request.last_ns = x->request.first_ns + ns_of_ms(number_in(t, "send"));
	x->response.first_ns = x->request.last_ns + ns_of_ms(number_in(t, "wait"));
	x->response.last_ns = x->response.first_ns + ns_of_ms(number_in(t, "receive"));
	return 0;
}

static unsigned read_version(const struct har_reading *h, const json_t *message)
{
	struct span text = text_in(message, "httpVersion");
	unsigned version = har_version_parse(text);

	if (version == 20 && memchr(text.ptr, '3', text.len))
		h->flaws->is_http3 = true;
	return version ? version : 11;
}

/* RFC 3986 3.2.2: [::1]:8080, shop:8080, shop; the scheme's port where there is none */
static uint16_t port_of(struct span url, struct span authority)
{
	const uint8_t *colon = authority.len ? memrchr(authority.ptr, ':', authority.len) : NULL;
	const uint8_t *bracket = authority.len ? memrchr(authority.ptr, ']', authority.len) : NULL;
	unsigned port = 0;

	if (!colon || (bracket && bracket > colon))
		return span_istarts(url, SPAN_LIT("https")) || span_istarts(url, SPAN_LIT("wss"))
			       ? 443
			       : 80;
	for (const uint8_t *p = colon + 1;
	     p < authority.ptr + authority.len && *p >= '0' && *p <= '9' && port < 65536; p++)
		port = port * 10 + (unsigned)(*p - '0');
	return (uint16_t)(port < 65536 ? port : 0);
}

static void read_server(const struct har_reading *h, struct exchange *x, struct span url,
			struct span authority)
{
	struct span ip = text_in(h->entry, "serverIPAddress");
	char text[ENDPOINT_TEXT_MAX] = {0};

	x->dst.port = port_of(url, authority);
	if (ip.len > 2 && ip.ptr[0] == '[')
		ip = span_of(ip.ptr + 1, ip.len - 2);
	if (ip.len == 0 || ip.len >= sizeof(text))
		return;
	memcpy(text, ip.ptr, ip.len);
	if (inet_pton(AF_INET, text, x->dst.address + 12) == 1) {
		x->dst.is_ipv4 = true;
		x->dst.address[10] = x->dst.address[11] = 0xff;
	} else if (inet_pton(AF_INET6, text, x->dst.address) != 1) {
		memset(x->dst.address, 0, sizeof(x->dst.address));
	}
}

/* connections that the file tells apart stay apart; their numbers are not ours */
static uint64_t connection_of(const struct har_reading *h)
{
	struct span s = text_in(h->entry, "connection");
	uint64_t n = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < s.len; i++)
		n = (n ^ s.ptr[i]) * UINT64_C(0x100000001b3);
	return s.len ? n >> 1 : 0;
}

static void end_message(const struct har_reading *h, struct message *m, unsigned side,
			int64_t said_bytes)
{
	m->head = buf_span(&h->room->heads[side]);
	m->body = buf_span(&h->room->bodies[side]);
	m->body_bytes = m->body.len;
	m->flags = MESSAGE_PRESENT | MESSAGE_COMPLETE | MESSAGE_LENGTH_KNOWN;
	if (said_bytes <= 0 || m->body.len >= (uint64_t)said_bytes)
		return;
	m->body_bytes = (uint64_t)said_bytes;
	m->flags |= MESSAGE_BODY_CUT;
	h->flaws->has_no_body = true;
}

static void read_request(const struct har_reading *h, struct exchange *x)
{
	struct span url = text_in(h->request, "url"), authority;
	struct span target = har_target_of_url(url, &authority);
	struct buf *head = &h->room->heads[0];
	const struct head_rules rules = {0};

	x->request.version = (uint8_t)read_version(h, h->request);
	buf_clear(head);
	har_request_line(head, text_in(h->request, "method"), target, x->request.version);
	if (authority.len && !has_field(h->request, "host") && !has_field(h->request, ":authority"))
		add_field(head,
			  x->request.version == 20 ? SPAN_LIT(":authority") : SPAN_LIT("Host"),
			  authority);
	add_fields(head, h->request, &rules);
	buf_add_str(head, "\r\n");
	end_message(h, &x->request, 0, (int64_t)number_in(h->request, "bodySize"));
	read_server(h, x, url, authority);
}

/* how a browser says that there is no answer, and what that is called here */
static const struct {
	const char *text;
	enum outcome outcome;
	enum reason reason;
} errors[] = {
	{"TIMED_OUT", OUTCOME_TIMEOUT, REASON_TIMED_OUT},
	{"CONNECTION_RESET", OUTCOME_RESET, REASON_RESET_SERVER},
	{"ABORTED", OUTCOME_NO_RESPONSE, REASON_CLIENT_CLOSED},
	{"EMPTY_RESPONSE", OUTCOME_NO_RESPONSE, REASON_CLOSED},
	{"CONNECTION_CLOSED", OUTCOME_NO_RESPONSE, REASON_CLOSED},
};

static void read_error(const struct har_reading *h, struct exchange *x)
{
	struct span said = text_in(h->response, "_error");

	x->response = (struct message){0};
	x->outcome = OUTCOME_INCOMPLETE;
	x->reason = REASON_CAPTURE_END;
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		if (!said.len || !span_find(said, span_str(errors[i].text)))
			continue;
		x->outcome = (uint8_t)errors[i].outcome;
		x->reason = (uint8_t)errors[i].reason;
	}
}

/* RFC 9110 6.4.1: responses that have no content, whatever a cache has for them */
static bool has_no_content(const struct har_reading *h, unsigned status)
{
	return status < 200 || status == 204 || status == 304 ||
	       span_eq(text_in(h->request, "method"), SPAN_LIT("HEAD"));
}

static void read_response(const struct har_reading *h, struct exchange *x)
{
	const json_t *content = json_object_get(h->response, "content");
	struct buf *head = &h->room->heads[1], *body = &h->room->bodies[1];
	struct head_rules rules = {0};
	double status = number_in(h->response, "status");
	bool is_bodiless;

	if (!(status >= 1 && status <= 999)) {
		read_error(h, x);
		return;
	}
	is_bodiless = has_no_content(h, (unsigned)status);
	h->flaws->was_cached = is_bodiless && body->len;
	if (is_bodiless)
		buf_clear(body);
	rules.body_bytes = body->len;
	rules.is_decoded = body->len && has_field(h->response, "content-encoding");
	h->flaws->was_decoded = rules.is_decoded;
	x->response.version = (uint8_t)read_version(h, h->response);
	buf_clear(head);
	har_status_line(head, (unsigned)status, text_in(h->response, "statusText"),
			x->response.version);
	add_fields(head, h->response, &rules);
	buf_add_str(head, "\r\n");
	end_message(h, &x->response, 1,
		    body->len || is_bodiless ? 0 : (int64_t)number_in(content, "size"));
}

/* --- WebSocket messages --- */

static int add_child(const struct har_reading *h, const json_t *v)
{
	struct buf *row = &h->room->children;
	double seconds = number_in(v, "time");
	struct child c = {
		.kind = (uint8_t)((unsigned)json_integer_value(json_object_get(v, "opcode")) &
				  CHILD_KIND_MAX),
		.is_from_server = span_eq(text_in(v, "type"), SPAN_LIT("receive")),
		.time_ns = seconds > 0 && seconds < 9e9 ? (uint64_t)(seconds * 1e6) * NS_PER_US : 0,
	};
	uint8_t head[CHILD_HEAD_BYTES];
	AUTO_BUF payload = {0};
	int r = put_octets(h, &payload, text_in(v, "data"),
			   c.kind == CHILD_WS_TEXT ? (struct span){0} : SPAN_LIT("base64"));

	c.payload = buf_span(&payload);
	c.bytes = payload.len;
	child_encode_head(&c, head);
	buf_add(row, head, sizeof(head));
	buf_add_span(row, c.payload);
	return r;
}

static int read_children(const struct har_reading *h, struct exchange *x)
{
	const json_t *list = json_object_get(h->entry, "_webSocketMessages");
	const json_t *v;
	size_t i;
	int r = 0;

	if (!json_is_array(list))
		return 0;
	json_array_foreach(list, i, v)
	{
		if (r == 0)
			r = add_child(h, v);
	}
	x->protocol = PROTOCOL_WEBSOCKET;
	x->children = buf_span(&h->room->children);
	return r;
}

static int read_foreign(const struct har_reading *h, struct exchange *x)
{
	int r = read_times(h, x);

	if (r == 0)
		r = read_children(h, x);
	if (r < 0)
		return r;
	read_request(h, x);
	read_response(h, x);
	x->connection = connection_of(h);
	x->anomalies |= ANOMALY_BIT(SYNTHESISED);
	return 0;
}

static int read_entry(struct har_reading *h, struct foreign *out)
{
	const json_t *own = json_object_get(h->entry, HAR_OWN);
	int r;

	h->request = json_object_get(h->entry, "request");
	h->response = json_object_get(h->entry, "response");
	if (!json_is_object(h->request) || !json_is_object(h->response))
		return err_set(h->e, -EINVAL, "without \"request\" or \"response\"");
	r = read_bodies(h);
	if (r < 0)
		return r;
	if (!json_is_object(own))
		return read_foreign(h, &out->x);
	out->is_complete = true;
	r = read_own(h, own, &out->x);
	if (r == 0)
		fill_own_heads(h, &out->x);
	return r;
}

int har_entry_read(struct span entry, struct har_room *room, struct foreign *out,
		   struct har_flaws *flaws, struct err *e)
{
	struct har_reading h = {.room = room, .flaws = flaws, .e = e};
	json_error_t why;
	json_t *root = json_loadb((const char *)entry.ptr, entry.len, JSON_ALLOW_NUL, &why);
	bool is_short = false;
	int r;

	*out = (struct foreign){0};
	*flaws = (struct har_flaws){0};
	if (!root)
		return err_set(e, -EINVAL, "line %d, column %d: %s", why.line, why.column,
			       why.text);
	room_clear(room);
	h.entry = root;
	r = read_entry(&h, out);
	json_decref(root);
	for (size_t i = 0; i < 2; i++)
		is_short |= room->heads[i].is_failed || room->bodies[i].is_failed;
	return r == 0 && (is_short || room->children.is_failed)
		       ? err_set(e, -ENOMEM, "out of memory")
		       : r;
}
