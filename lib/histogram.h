// SPDX-License-Identifier: Apache-2.0
/* histogram.h - percentiles of any number of values in fixed memory, off by less than 1 % */
#pragma once

#include "lib/base.h"

#define HISTOGRAM_SUB_BITS 7 /* 128 steps for each doubling: a step is under 0.8 % of its value */
#define HISTOGRAM_BUCKETS  ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

/*
 * Log-linear buckets: values under 2^@sub_bits have one each; above, every doubling is cut into
 * 2^@sub_bits equal steps. The number of a bucket is the value's exponent followed by the bits
 * behind its leading one, so finding it is a count of leading zeros and a shift.
 */
static inline uint32_t histogram_bucket(uint64_t v, unsigned sub_bits)
{
	unsigned shift;

	if (v < (UINT64_C(1) << sub_bits))
		return (uint32_t)v;
	shift = 63 - (unsigned)__builtin_clzll(v) - sub_bits;
	return ((shift + 1) << sub_bits) +
	       (uint32_t)((v >> shift) & ((UINT64_C(1) << sub_bits) - 1));
}

/* histogram_bucket_low() - the smallest value that falls into a bucket */
static inline uint64_t histogram_bucket_low(uint32_t bucket, unsigned sub_bits)
{
	unsigned shift = bucket >> sub_bits;
	uint64_t sub = bucket & ((UINT64_C(1) << sub_bits) - 1);

	return shift == 0 ? sub : ((UINT64_C(1) << sub_bits) + sub) << (shift - 1);
}

/* histogram_bucket_high() - the largest */
static inline uint64_t histogram_bucket_high(uint32_t bucket, unsigned sub_bits)
{
	unsigned shift = bucket >> sub_bits;

	return histogram_bucket_low(bucket, sub_bits) +
	       (shift ? (UINT64_C(1) << (shift - 1)) - 1 : 0);
}

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
