// SPDX-License-Identifier: Apache-2.0
/*
 * conn.h - one TCP connection as the message layer sees it: two streams in order, with holes
 *
 * wire/flow.c owns the connection table and reassembles; it calls the conn_*() functions below, in
 * packet order, for both directions of a connection. wire/conn.c recognises what is spoken and
 * feeds the protocol's parser; the door for protocols is wire/protocol.h.
 * Thread: capture.
 */
#pragma once

#include "lib/list.h"
#include "wire/pool.h"
#include "wire/wire.h"

enum conn_end {
	CONN_END_FIN,	  /* this direction ended in order: all its bytes before were delivered */
	CONN_END_RST,	  /* the sender of this direction reset the connection */
	CONN_END_IDLE,	  /* flow_timeout */
	CONN_END_EVICTED, /* to keep memory_max or flows_max */
	CONN_END_REUSED,  /* a new connection has taken the same ports */
	CONN_END_CAPTURE, /* the capture ends */
};

struct h2_finder;
struct conn_protocol; /* wire/conn.c: the functions of one protocol */

/* One end as a flow keeps it: a struct endpoint without the names, which would triple a half-open flow. */
struct conn_address {
	uint8_t address[16]; /* network order; IPv4 as ::ffff:a.b.c.d */
	uint16_t port;
	bool is_ipv4;
};

/* Embedded in a flow; the message layer's part of it. Directions are 0 and 1, as in the flow. */
struct conn {
	struct wire *wire;
	uint64_t id;		     /* exchange.connection */
	uint32_t netns;		     /* exchange.netns: where it was seen first */
	uint16_t share;		     /* exchange.share */
	struct conn_address ends[2]; /* ends[d] sends direction d */
	/* sequence number of offset 0 of each direction, as far as it is known */
	uint32_t first_seq[2];
	int8_t client;	   /* which direction is the client's: 0, 1, or -1 while unknown */
	bool is_midstream; /* no SYN was seen */
	bool was_cut[2];   /* the capture cut a packet of this direction (snaplen) */
	uint32_t sequence; /* requests so far */
	uint32_t searched; /* bytes of a joined connection that were searched for HTTP/2 */
	/* of that search, from wire->pool; NULL while there is none */
	struct h2_finder *finders[2];
	const struct conn_protocol *protocol; /* NULL while not recognised */
	void *state;			      /* the protocol's, from wire->pool; NULL while none */
};

/*
 * Stream offsets count from 0 at the first byte of a direction (the byte after SYN; midstream: the
 * first byte seen). They are exact across holes and sequence wrap.
 */

/* conn_open() - @c's first four fields and is_midstream are set; client is set when a SYN told it */
void conn_open(struct conn *c, uint64_t ts_ns);
/**
 * conn_data() - the next bytes of direction @dir, in order
 * @offset: of bytes.ptr[0] in this direction
 * @acked:  bytes of the opposite direction that the sender of this packet had acknowledged, as an
 *          offset there; UINT64_MAX when not known. It tells which response a request answers to.
 * @bytes:  borrowed for the call
 * @ts_ns:  of the packet that carried them
 */
void conn_data(struct conn *c, unsigned dir, uint64_t offset, uint64_t acked, struct span bytes,
	       uint64_t ts_ns) HOT;
/* conn_gap() - @len bytes at @offset were sent (they were acknowledged or passed over) but not captured */
void conn_gap(struct conn *c, unsigned dir, uint64_t offset, uint64_t len, uint64_t ts_ns);
/* conn_end() - direction @dir ended; RST, IDLE, EVICTED, REUSED and CAPTURE end both and come once */
void conn_end(struct conn *c, unsigned dir, enum conn_end how, uint64_t ts_ns);
/* conn_close() - the flow is forgotten: hand out what is pending, give all memory back */
void conn_close(struct conn *c);
/* conn_overlap() - bytes of @dir came twice with different content; the first were delivered */
void conn_overlap(struct conn *c, unsigned dir);
/* conn_tick() - exchanges of all connections of @w whose time is over (wire->pending is in order) */
void conn_tick(struct wire *w, uint64_t now_ns);
/* conn_wants_data() - false once nothing more of @dir is understood (tunnel, TLS): bytes are counted, not delivered */
bool conn_wants_data(const struct conn *c, unsigned dir);
/*
 * conn_kind() - which row of the connections account it ends in: COUNTER_CONNECTIONS_HTTP1, _HTTP2,
 * _TLS or _OTHER. Asked once, after the last conn_end() and before conn_close(), and only of
 * connections that had bytes; the flow counts those without as COUNTER_CONNECTIONS_EMPTY.
 */
enum counter conn_kind(const struct conn *c);
/* conn_endpoint() - that end as exchanges carry it, nameless */
static inline struct endpoint conn_endpoint(const struct conn *c, unsigned end)
{
	struct endpoint e = {.port = c->ends[end].port, .is_ipv4 = c->ends[end].is_ipv4};

	memcpy(e.address, c->ends[end].address, sizeof(e.address));
	return e;
}
