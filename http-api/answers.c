// SPDX-License-Identifier: Apache-2.0
#include "http-api/answers.h"

#include <pthread.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * A key is a hash, so its first bytes choose one of the buckets, and each bucket has a few places.
 * Where all are taken the one that ends first goes: no list to walk, no memory that grows, and a
 * flood of tokens can cost others no more than being asked again.
 */

#define PLACES 4

struct place {
	uint8_t key[ANSWER_KEY_BYTES];
	uint64_t until_ns; /* 0: free */
	struct answer answer;
};

struct answers {
	pthread_mutex_t lock;
	size_t buckets;
	struct place places[];
};

struct answers *answers_new(size_t max)
{
	size_t buckets = MAX(max / PLACES, (size_t)1);
	struct answers *a = calloc(1, sizeof(*a) + buckets * PLACES * sizeof(a->places[0]));

	if (!a)
		return NULL;
	(void)pthread_mutex_init(&a->lock, NULL);
	a->buckets = buckets;
	return a;
}

void answers_free(struct answers *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->buckets * PLACES; i++)
		review_user_unref(a->places[i].answer.user);
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}

static struct place *bucket_of(struct answers *a, const uint8_t *key)
{
	uint64_t n;

	memcpy(&n, key, sizeof(n));
	return &a->places[n % a->buckets * PLACES];
}

bool answers_find(struct answers *a, const uint8_t key[ANSWER_KEY_BYTES], uint64_t now_ns,
		  struct answer *out)
{
	struct place *p = bucket_of(a, key);
	bool is_known = false;

	(void)pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < PLACES && !is_known; i++, p++) {
		if (p->until_ns <= now_ns || memcmp(p->key, key, ANSWER_KEY_BYTES) != 0)
			continue;
		is_known = true;
		*out = p->answer;
		(void)review_user_ref(out->user);
	}
	(void)pthread_mutex_unlock(&a->lock);
	return is_known;
}

void answers_keep(struct answers *a, const uint8_t key[ANSWER_KEY_BYTES], const struct answer *x,
		  uint64_t now_ns, uint64_t until_ns)
{
	struct place *bucket = bucket_of(a, key), *to = bucket;
	struct review_user *old;

	if (until_ns <= now_ns)
		return;
	(void)pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < PLACES; i++) {
		if (bucket[i].until_ns && memcmp(bucket[i].key, key, ANSWER_KEY_BYTES) == 0) {
			to = &bucket[i];
			break;
		}
		if (bucket[i].until_ns < to->until_ns)
			to = &bucket[i];
	}
	old = to->answer.user;
	memcpy(to->key, key, ANSWER_KEY_BYTES);
	to->until_ns = until_ns;
	to->answer = *x;
	(void)review_user_ref(x->user);
	(void)pthread_mutex_unlock(&a->lock);
	review_user_unref(old);
}
