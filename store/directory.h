// SPDX-License-Identifier: Apache-2.0
/* directory.h - the files of a store: names, order, sizes, the lock */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

/* Tapes are numbered as they are made, whatever the clock says: tape-00000042.tape. */
struct tape_list {
	uint64_t *numbers; /* ascending; owned */
	size_t count;
};

/* directory_list() - @dir's tapes. @e: -ENOENT, -EACCES, -ENOTDIR ... */
int directory_list(const char *dir, struct tape_list *out, struct err *e) MUST_USE;
void tape_list_fini(struct tape_list *l);

/* Bulk tapes have another name until they are whole: whoever lists does not see them. */
const char *directory_path(struct buf *out, const char *dir, uint64_t number, bool is_part);
/* directory_file_bytes() - a tape's size on disk, log included; 0 when it is gone */
uint64_t directory_file_bytes(const char *path);
uint64_t directory_main_bytes(const char *path); /* the tape alone */
bool directory_has_log(const char *path);
void directory_unlink(const char *path); /* a tape with all that belongs to it */
/* directory_bytes() - all files in @dir, whatever they are; 0 when it cannot be read */
uint64_t directory_bytes(const char *dir);
/*
 * A pinned tape is never retired. The pin is an empty file beside it (tape-00000042.tape.pin), so
 * any process may set it, whoever writes the tape.
 */
bool directory_is_pinned(const char *path);
/* directory_pin() - set or take away. @e: -ENOENT no such tape; -EACCES, -EROFS, ... */
int directory_pin(const char *path, bool is_pinned, struct err *e) MUST_USE;
/* directory_failures() - where in store @dir the failures' tapes are: @dir/failures */
const char *directory_failures(struct buf *out, const char *dir);
/* directory_tape_fn - @path is borrowed for the call. Return: 0 to go on, or a negative errno with
 * @e. */
typedef int directory_tape_fn(void *ctx, const char *path, bool is_failures, struct err *e);
/* directory_each_tape() - the tapes of store @dir in order, the rest's, then the failures' */
int directory_each_tape(const char *dir, directory_tape_fn *fn, void *ctx, struct err *e) MUST_USE;
/* directory_tidy_all() - directory_tidy() for a store: @dir and its failures */
void directory_tidy_all(const char *dir);
/* directory_remove() - a store that was made for one task, with all that is in it */
void directory_remove(const char *dir);
/* directory_tidy() - remove what an interrupted writer left: parts, logs without a tape */
void directory_tidy(const char *dir);

/**
 * directory_lock() - make @dir if need be and be its only writer
 * @fd_out: close() gives the lock back; so does the end of the process
 * @e:      -EBUSY with the other writer's pid; -EACCES, -EROFS ...
 */
int directory_lock(const char *dir, int *fd_out, struct err *e) MUST_USE;
/* directory_sync() - names given or changed survive a power cut */
void directory_sync(const char *dir);
void directory_sync_of(const char *path); /* the directory that holds @path */
