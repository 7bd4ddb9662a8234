// SPDX-License-Identifier: Apache-2.0
#include "store/body_cache.h"

#include <stdlib.h>

/*
 * Theory of operation. Where thousands of exchanges have the same body, it stands in one of them
 * and is looked up for each of the others: a query and a decompression. A slot for each hash makes
 * the second look-up free; what comes later takes the slot, and when all together are too long, slots
 * are given up one after the other. Rows of a tape never change, so
 * nothing here can be stale.
 */

static uint64_t key_of(uint64_t id, bool is_request)
{
	return id << 1 | is_request; /* ids are times: the highest bit is free until 2262 */
}

static size_t slot_of(uint64_t key)
{
	return (size_t)(key * UINT64_C(0x9E3779B97F4A7C15) >> 50);
}
_Static_assert(BODY_CACHE_SLOTS == 1 << (64 - 50), "the hash gives a slot");

void body_cache_fini(struct body_cache *c)
{
	for (size_t i = 0; i < BODY_CACHE_SLOTS && c->is_used; i++)
		free(c->slots[i].bytes);
	if (c->is_used)
		*c = (struct body_cache){0};
}

bool body_cache_find(const struct body_cache *c, uint64_t id, bool is_request, struct span *out)
{
	uint64_t key = key_of(id, is_request);
	const struct body_slot *s = &c->slots[slot_of(key)];

	if (s->key != key)
		return false;
	*out = span_of(s->bytes, s->len);
	return true;
}

static void give_up(struct body_slot *s, struct body_cache *c)
{
	c->bytes -= s->len;
	free(s->bytes);
	*s = (struct body_slot){0};
}

void body_cache_add(struct body_cache *c, uint64_t id, bool is_request, struct span body)
{
	uint64_t key = key_of(id, is_request);
	struct body_slot *s = &c->slots[slot_of(key)];
	uint8_t *bytes;

	if (body.len == 0 || body.len > BODY_CACHE_BODY_MAX)
		return;
	give_up(s, c);
	while (c->bytes + body.len > BODY_CACHE_BYTES_MAX)
		give_up(&c->slots[c->hand++ % BODY_CACHE_SLOTS], c);
	bytes = malloc(body.len);
	if (!bytes)
		return;
	c->bytes += body.len;
	memcpy(bytes, body.ptr, body.len);
	c->is_used = true;
	*s = (struct body_slot){.key = key, .bytes = bytes, .len = body.len};
}
