// SPDX-License-Identifier: Apache-2.0
#include "http-api/readers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/clock.h"

/*
 * Theory of operation
 *
 * Opening a store costs far more than a small question, so idle readers are kept, the latest used
 * on top. There are as many as there were threads asking at once. The lock guards the stack alone;
 * opening and closing happen outside of it.
 */

#define IDLE_MAX 8

struct readers {
	pthread_mutex_t lock;
	struct reader *idle[IDLE_MAX]; /* owned */
	size_t idle_count;
	uint64_t limit_ns;
	char dir[];
};

struct readers *readers_new(const char *dir, uint64_t limit_ns)
{
	struct readers *p = calloc(1, sizeof(*p) + strlen(dir) + 1);

	if (!p)
		return NULL;
	(void)pthread_mutex_init(&p->lock, NULL);
	p->limit_ns = limit_ns;
	memcpy(p->dir, dir, strlen(dir) + 1);
	return p;
}

void readers_free(struct readers *p)
{
	if (!p)
		return;
	while (p->idle_count)
		reader_close(p->idle[--p->idle_count]);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

int readers_borrow(struct readers *p, const struct filter *scope, struct reader **r_out,
		   struct err *e)
{
	struct reader *r = NULL;
	int result;

	(void)pthread_mutex_lock(&p->lock);
	if (p->idle_count)
		r = p->idle[--p->idle_count];
	(void)pthread_mutex_unlock(&p->lock);
	if (!r) {
		result = reader_open(p->dir, &r, e);
		if (result < 0)
			return result;
		reader_limit_ns(r, p->limit_ns, clock_mono_ns);
	}
	reader_restrict(r, scope);
	*r_out = r;
	return 0;
}

/* The question was wrong or too long, not the reader. */
static bool is_still_good(int result)
{
	return result >= 0 || result == -ENOENT || result == -ENOTUNIQ || result == -EINVAL ||
	       result == -ETIMEDOUT;
}

void readers_return(struct readers *p, struct reader *r, int result)
{
	reader_restrict(r, NULL);
	if (is_still_good(result)) {
		(void)pthread_mutex_lock(&p->lock);
		if (p->idle_count < IDLE_MAX) {
			p->idle[p->idle_count++] = r;
			r = NULL;
		}
		(void)pthread_mutex_unlock(&p->lock);
	}
	reader_close(r);
}
