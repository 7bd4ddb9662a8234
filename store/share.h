// SPDX-License-Identifier: Apache-2.0
/*
 * share.h - one of the two series of tapes in a store: the failures, or all the rest
 *
 * A share is a directory of tapes, the newest of which is written. Who opens it holds the store's
 * lock. Thread: writer.
 */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"
#include "store/series.h"
#include "store/writer.h"

struct jobs;
struct route_rules;
struct share;

/* When a tape is full; whichever comes first. */
struct share_limits {
	uint64_t tape_rows;
	uint64_t tape_span_ns;
	uint64_t tape_bytes; /* 0: none */
	bool has_fulltext;   /* sealed tapes get an index of texts */
	bool is_bulk;	     /* an import: whole tapes under another name until they are sealed */
};

/* share_new() - nothing is opened yet; @jobs and @rules are borrowed. NULL: no memory. */
struct share *share_new(const char *dir, struct jobs *jobs, struct route_rules *rules,
			int level) MUST_USE;
/* share_free() - once no job runs any more; what was not written is gone. Accepts NULL. */
void share_free(struct share *s);

void share_set_limits(struct share *s, const struct share_limits *limits);
void share_set_level(struct share *s, int level);
/**
 * share_open() - look at the tapes that are there, tidy up, and go on with the newest
 *
 * A directory that is not there is made with the first tape. A tape that is damaged counts and is
 * let be. @e: -EPROTONOSUPPORT a tape of a newer version; -ENOMEM, -EACCES and others
 */
int share_open(struct share *s, struct err *e) MUST_USE;

bool share_has_tape(const struct share *s); /* one that is written */
/* share_begin_tape() - when there is none */
int share_begin_tape(struct share *s, struct err *e) MUST_USE;
/* share_end_tape() - what is written is sealed from now on, in a job; the batch is empty */
int share_end_tape(struct share *s, struct err *e) MUST_USE;
bool share_tape_is_full(const struct share *s);
/* share_tape_last_id() - the highest on the tape that is written; 0: none is, or it is empty */
uint64_t share_tape_last_id(const struct share *s);

/* share_add() - @x, whose id is set, into the batch. There is a tape. */
int share_add(struct share *s, const struct exchange *x, struct err *e) MUST_USE;
/* share_write() - the batch onto the tape. On failure it is kept. */
int share_write(struct share *s, struct err *e) MUST_USE;
/* share_name_late() - as writer_name_late(); the batch is empty */
int share_name_late(struct share *s, const struct late_config *c, struct late_result *out,
		    struct err *e) MUST_USE;
/* share_collect() - take note of tapes that were sealed meanwhile. Return: the first failure. */
int share_collect(struct share *s, struct err *e);
/* share_take_damage() - a tape that share_open() could not read; each is told once */
bool share_take_damage(struct share *s, struct err *out);
/* share_hurry() - jobs that take long are to end soon, and be begun again at the next start */
void share_hurry(struct share *s);
/* share_finish() - at the end: the tape that is written becomes one file if nobody reads it. No job
 * runs any more. */
void share_finish(struct share *s);

bool share_has_id(struct share *s, uint64_t id);
struct writer *share_writer(const struct share *s); /* borrowed: batch and totals */
struct series *share_series(const struct share *s); /* borrowed: the tapes not written any more */
uint64_t share_bytes(const struct share *s);	    /* on disk, everything counted */
uint64_t share_tape_bytes(const struct share *s);   /* of these: the tape that is written */
/* share_measure() - look again how large the tape that is written is, and what a job works on */
void share_measure(struct share *s);
uint64_t share_tape_count(const struct share *s);
