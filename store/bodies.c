// SPDX-License-Identifier: Apache-2.0
#include "store/bodies.h"

#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

/*
 * Theory of operation. Services answer with the same bytes again and again: documents, empty
 * results, health checks, errors. The first exchange on a tape that carries a body keeps it; later
 * ones name it. The memory is a table of buckets of four; in a full bucket the entry goes that was
 * not asked for since longest. What is forgotten is packed once more: that costs bytes, no more.
 *
 * Bodies are told apart by 128 bits of a hash keyed with 192 secret random bytes, and their length;
 * they are not compared, since the first one is compressed by then. Without the key nobody can
 * make two bodies collide on purpose.
 */
#define BUCKETS	     8192
#define WAYS	     4
#define SECRET_BYTES 192

struct entry {
	XXH128_hash_t hash;
	uint64_t id;	 /* 0: free */
	uint32_t length; /* twice, and the side */
	uint32_t used;	 /* turn of its last use */
};

struct bodies {
	uint8_t secret[SECRET_BYTES];
	uint32_t turn;
	struct entry entries[BUCKETS][WAYS];
};

struct bodies *bodies_new(void)
{
	struct bodies *b = calloc(1, sizeof(*b));

	if (b && getrandom(b->secret, sizeof(b->secret), 0) != (ssize_t)sizeof(b->secret)) {
		free(b);
		return NULL;
	}
	return b;
}

void bodies_free(struct bodies *b)
{
	free(b);
}

void bodies_forget(struct bodies *b)
{
	memset(b->entries, 0, sizeof(b->entries));
}

uint64_t bodies_find(struct bodies *b, enum bodies_side side, struct span body, uint64_t id)
{
	XXH128_hash_t hash =
		XXH3_128bits_withSecret(body.ptr, body.len, b->secret, sizeof(b->secret));
	struct entry *bucket = b->entries[hash.low64 % BUCKETS], *oldest = bucket;
	uint32_t length = (uint32_t)body.len << 1 | (uint32_t)side;

	b->turn++;
	for (struct entry *e = bucket; e < bucket + WAYS; e++) {
		if (e->id && e->length == length && XXH128_isEqual(e->hash, hash)) {
			e->used = b->turn;
			return e->id;
		}
		if (e->id == 0 || b->turn - e->used > b->turn - oldest->used)
			oldest = e;
	}
	*oldest = (struct entry){hash, id, length, b->turn};
	return 0;
}
