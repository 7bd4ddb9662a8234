// SPDX-License-Identifier: Apache-2.0
/*
 * keeper.h - what a tape needs beside its writer: its log synced and emptied, its sealing
 *
 * The work is done in jobs, on another thread where there is one.
 */
#pragma once

#include "lib/err.h"

struct jobs;
struct keeper;
struct sealing;

/*
 * keeper_new() - for the tape at @path, which is being appended to; its log is emptied when it is
 * longer than @log_bytes. NULL: no memory
 */
struct keeper *keeper_new(struct jobs *jobs, const char *path, uint64_t log_bytes) MUST_USE;
/* keeper_free() - a job that runs goes on and frees it; accepts NULL. Thread: writer. */
void keeper_free(struct keeper *k);
/* keeper_after_commit() - sync the log, and empty it when it is long; nothing if it is busy.
 * Thread: writer. */
void keeper_after_commit(struct keeper *k);

/**
 * sealing_start() - index a tape, mark it sealed and make it one file
 * @path:    where it is
 * @to_path: its name when done: for a bulk tape, which is synced before; NULL: it keeps its name
 * @number:  for sealing_number()
 * @level:   zstd level at which it is then written anew where that pays; 0: it is not. Never done
 *           with @to_path.
 * @wants_fulltext: index what text("...") searches (store/fulltext.h); a tape that cannot be is
 * without
 *
 * Return: NULL without memory: nothing is done.
 */
struct sealing *sealing_start(struct jobs *jobs, const char *path, const char *to_path,
			      uint64_t number, int level, bool wants_fulltext) MUST_USE;
bool sealing_is_done(const struct sealing *s);
uint64_t sealing_number(const struct sealing *s);
/* sealing_cancel() - it is to be done soon: the tape is not written anew, or not to the end */
void sealing_cancel(struct sealing *s);
/*
 * sealing_end() - wait for nothing: it is done. Return: 0 or why it failed; @s is freed.
 * @left: code 0, or why it was sealed but could not be written anew; may be NULL
 */
int sealing_end(struct sealing *s, struct err *left, struct err *e);
