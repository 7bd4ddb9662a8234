// SPDX-License-Identifier: Apache-2.0
#include "lib/histogram.h"

#include <math.h>

void histogram_add(struct histogram *h, uint64_t value)
{
	h->bucket[histogram_bucket(value, HISTOGRAM_SUB_BITS)]++;
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
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= want && seen > 0)
			return MIN(histogram_bucket_high(i, HISTOGRAM_SUB_BITS), h->max);
	}
	return h->max;
}

uint64_t histogram_mean(const struct histogram *h)
{
	return h->count ? h->sum / h->count : 0;
}
