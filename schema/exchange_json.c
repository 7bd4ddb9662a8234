// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * The fields come straight from schema/fields.tbl.h: the type of a row chooses how its value is
 * written, the part of its name before the dot the object it stands in. Rows of one object stand
 * together in the table, so one pass suffices. What a message has beyond its fields is written
 * just before the objects "request" and "response" close.
 *
 * Text that is not UTF-8 cannot stand in JSON as it is (lib/json.h writes \xNN, which is for
 * people). EXACT therefore gives messages as base64 and, under "octets_base64", those text fields
 * that are not UTF-8.
 *
 * exchange_json_read.c reads it back. docs/json.md is the description for users.
 */
#include "schema/exchange_json.h"

#include <errno.h>
#include <stdio.h>

#include "lib/id.h"
#include "lib/utf8.h"
#include "schema/child.h"
#include "schema/content.h"
#include "schema/fields.h"
#include "schema/labels.h"
#include "schema/wsdeflate.h"

#define DECODED_MAX                                                                                \
	(1 << 20) /* octets of a body, or of all messages of a conversation, written decoded */

static void put_id(struct json *j, uint64_t id)
{
	char text[ID_TEXT_LEN + 1];

	json_str(j, id_format(id, text));
}

/* readers of JSON keep integers in 64 bits with a sign; nothing real is that large */
static void put_number(struct json *j, uint64_t n)
{
	json_u64(j, MIN(n, (uint64_t)INT64_MAX));
}

static void put_anomalies(struct json *j, uint64_t bits)
{
	json_array_begin(j);
	for (unsigned i = 0; i < ANOMALY_COUNT; i++)
		if (bits >> i & 1)
			json_str(j, anomaly_name(i));
	json_array_end(j);
}

static void put_address(struct json *j, const struct endpoint *e)
{
	char text[ENDPOINT_TEXT_MAX];

	json_str(j, endpoint_text(e, text));
}

static void put_value(struct json *j, enum field_type type, struct field_value v)
{
	switch (type) {
	case FIELD_TYPE_TEXT: json_text(j, v.text); break;
	case FIELD_TYPE_INT:
	case FIELD_TYPE_DURATION: put_number(j, v.number); break;
	case FIELD_TYPE_TIME: json_time(j, v.number); break;
	case FIELD_TYPE_ADDRESS: put_address(j, v.endpoint); break;
	case FIELD_TYPE_ID: put_id(j, v.number); break;
	case FIELD_TYPE_NAME: json_text(j, v.text); break;
	case FIELD_TYPE_FLAGS: put_anomalies(j, v.number); break;
	case FIELD_TYPE_BOOL: json_bool(j, v.number != 0); break;
	case FIELD_TYPE_MAP: labels_put(j, v.text); break;
	}
}

static void put_flags(struct json *j, uint32_t flags)
{
	json_key(j, "flags");
	json_array_begin(j);
	for (unsigned i = 0; i < MESSAGE_FLAG_COUNT; i++)
		if (flags >> i & 1)
			json_str(j, message_flag_name(i));
	json_array_end(j);
}

