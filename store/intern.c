// SPDX-License-Identifier: Apache-2.0
#include "store/intern.h"

#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

/*
 * Theory of operation. An open-addressed table of hashes that point into one piece of memory with
 * the keys. Keys are compared as a whole, so a collision costs time, never a wrong answer; the hash
 * is seeded by chance so that nobody outside can choose keys that collide.
 *
 * Nothing leaves its slot, what is dropped only its number: when the table is three quarters full or the keys do not fit, everything is
 * forgotten. Whoever floods us with ever new values costs the tape some duplicate rows.
 */
#define DROPPED UINT64_MAX

struct slot {
	uint64_t hash;
	uint64_t number; /* 0: free; DROPPED: to be given anew */
	uint32_t at, len;
};

struct intern {
	uint64_t seed;
	uint64_t next;
	size_t mask, used;
	size_t bytes_max, bytes;
	uint8_t *keys;
	struct slot slots[];
};

struct intern *intern_new(size_t entries, size_t bytes)
{
	struct intern *n = calloc(1, sizeof(*n) + entries * sizeof(struct slot));

	if (!n)
		return NULL;
	n->keys = malloc(bytes);
	if (!n->keys) {
		free(n);
		return NULL;
	}
	n->mask = entries - 1;
	n->bytes_max = bytes;
	n->next = 1;
	if (getrandom(&n->seed, sizeof(n->seed), GRND_NONBLOCK) < 0)
		n->seed = (uintptr_t)n; /* early at boot: still differs from run to run */
	return n;
}

void intern_free(struct intern *n)
{
	if (!n)
		return;
	free(n->keys);
	free(n);
}

void intern_forget(struct intern *n)
{
	memset(n->slots, 0, (n->mask + 1) * sizeof(n->slots[0]));
	n->used = 0;
	n->bytes = 0;
}

void intern_restart(struct intern *n, uint64_t next)
{
	intern_forget(n);
	n->next = next;
}

/* The slot that holds @key, or the free one where it belongs. */
static struct slot *find(struct intern *n, struct span key, uint64_t hash)
{
	for (size_t i = hash & n->mask;; i = (i + 1) & n->mask) {
		struct slot *s = &n->slots[i];

		if (s->number == 0 ||
		    (s->hash == hash && span_eq(key, span_of(n->keys + s->at, s->len))))
			return s;
	}
}

static struct slot *find_key(struct intern *n, struct span key)
{
	return find(n, key, XXH3_64bits_withSeed(key.ptr, key.len, n->seed));
}

uint64_t intern_find(struct intern *n, struct span key)
{
	uint64_t number = find_key(n, key)->number;

	return number == DROPPED ? 0 : number;
}

void intern_drop(struct intern *n, struct span key)
{
	struct slot *s = find_key(n, key);

	if (s->number)
		s->number = DROPPED;
}

uint64_t intern_number(struct intern *n, struct span key, bool *is_new_out)
{
	uint64_t hash = XXH3_64bits_withSeed(key.ptr, key.len, n->seed);
	struct slot *s = find(n, key, hash);

	*is_new_out = s->number == 0 || s->number == DROPPED;
	if (s->number == DROPPED)
		s->number = n->next++;
	if (s->number)
		return s->number;
	if (key.len > n->bytes_max / 8)
		return n->next++; /* never seen to be equal: not worth remembering */
	if (n->bytes + key.len > n->bytes_max || n->used > n->mask / 4 * 3) {
		intern_forget(n);
		s = find(n, key, hash);
	}
	*s = (struct slot){hash, n->next++, (uint32_t)n->bytes, (uint32_t)key.len};
	if (key.len)
		memcpy(n->keys + n->bytes, key.ptr, key.len);
	n->bytes += key.len;
	n->used++;
	return s->number;
}
