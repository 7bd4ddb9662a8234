// SPDX-License-Identifier: Apache-2.0
/*
 * report.h - a replay as machines read it: JSON, and JUnit XML for a CI server
 *
 * Both are documented in docs/replay.md and stable. They stream: what a report needs does not grow
 * with the number of exchanges.
 */
#pragma once

#include "lib/json.h"
#include "replay/noise.h"
#include "replay/replay.h"

/* report_plan_json() - an object: counts, skips by reason, targets, duration */
void report_plan_json(struct json *j, const struct plan *p);
/* report_entry_json() - an object: one line of --dry-run */
void report_entry_json(struct json *j, const struct plan *p, const struct plan_entry *entry,
		       const struct exchange *x);
/* report_result_json() - an object: one exchange */
void report_result_json(struct json *j, const struct replay_result *result);
/* report_summary_json() - an object. @noise: sorted */
void report_summary_json(struct json *j, const struct replay_summary *s, const struct noise *noise);

/*
 * report_why() - why an exchange was skipped or has no answer, for people: "timeout: no whole answer
 * within --timeout"
 */
void report_why(struct buf *out, const struct replay_result *result);

/* report_where() - the place of a difference, for people: "message 3 $.price". Its bytes are the target's. */
void report_where(struct buf *out, const struct diff *d, const struct diff_item *item);

struct junit;

/* junit_open() - test cases are gathered in a nameless temporary file until junit_write() */
int junit_open(struct junit **j_out, struct err *e) MUST_USE;
/* junit_add() - one exchange as a test case. Return: 0 or -errno (disk full). */
int junit_add(struct junit *j, const struct replay_result *result) MUST_USE;
/**
 * junit_write() - write the whole document, once
 * @print: given pieces of it in order; it empties the buf. Return: 0 or -errno, which ends the writing
 */
int junit_write(struct junit *j, const char *run, const struct replay_summary *s,
		int (*print)(struct buf *b)) MUST_USE;
void junit_close(struct junit *j); /* accepts NULL */
