// SPDX-License-Identifier: Apache-2.0
#include "daemon/health.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A sentence is longer than an atomic and is replaced at times nobody can foresee, so a lock guards
 * it. The lock is held for a copy and never while calling out of this file.
 */
struct health {
	pthread_mutex_t lock;
	char why[HEALTH_WHY_MAX];
	char note[HEALTH_WHY_MAX];
};

struct health *health_new(void)
{
	struct health *h = calloc(1, sizeof(*h));

	if (h)
		(void)pthread_mutex_init(&h->lock, NULL);
	return h;
}

void health_free(struct health *h)
{
	if (!h)
		return;
	(void)pthread_mutex_destroy(&h->lock);
	free(h);
}

void health_set(struct health *h, const char *why)
{
	(void)pthread_mutex_lock(&h->lock);
	(void)snprintf(h->why, sizeof(h->why), "%s", why ? why : "");
	(void)pthread_mutex_unlock(&h->lock);
}

void health_note(struct health *h, const char *why)
{
	(void)pthread_mutex_lock(&h->lock);
	(void)snprintf(h->note, sizeof(h->note), "%s", why);
	(void)pthread_mutex_unlock(&h->lock);
}

bool health_get(struct health *h, char *why_out, size_t why_bytes)
{
	bool is_recording;

	(void)pthread_mutex_lock(&h->lock);
	is_recording = h->why[0] == '\0';
	(void)snprintf(why_out, why_bytes, "%s", is_recording ? h->note : h->why);
	(void)pthread_mutex_unlock(&h->lock);
	return is_recording;
}
