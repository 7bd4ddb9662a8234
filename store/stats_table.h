// SPDX-License-Identifier: Apache-2.0
/* stats_table.h - groups and intervals being added up: for store/read_stats.c alone */
#pragma once

#include "store/sketch.h"
#include "store/stats.h"

struct stats_table;

struct stats_cell {
	uint64_t count, failed, request_bytes, response_bytes;
	struct sketch latency;
};

/* stats_table_new() - @answer's times are set; both are borrowed. NULL: no memory. */
struct stats_table *stats_table_new(const struct stats_query *q,
				    const struct stats_answer *answer) MUST_USE;
void stats_table_free(struct stats_table *t); /* accepts NULL */
AUTO_DEFINE(stats_table, stats_table_free)

#define STATS_NO_GROUP UINT32_MAX
/* stats_table_group() - the group of an exchange; STATS_NO_GROUP without memory */
uint32_t stats_table_group(struct stats_table *t, const struct exchange *x);
/**
 * stats_table_cell() - where to add what @group did at @at_ns, which lies in the answer's time
 * @count: how many, for the points; the cell's own counts are the caller's to raise
 *
 * Return: NULL without memory, or when there are more than STATS_CELLS_MAX (stats_table_is_full()).
 */
struct stats_cell *stats_table_cell(struct stats_table *t, uint32_t group, uint64_t at_ns,
				    uint64_t count);
bool stats_table_is_full(const struct stats_table *t);
/* stats_table_sum_up() - fill in what the answer says of all groups */
void stats_table_sum_up(const struct stats_table *t, struct stats_answer *answer);
int stats_table_hand_out(struct stats_table *t, uint64_t limit, stats_row_fn *fn, void *ctx);
