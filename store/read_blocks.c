// SPDX-License-Identifier: Apache-2.0
#include "store/read_blocks.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <zstd.h>

#include "store/chunk.h"
#include "store/tape.h"

/*
 * Theory of operation. Exchanges that follow each other lie in a few blocks, one for each class of
 * traffic, so the blocks last asked for stay decompressed: a list decompresses each of them once.
 * Bodies that lie in older exchanges are why there are more than a few. Dictionaries are few and
 * stay.
 *
 * What it takes to read a block is asked in one transaction: each statement by itself would lock the
 * file and look for its logs, some eight system calls. It is a savepoint, since the caller may have a
 * transaction of his own.
 */
#define BLOCKS_OPEN	     64 /* kept decompressed */
#define DICTIONARIES_MAX     256
#define DICTIONARY_BYTES_MAX (1 << 20)

enum statement { DICTIONARY, BLOCK, CHUNKS, HOLD, LET_GO, STATEMENT_COUNT };

static const struct {
	const char *sql;
	int since; /* version of the schema */
} statements[] = {
	[DICTIONARY] = {"SELECT bytes FROM dictionary WHERE id = ?", 1},
	[BLOCK] = {"SELECT at, bytes, raw_bytes, exchanges, dictionary, checksum FROM block"
		   " WHERE id = ?",
		   2},
	[CHUNKS] = {CHUNK_SELECT_SQL, 2},
	[HOLD] = {"SAVEPOINT block", 2},
	[LET_GO] = {"RELEASE block", 2},
};

struct dictionary_slot {
	uint64_t number; /* 0: free */
	ZSTD_DDict *ready;
};

struct read_blocks {
	struct tape *tape;
	sqlite3_stmt *st[STATEMENT_COUNT]; /* NULL where the version has no such table */
	struct dictionary_slot dictionaries[DICTIONARIES_MAX];
	struct block open[BLOCKS_OPEN];
	uint64_t used[BLOCKS_OPEN], turn; /* when each was last asked for */
};

struct read_blocks *read_blocks_new(struct tape *t, struct err *e)
{
	struct read_blocks *b = calloc(1, sizeof(*b));

	if (!b) {
		(void)err_set(e, -ENOMEM, "tape %s: out of memory", tape_path(t));
		return NULL;
	}
	b->tape = t;
	for (size_t i = 0; i < STATEMENT_COUNT; i++) {
		if (tape_version(t) < statements[i].since)
			continue;
		b->st[i] = tape_prepare(t, statements[i].sql, e);
		if (!b->st[i]) {
			read_blocks_free(b);
			return NULL;
		}
	}
	return b;
}

void read_blocks_rest(struct read_blocks *b)
{
	for (size_t i = 0; i < BLOCKS_OPEN; i++)
		block_fini(&b->open[i]);
}

void read_blocks_free(struct read_blocks *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		(void)sqlite3_finalize(b->st[i]);
	read_blocks_rest(b);
	for (size_t i = 0; i < DICTIONARIES_MAX; i++)
		(void)ZSTD_freeDDict(b->dictionaries[i].ready);
	free(b);
}

static int load_dictionary(struct read_blocks *s, struct dictionary_slot *slot, uint64_t number,
			   struct err *e)
{
	int step, r = 0;

	(void)sqlite3_bind_int64(s->st[DICTIONARY], 1, (int64_t)number);
	step = sqlite3_step(s->st[DICTIONARY]);
	if (step == SQLITE_ROW &&
	    sqlite3_column_bytes(s->st[DICTIONARY], 0) <= DICTIONARY_BYTES_MAX)
		slot->ready = ZSTD_createDDict(sqlite3_column_blob(s->st[DICTIONARY], 0),
					       (size_t)sqlite3_column_bytes(s->st[DICTIONARY], 0));
	else if (step != SQLITE_ROW && step != SQLITE_DONE)
		r = tape_failed(s->tape, e);
	(void)sqlite3_reset(s->st[DICTIONARY]);
	if (r == 0 && !slot->ready)
		r = err_set(e, -EBADMSG, "tape %s: damaged: no dictionary %" PRIu64,
			    tape_path(s->tape), number);
	slot->number = r == 0 ? number : 0;
	return r;
}

