// SPDX-License-Identifier: Apache-2.0
/* late_counts.h - the counts of a peer's exchanges, taken anew when it was split. Thread: writer. */
#pragma once

#include "lib/err.h"

struct tape;

struct late_counts {
	uint64_t peer;
	uint64_t since_ns, until_ns; /* when its exchanges began */
	uint64_t first_peer;	     /* the first of those that it was split into */
	uint64_t first_key;	     /* of rollup_key, likewise */
};

/* late_counts_begin() - before it is split: what was counted of failures is taken out */
int late_counts_begin(struct tape *t, struct late_counts *c, struct err *e) MUST_USE;
/* late_counts_end() - afterwards: minutes and failures are counted as the exchanges are now */
int late_counts_end(struct tape *t, const struct late_counts *c, struct err *e) MUST_USE;
