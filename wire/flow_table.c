// SPDX-License-Identifier: Apache-2.0
#include "wire/flow_table.h"

#include <stdlib.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/*
 * Theory of operation
 *
 * A hash table with chaining over an array of places that is reserved once and touched as far as it
 * was ever filled; places that came back are taken first. The key is both ends in a fixed order, so
 * the two directions of a connection find the same place, and its hash is seeded. Loopback addresses
 * mean another host in each network namespace: for them the namespace is part of the key; others are
 * one connection wherever they are captured, which makes the second copy of a packet a retransmission.
 * Not so where a source is apart, as a pod is: both ends' views of a connection are followed, each
 * with its own timing, and an address that another pod takes over is not confused with the first.
 *
 * Every place in use is in the list of its class, the one that was silent longest first.
 */

#define NO_FLOW UINT32_MAX

static bool is_loopback(const uint8_t a[16], bool is_ipv4)
{
	static const uint8_t one[16] = {[15] = 1};

	return is_ipv4 ? a[12] == 127 : memcmp(a, one, 16) == 0;
}

/* memcmp() of 16 bytes, without the call */
static int order_of(const uint8_t *a, const uint8_t *b)
{
	for (unsigned i = 0; i < 16; i += 8) {
		uint64_t x, y;

		memcpy(&x, a + i, 8);
		memcpy(&y, b + i, 8);
		if (x != y)
			return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
	}
	return 0;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "order_of() swaps");

unsigned flow_key_of(struct flow_key *k, const struct packet *p, const struct wire_source *source)
{
	int order = order_of(p->src, p->dst);
	unsigned dir = order > 0 || (order == 0 && p->src_port > p->dst_port);

	memcpy(k->address[dir], p->src, 16);
	memcpy(k->address[!dir], p->dst, 16);
	k->port[dir] = p->src_port;
	k->port[!dir] = p->dst_port;
	k->netns =
		source->is_apart || UNLIKELY(is_loopback(p->src, p->is_ipv4)) ? source->netns : 0;
	return dir;
}

static bool has_key(const struct flow *f, const struct flow_key *k)
{
	const struct conn_address *a = f->conn.ends;

	return f->netns == k->netns && a[0].port == k->port[0] && a[1].port == k->port[1] &&
	       memcmp(a[0].address, k->address[0], 16) == 0 &&
	       memcmp(a[1].address, k->address[1], 16) == 0;
}

struct flow *flow_find(const struct flow_table *t, const struct flow_key *k, uint32_t *hash_out)
{
	uint32_t hash = (uint32_t)XXH3_64bits_withSeed(k, sizeof(*k), t->wire->config.hash_seed);

	*hash_out = hash;
	for (uint32_t i = t->buckets[hash & t->bucket_mask]; i != NO_FLOW;) {
		struct flow *f = &t->flows[i];

		if (LIKELY(f->hash == hash && has_key(f, k)))
			return f;
		i = f->next;
	}
	return NULL;
}

struct flow *flow_place(struct flow_table *t, const struct flow_key *k, uint32_t hash)
{
	uint32_t *bucket = &t->buckets[hash & t->bucket_mask];
	struct flow *f;

	if (t->free != NO_FLOW) {
		f = &t->flows[t->free];
		t->free = f->next;
	} else if (t->touched < t->flow_count) {
		f = &t->flows[t->touched++];
	} else {
		return NULL;
	}
	*f = (struct flow){
		.hash = hash,
		.netns = k->netns,
		.next = *bucket,
		.class = FLOW_HALF_OPEN,
	};
	*bucket = (uint32_t)(f - t->flows);
	stream_init(&f->streams[0], 0);
	stream_init(&f->streams[1], 1);
	list_init(&f->waiting);
	list_append(&t->classes[FLOW_HALF_OPEN], &f->link);
	return f;
}

void flow_set_class(struct flow_table *t, struct flow *f, enum flow_class which)
{
	list_remove(&f->link);
	list_append(&t->classes[which], &f->link);
	f->class = (uint8_t)which;
}

struct flow *flow_oldest(const struct flow_table *t, enum flow_class which)
{
	struct list *l = list_first(&t->classes[which]);

	return l ? CONTAINER_OF(l, struct flow, link) : NULL;
}

void flow_forget(struct flow_table *t, struct flow *f)
{
	uint32_t index = (uint32_t)(f - t->flows);
	uint32_t *at = &t->buckets[f->hash & t->bucket_mask];

	while (*at != index)
		at = &t->flows[*at].next;
	*at = f->next;
	list_remove(&f->link);
	list_remove(&f->waiting);
	f->next = t->free;
	t->free = index;
}

static uint32_t bucket_count(size_t flows_max)
{
	uint32_t n = 64;

	while (n < flows_max)
		n *= 2;
	return n;
}

size_t flow_bytes(size_t flows_max)
{
	return flows_max * sizeof(struct flow) + bucket_count(flows_max) * sizeof(uint32_t);
}

static bool reserve(struct flow_table *t)
{
	void *memory = mmap(NULL, t->memory_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return false;
	t->flows = memory;
	t->buckets = (uint32_t *)(void *)(t->flows + t->flow_count);
	memset(t->buckets, 0xff, (t->bucket_mask + (size_t)1) * sizeof(uint32_t));
	return true;
}

struct flow_table *flow_table_reserve(struct wire *w, size_t flows_max)
{
	struct flow_table *t = calloc(1, sizeof(*t));
	size_t flows = MIN(flows_max, (size_t)NO_FLOW - 1);

	if (!t)
		return NULL;
	t->wire = w;
	t->flow_count = (uint32_t)flows;
	t->bucket_mask = bucket_count(flows) - 1;
	t->memory_bytes = flow_bytes(flows);
	t->free = NO_FLOW;
	for (unsigned which = 0; which < FLOW_CLASS_COUNT; which++)
		list_init(&t->classes[which]);
	list_init(&t->waiting);
	if (!reserve(t)) {
		free(t);
		return NULL;
	}
	return t;
}

void flow_table_free(struct flow_table *t)
{
	if (!t)
		return;
	(void)munmap(t->flows, t->memory_bytes);
	free(t);
}