static void put_headers(struct json *j, const char *key, struct span lines, bool is_trailers)
{
	struct header_iter it = {.rest = lines, .is_trailers = is_trailers};

	json_key(j, key);
	json_array_begin(j);
	while (header_next(&it)) {
		json_object_begin(j);
		json_key_text(j, "name", it.name);
		json_key_text(j, "value", it.value);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_base64(struct json *j, const char *key, struct span s)
{
	json_key(j, key);
	json_base64(j, s);
}

/* octets as text where they are UTF-8 */
static void put_either(struct json *j, const char *key, const char *base64_key, struct span s)
{
	if (utf8_is_valid(s))
		json_key_text(j, key, s);
	else
		put_base64(j, base64_key, s);
}

/* what the reader of encoded octets had, as far as it can be told and is not too long; and why not all of it */
static void put_decoded(struct json *j, int r, struct span decoded, const struct err *e)
{
	if (r != -ENOENT && decoded.len <= DECODED_MAX)
		put_either(j, "decoded", "decoded_base64", decoded);
	else if (r >= 0)
		json_key_str(j, "decoding_error", "longer than 1 MiB when decoded");
	if (r < 0)
		json_key_text(j, "decoding_error", span_str(e->why));
}

static void put_body(struct json *j, const struct message *m)
{
	AUTO_BUF room = {0};
	struct span decoded;
	struct err e = {0};
	int r = content_decode(m, &room, &decoded, &e);

	put_either(j, "body", "body_base64", m->body);
	if (r)
		put_decoded(j, r, decoded, &e);
}

static void put_readable(struct json *j, const struct message *m)
{
	json_key_text(j, "start_line", message_start_line(m));
	put_headers(j, "headers", m->head, false);
	put_body(j, m);
	put_headers(j, "trailers", m->trailers, true);
}

static void put_exact(struct json *j, const struct message *m)
{
	put_base64(j, "head_base64", m->head);
	put_base64(j, "body_base64", m->body);
	put_base64(j, "framing_base64", m->framing);
	put_base64(j, "trailers_base64", m->trailers);
}

static void put_server_times(struct json *j, const struct message *m)
{
	if (!m->server_first_ns)
		return;
	json_key(j, "server_first");
	json_time(j, m->server_first_ns);
	json_key(j, "server_last");
	json_time(j, m->server_last_ns);
}

static void put_message(struct json *j, const struct message *m, enum exchange_json_part part)
{
	char version[8];

	if (part == EXCHANGE_JSON_SUMMARY)
		return;
	put_flags(j, m->flags);
	(void)snprintf(version, sizeof(version), "%u.%u", m->version / 10U, m->version % 10U);
	json_key_str(j, "version", version);
	json_key(j, "first");
	json_time(j, m->first_ns);
	json_key(j, "last");
	json_time(j, m->last_ns);
	put_server_times(j, m);
	if (part == EXCHANGE_JSON_MESSAGES)
		put_readable(j, m);
	else
		put_exact(j, m);
}

/* text fields that are not UTF-8, by their full names */
static void put_octets(struct json *j, const struct exchange *x)
{
	bool is_open = false;

	for (int i = 0; i < FIELD_COUNT; i++) {
		struct span text;

		if (field_rows[i].type != FIELD_TYPE_TEXT)
			continue;
		text = field_get(x, (enum field)i).text;
		if (utf8_is_valid(text))
			continue;
		if (!is_open) {
			json_key(j, "octets_base64");
			json_object_begin(j);
			is_open = true;
		}
		put_base64(j, field_rows[i].name, text);
	}
	if (is_open)
		json_object_end(j);
}

/* Which object a field stands in: the bytes of its name before the dot, with the dot; 0 for the
 * outer one. */
static size_t group_len(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? (size_t)(dot - name) + 1 : 0;
}

static void open_group(struct json *j, const char *name, size_t len)
{
	char key[32] = {0};

	if (len == 0 || len > sizeof(key))
		return;
	memcpy(key, name, len - 1);
	json_key(j, key);
	json_object_begin(j);
}

static void close_group(struct json *j, const char *name, size_t len, const struct exchange *x,
			enum exchange_json_part part)
{
	if (len == 0)
		return;
	if (strncmp(name, "request.", len) == 0)
		put_message(j, &x->request, part);
	else if (strncmp(name, "response.", len) == 0)
		put_message(j, &x->response, part);
	json_object_end(j);
}

/* numbers with a unit say so in their name; "pod.uid" is pod_uid, since pod itself is a text */
static void put_key(struct json *j, const struct field_row *row, size_t skip)
{
	char key[32];

	(void)snprintf(key, sizeof(key), "%s%s", row->name + skip,
		       row->type == FIELD_TYPE_DURATION ? "_ns" : "");
	for (char *dot = key; (dot = strchr(dot, '.'));)
		*dot = '_';
	json_key(j, key);
}

/* Fields of one protocol stand only where it was spoken, what is said of a pod where one is known. */
static bool is_of(const struct exchange *x, enum field f)
{
	switch ((int)f) {
	case FIELD_STREAM:
	case FIELD_H2_ERROR: return x->stream != 0 || x->h2_error != 0;
	case FIELD_GRPC_STATUS: return x->has_grpc_status;
	case FIELD_GRPC_SERVICE:
	case FIELD_GRPC_METHOD:
	case FIELD_GRPC_REQUESTS:
	case FIELD_GRPC_RESPONSES:
	case FIELD_GRPC_TIMEOUT: return x->protocol == PROTOCOL_GRPC;
	case FIELD_WS_SENT:
	case FIELD_WS_RECEIVED:
	case FIELD_WS_CLOSE_CODE: return x->protocol == PROTOCOL_WEBSOCKET;
	case FIELD_SSE_EVENTS: return exchange_messages(x, PROTOCOL_HTTP1, 1) != 0;
	case FIELD_WEIGHT: return x->weight > 1;
	case FIELD_WIRE: return x->wire_key != 0;
	case FIELD_SRC_IDENTITY:
	case FIELD_SRC_CERTAINTY: return x->src.who.source || x->src.who.certainty;
	case FIELD_DST_IDENTITY:
	case FIELD_DST_CERTAINTY: return x->dst.who.source || x->dst.who.certainty;
	case FIELD_DST_LATENCY: return exchange_is_seen_twice(x);
	case FIELD_SRC_WORKLOAD_KIND:
	case FIELD_SRC_CONTAINER:
	case FIELD_SRC_POD_UID:
	case FIELD_SRC_LABELS:
	case FIELD_SRC_ANNOTATIONS:
	case FIELD_DST_WORKLOAD_KIND:
	case FIELD_DST_CONTAINER:
	case FIELD_DST_POD_UID:
	case FIELD_DST_LABELS:
	case FIELD_DST_ANNOTATIONS: return field_get(x, f).text.len != 0;
	default: return true;
	}
}

/* all of a conversation together: one compressed message may be a bomb, and so may a thousand */
static void put_decoded_child(struct json *j, const struct child *c, struct wsdeflate *w,
			      size_t *left)
{
	AUTO_BUF room = {0};
	struct span decoded = {0};
	struct err e = {0};
	int r = wsdeflate_read(w, c, *left, &room, &decoded, &e);

	*left -= MIN(*left, decoded.len);
	put_decoded(j, r, decoded, &e);
}

static void put_child(struct json *j, const struct child *c, struct wsdeflate *w, size_t *left)
{
	json_object_begin(j);
	json_key(j, "time");
	json_time(j, c->time_ns);
	json_key_str(j, "from", c->is_from_server ? "server" : "client");
	json_key_str(j, "kind", child_kind_name(c->kind));
	json_key_u64(j, "size", c->bytes);
	if (c->is_compressed)
		json_key_bool(j, "compressed", true);
	if (c->is_cut || c->has_gap)
		json_key_bool(j, c->is_cut ? "cut" : "gap", true);
	put_either(j, "payload", "payload_base64", c->payload);
	if (c->is_compressed && w)
		put_decoded_child(j, c, w, left);
	json_object_end(j);
}

static void put_children(struct json *j, const struct exchange *x, enum exchange_json_part part)
{
	struct span row = x->children;
	size_t left = DECODED_MAX;
	AUTO(wsdeflate) w = NULL;
	struct child c;

	if (part == EXCHANGE_JSON_SUMMARY || row.len == 0)
		return;
	if (part == EXCHANGE_JSON_EXACT) {
		put_base64(j, "children_base64", row);
		return;
	}
	w = wsdeflate_new(x);
	json_key(j, "children");
	json_array_begin(j);
	while (child_next(&row, &c) == 1)
		put_child(j, &c, w, &left);
	json_array_end(j);
}

void exchange_to_json(struct json *j, const struct exchange *x, enum exchange_json_part part)
{
	const char *open = "";
	size_t open_len = 0;

	json_object_begin(j);
	for (int i = 0; i < FIELD_COUNT; i++) {
		const struct field_row *row = &field_rows[i];
		size_t len = group_len(row->name);

		if (!is_of(x, (enum field)i))
			continue;
		if (len != open_len || strncmp(open, row->name, len) != 0) {
			close_group(j, open, open_len, x, part);
			open_group(j, row->name, len);
			open = row->name;
			open_len = len;
		}
		put_key(j, row, len);
		put_value(j, (enum field_type)row->type, field_get(x, (enum field)i));
	}
	close_group(j, open, open_len, x, part);
	put_children(j, x, part);
	if (part == EXCHANGE_JSON_EXACT)
		put_octets(j, x);
	json_object_end(j);
}
