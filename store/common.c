// SPDX-License-Identifier: Apache-2.0
#include "store/common.h"

#include <assert.h>
#include <sqlite3.h>

#include "store/rollup.h"

/*
 * Theory of operation. A key is the row in the order of its columns, each value behind a letter for
 * its type, so that one loop binds any table: i 8 bytes; t, b 4 bytes of length and the text or
 * BLOB; a an address, which becomes text only when the row is really written.
 */
const char *const common_insert_sql[] = {
	[COMMON_PEER] = "INSERT INTO peer (id, ip, port, service, namespace, pod, workload, node,"
			" workload_kind, container, pod_uid, labels, annotations, source,"
			" certainty, since, until)"
			" VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[COMMON_KIND] =
		"INSERT INTO kind (id, dst, protocol, method, host, route, status, reason, "
		"anomalies,"
		" request_type, response_type, request_flags, response_flags, request_version,"
		" response_version, h2_error, grpc_status, close_code, weight, error)"
		" VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[COMMON_DICTIONARY] = "INSERT INTO dictionary (id, class, bytes) VALUES (?,?,?)",
	[COMMON_ROLLUP_KEY] = "INSERT INTO rollup_key (" ROLLUP_KEY_COLUMNS
			      ", src_waits, dst_waits) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
};

/*
 * A key is written once for each exchange: room for all of it is made first, and the values follow
 * without looking again.
 */
#define KIND_NUMBERS  13
#define PEER_NUMBERS  5
#define NUMBER_BYTES  (1 + sizeof(uint64_t))
#define TEXT_BYTES(s) (1 + sizeof(uint32_t) + (s).len)

static void add_number(struct buf *key, uint64_t v)
{
	key->ptr[key->len] = 'i';
	memcpy(key->ptr + key->len + 1, &v, sizeof(v));
	key->len += NUMBER_BYTES;
}

static void add_bytes(struct buf *key, char type, struct span s)
{
	uint32_t len = (uint32_t)s.len;

	key->ptr[key->len] = (uint8_t)type;
	memcpy(key->ptr + key->len + 1, &len, sizeof(len));
	if (len)
		memcpy(key->ptr + key->len + 1 + sizeof(len), s.ptr, len);
	key->len += TEXT_BYTES(s);
}

static void add_text(struct buf *key, struct span s)
{
	add_bytes(key, 't', s);
}

void common_dictionary_key(struct buf *key, struct span class_name, struct span bytes)
{
	buf_clear(key);
	if (!buf_reserve(key, TEXT_BYTES(class_name) + TEXT_BYTES(bytes)))
		return;
	add_text(key, class_name);
	add_bytes(key, 'b', bytes);
}

void common_peer_key(struct buf *key, const struct endpoint *end, bool is_server)
{
	const struct identity *who = &end->who;
	size_t bytes = 2 + sizeof(end->address) + PEER_NUMBERS * NUMBER_BYTES +
		       TEXT_BYTES(who->service) + TEXT_BYTES(who->name_space) +
		       TEXT_BYTES(who->pod) + TEXT_BYTES(who->workload) + TEXT_BYTES(who->node) +
		       TEXT_BYTES(who->workload_kind) + TEXT_BYTES(who->container) +
		       TEXT_BYTES(who->pod_uid) + TEXT_BYTES(who->labels) +
		       TEXT_BYTES(who->annotations);

	buf_clear(key);
	if (!buf_reserve(key, bytes))
		return;
	buf_add_char(key, 'a');
	buf_add(key, end->address, sizeof(end->address));
	buf_add_char(key, (char)end->is_ipv4);
	add_number(key, is_server ? end->port : 0);
	add_text(key, who->service);
	add_text(key, who->name_space);
	add_text(key, who->pod);
	add_text(key, who->workload);
	add_text(key, who->node);
	add_text(key, who->workload_kind);
	add_text(key, who->container);
	add_text(key, who->pod_uid);
	add_text(key, who->labels);
	add_text(key, who->annotations);
	add_number(key, who->source);
	add_number(key, who->certainty);
	add_number(key, who->since_ns);
	add_number(key, who->until_ns);
	assert(key->len == bytes); /* a column more is a value more */
}

