// SPDX-License-Identifier: Apache-2.0
/* id_ranges.h - parts of a tape that an index names: runs of ids. Zero-initialised there are none. */
#pragma once

#include "lib/base.h"

struct id_range {
	uint64_t first, last; /* inclusive */
};
struct id_ranges {
	struct id_range *all; /* owned, in order of ids */
	size_t count, room;
};

/* id_ranges_add() - one more, behind the others. Return: false without memory. */
bool id_ranges_add(struct id_ranges *r, uint64_t first, uint64_t last) MUST_USE;
/* id_ranges_sort() - into their order, each once: for single ids that were added as they came */
void id_ranges_sort(struct id_ranges *r);
void id_ranges_fini(struct id_ranges *r);
