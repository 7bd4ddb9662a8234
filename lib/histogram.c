// SPDX-License-Identifier: Apache-2.0
#include "lib/histogram.h"

#include <math.h>

/*
 * Log-linear buckets: values under 2^SUB_BITS have a bucket each; above, every doubling is cut
 * into 2^SUB_BITS equal steps. The bucket number is the value's exponent followed by the bits
 * behind its leading one, so finding it is a count of leading zeros and a shift.
 */

static size_t bucket_of(uint64_t v)
{
	unsigned top, shift;

	if (v < (UINT64_C(1) << HISTOGRAM_SUB_BITS))
		return (size_t)v;
	top = 63 - (unsigned)__builtin_clzll(v);
	shift = top - HISTOGRAM_SUB_BITS;
	return ((size_t)(shift + 1) << HISTOGRAM_SUB_BITS) +
	       (size_t)((v >> shift) & ((UINT64_C(1) << HISTOGRAM_SUB_BITS) - 1));
}

/* the largest value that falls into bucket @i */
static uint64_t top_of(size_t i)
{
	unsigned shift = (unsigned)(i >> HISTOGRAM_SUB_BITS);
	uint64_t sub = (uint64_t)i & ((UINT64_C(1) << HISTOGRAM_SUB_BITS) - 1);

	if (shift == 0)
		return sub;
	shift--;
	return ((((UINT64_C(1) << HISTOGRAM_SUB_BITS) + sub + 1) << shift) - 1);
}

void histogram_add(struct histogram *h, uint64_t value)
{
	h->bucket[bucket_of(value)]++;
	h->sum += value;
	if (h->count == 0 || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->count++;
}

uint64_t histogram_percentile(const struct histogram *h, double p)
{
	uint64_t want = (uint64_t)ceil((double)h->count * p / 100.0);
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= want && seen > 0)
			return MIN(top_of(i), h->max);
	}
	return h->max;
}

uint64_t histogram_mean(const struct histogram *h)
{
	return h->count ? h->sum / h->count : 0;
}
