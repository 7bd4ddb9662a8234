// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * jansson makes a tree; the exchange's spans first point into the tree and into one block for what
 * must be decoded (base64) or put together (a head from its header lines), and are then copied into
 * the one piece of memory that the caller gets. Decoding never makes more bytes than the text has,
 * so the block's size is known at once.
 *
 * A key that is missing leaves its field empty, an unknown key is passed over (a newer tapeloop may
 * write more); a key with a value of the wrong kind is refused by name. Text fields come from the
 * table; the others are few and each has its own conversion, listed in read_numbers().
 */
#include "schema/exchange_json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base64.h"
#include "lib/clock.h"
#include "lib/id.h"
#include "schema/fields.h"
#include "schema/labels.h"

#define MAPS_MAX 4 /* fields of type MAP */

struct reading {
	json_t *root;		   /* owned */
	uint8_t *block;		   /* owned; what is decoded */
	struct buf maps[MAPS_MAX]; /* owned; labels and annotations in the one form they have */
	size_t map_count;
	size_t used, cap; /* bytes of block */
	struct err *e;
	int result; /* 0, or the first failure */
};

static void fail(struct reading *r, const char *name, const char *expected)
{
	if (r->result == 0)
		r->result = err_set(r->e, -EINVAL, "exchange in JSON: \"%s\" is not %s", name,
				    expected);
}

/* "dst.pod.uid" -> the value of pod_uid in the object dst; NULL when absent or null */
static const json_t *value_of(const struct reading *r, const char *name)
{
	const char *dot = strchr(name, '.');
	const json_t *v;
	char group[32], key[32];

	if (!dot) {
		v = json_object_get(r->root, name);
	} else {
		(void)snprintf(group, sizeof(group), "%.*s", (int)(dot - name), name);
		(void)snprintf(key, sizeof(key), "%s", dot + 1);
		for (char *more = key; (more = strchr(more, '.'));)
			*more = '_';
		v = json_object_get(json_object_get(r->root, group), key);
	}
	return json_is_null(v) ? NULL : v;
}

static struct span string_of(const json_t *v)
{
	return span_of(json_string_value(v), json_string_length(v));
}

static struct span read_text(struct reading *r, const char *name)
{
	const json_t *v = value_of(r, name);

	if (v && !json_is_string(v))
		fail(r, name, "text");
	return v && json_is_string(v) && json_string_length(v) ? string_of(v) : (struct span){0};
}

static struct span read_map(struct reading *r, const char *name)
{
	const json_t *v = value_of(r, name);
	struct buf *to = &r->maps[r->map_count];

	if (!v)
		return (struct span){0};
	if (!json_is_object(v) || r->map_count == MAPS_MAX) {
		fail(r, name, "an object of texts");
		return (struct span){0};
	}
	r->map_count++;
	if (labels_from_json(v, NULL, NULL, to) > 0)
		fail(r, name, "an object of texts that is not too long");
	if (to->is_failed && r->result == 0)
		r->result = err_set(r->e, -ENOMEM, "exchange in JSON: out of memory");
	return to->is_failed ? (struct span){0} : buf_span(to);
}

static uint64_t read_number(struct reading *r, const char *name, uint64_t max)
{
	const json_t *v = value_of(r, name);

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) > max) {
		fail(r, name, "a whole number in its range");
		return 0;
	}
	return (uint64_t)json_integer_value(v);
}

static uint64_t read_time(struct reading *r, const char *name)
{
	struct span text = read_text(r, name);
	uint64_t ns = 0;

	if (text.len && clock_parse(text, 0, &ns) < 0)
		fail(r, name, "a time (RFC 3339)");
	return ns;
}

static uint64_t read_id(struct reading *r, const char *name)
{
	struct span text = read_text(r, name);
	uint64_t id = 0;
	unsigned bits = 64;

	if (text.len && (id_parse(text, &id, &bits) < 0 || bits != 64))
		fail(r, name, "an id of 13 letters");
	return bits == 64 ? id : 0;
}

