// SPDX-License-Identifier: Apache-2.0
/*
 * late.h - names that are learned after the exchanges that they belong to: onto the tape that is written
 *
 * The tape itself says what waits: peers whose `until` is above 0 (struct identity). Thread: writer.
 */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"

struct tape;

struct late_answer {
	/* lives until the call of late_write() ends; NULL: no better than before */
	const struct identity *who;
	/* so it is for all times before this one; above the time that was asked about */
	uint64_t until_ns;
	bool is_final; /* nothing better is to be expected */
};

struct late_config {
	/* Who was at @at at @time_ns? @at->who is what the tape says; its port is 0 for a client. */
	struct late_answer (*ask)(void *ctx, const struct endpoint *at, uint64_t time_ns);
	void *ctx;
	unsigned rows_max; /* peers that are asked about in one call */
	bool is_away;	   /* nobody can be asked at present: a tape that waits is ended later */
};

struct late_result {
	uint64_t named, never; /* peers that got their names; that will not */
	uint64_t waiting;      /* peers that were looked at and still wait */
	bool has_more;	       /* not all that wait were looked at: call again */
	bool was_split;	       /* the tape has rows that its writer did not number */
};

/* What late_write() goes on from, and whom it tells. Zero-initialised but for the function. */
struct late_pass {
	uint64_t after; /* the last peer that was looked at */
	/* the row of @end, as it was, is not to be used for further exchanges */
	void (*changed)(void *ctx, const struct endpoint *end);
	void *ctx;
};

/**
 * late_write() - ask about the next of those that wait, and write what is new, in one transaction
 * @t:   which is being appended to, by nobody else at this moment
 * @out: added to
 *
 * Return: 0; on failure the tape is as before.
 */
int late_write(struct tape *t, const struct late_config *c, struct late_pass *pass,
	       struct late_result *out, struct err *e) MUST_USE;
