// SPDX-License-Identifier: Apache-2.0
/*
 * stats.h - count what a filter selects: how many, how large, how slow, by any fields and over time
 *
 * What tapes count for each minute (store/rollup.h) answers where it can; what it cannot answer is
 * read exchange by exchange. Both agree.
 */
#pragma once

#include "schema/fields.h"
#include "store/reader.h"

#define STATS_BY_MAX	 6
#define STATS_GROUPS_MAX 4096  /* further ones are counted together, as "*" */
#define STATS_CELLS_MAX	 32768 /* groups times intervals */
#define STATS_POINTS	 30    /* of a row's counts over time, at most */
#define STATS_UNIT_NS	 (60 * NS_PER_S)

struct stats_query {
	const struct query *select; /* its filter and times; limit counts groups, 0: all */
	enum field by[STATS_BY_MAX];
	size_t by_count;     /* 0: all as one */
	uint64_t every_ns;   /* a row for each such interval; 0: one for the whole time */
	bool wants_sketches; /* rows have them, so that they can be merged with others' */
};

struct stats_row {
	/* text of each field; "*" each: groups for which there was no room */
	const struct span *by;
	uint64_t at_ns; /* beginning of the interval */
	uint64_t count, failed;
	uint64_t request_bytes, response_bytes;	 /* of bodies */
	uint64_t latency_count;			 /* that have a latency: were answered */
	uint64_t p50_ns, p90_ns, p95_ns, p99_ns; /* off by 1.6 % at most; 0 without any */
	uint64_t max_ns;			 /* exact */
	struct span sketch;	/* of the latencies, as sketch_write(); empty unless wanted */
	const uint64_t *points; /* counts over time; NULL with every_ns */
	size_t point_count;
};

/* What the recorder lost since it began, and why: no tape knows of it. */
struct stats_losses {
	bool is_known;			  /* false: whoever answers is not the recorder */
	uint64_t packets;		  /* in the kernel */
	uint64_t queue_full, memory;	  /* exchanges before they came to the store */
	uint64_t store_full, store_error; /* exchanges that it did not take */
};

#define STATS_WHY_MAX 160
struct stats_answer {
	/*
	 * The time that was counted: whole minutes (whole intervals, with every_ns), which the
	 * first and the last one asked for lie in. Both 0 when there is nothing.
	 */
	uint64_t since_ns, until_ns;
	uint64_t step_ns;   /* of a row's points */
	uint64_t points_ns; /* when the first begins: since_ns, in whole hours when step_ns is */
	uint64_t count;	    /* in all groups */
	uint64_t group_count;
	bool is_rollup;		 /* from what the tapes counted; else from each exchange */
	char why[STATS_WHY_MAX]; /* why it could not be; "" when it could */
	bool is_sampled;  /* some of it stands for several exchanges, and counts as many times */
	uint64_t removed; /* counted here, but retention has removed them from their tapes */
	bool has_others;  /* there is a "*" group */
	/* what did not fail is no longer there from before this time (docs/retention.md); 0: it is
	 */
	uint64_t failures_only_until_ns;
	struct stats_losses lost; /* filled in by the daemon's API */
};

/* stats_row_fn - @row is borrowed for the call. Return as reader_exchange_fn. */
typedef int stats_row_fn(void *ctx, const struct stats_row *row);

/**
 * reader_stats() - the groups with most exchanges first; with every_ns in order of time
 * @answer: filled in before the first call of @fn
 * @e:      -E2BIG too many intervals; -ETIMEDOUT and others as reader_list()
 */
int reader_stats(struct reader *r, const struct stats_query *q, stats_row_fn *fn, void *ctx,
		 struct stats_answer *answer, struct err *e) MUST_USE;

/**
 * stats_parse_by() - "dst.service,status" into fields
 * @e: names the field that is none, and which was meant
 */
int stats_parse_by(struct span text, struct stats_query *q, struct err *e) MUST_USE;
