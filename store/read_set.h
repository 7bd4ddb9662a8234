// SPDX-License-Identifier: Apache-2.0
/* read_set.h - the tapes that a reader sees now; what reader.c and its siblings share. @e is never
 * NULL. */
#pragma once

#include "store/read_tape.h"
#include "store/reader.h"

struct seen_tape {
	uint64_t number; /* order of making */
	uint64_t inode;
	uint64_t used; /* turn of its last use */
	char *path;
	struct read_tape *open; /* NULL: not now */
	struct tape_summary summary;
	bool has_summary;
	bool is_resting;	  /* open, and what it had read is given up */
	bool is_failures;	  /* of the share of failures */
	bool has_told_namespaces; /* and they do not change any more: read_namespaces.c */
};

struct reader {
	char *path;
	bool is_file; /* one tape */
	struct seen_tape *tapes;
	size_t count;
	uint64_t turn;
	struct unpacker *unpacker;
	struct read_room room;
	struct filter_scratch *scratch;
	const struct filter *scope; /* of who asks: reader_restrict(); NULL: all */
	struct reader_effort effort;
	struct reader_damage damage;
	uint64_t limit_ns, deadline_ns;
	uint64_t (*now_ns)(void);
};

#define READ_SET_SEEN "reader_seen()" /* SQL that is true and counts the row in effort.seen */

/* read_set_permits() - may who asks now carry out @q? Return: 0 or -EACCES. */
int read_set_permits(const struct reader *r, const struct query *q, struct err *e) MUST_USE;
/* read_set_is_late() - the query has taken all the time that it has */
bool read_set_is_late(const struct reader *r);
/* read_set_refresh() - look again which tapes there are; a query begins with it */
int read_set_refresh(struct reader *r, struct err *e) MUST_USE;
/* read_set_summary() - of a tape. Return: 0; -ENOENT skip it: it is gone meanwhile, or damaged,
 * which is noted; others */
int read_set_summary(struct reader *r, struct seen_tape *t, struct err *e) MUST_USE;
/* read_set_open() - likewise; the tape stays open while it is @is_needed or not many are */
int read_set_open(struct reader *r, struct seen_tape *t, struct err *e) MUST_USE;
/*
 * read_set_bounds() - refresh, and the first and the last time of anything on the tapes; the first is
 * above the last when there is nothing
 */
int read_set_bounds(struct reader *r, uint64_t *first_ns, uint64_t *last_ns,
		    struct err *e) MUST_USE;
/*
 * read_set_left_out() - is @failed damage, after which a query goes on without the rest of the
 * tape?
 *
 * Return: 0, and it is noted; else @failed.
 */
int read_set_left_out(struct reader *r, bool is_whole_tape, int failed, const struct err *e);
