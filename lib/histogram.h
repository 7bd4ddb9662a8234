// SPDX-License-Identifier: Apache-2.0
/* histogram.h - percentiles of any number of values in fixed memory, off by less than 1 % */
#pragma once

#include "lib/base.h"

#define HISTOGRAM_SUB_BITS 7 /* 128 steps for each doubling: a step is under 0.8 % of its value */
#define HISTOGRAM_BUCKETS  ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

/* Zero-initialised it is empty. Any unit; one thread. 58 KiB: not for the stack. */
struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t min, max; /* exact; 0 while empty */
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);
/* histogram_percentile() - @p in [0, 100]: the smallest step that @p % of the values do not exceed; 0 while empty */
uint64_t histogram_percentile(const struct histogram *h, double p);
/* histogram_mean() - 0 while empty; wrong once the sum passes 2^64 (584 years of ns) */
uint64_t histogram_mean(const struct histogram *h);
