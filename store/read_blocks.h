// SPDX-License-Identifier: Apache-2.0
/* read_blocks.h - the blocks of one tape, read and kept for a while. Thread: the reader's. @e is
 * never NULL here. */
#pragma once

#include "store/block.h"

struct read_blocks;
struct tape;

/* read_blocks_new() - @t: borrowed. NULL with @e set. */
struct read_blocks *read_blocks_new(struct tape *t, struct err *e) MUST_USE;
/* read_blocks_rest() - what is kept is given up */
void read_blocks_rest(struct read_blocks *b);
void read_blocks_free(struct read_blocks *b); /* accepts NULL */
/**
 * read_blocks_find() - a block by its number
 * @packed: scratch
 * @out:    lives until the next call
 *
 * Return: 0; -EBADMSG damaged; -ENOMEM; SQLite's.
 */
int read_blocks_find(struct read_blocks *b, uint64_t number, struct unpacker *u, struct buf *packed,
		     const struct block **out, struct err *e) MUST_USE;
/* read_blocks_dictionary() - @out: NULL for number 0; lives until the next call. As above. */
int read_blocks_dictionary(struct read_blocks *b, uint64_t number, const struct ZSTD_DDict_s **out,
			   struct err *e) MUST_USE;
