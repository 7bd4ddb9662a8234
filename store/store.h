// SPDX-License-Identifier: Apache-2.0
/*
 * store.h - keep exchanges: a directory of tapes, opened for writing by one thread
 *
 * Thread: writer. Readers (store/reader.h) open the same directory beside it, in any thread or
 * process.
 */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"
#include "store/late.h"

struct store;

struct store_config {
	uint64_t bytes_max;	      /* quota; 0 = none */
	uint64_t age_max_ns;	      /* older exchanges go, whole tapes at a time; 0: none */
	unsigned failures_percent;    /* of bytes_max that failures may use for certain, on tapes of
					their own;    0: they have none and go with the rest */
	uint64_t failures_age_max_ns; /* likewise for failures; 0: none */
	uint64_t tape_rows;	      /* exchanges on a tape before it is sealed */
	uint64_t tape_span_ns;	      /* time on a tape before it is sealed */
	int level;		      /* zstd level */
	bool has_fulltext;	      /* sealed tapes get an index of what text("...") searches */
	bool is_bulk;		      /* an import: speed before durability, until store_close() */
	bool keeps_ids;		      /* an exchange that has an id keeps it, if it is free and not
					before its start */
	/*
	 * Run @work(@arg) on a thread that is not the writer's (dictionary training, checkpoints);
	 * @ctx is the caller's. NULL: the store does it itself, in the calling thread.
	 */
	void (*run)(void *ctx, void (*work)(void *arg), void *arg);
	void *run_ctx;
};

struct store_stats {
	uint64_t tape_count;
	uint64_t bytes;		 /* on disk, everything counted */
	uint64_t failures_bytes; /* of these: the failures' tapes */
	uint64_t pinned_bytes;	 /* of these: tapes that may not go */
	uint64_t exchange_count; /* since opened */
	uint64_t raw_bytes;	 /* of messages before compression, since opened */
	uint64_t packed_bytes;	 /* after, since opened */
	uint64_t dictionary_count;
	uint64_t retired_tapes; /* removed for the quota or their age, since opened */
	uint64_t retired_exchanges;
};

struct store_config store_config_default(void);

/**
 * store_open() - open a directory of tapes for writing, making it if need be
 * @e: -EACCES/-EROFS not writable; -EPROTONOSUPPORT a tape of a newer version; -EBUSY another
 *     writer holds it (a lock that dies with its process); -EBADMSG damaged
 */
int store_open(const char *dir, const struct store_config *config, struct store **s_out,
	       struct err *e) MUST_USE;
/* store_close() - commit, give back; the tape stays open for the next store_open(). NULL is fine.
 */
int store_close(struct store *s, struct err *e);
/*
 * store_route() - x->route with the positions as {} that were learned to vary, and learn from it. The
 * new route lives until the next call. To be called before store_add(), by whoever records.
 */
void store_route(struct store *s, struct exchange *x);
/**
 * store_add() - put one exchange into the batch
 * @x: borrowed for the call; id is set (start_ns, moved on when taken; see keeps_ids)
 *
 * Return: 0; -ENOSPC no room (nothing added; try again after a while); -EIO and others: not added.
 */
int store_add(struct store *s, struct exchange *x, struct err *e) MUST_USE;
/*
 * store_commit() - what was added is on the tape, after a kill -9 too. Seals and retires tapes when
 * due. On failure the batch is kept and the next call tries again (-ENOSPC: disk full).
 */
int store_commit(struct store *s, struct err *e) MUST_USE;
/**
 * store_tick() - look at age, quota and the clock, some time in a minute, also when nothing is
 * recorded
 * @wall_ns: tapes are not too old by a clock that was not steady for an hour
 */
void store_tick(struct store *s, uint64_t wall_ns, uint64_t mono_ns);
/* store_take_warning() - something that a person should know happened beside the commits: a tape
 * could not be read, or not be sealed. Each is told once. */
bool store_take_warning(struct store *s, struct err *out);
/**
 * store_name_late() - ask about those on the tapes that are written who wait for their names
 * @out: set; has_more: until all of both tapes were looked at
 *
 * Between a commit and the next store_add(). A tape that is sealed keeps the names it has.
 */
int store_name_late(struct store *s, const struct late_config *c, struct late_result *out,
		    struct err *e) MUST_USE;
/* store_discard() - give up the batch. Return: how many exchanges it held. */
uint64_t store_discard(struct store *s);
void store_stats(const struct store *s, struct store_stats *out);
/* store_set_limits() - settings that may change while it runs: quota, rows, span, level */
void store_set_limits(struct store *s, const struct store_config *config);
