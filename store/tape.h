// SPDX-License-Identifier: Apache-2.0
/* tape.h - one SQLite file: opened for writing or reading, its version, what it says about itself
 */
#pragma once

#include "lib/err.h"
#include "lib/base.h"

struct sqlite3;
struct sqlite3_stmt;
struct tape;

#define TAPE_PAGE_BYTES 16384 /* of a tape that we make */

enum tape_mode {
	TAPE_READ,   /* beside a writer; never changes the file */
	TAPE_APPEND, /* write-ahead log: readers see each commit; made if it is not there */
	TAPE_FOLD,   /* to be made one file, whatever its version; nothing else is changed */
	TAPE_BULK,   /* made new; fast, and nothing but a whole file after tape_finish() */
};

/**
 * tape_open() - open a tape file, migrating it when it is opened for writing
 * @e: -ENOENT; -EPROTONOSUPPORT made by a newer version; -EBADMSG no tape, or damaged; -EACCES,
 *     -EROFS, -ENOSPC, -EIO
 */
int tape_open(const char *path, enum tape_mode mode, struct tape **t_out, struct err *e) MUST_USE;
void tape_close(struct tape *t); /* accepts NULL; what was not committed is gone */
AUTO_DEFINE(tape, tape_close)

struct sqlite3 *tape_db(const struct tape *t); /* borrowed */
const char *tape_path(const struct tape *t);
bool tape_is_bulk(const struct tape *t); /* nobody reads it before it is sealed */
int tape_version(const struct tape *t);	 /* of its schema; an older one is seen as today's */
/* tape_prepare() - a statement that stays prepared; NULL with @e set */
struct sqlite3_stmt *tape_prepare(struct tape *t, const char *sql, struct err *e) MUST_USE;
/* tape_failed() - SQLite's last complaint, with the file's name. Return: a negative errno. */
int tape_failed(const struct tape *t, struct err *e);
int tape_run(struct tape *t, const char *sql, struct err *e) MUST_USE;
/* tape_run_with() - likewise, one statement with numbers for its parameters */
int tape_run_with(struct tape *t, const char *sql, const uint64_t *numbers, int count,
		  struct err *e) MUST_USE;

#define TAPE_COMMON_KINDS_MAX 256
/* What a tape says about itself: table tape. */
struct tape_summary {
	uint64_t rows, first_id, last_id, moved_max, raw_bytes, packed_bytes;
	uint64_t named; /* times that a peer's names were changed */
	bool is_sealed;
	bool is_final; /* sealed, and no smaller form of it is to be had */
	/* "3,17": kinds of so many exchanges that index kind_id leaves them out; digits and commas
	 */
	char common_kinds[TAPE_COMMON_KINDS_MAX];
};
int tape_summary(struct tape *t, struct tape_summary *out, struct err *e) MUST_USE;

/* tape_bytes() - what is committed takes so much, wherever it lies [bytes]; 0 when it cannot be
 * asked */
uint64_t tape_bytes(struct tape *t);
/*
 * tape_seal() - build indexes and statistics and mark it sealed, in one transaction. Any thread of
 * its own.
 * @is_final: nothing more is to be gained from it
 */
int tape_seal(struct tape *t, bool is_final, struct err *e) MUST_USE;
/*
 * tape_make_portable() - bring everything into the one file, without log beside it
 *
 * Return: 0; -EBUSY when somebody has it open (it is as good as before).
 */
int tape_make_portable(struct tape *t, struct err *e);
/* tape_checkpoint() - move committed pages from the log into the file, as far as readers let it */
int tape_checkpoint(struct tape *t, struct err *e);