static uint8_t read_name(struct reading *r, const char *name, int (*parse)(struct span))
{
	struct span text = read_text(r, name);
	int n = text.len ? parse(text) : 0;

	if (n < 0)
		fail(r, name, "a name that is known");
	return n < 0 ? 0 : (uint8_t)n;
}

static uint64_t read_bits(struct reading *r, const char *name, int (*parse)(struct span))
{
	const json_t *list = value_of(r, name);
	uint64_t bits = 0;
	const json_t *v;
	size_t i;

	if (list && !json_is_array(list))
		fail(r, name, "a list");
	json_array_foreach(list, i, v)
	{
		int n = json_is_string(v) ? parse(string_of(v)) : -EINVAL;

		if (n < 0)
			fail(r, name, "a list of names that are known");
		else
			bits |= UINT64_C(1) << n;
	}
	return bits;
}

static void read_address(struct reading *r, const char *name, struct endpoint *e)
{
	struct span text = read_text(r, name);
	char copy[ENDPOINT_TEXT_MAX];

	/* the address of an endpoint that was never set is :: */
	if (text.len == 0)
		return;
	if (text.len >= sizeof(copy)) {
		fail(r, name, "an address");
		return;
	}
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (inet_pton(AF_INET, copy, e->address + 12) == 1) {
		e->is_ipv4 = true;
		e->address[10] = e->address[11] = 0xff;
	} else if (inet_pton(AF_INET6, copy, e->address) != 1) {
		fail(r, name, "an address");
	}
}

/* room for @n bytes of the block; NULL when the text promised less, which cannot be */
static uint8_t *room(struct reading *r, size_t n)
{
	if (r->cap - r->used < n) {
		if (r->result == 0)
			r->result = err_set(r->e, -E2BIG, "exchange in JSON: too large");
		return NULL;
	}
	r->used += n;
	return r->block + r->used - n;
}

static struct span decode(struct reading *r, const char *name, const json_t *v)
{
	struct span text = string_of(v), out = {0};
	uint8_t *to;

	if (!json_is_string(v)) {
		fail(r, name, "base64");
		return out;
	}
	to = room(r, base64_decoded_max(text.len));
	if (!to || text.len == 0)
		return out;
	if (!base64_decode(text, to, &out.len))
		fail(r, name, "base64");
	out.ptr = to;
	return out;
}

static struct span read_base64(struct reading *r, const char *name)
{
	const json_t *v = value_of(r, name);

	return v ? decode(r, name, v) : (struct span){0};
}

static void append(struct reading *r, struct span s)
{
	uint8_t *to = room(r, s.len);

	if (to && s.len)
		memcpy(to, s.ptr, s.len);
}

/* header lines as MESSAGES has them; a line without a name is written as it is */
static void append_lines(struct reading *r, const char *name)
{
	const json_t *list = value_of(r, name);
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		struct span key = string_of(json_object_get(v, "name"));

		append(r, key);
		if (key.len)
			append(r, SPAN_LIT(": "));
		append(r, string_of(json_object_get(v, "value")));
		append(r, SPAN_LIT("\r\n"));
	}
}

/* the dot of a name in a message: "request" + ".body" */
static const char *in(const char *side, const char *key, char out[48])
{
	(void)snprintf(out, 48, "%s.%s", side, key);
	return out;
}

static struct span build_head(struct reading *r, const char *side)
{
	char name[48];
	size_t from = r->used;
	struct span start = read_text(r, in(side, "start_line", name));

	if (start.len == 0)
		return start;
	append(r, start);
	append(r, SPAN_LIT("\r\n"));
	append_lines(r, in(side, "headers", name));
	append(r, SPAN_LIT("\r\n"));
	return span_of(r->block + from, r->used - from);
}

static struct span build_trailers(struct reading *r, const char *side)
{
	char name[48];
	size_t from = r->used;

