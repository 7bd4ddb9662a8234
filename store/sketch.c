// SPDX-License-Identifier: Apache-2.0
#include "store/sketch.h"

#include <math.h>
#include <stdlib.h>

#include "lib/histogram.h"
#include "store/varint.h"

/*
 * Theory of operation. The buckets are those of lib/histogram.h with fewer steps. Durations of one
 * service lie within a few doublings, so only the part between the lowest and the highest is in
 * memory, and it grows at either end; on a tape only buckets that are not empty are, a histogram
 * of a minute takes some ten bytes.
 */
#define GROW_MIN 64u

void sketch_fini(struct sketch *s)
{
	free(s->buckets);
	*s = (struct sketch){0};
}

void sketch_clear(struct sketch *s)
{
	if (s->room)
		memset(s->buckets, 0, s->room * sizeof(*s->buckets));
	s->count = s->max = 0;
	s->is_failed = false;
}

/* Make [low, high] part of what is in memory. */
static bool cover(struct sketch *s, uint32_t low, uint32_t high)
{
	uint32_t first = s->room ? MIN(s->first, low) : low;
	uint32_t end = s->room ? MAX(s->first + s->room, high + 1) : high + 1;
	uint64_t *grown;

	if (s->room && first == s->first && end == s->first + s->room)
		return true;
	if (end - first < GROW_MIN)
		end = first + GROW_MIN;
	grown = calloc(end - first, sizeof(*grown));
	if (!grown) {
		s->is_failed = true;
		return false;
	}
	if (s->room)
		memcpy(grown + (s->first - first), s->buckets, s->room * sizeof(*grown));
	free(s->buckets);
	s->buckets = grown;
	s->first = first;
	s->room = end - first;
	return true;
}

static void add_to(struct sketch *s, uint32_t bucket, uint64_t n)
{
	if (UNLIKELY(bucket - s->first >= s->room) && !cover(s, bucket, bucket))
		return;
	s->buckets[bucket - s->first] += n;
	s->count += n;
}

void sketch_add(struct sketch *s, uint64_t value, uint64_t count)
{
	add_to(s, histogram_bucket(value, SKETCH_SUB_BITS), count);
	s->max = MAX(s->max, value);
}

void sketch_merge(struct sketch *s, const struct sketch *other)
{
	for (uint32_t i = 0; i < other->room; i++)
		if (other->buckets[i])
			add_to(s, other->first + i, other->buckets[i]);
	s->max = MAX(s->max, other->max);
	s->is_failed = s->is_failed || other->is_failed;
}

static uint64_t middle(uint32_t bucket)
{
	uint64_t low = histogram_bucket_low(bucket, SKETCH_SUB_BITS);

	return low + (histogram_bucket_high(bucket, SKETCH_SUB_BITS) - low) / 2;
}

uint64_t sketch_percentile(const struct sketch *s, double p)
{
	uint64_t want = MAX((uint64_t)ceil((double)s->count * p / 100.0), 1), seen = 0;

	if (p >= 100 || s->count == 0)
		return s->max;
	for (uint32_t i = 0; i < s->room; i++) {
		seen += s->buckets[i];
		if (seen >= want)
			return MIN(middle(s->first + i), s->max);
	}
	return s->max;
}

void sketch_write(const struct sketch *s, struct buf *out)
{
	uint32_t last = 0;
	uint64_t pairs = 0;

	for (uint32_t i = 0; i < s->room; i++)
		pairs += s->buckets[i] != 0;
	varint_add(out, pairs);
	if (pairs)
		varint_add(out, s->max);
	for (uint32_t i = 0; i < s->room; i++) {
		if (!s->buckets[i])
			continue;
		varint_add(out, s->first + i - last);
		varint_add(out, s->buckets[i]);
		last = s->first + i;
	}
}

bool sketch_read(struct sketch *s, struct span *in)
{
	uint64_t pairs, max, step, n, bucket = 0;

	if (!varint_take(in, &pairs) || pairs > SKETCH_BUCKETS)
		return false;
	if (pairs && !varint_take(in, &max))
		return false;
	for (uint64_t i = 0; i < pairs; i++) {
		if (!varint_take(in, &step) || !varint_take(in, &n))
			return false;
		if (step >= SKETCH_BUCKETS || bucket + step >= SKETCH_BUCKETS || n > INT64_MAX)
			return false;
		bucket += step;
		add_to(s, (uint32_t)bucket, n);
	}
	if (pairs)
		s->max = MAX(s->max, max);
	return true;
}
