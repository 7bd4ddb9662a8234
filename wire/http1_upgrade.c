// SPDX-License-Identifier: Apache-2.0
#include "wire/http1_upgrade.h"

#include "wire/http2.h"
#include "wire/internal.h"
#include "wire/noted.h"
#include "wire/protocol.h"
#include "wire/websocket.h"

/*
 * Theory of operation. A server that agrees answers 101 and speaks the other protocol from the next
 * octet on. With HTTP/2 the request goes over: its answer comes on stream 1. With WebSocket the
 * exchange goes over: the conversation is part of it.
 */

static bool is_switch(const struct pair *p)
{
	return p && draft_has_begun(&p->request) && p->response.info.status == 101;
}

/* RFC 7540 3.2: whoever asked says h2c */
static bool is_h2c(const struct conn *c, const struct pair *p)
{
	struct message request = {.head = draft_head(&p->request, c->wire)};

	return noted_has_token(message_header(&request, "Upgrade"), "h2c");
}

static void become_http2(struct conn *c, struct pairs *pairs, uint64_t ts_ns)
{
	struct draft request;

	if (pairs->asking)
		pair_end_request(pairs, false, ts_ns);
	pair_take_request(pairs, &request);
	conn_become(c, &http2_conn_protocol);
	http2_upgraded(c, &request, ts_ns);
}

/* RFC 6455 4.2.2: whoever answers says websocket */
static bool is_websocket(const struct conn *c, const struct pair *p)
{
	struct message response = {.head = draft_head(&p->response, c->wire)};

	return noted_has_token(message_header(&response, "Upgrade"), "websocket");
}

static void become_websocket(struct conn *c, struct pairs *pairs, uint64_t ts_ns)
{
	struct pair *p;

	if (pairs->asking)
		pair_end_request(pairs, false, ts_ns);
	p = pair_take(pairs);
	conn_become(c, &websocket_conn_protocol);
	if (c->state) {
		websocket_opened(c, p, ts_ns);
	} else {
		struct pairs none;

		pairs_init(&none, c);
		p->owner = &none;
		pair_leave(p, OUTCOME_INCOMPLETE, REASON_EVICTED);
	}
}

bool http1_upgrade(struct conn *c, struct pairs *pairs, uint64_t ts_ns)
{
	static const struct {
		bool (*is_it)(const struct conn *c, const struct pair *p);
		void (*become)(struct conn *c, struct pairs *pairs, uint64_t ts_ns);
	} protocols[] = {{is_h2c, become_http2}, {is_websocket, become_websocket}};

	if (!is_switch(pairs->answering))
		return false;
	for (size_t i = 0; i < COUNT_OF(protocols); i++) {
		if (protocols[i].is_it(c, pairs->answering)) {
			protocols[i].become(c, pairs, ts_ns);
			return true;
		}
	}
	return false;
}
