// SPDX-License-Identifier: Apache-2.0
/*
 * sketch.h - percentiles of durations in a few bytes: histograms that add up and are kept on tapes
 *
 * A percentile is off by 1.6 % at most (half a bucket), whatever was merged; the maximum is exact.
 * Thread: one.
 */
#pragma once

#include "lib/buf.h"

#define SKETCH_SUB_BITS 5 /* 32 steps for each doubling; on tapes: never changed */
#define SKETCH_BUCKETS	((64 - SKETCH_SUB_BITS + 1) << SKETCH_SUB_BITS)

/* Zero-initialised it is empty. */
struct sketch {
	uint64_t count;
	uint64_t max;
	uint64_t *buckets; /* owned: counts of [first, first + room) */
	uint32_t first, room;
	bool is_failed; /* out of memory at some addition: values are missing */
};

void sketch_fini(struct sketch *s);
void sketch_clear(struct sketch *s); /* empty; keeps its memory */
void sketch_add(struct sketch *s, uint64_t value, uint64_t count);
void sketch_merge(struct sketch *s, const struct sketch *other);
/* sketch_percentile() - @p in [0, 100]: the middle of the bucket that holds it; 0 while empty */
uint64_t sketch_percentile(const struct sketch *s, double p);

/*
 * sketch_write() - append it: number of pairs; if there are any the maximum, then for each bucket
 * that is not empty how far behind the one before and how many, in varints
 */
void sketch_write(const struct sketch *s, struct buf *out);
/**
 * sketch_read() - add what sketch_write() wrote
 * @in: moves behind it
 *
 * Return: false when it is damaged: a part of it may have been added.
 */
bool sketch_read(struct sketch *s, struct span *in) MUST_USE;
