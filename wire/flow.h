// SPDX-License-Identifier: Apache-2.0
/*
 * flow.h - the TCP connections of a capture: which segment belongs to which, and when one is over
 *
 * The table has a fixed number of places. It feeds wire/conn.h with both directions of each
 * connection and keeps the accounts of packets, bytes and connections. Thread: capture.
 */
#pragma once

#include "wire/internal.h"
#include "wire/packet.h"

struct flow_table;

/* flow_bytes() - memory that a table for @flows_max connections takes at most [bytes] */
size_t flow_bytes(size_t flows_max);
/* flow_table_new() - for w->config.flows_max connections; w->pool is there. NULL: out of memory. */
struct flow_table *flow_table_new(struct wire *w) MUST_USE;
void flow_table_free(struct flow_table *t); /* drops what is left in it, untold */
/* flow_packet() - a TCP segment; counts it in the packets account. @ts_ns: of the packet. */
void flow_packet(struct flow_table *t, const struct packet *p, const struct wire_source *source,
		 uint64_t ts_ns) HOT;
/* flow_tick() - holes and resets whose waiting is over, connections that were silent too long */
void flow_tick(struct flow_table *t, uint64_t now_ns);
/* flow_flush() - the capture ends: so do all connections */
void flow_flush(struct flow_table *t, uint64_t now_ns);
/* flow_flush_netns() - those that were captured apart in one namespace */
void flow_flush_netns(struct flow_table *t, uint32_t netns, uint64_t now_ns);
