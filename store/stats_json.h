// SPDX-License-Identifier: Apache-2.0
/* stats_json.h - the stable JSON form of counts, the same from REST and the command line:
 * docs/json.md */
#pragma once

#include "lib/json.h"
#include "store/stats.h"

/* stats_row_to_json() - one group, or one interval of a group */
void stats_row_to_json(struct json *j, const struct stats_query *q, const struct stats_row *row);
/* stats_answer_to_json() - the keys that say what was counted, into an object that was begun */
void stats_answer_to_json(struct json *j, const struct stats_answer *a);
/**
 * stats_from_json() - read {"stats": [...], ...}
 * @q:      what was asked: its by
 * @answer: filled in before the first call of @fn
 *
 * Return: 0; -EINVAL when the text is no such answer; what @fn returned when negative.
 */
int stats_from_json(struct span text, const struct stats_query *q, stats_row_fn *fn, void *ctx,
		    struct stats_answer *answer, struct err *e) MUST_USE;