	append_lines(r, in(side, "trailers", name));
	return r->used > from ? span_of(r->block + from, r->used - from) : (struct span){0};
}

/* "1.1" -> 11, as struct message counts versions */
static uint8_t read_version(struct reading *r, const char *name)
{
	struct span s = read_text(r, name);
	char copy[8] = {0};
	unsigned major = 0, minor = 0;
	int end = 0;

	if (s.len == 0)
		return 0;
	if (s.len < sizeof(copy))
		memcpy(copy, s.ptr, s.len);
	if (sscanf(copy, "%2u.%1u%n", &major, &minor, &end) != 2 || (size_t)end != s.len ||
	    major * 10 + minor > UINT8_MAX) {
		fail(r, name, "a version");
		return 0;
	}
	return (uint8_t)(major * 10 + minor);
}

static void read_message(struct reading *r, const char *side, struct message *m)
{
	char name[48];

	m->body_bytes = read_number(r, in(side, "size", name), INT64_MAX);
	m->flags = (uint32_t)read_bits(r, in(side, "flags", name), message_flag_parse);
	m->version = read_version(r, in(side, "version", name));
	m->first_ns = read_time(r, in(side, "first", name));
	m->last_ns = read_time(r, in(side, "last", name));
	m->server_first_ns = read_time(r, in(side, "server_first", name));
	m->server_last_ns = read_time(r, in(side, "server_last", name));
	m->body = read_base64(r, in(side, "body_base64", name));
	m->framing = read_base64(r, in(side, "framing_base64", name));
	m->head = read_base64(r, in(side, "head_base64", name));
	m->trailers = read_base64(r, in(side, "trailers_base64", name));
	if (!m->body.ptr)
		m->body = read_text(r, in(side, "body", name));
	if (!m->head.ptr)
		m->head = build_head(r, side);
	if (!m->trailers.ptr)
		m->trailers = build_trailers(r, side);
}

/* A summary has no messages: of their times it tells the one that says how long it took. */
static void read_latency(struct reading *r, struct exchange *x)
{
	uint64_t latency_ns = read_number(r, "latency_ns", INT64_MAX);

	if (x->request.flags || latency_ns == 0)
		return;
	x->request.flags = x->response.flags = MESSAGE_PRESENT;
	x->request.first_ns = x->start_ns;
	x->response.last_ns = x->start_ns + latency_ns;
}

static void read_texts(struct reading *r, struct exchange *x)
{
#define READ_TEXT(name, value) value = read_text(r, name);
#define READ_INT(name, value)
#define READ_TIME(name, value)
#define READ_DURATION(name, value)
#define READ_ADDRESS(name, value)
#define READ_ID(name, value)
#define READ_NAME(name, value)
#define READ_FLAGS(name, value)
#define READ_BOOL(name, value)
#define READ_MAP(name, value)		     value = read_map(r, name);
#define FIELD(NAME, name, TYPE, value, what) READ_##TYPE(name, value)
#include "schema/fields.tbl.h"
#undef FIELD
}

/* text fields that were not UTF-8 */
static void read_octets(struct reading *r, struct exchange *x)
{
	const json_t *octets = json_object_get(r->root, "octets_base64");

#undef READ_TEXT
#undef READ_MAP
#define READ_MAP(name, value)
#define READ_TEXT(name, value)                                                                     \
	if (json_object_get(octets, name))                                                         \
		value = decode(r, name, json_object_get(octets, name));
#define FIELD(NAME, name, TYPE, value, what) READ_##TYPE(name, value)
#include "schema/fields.tbl.h"
#undef FIELD
}

