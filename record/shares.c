// SPDX-License-Identifier: Apache-2.0
#include "record/shares.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "wire/wire.h"

/*
 * Theory of operation. What each has in the queue is what was put in for it less what was taken out; each
 * of the two numbers has one writer. While the queue is less than half full nobody is asked. From there on each may
 * have its part: the queue divided by those who have something in it, and one more, who may come yet. So
 * who is above its part loses exchanges, and who is below finds room: half of the queue is never one pod's.
 *
 * How many have something is counted anew each COUNT_EVERY questions: it takes a walk.
 */
#define COUNT_EVERY 64

struct shares {
	size_t bytes_max;
	unsigned asked, active; /* active: when they were last counted */
	uint64_t in[WIRE_SHARES];
	_Atomic uint64_t out[WIRE_SHARES];
};

struct shares *shares_new(size_t bytes_max)
{
	struct shares *s = calloc(1, sizeof(*s));

	if (s)
		s->bytes_max = bytes_max;
	return s;
}

void shares_free(struct shares *s)
{
	free(s);
}

static uint64_t held(const struct shares *s, size_t share)
{
	return s->in[share] - atomic_load_explicit(&s->out[share], memory_order_relaxed);
}

static void count_active(struct shares *s)
{
	s->active = 0;
	for (size_t i = 0; i < WIRE_SHARES; i++)
		s->active += held(s, i) > 0;
}

bool shares_may_take(struct shares *s, uint16_t share, size_t bytes, size_t used)
{
	if (LIKELY(share == 0 || used + bytes <= s->bytes_max / 2))
		return true;
	if (s->asked++ % COUNT_EVERY == 0)
		count_active(s);
	return held(s, share) + bytes <= s->bytes_max / (MAX(s->active, 1U) + 1);
}

void shares_took(struct shares *s, uint16_t share, size_t bytes)
{
	s->in[share] += bytes;
}

void shares_release(struct shares *s, uint16_t share, size_t bytes)
{
	uint64_t out = atomic_load_explicit(&s->out[share], memory_order_relaxed);

	atomic_store_explicit(&s->out[share], out + bytes, memory_order_relaxed);
}
