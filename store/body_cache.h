// SPDX-License-Identifier: Apache-2.0
/* body_cache.h - small bodies that many exchanges share, kept by the exchange that holds them. Thread: the reader's. */
#pragma once

#include "lib/base.h"

#define BODY_CACHE_SLOTS     16384
#define BODY_CACHE_BODY_MAX  4096	 /* longer ones are not kept */
#define BODY_CACHE_BYTES_MAX (12u << 20) /* of all bodies */

struct body_slot {
	uint64_t key; /* 0: empty */
	uint8_t *bytes;
	size_t len;
};

/* Zero-initialised it is empty. */
struct body_cache {
	bool is_used;
	size_t bytes; /* of all bodies */
	size_t hand;  /* the slot that is given up next, for room */
	struct body_slot slots[BODY_CACHE_SLOTS];
};

void body_cache_fini(struct body_cache *c);
/* body_cache_find() - the body of that side of exchange @id; lasts until the next add. Return: false when it is not kept. */
bool body_cache_find(const struct body_cache *c, uint64_t id, bool is_request, struct span *out);
/* body_cache_add() - @body is copied; not kept when it is long or there is no memory */
void body_cache_add(struct body_cache *c, uint64_t id, bool is_request, struct span body);
