// SPDX-License-Identifier: Apache-2.0
#include "daemon/losses.h"

#include <inttypes.h>

#include "lib/clock.h"
#include "lib/log.h"

#define REPEAT_NS (60 * NS_PER_S) /* at most so often */

/* Counters that mean loss, and what to do about it. */
static const struct {
	enum counter counter;
	const char *what;
} losses[] = {
	{COUNTER_KERNEL_DROPPED, "packets that the kernel had no room for (capture.buffer)"},
	{COUNTER_REQUESTS_SHARE,
	 "exchanges of pods that took more than their share of the queue (queue_size)"},
	{COUNTER_REQUESTS_QUEUE_FULL, "exchanges that the queue had no room for (queue_size)"},
	{COUNTER_REQUESTS_EVICTED, "requests given up to keep memory_max"},
	{COUNTER_EXCHANGES_STORE_FULL, "exchanges that the disk had no room for (store.max)"},
	{COUNTER_EXCHANGES_STORE_ERROR, "exchanges that the store could not take"},
	{COUNTER_EXCHANGES_HANDOVER_LOST, "exchanges that the node's daemon did not take"},
};

void losses_say(struct losses *l, const struct counters *sum, uint64_t now_ns)
{
	uint64_t total = 0;

	for (size_t i = 0; i < COUNT_OF(losses); i++)
		total += counter_get(sum, losses[i].counter);
	if (total == l->seen || (l->said_ns && now_ns - l->said_ns < REPEAT_NS))
		return;
	l->seen = total;
	l->said_ns = now_ns;
	for (size_t i = 0; i < COUNT_OF(losses); i++)
		if (counter_get(sum, losses[i].counter))
			log_warn("daemon", "lost since the start: %" PRIu64 " %s",
				 counter_get(sum, losses[i].counter), losses[i].what);
}
