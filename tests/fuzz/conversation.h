// SPDX-License-Identifier: Apache-2.0
/*
 * conversation.h - one connection of hostile bytes, cuts, holes and ends, for the fuzz drivers of wire/
 *
 * Nothing may break, every request has an account, all memory comes back. Input: a byte of which bit 0 says that
 * it was joined midstream, then records of a control byte, a length byte and so many bytes.
 */
#pragma once

#include "schema/child.h"
#include "wire/internal.h"

#include <assert.h>
#include <stdlib.h>

struct talk {
	struct conn conn;
	uint64_t sent[2];
	uint64_t now_ns;
	bool is_over;
};

static inline void *reserve(void *ctx, size_t bytes)
{
	(void)ctx;
	return bytes % 7 ? malloc(bytes) : NULL; /* sometimes the queue is full */
}

static inline void look_at(struct span s)
{
	volatile uint8_t sum = 0;

	for (size_t i = 0; i < s.len; i++)
		sum = (uint8_t)(sum + s.ptr[i]);
}

static inline void commit(void *ctx, struct exchange *x)
{
	const struct message *both[] = {&x->request, &x->response};
	struct child child;

	(void)ctx;
	look_at(x->method);
	look_at(x->target);
	look_at(x->path);
	look_at(x->route);
	look_at(x->host);
	look_at(x->trace_id);
	look_at(x->replay_of);
	for (size_t i = 0; i < COUNT_OF(both); i++) {
		look_at(both[i]->head);
		look_at(both[i]->body);
		look_at(both[i]->framing);
		look_at(both[i]->trailers);
		look_at(both[i]->content_type);
	}
	look_at(x->children);
	for (struct span row = x->children; child_next(&row, &child) == 1;)
		look_at(child.payload);
	free(x);
}

static inline void do_something_else(struct talk *t, unsigned what, unsigned dir, size_t len)
{
	static const enum conn_end ends[] = {CONN_END_RST, CONN_END_IDLE, CONN_END_EVICTED,
					     CONN_END_REUSED};

	switch (what) {
	case 0:
		conn_gap(&t->conn, dir, t->sent[dir], len + 1, t->now_ns);
		t->sent[dir] += len + 1;
		break;
	case 1: conn_end(&t->conn, dir, CONN_END_FIN, t->now_ns); break;
	case 2:
		conn_end(&t->conn, dir, ends[len % COUNT_OF(ends)], t->now_ns);
		t->is_over = true;
		break;
	default:
		conn_overlap(&t->conn, dir);
		t->now_ns += len * NS_PER_S;
		conn_tick(t->conn.wire, t->now_ns);
		break;
	}
}

/* control: bit 0 direction, bits 1-2 mostly 0 for data, bit 3 no acknowledgement, bit 4 a copy of all that is left */
static inline size_t take_record(struct talk *t, const uint8_t *data, size_t size)
{
	unsigned control = data[0], dir = control & 1, what = control >> 5;
	size_t len = MIN((size_t)data[1], size - 2);
	uint64_t acked = control & 8
				 ? UINT64_MAX
				 : t->sent[!dir] - MIN(t->sent[!dir], (uint64_t)(control >> 1 & 3));
	uint8_t *bytes;

	if (what >= 4) {
		do_something_else(t, what - 4, dir, len);
		return 2;
	}
	if (control & 16)
		len = size - 2;
	if (!conn_wants_data(&t->conn, dir))
		return 2 + len;
	bytes = malloc(len ? len : 1); /* so that ASan sees the end */
	memcpy(bytes, data + 2, len);
	conn_data(&t->conn, dir, t->sent[dir], acked, span_of(bytes, len), t->now_ns);
	free(bytes);
	t->sent[dir] += len;
	t->now_ns += NS_PER_MS;
	return 2 + len;
}

static inline void say(struct talk *t, unsigned dir, struct span bytes)
{
	if (bytes.len && conn_wants_data(&t->conn, dir))
		conn_data(&t->conn, dir, t->sent[dir], t->sent[!dir], bytes, t->now_ns);
	t->sent[dir] += bytes.len;
}

/* converse() - @first are said by the client and the server before the input, unless it was joined midstream */
static inline void converse(const uint8_t *data, size_t size, const struct span first[2])
{
	struct counters counters = {0};
	struct wire_config config = wire_config_default();
	struct wire_sink sink = {.reserve = reserve, .commit = commit};
	struct talk t = {.now_ns = NS_PER_S};
	struct wire *w;

	if (size < 3)
		return;
	config.memory_max = 256 << 10;
	config.flows_max = 4;
	config.body_max = 512;
	config.head_max = 1024;
	config.part_interval_ns = 2 * NS_PER_S;
	config.part_messages = 5;
	w = wire_new(&config, &sink, &counters);
	assert(w);
	t.conn = (struct conn){
		.wire = w, .id = 1, .is_midstream = data[0] & 1, .client = data[0] & 1 ? -1 : 0};
	conn_open(&t.conn, t.now_ns);
	for (unsigned dir = 0; dir < 2 && !t.conn.is_midstream; dir++)
		say(&t, dir, first[dir]);
	for (size_t at = 1; at + 2 < size && !t.is_over;)
		at += take_record(&t, data + at, size - at);
	(void)conn_kind(&t.conn);
	conn_close(&t.conn);
	assert(counters_balance(&counters, COUNTER_ACCOUNT_REQUESTS) == 0);
	assert(counter_get(&counters, COUNTER_REQUESTS_OPEN) == 0);
	assert(pool_used_bytes(w->pool) == 0);
	assert(w->decoder_bytes == 0);
	wire_free(w);
}
