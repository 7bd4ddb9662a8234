// SPDX-License-Identifier: Apache-2.0
/*
 * gauges.h - what /metrics says beside the counters: how full, how many, how large
 *
 * Thread: gauges_take_store() the recorder; gauges_put() any.
 */
#pragma once

#include <stdatomic.h>

#include "lib/buf.h"

struct names;
struct pods;
struct reception;
struct record;
struct store_stats;

#define GAUGES_STORE 6

/* What the recorder last said of the store; all 0 before. */
struct gauges {
	_Atomic uint64_t store[GAUGES_STORE];
};

/* Whom else to ask. Borrowed. */
struct gauged {
	struct record *record;
	struct reception *reception; /* NULL: no sidecar hands over here */
	struct pods *pods;	     /* NULL: not in node mode */
	struct names *names;	     /* NULL: no API server is asked */
	size_t interfaces;
	uint64_t memory_max, store_max; /* octets, as set */
};

void gauges_take_store(struct gauges *g, const struct store_stats *stats);
/* gauges_put() - append them in the text format of Prometheus */
void gauges_put(const struct gauges *g, const struct gauged *of, struct buf *out);
