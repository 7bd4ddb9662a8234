// SPDX-License-Identifier: Apache-2.0
/* some_exchange.h - exchanges for tests: random ones with every field, and whether two are equal */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "schema/exchange.h"
#include "schema/fields.h"

/* xorshift: the same on every machine */
static inline uint64_t some_number(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static inline bool some_chance(uint64_t *seed, unsigned percent)
{
	return some_number(seed) % 100 < percent;
}

/* Bytes in @room: text, sometimes any bytes, sometimes none, sometimes absent. */
static inline struct span some_bytes(uint64_t *seed, uint8_t **room, size_t max, bool may_be_absent)
{
	struct span s = {*room, some_number(seed) % (max + 1)};
	bool is_binary = some_chance(seed, 15);

	if (some_chance(seed, 10))
		s.len = 0;
	if (may_be_absent && s.len == 0 && some_chance(seed, 50))
		return (struct span){0};
	for (size_t i = 0; i < s.len; i++)
		(*room)[i] = is_binary ? (uint8_t)some_number(seed)
				       : (uint8_t)("abcdefgh/-{}?. \r\n%"[some_number(seed) % 18]);
	*room += s.len;
	return s;
}

/* A few values that come again and again. */
static inline struct span some_name(uint64_t *seed)
{
	static const char *const names[] = {"",	   "cart",    "shop",  "web-7f9c",
					    "pay", "caf\xe9", "node-1"};

	return span_str(names[some_number(seed) % COUNT_OF(names)]);
}

/* In the form that schema/labels.h gives them. */
static inline struct span some_labels(uint64_t *seed)
{
	static const char *const labels[] = {
		"", "", "{\"app\":\"cart\"}", "{\"app\":\"web\",\"tier\":\"\"}",
		"{\"a\\\"b\":\"c\\\\d\",\"app\":\"caf\303\251\"}"};

	return span_str(labels[some_number(seed) % COUNT_OF(labels)]);
}

static inline struct endpoint some_endpoint(uint64_t *seed)
{
	struct endpoint end = {.port = (uint16_t)some_number(seed),
			       .is_ipv4 = some_chance(seed, 70)};

	for (size_t i = 0; i < 16; i++)
		end.address[i] = (uint8_t)(some_number(seed) % 4);
	if (end.is_ipv4) {
		memset(end.address, 0, 10);
		end.address[10] = end.address[11] = 0xff;
	}
	end.who = (struct identity){.service = some_name(seed),
				    .name_space = some_name(seed),
				    .pod = some_name(seed),
				    .workload = some_name(seed),
				    .node = some_name(seed),
				    .workload_kind = some_name(seed),
				    .container = some_name(seed),
				    .pod_uid = some_name(seed),
				    .labels = some_labels(seed),
				    .annotations = some_labels(seed),
				    .source = (uint8_t)(some_number(seed) % IDENTITY_SOURCE_COUNT),
				    .certainty = (uint8_t)(some_number(seed) % CERTAINTY_COUNT)};
	return end;
}

static inline struct message some_message(uint64_t *seed, uint8_t **room, uint64_t start_ns)
{
	struct message m = {
		.flags = (uint32_t)(some_number(seed) & ((1u << MESSAGE_FLAG_COUNT) - 1)),
		.version = (uint8_t)(some_chance(seed, 80) ? 11 : some_number(seed)),
	};

	if (!(m.flags & MESSAGE_PRESENT) && some_chance(seed, 90))
		return m;
	m.head = some_chance(seed, 50) ? span_str("GET /cart HTTP/1.1\r\nHost: shop\r\n\r\n")
				       : some_bytes(seed, room, 300, true);
	m.body = some_bytes(seed, room, some_chance(seed, 10) ? 40000 : 400, true);
	if (some_chance(seed, 30))
		m.body = span_str(
			"the same words again and again, as a service says them every time");
	m.framing = some_chance(seed, 20) ? some_bytes(seed, room, 40, true) : (struct span){0};
	m.trailers = some_chance(seed, 10) ? some_bytes(seed, room, 40, true) : (struct span){0};
	m.content_type = some_chance(seed, 60) ? span_str("application/json")
					       : some_bytes(seed, room, 20, true);
	m.body_bytes = some_chance(seed, 80) ? m.body.len : some_number(seed) >> 1;
	m.first_ns =
		some_chance(seed, 90) ? start_ns + some_number(seed) % 1000000 : some_number(seed);
	m.last_ns = some_chance(seed, 95) ? m.first_ns + some_number(seed) % 1000000 : 0;
	return m;
}

static inline void some_target(uint64_t *seed, uint8_t **room, struct exchange *x)
{
	x->method = some_chance(seed, 80) ? span_str("GET") : some_bytes(seed, room, 10, false);
	x->target =
		some_chance(seed, 50) ? span_str("/cart?q=1") : some_bytes(seed, room, 200, false);
	x->path = some_chance(seed, 70)
			  ? span_of(x->target.ptr,
				    x->target.len ? some_number(seed) % x->target.len : 0)
			  : some_bytes(seed, room, 60, false);
	x->route = some_chance(seed, 50) ? x->path : some_bytes(seed, room, 30, false);
	if (some_chance(seed, 30)) {
		x->path = span_str("/cart/17/lines");
		x->target = span_str("/cart/17/lines?all");
		x->route = span_str(some_chance(seed, 50) ? "/cart/{}/lines" : "/{}/{}/lines");
	}
	if (some_chance(seed, 30))
		x->error = some_chance(seed, 50) ? span_str("no item {}") : some_bytes(seed, room, 40, false);
	x->host = some_chance(seed, 60) ? span_str("shop:8080") : some_bytes(seed, room, 20, true);
}

/* What HTTP/2, gRPC, WebSocket and event streams add. */
static inline void some_messages(uint64_t *seed, uint8_t **room, struct exchange *x)
{
	bool is_counting = x->protocol != PROTOCOL_UNKNOWN && some_chance(seed, 60);

	if (x->protocol == PROTOCOL_HTTP2 || x->protocol == PROTOCOL_GRPC) {
		x->stream = (uint32_t)some_number(seed) | 1;
		x->h2_error = some_chance(seed, 20) ? (uint32_t)some_number(seed) % 14 : 0;
	}
	if (x->protocol == PROTOCOL_GRPC) {
		x->path = some_chance(seed, 70) ? span_str("/shop.v1.Cart/Add") : x->path;
		x->has_grpc_status = some_chance(seed, 80);
		x->grpc_status = x->has_grpc_status ? (uint16_t)(some_number(seed) % 17) : 0;
		x->grpc_timeout_ns = some_chance(seed, 50) ? some_number(seed) >> 10 : 0;
	}
	if (x->protocol == PROTOCOL_WEBSOCKET)
		x->close_code = some_chance(seed, 50) ? 1000 : 1006;
	if (is_counting)
		x->messages[1] = 1 + some_number(seed) % 1000;
	if (is_counting && x->protocol != PROTOCOL_HTTP1 && x->protocol != PROTOCOL_HTTP2)
		x->messages[0] = some_number(seed) % 1000;
	if (is_counting)
		x->children = some_bytes(seed, room, 300, false);
}

/* Its server's end may have been captured, too, or one of its messages there. */
static inline void some_server_times(uint64_t *seed, struct exchange *x)
{
	struct message *sides[] = {&x->request, &x->response};

	for (size_t i = 0; i < COUNT_OF(sides) && some_chance(seed, 30); i++) {
		if (sides[i]->first_ns > INT64_MAX / 2) /* no time that can be written */
			continue;
		sides[i]->server_first_ns = sides[i]->first_ns + 1 + some_number(seed) % 1000000;
		sides[i]->server_last_ns = sides[i]->server_first_ns + some_number(seed) % 1000;
	}
}

#define SOME_ROOM 200000 /* bytes that an exchange's spans may take */

/* A random exchange around @start_ns; its spans point into @room, and to constants. */
static inline struct exchange some_exchange(uint64_t *seed, uint64_t start_ns, uint8_t *room)
{
	static const char *const traces[] = {"",
					     "80f198ee56343ba864fe8b2a57d3eff7",
					     "80F198ee56343ba864fe8b2a57d3eff7",
					     "e457b5a2e4d86bd1",
					     "req-17",
					     "0123456789abcdef0123456789abcdeg"};
	struct exchange x = {
		.start_ns = start_ns,
		.connection = some_number(seed) >> 1,
		.wire_key = some_number(seed) % 3 ? 0 : some_number(seed) >> 1,
		.sequence = (uint32_t)some_number(seed),
		.weight = some_chance(seed, 80) ? 1 : (uint32_t)(some_number(seed) % 1000),
		.status = (uint16_t)(some_chance(seed, 70) ? 200 : some_number(seed)),
		.protocol = (uint8_t)(some_number(seed) % PROTOCOL_COUNT),
		.outcome = (uint8_t)(some_number(seed) % OUTCOME_COUNT),
		.reason = (uint8_t)(some_number(seed) % REASON_COUNT),
		.anomalies = some_chance(seed, 50) ? 0 : some_number(seed) >> 1,
		.src = some_endpoint(seed),
		.dst = some_endpoint(seed),
		.trace_id = span_str(traces[some_number(seed) % COUNT_OF(traces)]),
		.replay_of = some_chance(seed, 80) ? (struct span){0} : span_str("01J/7ZZZ"),
	};

	some_target(seed, &room, &x);
	x.request = some_message(seed, &room, start_ns);
	x.response = some_message(seed, &room, start_ns + 1000);
	if (some_chance(seed, 70))
		x.request.first_ns = start_ns;
	some_server_times(seed, &x);
	some_messages(seed, &room, &x);
	exchange_split_grpc(&x);
	return x;
}

static inline bool some_same_field(const struct exchange *a, const struct exchange *b, enum field f)
{
	struct field_value x = field_get(a, f), y = field_get(b, f);

	if (field_rows[f].type == FIELD_TYPE_ADDRESS)
		return memcmp(x.endpoint->address, y.endpoint->address, 16) == 0 &&
		       x.endpoint->is_ipv4 == y.endpoint->is_ipv4;
	return x.number == y.number && span_eq(x.text, y.text);
}

static inline bool some_same_message(const struct message *a, const struct message *b)
{
	return span_eq(a->head, b->head) && span_eq(a->body, b->body) &&
	       span_eq(a->framing, b->framing) && span_eq(a->trailers, b->trailers);
}

/* What a row says without its messages. */
static inline bool some_same_summary(const struct exchange *a, const struct exchange *b)
{
	const struct message *m[] = {&a->request, &b->request, &a->response, &b->response};

	for (enum field f = 0; f < FIELD_COUNT; f++)
		if (!some_same_field(a, b, f)) {
			(void)fprintf(stderr, "field %s differs\n", field_rows[f].name);
			return false;
		}
	for (size_t i = 0; i < 4; i += 2)
		if (m[i]->flags != m[i + 1]->flags || m[i]->version != m[i + 1]->version ||
		    m[i]->first_ns != m[i + 1]->first_ns || m[i]->last_ns != m[i + 1]->last_ns ||
		    m[i]->server_first_ns != m[i + 1]->server_first_ns ||
		    m[i]->server_last_ns != m[i + 1]->server_last_ns ||
		    !m[i]->content_type.ptr != !m[i + 1]->content_type.ptr)
			return false;
	return !a->host.ptr == !b->host.ptr && a->protocol == b->protocol &&
	       a->outcome == b->outcome && a->reason == b->reason && a->start_ns == b->start_ns;
}

static inline bool some_same_exchange(const struct exchange *a, const struct exchange *b)
{
	return some_same_summary(a, b) && some_same_message(&a->request, &b->request) &&
	       some_same_message(&a->response, &b->response) && span_eq(a->children, b->children) &&
	       a->has_grpc_status == b->has_grpc_status;
}
