// SPDX-License-Identifier: Apache-2.0
#include "daemon/memory.h"

#include <errno.h>

/*
 * Theory of operation. memory_max is a promise for the whole process, so everything that grows
 * has its share from the beginning, and what is left is the decoder's:
 *
 *	memory_max = program + store + API        fixed, measured with room to spare
 *	           + rings of pods           kube.rings, as many pods as are busy have one
 *	           + handles * capture ring       the kernel maps a ring whole, at once
 *	           + queue                        touched whole once the ring buffer has gone round
 *	           + decoder                      touched as far as traffic needs it
 *
 * With many handles each gets a smaller ring than asked for, but not less than RING_MIN, which
 * holds without loss what a busy namespace makes (measured: 58,000 requests/s in 2 MiB).
 */
#define MIB	     ((size_t)1 << 20)
#define FIXED_BYTES  (24 * MIB)
#define WIRE_MIN     (4 * MIB)
#define RING_MIN     (2 * MIB)
#define RING_QUANTUM (256 * 1024) /* libpcap takes whole blocks */

static int refuse_pods(const struct settings *s, size_t need, struct err *e)
{
	return err_set(
		e, -EINVAL,
		"memory_max: %zu MiB is too little: %zu MiB are the least with queue_size %zu MiB "
		"and kube.rings %zu MiB",
		(size_t)s->memory_max / MIB, (need + MIB - 1) / MIB, (size_t)s->queue_size / MIB,
		(size_t)s->kube_rings / MIB);
}

static int refuse(const struct settings *s, size_t handles, size_t need, struct err *e)
{
	return err_set(
		e, -EINVAL,
		"memory_max: %zu MiB is too little for %zu capture handle%s: %zu MiB are the "
		"least (%zu MiB each, queue_size %zu MiB, %zu MiB for the rest)",
		(size_t)s->memory_max / MIB, handles, handles == 1 ? "" : "s",
		(need + MIB - 1) / MIB, RING_MIN / MIB, (size_t)s->queue_size / MIB,
		(FIXED_BYTES + WIRE_MIN) / MIB);
}

int memory_divide(const struct settings *s, size_t handles, size_t pods, struct memory *out,
		  struct err *e)
{
	size_t base = FIXED_BYTES + WIRE_MIN + (size_t)s->queue_size + pods;
	size_t total = (size_t)s->memory_max, ring = 0;

	if (handles == 0 && total < base)
		return refuse_pods(s, base, e);
	if (handles && (total < base || (total - base) / handles < RING_MIN))
		return refuse(s, handles, base + handles * RING_MIN, e);
	if (handles)
		ring = (total - base) / handles / RING_QUANTUM * RING_QUANTUM;
	ring = MIN(ring, (size_t)s->buffer);
	*out = (struct memory){
		.ring_bytes = ring,
		.queue_bytes = (size_t)s->queue_size,
		.wire_bytes = total - FIXED_BYTES - (size_t)s->queue_size - pods - handles * ring,
		.fixed_bytes = FIXED_BYTES,
	};
	return 0;
}