void common_kind_key(struct buf *key, const struct exchange *x, uint64_t dst_peer)
{
	const struct message *q = &x->request, *s = &x->response;
	uint32_t request_absent =
		(x->host.ptr ? 0u : COMMON_NO_HOST) | (q->content_type.ptr ? 0u : COMMON_NO_TYPE);
	uint32_t response_absent = s->content_type.ptr ? 0u : COMMON_NO_TYPE;
	size_t bytes = KIND_NUMBERS * NUMBER_BYTES + TEXT_BYTES(x->method) + TEXT_BYTES(x->host) +
		       TEXT_BYTES(x->route) + TEXT_BYTES(q->content_type) +
		       TEXT_BYTES(s->content_type) + TEXT_BYTES(x->error);

	buf_clear(key);
	if (!buf_reserve(key, bytes))
		return;
	add_number(key, dst_peer);
	add_number(key, x->protocol);
	add_text(key, x->method);
	add_text(key, x->host);
	add_text(key, x->route);
	add_number(key, x->status);
	add_number(key, x->reason);
	add_number(key, x->anomalies);
	add_text(key, q->content_type);
	add_text(key, s->content_type);
	add_number(key, (q->flags & 0xffff) | request_absent);
	add_number(key, (s->flags & 0xffff) | response_absent);
	add_number(key, q->version);
	add_number(key, s->version);
	add_number(key, x->h2_error);
	add_number(key, x->has_grpc_status ? x->grpc_status : UINT64_MAX);
	add_number(key, x->close_code);
	add_number(key, MAX(x->weight, 1));
	add_text(key, x->error);
	assert(key->len == bytes); /* a column more is a value more */
}

/* The error is the last column. */
struct span common_kind_but_error(const struct buf *key, size_t error_bytes)
{
	return span_of(key->ptr, key->len - TEXT_BYTES(((struct span){NULL, error_bytes})));
}

void common_kind_any_error(struct buf *key, size_t error_bytes)
{
	key->len = common_kind_but_error(key, error_bytes).len;
	add_text(key, SPAN_LIT("*")); /* no longer than it was */
}

#define KEY_NUMBERS 8

static size_t names_bytes(const struct identity *who)
{
	return TEXT_BYTES(who->service) + TEXT_BYTES(who->name_space) + TEXT_BYTES(who->workload);
}

static void add_names(struct buf *key, const struct identity *who)
{
	add_text(key, who->service);
	add_text(key, who->name_space);
	add_text(key, who->workload);
}

void common_rollup_key(struct buf *key, const struct exchange *x, bool is_rough, uint64_t src,
		       uint64_t dst)
{
	struct span method = is_rough ? SPAN_LIT("*") : x->method;
	struct span route = is_rough ? SPAN_LIT("*") : x->route;

	buf_clear(key);
	if (!buf_reserve(key, KEY_NUMBERS * NUMBER_BYTES + TEXT_BYTES(method) + TEXT_BYTES(route) +
				      names_bytes(&x->src.who) + names_bytes(&x->dst.who)))
		return;
	add_number(key, x->protocol);
	add_text(key, method);
	add_text(key, route);
	add_number(key, x->status);
	add_number(key, x->outcome);
	add_number(key, x->reason);
	add_number(key, x->has_grpc_status ? x->grpc_status : 0);
	add_names(key, &x->src.who);
	add_number(key, x->dst.port);
	add_names(key, &x->dst.who);
	add_number(key, x->src.who.until_ns ? src : 0);
	add_number(key, x->dst.who.until_ns ? dst : 0);
}

static struct span bind_number(struct sqlite3_stmt *st, int at, struct span key)
{
	int64_t v;

	memcpy(&v, key.ptr, sizeof(v));
	(void)sqlite3_bind_int64(st, at, v);
	return span_from(key, sizeof(v));
}

static struct span bind_bytes(struct sqlite3_stmt *st, int at, struct span key, bool is_text)
{
	uint32_t len;

	memcpy(&len, key.ptr, sizeof(len));
	if (is_text)
		(void)sqlite3_bind_text(st, at, (const char *)key.ptr + sizeof(len), (int)len,
					SQLITE_STATIC);
	else
		(void)sqlite3_bind_blob(st, at, key.ptr + sizeof(len), (int)len, SQLITE_STATIC);
	return span_from(key, sizeof(len) + len);
}

static struct span bind_address(struct sqlite3_stmt *st, int at, struct span key)
{
	struct endpoint end = {0};
	char text[ENDPOINT_TEXT_MAX];

	memcpy(end.address, key.ptr, sizeof(end.address));
	end.is_ipv4 = key.ptr[sizeof(end.address)] != 0;
	(void)sqlite3_bind_text(st, at, endpoint_text(&end, text), -1, SQLITE_TRANSIENT);
	return span_from(key, sizeof(end.address) + 1);
}

void common_bind(struct sqlite3_stmt *st, uint64_t number, struct span key)
{
	(void)sqlite3_bind_int64(st, 1, (int64_t)number);
	for (int at = 2; key.len; at++) {
		uint8_t type = key.ptr[0];

		key = span_from(key, 1);
		if (type == 'i')
			key = bind_number(st, at, key);
		else if (type == 'a')
			key = bind_address(st, at, key);
		else
			key = bind_bytes(st, at, key, type == 't');
	}
}
