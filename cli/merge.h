// SPDX-License-Identifier: Apache-2.0
/* merge.h - the answers of several daemons as one. Thread: main. */
#pragma once

#include "cli/source.h"

/* ---- kinds of failure: equal ones are added up ---- */

struct failures_merge; /* zero-initialised by failures_merge_new() */

struct failures_merge *failures_merge_new(void) MUST_USE;
void failures_merge_free(struct failures_merge *m); /* accepts NULL */
AUTO_DEFINE(failures_merge, failures_merge_free)
int failures_merge_add(void *merge, const struct failure *f); /* a reader_failure_fn */
/*
 * failures_merge_hand_out() - the most frequent first; @new_ns: only kinds first seen at or after it
 *
 * Counts over time of daemons with other intervals go into the interval in which they begin.
 */
int failures_merge_hand_out(struct failures_merge *m, uint64_t limit, uint64_t new_ns,
			    reader_failure_fn *fn, void *ctx) MUST_USE;

/* ---- counts: equal groups are added up, sketches merged ---- */

struct stats_merge;

struct stats_merge *stats_merge_new(const struct stats_query *by) MUST_USE;
void stats_merge_free(struct stats_merge *m); /* accepts NULL */
AUTO_DEFINE(stats_merge, stats_merge_free)
int stats_merge_add(void *merge, const struct stats_row *row); /* a stats_row_fn */
/* stats_merge_answer() - of the daemon whose rows were added last: before those of the next */
void stats_merge_answer(struct stats_merge *m, const struct stats_answer *a);
/* stats_merge_hand_out() - as reader_stats() */
int stats_merge_hand_out(struct stats_merge *m, uint64_t limit, stats_row_fn *fn, void *ctx,
			 struct stats_answer *answer) MUST_USE;