int read_blocks_dictionary(struct read_blocks *s, uint64_t number, const ZSTD_DDict **out,
			   struct err *e)
{
	struct dictionary_slot *slot = &s->dictionaries[number % DICTIONARIES_MAX];
	int r = 0;

	if (number && slot->number != number) {
		(void)ZSTD_freeDDict(slot->ready);
		*slot = (struct dictionary_slot){0};
		r = load_dictionary(s, slot, number, e);
	}
	*out = number ? slot->ready : NULL;
	return r;
}

/* Which of the open blocks gives way: the one not asked for since longest. */
static size_t oldest_block(const struct read_blocks *s)
{
	size_t oldest = 0;

	for (size_t i = 1; i < BLOCKS_OPEN; i++)
		if (s->used[i] < s->used[oldest])
			oldest = i;
	return oldest;
}

static int read_block_info(struct read_blocks *s, uint64_t number, struct block_info *info,
			   struct err *e)
{
	int step, r = 0;

	(void)sqlite3_bind_int64(s->st[BLOCK], 1, (int64_t)number);
	step = sqlite3_step(s->st[BLOCK]);
	if (step == SQLITE_ROW)
		*info = (struct block_info){
			.number = number,
			.at = (uint64_t)sqlite3_column_int64(s->st[BLOCK], 0),
			.bytes = (uint64_t)sqlite3_column_int64(s->st[BLOCK], 1),
			.raw_bytes = (uint64_t)sqlite3_column_int64(s->st[BLOCK], 2),
			.exchanges = (uint64_t)sqlite3_column_int64(s->st[BLOCK], 3),
			.dictionary = (uint64_t)sqlite3_column_int64(s->st[BLOCK], 4),
			.checksum = (uint64_t)sqlite3_column_int64(s->st[BLOCK], 5),
		};
	else if (step == SQLITE_DONE)
		r = err_set(e, -EBADMSG, "tape %s: damaged: no block %" PRIu64, tape_path(s->tape),
			    number);
	else
		r = tape_failed(s->tape, e);
	(void)sqlite3_reset(s->st[BLOCK]);
	return r;
}

static void run(sqlite3_stmt *st)
{
	(void)sqlite3_step(st);
	(void)sqlite3_reset(st);
}

static int fetch_block(struct read_blocks *s, uint64_t number, struct block_info *info,
		       struct buf *packed, const ZSTD_DDict **dictionary, struct err *e)
{
	int r;

	run(s->st[HOLD]); /* without it the same is read, only dearer */
	r = read_block_info(s, number, info, e);
	if (r == 0)
		r = chunk_read(s->tape, s->st[CHUNKS], info->at, info->bytes, packed, e);
	if (r == 0)
		r = read_blocks_dictionary(s, info->dictionary, dictionary, e);
	run(s->st[LET_GO]);
	return r;
}

static int load_block(struct read_blocks *s, struct block *b, uint64_t number, struct unpacker *u,
		      struct buf *packed, struct err *e)
{
	const ZSTD_DDict *dictionary;
	struct block_info info = {0};
	int r = fetch_block(s, number, &info, packed, &dictionary, e);

	if (r < 0)
		return r;
	r = block_open(b, u, &info, buf_span(packed), dictionary);
	return r == -EBADMSG ? err_set(e, r, "tape %s: damaged: block %" PRIu64, tape_path(s->tape),
				       number)
			     : r;
}

int read_blocks_find(struct read_blocks *s, uint64_t number, struct unpacker *u, struct buf *packed,
		     const struct block **out, struct err *e)
{
	size_t i = 0;
	int r = 0;

	while (i < BLOCKS_OPEN && s->open[i].number != number)
		i++;
	if (i == BLOCKS_OPEN) {
		i = oldest_block(s);
		if (s->open[i].raw.cap > 2 * BLOCK_RAW_MAX)
			block_fini(&s->open[i]);
		r = load_block(s, &s->open[i], number, u, packed, e);
	}
	s->used[i] = ++s->turn;
	*out = &s->open[i];
	return r;
}