static void read_numbers(struct reading *r, struct exchange *x)
{
	x->id = read_id(r, "id");
	x->start_ns = read_time(r, "time");
	x->connection = read_id(r, "connection");
	x->sequence = (uint32_t)read_number(r, "sequence", UINT32_MAX);
	x->wire_key = read_id(r, "wire");
	x->status = (uint16_t)read_number(r, "status", UINT16_MAX);
	x->protocol = read_name(r, "protocol", protocol_parse);
	x->outcome = read_name(r, "outcome", outcome_parse);
	x->reason = read_name(r, "reason", reason_parse);
	x->anomalies = read_bits(r, "anomalies", anomaly_parse);
	x->src.who.source = read_name(r, "src.identity", identity_source_parse);
	x->dst.who.source = read_name(r, "dst.identity", identity_source_parse);
	x->src.who.certainty = read_name(r, "src.certainty", identity_certainty_parse);
	x->dst.who.certainty = read_name(r, "dst.certainty", identity_certainty_parse);
	x->stream = (uint32_t)read_number(r, "stream", UINT32_MAX);
	x->h2_error = (uint32_t)read_number(r, "h2_error", UINT32_MAX);
	x->has_grpc_status = value_of(r, "grpc_status") != NULL;
	x->grpc_status = (uint16_t)read_number(r, "grpc_status", UINT16_MAX);
	x->grpc_timeout_ns = read_number(r, "grpc.timeout_ns", INT64_MAX);
	x->weight = (uint32_t)read_number(r, "weight", UINT32_MAX);
	x->close_code = (uint16_t)read_number(r, "ws.close_code", UINT16_MAX);
	/* only one of the three is written: that of its protocol */
	x->messages[0] =
		read_number(r, "grpc.requests", INT64_MAX) + read_number(r, "ws.sent", INT64_MAX);
	x->messages[1] = read_number(r, "grpc.responses", INT64_MAX) +
			 read_number(r, "ws.received", INT64_MAX) +
			 read_number(r, "sse.events", INT64_MAX);
	read_address(r, "src.ip", &x->src);
	read_address(r, "dst.ip", &x->dst);
	x->src.port = (uint16_t)read_number(r, "src.port", UINT16_MAX);
	x->dst.port = (uint16_t)read_number(r, "dst.port", UINT16_MAX);
}

/* @x's spans point into the tree and the block; give the caller one piece */
static int hand_out(const struct exchange *x, struct exchange *x_out, void **memory_out,
		    struct err *e)
{
	struct exchange *copy = malloc(exchange_bytes(x));

	if (!copy)
		return err_set(e, -ENOMEM, "exchange in JSON: out of memory");
	*x_out = *exchange_copy(x, copy);
	*memory_out = copy;
	return 0;
}

static int parse(struct reading *r, struct span text)
{
	json_error_t why;

	r->root = json_loadb((const char *)text.ptr, text.len, JSON_ALLOW_NUL, &why);
	if (!r->root)
		return err_set(r->e, -EINVAL, "exchange in JSON: line %d, column %d: %s", why.line,
			       why.column, why.text);
	if (!json_is_object(r->root))
		return err_set(r->e, -EINVAL, "exchange in JSON: not an object");
	/* base64 shrinks; a head put together has less than the JSON around it had */
	r->cap = text.len + 64;
	r->block = malloc(r->cap);
	return r->block ? 0 : err_set(r->e, -ENOMEM, "exchange in JSON: out of memory");
}

int exchange_from_json(struct span text, struct exchange *x_out, void **memory_out, struct err *e)
{
	struct reading r = {.e = e};
	struct exchange x = {0};
	int result = parse(&r, text);

	if (result == 0) {
		read_numbers(&r, &x);
		read_texts(&r, &x);
		read_message(&r, "request", &x.request);
		read_message(&r, "response", &x.response);
		read_latency(&r, &x);
		read_octets(&r, &x);
		if (value_of(&r, "children_base64"))
			x.children = decode(&r, "children_base64", value_of(&r, "children_base64"));
		result = r.result ? r.result : hand_out(&x, x_out, memory_out, e);
	}
	free(r.block);
	for (size_t i = 0; i < MAPS_MAX; i++)
		buf_fini(&r.maps[i]);
	json_decref(r.root);
	return result;
}
