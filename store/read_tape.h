// SPDX-License-Identifier: Apache-2.0
/* read_tape.h - one tape opened for reading: rows become exchanges. Thread: the reader's. @e is
 * never NULL here. */
#pragma once

#include "store/batch.h"
#include "store/block.h"
#include "store/id_ranges.h"
#include "store/tape.h"

struct commons;
struct read_tape;
struct sqlite3_stmt;

/* the columns that read_tape_row() expects, in this order */
#define READ_COLUMNS                                                                               \
	"exchange.id, exchange.moved, exchange.kind, exchange.outcome, exchange.src,"              \
	" exchange.src_port, exchange.age, exchange.sequence, exchange.latency,"                   \
	" exchange.path, exchange.query, exchange.target, exchange.request_size,"                  \
	" exchange.response_size, exchange.trace_id, exchange.replay, exchange.stream,"            \
	" exchange.sent, exchange.received, exchange.deadline, exchange.times,"                    \
	" exchange.place, exchange.dst_latency, exchange.wire"

int read_tape_open(const char *path, struct read_tape **t_out, struct err *e) MUST_USE;
void read_tape_close(struct read_tape *t); /* accepts NULL */
/* read_tape_rest() - it will not be asked for a while: give back memory */
void read_tape_rest(struct read_tape *t);
struct tape *read_tape_tape(const struct read_tape *t);
struct commons *read_tape_commons(const struct read_tape *t);
/* read_tape_summary() - asked anew unless the tape is sealed */
int read_tape_summary(struct read_tape *t, struct tape_summary *out, struct err *e) MUST_USE;

/**
 * read_tape_find_trace() - the exchanges that may have a trace id, by whatever index the tape has now
 * @trace: as it is typed, not empty
 * @out:   appended to: single ids, in no order
 *
 * Return: 1; 0 when there is none, or too many have it: the tape is to be read; or a negative errno.
 */
int read_tape_find_trace(struct read_tape *t, struct span trace, struct id_ranges *out,
			 struct err *e) MUST_USE;

/* read_tape_row() - append the row that @st stands at to @b. @wants_messages: all of a pack of
 * version 1, not just its beginning. */
int read_tape_row(struct sqlite3_stmt *st, bool wants_messages, struct batch *b) MUST_USE;

/* Where the spans of an exchange that was read live; reused from one to the next. */
struct read_room {
	struct buf texts, messages, packed, request_body, response_body;
};
void read_room_fini(struct read_room *room);
/**
 * read_tape_exchange() - a row as an exchange
 * @b, @row: as read_tape_row() left them
 * @x_out:   its spans live in @b, @room and @t until the next call with one of these
 *
 * Return: 0; -EBADMSG damaged; -ENOMEM and SQLite's.
 */
int read_tape_exchange(struct read_tape *t, const struct batch *b, const struct row *row,
		       bool wants_messages, struct unpacker *u, struct read_room *room,
		       struct exchange *x_out, struct err *e) MUST_USE;
/**
 * read_tape_pack() - likewise with messages, but without bodies that lie with other exchanges
 * @elsewhere: which those are; of such a body only the length is set
 */
int read_tape_pack(struct read_tape *t, const struct batch *b, const struct row *row,
		   struct unpacker *u, struct read_room *room, struct exchange *x_out,
		   struct pack_elsewhere *elsewhere, struct err *e) MUST_USE;
/* read_tape_get() - the row of @id, appended to @b. Return: 0, -ENOENT, or as above. */
int read_tape_get(struct read_tape *t, uint64_t id, struct batch *b, struct err *e) MUST_USE;
