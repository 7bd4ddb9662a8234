// SPDX-License-Identifier: Apache-2.0
#include "wire/fragment.h"

#include <stdlib.h>

#include "lib/list.h"
#include "wire/held.h"

/*
 * Theory of operation
 *
 * RFC 791 and RFC 8200 section 4.5. A datagram is known by its ends, protocol and identification;
 * its fragments are held sorted (wire/held.h) and copied together once they reach from 0 to the
 * length that the last one told. Bytes that came first stay: overlapping fragments, by which an
 * attacker shows two readers two datagrams (RFC 5722), then read as most receivers read them.
 *
 * A whole datagram's entry stays for a moment to absorb second copies of its fragments; otherwise
 * they would wait for an unrelated datagram that gets the same identification.
 *
 * Bounded: FRAGMENT_MAX datagrams, blocks_max blocks, the oldest datagram makes room;
 * FRAGMENT_WAIT_NS. There is no hash: fragments of one datagram come one after another, and the
 * newest entry is looked at first.
 */

#define FRAGMENT_MAX	   256
#define FRAGMENT_PIECE_MAX 2048
#define FRAGMENT_BYTES_MAX 65535
#define FRAGMENT_WAIT_NS   (10 * NS_PER_S) /* RFC 791 suggests 15 s; packets do not live so long */
#define FRAGMENT_DONE_NS   NS_PER_S

struct datagram {
	struct list link; /* fragment_table::used, the newest first; or ::unused */
	uint8_t src[16], dst[16];
	uint32_t id;
	uint8_t protocol;
	bool is_ipv6;
	bool is_done;
	uint32_t total; /* bytes, when the last fragment was seen; else 0 */
	uint64_t began_ns;
	struct held held;
};

struct fragment_table {
	struct pool *pool;
	size_t blocks_max;
	size_t blocks;
	struct list used, unused;
	struct datagram datagrams[FRAGMENT_MAX];
	uint8_t whole[FRAGMENT_BYTES_MAX];
};

struct fragment_table *fragment_table_new(struct pool *pool, size_t blocks_max)
{
	struct fragment_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->pool = pool;
	t->blocks_max = MAX(blocks_max, (size_t)1);
	list_init(&t->used);
	list_init(&t->unused);
	for (size_t i = 0; i < FRAGMENT_MAX; i++)
		list_append(&t->unused, &t->datagrams[i].link);
	return t;
}

static void clear(struct fragment_table *t, struct datagram *d)
{
	size_t before = pool_used_bytes(t->pool);

	held_clear(&d->held, t->pool);
	t->blocks -= (before - pool_used_bytes(t->pool)) / POOL_BLOCK_BYTES;
}

static void forget(struct fragment_table *t, struct datagram *d)
{
	clear(t, d);
	list_remove(&d->link);
	list_append(&t->unused, &d->link);
}

void fragment_table_free(struct fragment_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < FRAGMENT_MAX; i++)
		held_clear(&t->datagrams[i].held, t->pool);
	free(t);
}

static struct datagram *oldest(const struct fragment_table *t)
{
	return CONTAINER_OF(t->used.prev, struct datagram, link);
}

static bool is_of(const struct datagram *d, const struct packet *p)
{
	return d->id == p->fragment.id && d->protocol == p->fragment.protocol &&
	       d->is_ipv6 == p->fragment.is_ipv6 && memcmp(d->src, p->src, 16) == 0 &&
	       memcmp(d->dst, p->dst, 16) == 0;
}

static struct datagram *find(struct fragment_table *t, const struct packet *p)
{
	for (struct list *l = t->used.next; l != &t->used; l = l->next) {
		struct datagram *d = CONTAINER_OF(l, struct datagram, link);

		if (is_of(d, p))
			return d;
	}
	return NULL;
}

static struct datagram *begin(struct fragment_table *t, const struct packet *p, uint64_t now_ns)
{
	struct datagram *d;

	if (list_is_empty(&t->unused))
		forget(t, oldest(t));
	d = CONTAINER_OF(list_first(&t->unused), struct datagram, link);
	list_remove(&d->link);
	*d = (struct datagram){
		.id = p->fragment.id,
		.protocol = p->fragment.protocol,
		.is_ipv6 = p->fragment.is_ipv6,
		.began_ns = now_ns,
	};
	memcpy(d->src, p->src, 16);
	memcpy(d->dst, p->dst, 16);
	list_append(t->used.next, &d->link); /* before the newest: at the beginning */
	return d;
}

struct asker {
	struct fragment_table *table;
	const struct datagram *asking;
};

/* a block, at the cost of the oldest datagrams if need be */
static void *take_block(void *ctx)
{
	struct asker *a = ctx;
	struct fragment_table *t = a->table;
	void *block = NULL;

	for (;;) {
		if (t->blocks < t->blocks_max)
			block = pool_take(t->pool);
		if (block || oldest(t) == a->asking)
			break;
		forget(t, oldest(t));
	}
	t->blocks += block ? 1 : 0;
	return block;
}

/* Return: false when the fragment contradicts what is known of the datagram */
static bool add(struct fragment_table *t, struct datagram *d, const struct packet *p)
{
	struct asker asker = {t, d};
	const struct held_memory memory = {t->pool, take_block, &asker};
	const struct held_piece piece = {.offset = p->fragment.offset};
	uint32_t end = p->fragment.offset + (uint32_t)p->payload.len;
	size_t added;

	if (d->total && end > d->total)
		return false;
	if (!p->fragment.has_more) {
		if (d->held.last && held_piece_end(d->held.last) > end)
			return false;
		d->total = end;
	}
	if (d->held.count >= FRAGMENT_PIECE_MAX)
		return false;
	(void)held_add(&d->held, &memory, &piece, p->payload, &added);
	return true;
}

static struct span copy_together(struct fragment_table *t, const struct datagram *d)
{
	size_t len = 0;

	for (const struct held_piece *p = d->held.first; p; p = p->next) {
		memcpy(t->whole + len, p->bytes, p->len);
		len += p->len;
	}
	return span_of(t->whole, len);
}

bool fragment_add(struct fragment_table *t, const struct packet *p, uint64_t now_ns,
		  struct span *datagram_out)
{
	struct datagram *d;

	if (p->payload.len == 0 || p->missing ||
	    p->payload.len > FRAGMENT_BYTES_MAX - p->fragment.offset)
		return false;
	d = find(t, p);
	if (d && d->is_done && now_ns - d->began_ns < FRAGMENT_DONE_NS)
		return false;
	if (d && d->is_done) {
		forget(t, d);
		d = NULL;
	}
	if (!d)
		d = begin(t, p, now_ns);
	if (!add(t, d, p)) {
		forget(t, d);
		return false;
	}
	if (d->total == 0 || d->held.bytes < d->total)
		return false;
	*datagram_out = copy_together(t, d);
	clear(t, d);
	d->is_done = true;
	d->began_ns = now_ns;
	return true;
}

void fragment_tick(struct fragment_table *t, uint64_t now_ns)
{
	while (!list_is_empty(&t->used)) {
		struct datagram *d = oldest(t);

		if (now_ns < d->began_ns || now_ns - d->began_ns < FRAGMENT_WAIT_NS)
			return;
		forget(t, d);
	}
}
