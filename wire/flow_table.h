// SPDX-License-Identifier: Apache-2.0
/*
 * flow_table.h - places for connections: found by both ends, listed by how dear they are
 *
 * For wire/flow.c alone, which says what a connection does. Thread: capture.
 */
#pragma once

#include "wire/flow.h"
#include "wire/stream.h"

/* In the order in which they give their places up. */
enum flow_class { FLOW_CLOSED, FLOW_HALF_OPEN, FLOW_IGNORED, FLOW_ACTIVE, FLOW_CLASS_COUNT };

struct flow {
	struct conn conn;
	struct stream streams[2];
	struct list link;    /* flow_table::classes[class] */
	struct list waiting; /* flow_table::waiting; empty when it does not wait */
	/* time of its newest packet, to within TOUCH_NS; when closed: since then */
	uint64_t touched_ns;
	uint64_t waiting_ns; /* when it was put into the list */
	/* time of a RST that was believed but not yet carried out; 0 for none */
	uint64_t reset_ns;
	uint32_t hash;
	uint32_t next; /* index in the bucket's chain or of the next free place */
	uint32_t netns;
	uint8_t class; /* enum flow_class */
	uint8_t reset_dir;
	bool has_bytes;
};

struct flow_table {
	struct wire *wire;
	struct flow *flows;
	uint32_t *buckets; /* index of the first flow, NO_FLOW for none */
	size_t memory_bytes;
	uint32_t bucket_mask;
	uint32_t flow_count;
	uint32_t touched; /* places ever used */
	uint32_t free;	  /* first of the places that came back */
	struct list classes[FLOW_CLASS_COUNT];
	struct list waiting;
	struct stream_host host;
};

/* Both ends in a fixed order. No padding: its bytes are hashed. */
struct flow_key {
	uint8_t address[2][16];
	uint16_t port[2];
	uint32_t netns; /* 0 but for loopback addresses and sources that are apart */
};
_Static_assert(sizeof(struct flow_key) == 40, "padding would be hashed");

/* flow_key_of() - Return: the packet's direction: its sender is end 0 or 1 */
unsigned flow_key_of(struct flow_key *k, const struct packet *p,
		     const struct wire_source *source) HOT;
/* flow_find() - the connection of that key, or NULL. @hash_out: for flow_place() */
struct flow *flow_find(const struct flow_table *t, const struct flow_key *k,
		       uint32_t *hash_out) HOT;
/**
 * flow_place() - a place for a new connection, found from now on
 *
 * Return: zeroed but for its lists, streams, hash and netns, in class FLOW_HALF_OPEN, its conn's ends
 * yet to be set; NULL when no place is free: flow_forget() one.
 */
struct flow *flow_place(struct flow_table *t, const struct flow_key *k, uint32_t hash);
/* flow_is_used() - it was placed and not yet forgotten. For places below touched. */
static inline bool flow_is_used(const struct flow *f)
{
	return !list_is_empty(&f->link);
}
/* flow_forget() - its place is free; the message layer was told before */
void flow_forget(struct flow_table *t, struct flow *f);
/* flow_set_class() - and it is the youngest of that class */
void flow_set_class(struct flow_table *t, struct flow *f, enum flow_class which);
/* flow_oldest() - the one of the class that was silent longest, or NULL */
struct flow *flow_oldest(const struct flow_table *t, enum flow_class which);
/* flow_table_reserve() - memory for @flows_max places. NULL: out of memory. */
struct flow_table *flow_table_reserve(struct wire *w, size_t flows_max) MUST_USE;
