// SPDX-License-Identifier: Apache-2.0
/*
 * wire.h - packets in, exchanges out: a pure core without I/O, clock, threads or globals
 *
 * One struct wire belongs to one thread (Thread: capture) and follows all its connections. Time
 * comes with the packets and through wire_tick(). The same core serves live capture, files, tests,
 * fuzzers; its HTTP/1 parser (wire/http1.h) also reads the answers in a replay.
 */
#pragma once

#include "lib/err.h"
#include "schema/counters.h"
#include "schema/exchange.h"

struct wire;

struct wire_config {
	size_t memory_max;	      /* bytes for connections, held segments and messages */
	size_t flows_max;	      /* connections at once */
	size_t body_max;	      /* bytes kept of a body */
	size_t head_max;	      /* bytes kept of a head */
	uint64_t exchange_timeout_ns; /* since the request's last byte */
	uint64_t flow_timeout_ns;     /* since the connection's last packet */
	/* what is under way is written so often; 0: only for its size */
	uint64_t part_interval_ns;
	uint64_t part_messages; /* WebSocket messages, events, gRPC messages in one part */
	/* of the connection table: random, so that no peer can aim at one bucket */
	uint64_t hash_seed;
	bool is_redacting;
	uint8_t redact_key[32]; /* keys the tags that stand for secrets */
	/* borrowed for wire_new(); NULL-terminated, may be NULL */
	const char *const *redact_headers;
	/* borrowed for wire_new(); NULL-terminated, may be NULL */
	const char *const *redact_params;
};

/* wire_config_default() - the defaults of schema/settings.tbl.h */
struct wire_config wire_config_default(void);

/*
 * Where exchanges go. reserve() gives @bytes of memory aligned for struct exchange, or NULL when
 * there is no room (the exchange is then counted as REQUESTS_QUEUE_FULL and dropped whole). wire/
 * fills it with the exchange and everything its spans point to, and hands it on with commit():
 * @x is the beginning of that memory. At most one reservation is open; each is committed before the
 * wire_*() call that made it returns. x->id is 0 and x->src/dst.who are empty: the receiver knows.
 */
struct wire_sink {
	void *ctx;
	void *(*reserve)(void *ctx, size_t bytes);
	void (*commit)(void *ctx, struct exchange *x);
	/* before reserve(): may one more of that share be handed out? It is counted as REQUESTS_SHARE and
	   dropped whole otherwise. NULL: always. */
	bool (*may_take)(void *ctx, uint16_t share, size_t bytes);
};

/**
 * wire_new() - a decoder that follows no connection yet
 * @sink:     copied; its ctx must outlive the decoder
 * @counters: written by the calling thread; must outlive the decoder
 *
 * Return: owned by the caller, free with wire_free(); NULL when out of memory.
 */
struct wire *wire_new(const struct wire_config *config, const struct wire_sink *sink,
		      struct counters *counters) MUST_USE;
/* wire_free() - forget everything at once; call wire_flush() first to hand out what is pending */
void wire_free(struct wire *w);
AUTO_DEFINE(wire, wire_free)

#define WIRE_SHARES 1024 /* POOL_OWNERS */

/* Where a packet was captured. */
struct wire_source {
	int linktype; /* DLT_ or LINKTYPE_ number as libpcap gives it */
	/* inode of the network namespace: tells loopback addresses apart; 0 unknown */
	uint32_t netns;
	/* it tells all addresses apart: what is seen there is a view of its own */
	bool is_apart;
	/* whose share of memory its connections take, below WIRE_SHARES; 0: nobody's in particular */
	uint16_t share;
};

/**
 * wire_packet() - one packet off the wire
 * @ts_ns:  its capture time [ns since 1970]
 * @bytes:  what was captured of it; borrowed for the call
 * @length: its length on the wire [bytes], >= bytes.len
 *
 * No allocation, no system call, no lock: memory comes from a pool made at start.
 */
void wire_packet(struct wire *w, const struct wire_source *source, uint64_t ts_ns,
		 struct span bytes, size_t length) HOT;

/* wire_tick() - time goes on: unanswered requests time out, silent connections are forgotten */
void wire_tick(struct wire *w, uint64_t now_ns);
/* wire_flush() - the capture ends: every request that waits becomes an exchange with its reason */
void wire_flush(struct wire *w);
/* wire_flush_netns() - likewise for what was captured apart in one namespace, which is gone */
void wire_flush_netns(struct wire *w, uint32_t netns);
/* wire_set_redaction() - new rules from a reload; strings are copied. Return: 0 or -ENOMEM. */
int wire_set_redaction(struct wire *w, bool is_redacting, const char *const *headers,
		       const char *const *params) MUST_USE;
