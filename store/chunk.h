// SPDX-License-Identifier: Apache-2.0
/*
 * chunk.h - the bytes of all blocks of a tape, one behind the other, as rows that fill its pages
 *
 * A block would leave much of its page empty, or spill over by a little. So blocks are cut wherever
 * a page ends. Thread: of the tape's connection.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

struct sqlite3_stmt;
struct tape;

/* Where the next byte goes. Zero-initialised it is the beginning. */
struct chunk_end {
	uint64_t at;   /* bytes of all chunks before */
	uint32_t room; /* left in the last page, as far as we know */
};

#define CHUNK_INSERT_SQL "INSERT INTO chunk (id, bytes) VALUES (?,?)"
/* chunk_end() - of a tape that is opened to be gone on with */
int chunk_find_end(struct tape *t, struct chunk_end *out, struct err *e) MUST_USE;
/**
 * chunk_write() - append bytes, in a transaction
 * @insert: prepared from CHUNK_INSERT_SQL
 * @end:    moved on; the caller forgets it when the transaction fails
 */
int chunk_write(struct tape *t, struct sqlite3_stmt *insert, struct span bytes,
		struct chunk_end *end, struct err *e) MUST_USE;

#define CHUNK_SELECT_SQL                                                                           \
	"SELECT id, bytes FROM chunk WHERE id >= (SELECT max(id) FROM chunk WHERE id <= ?1)"       \
	" AND id < ?2 ORDER BY id"
/**
 * chunk_read() - the bytes from @at on
 * @select: prepared from CHUNK_SELECT_SQL
 * @out:    cleared and filled
 *
 * Return: 0; -EBADMSG they are not all there; -ENOMEM; SQLite's.
 */
int chunk_read(struct tape *t, struct sqlite3_stmt *select, uint64_t at, uint64_t bytes,
	       struct buf *out, struct err *e) MUST_USE;
