// SPDX-License-Identifier: Apache-2.0
/*
 * rollup.h - what a tape counts for each minute: how it is written, and how it is read back
 *
 * A row of the table rollup is a minute; its entries are one for each rollup key that was seen in
 * it, in order of the keys' numbers: number (less the one before it) and length of the rest, then
 * count, octets of requests and of responses, and the sketch of the latencies, all varints.
 * Sampled exchanges count as many times as they weigh. A rollup key is a row of the table
 * rollup_key.
 */
#pragma once

#include "lib/buf.h"
#include "schema/fields.h"
#include "store/sketch.h"

#define ROLLUP_MINUTE_NS   (60 * NS_PER_S)
#define ROLLUP_KEYS_MAX	   8192 /* of a tape; beyond, routes and methods are counted as "*" */
#define ROLLUP_FIELD_COUNT 14

/* The fields that a key is made of: what can be asked of the counts. */
extern const uint8_t rollup_fields[ROLLUP_FIELD_COUNT]; /* enum field */
bool rollup_has_field(enum field f);

struct rollup_entry {
	uint64_t key;
	uint64_t count;
	uint64_t request_bytes, response_bytes;
	struct span sketch; /* of the latencies of those that have one */
};

/* rollup_times() - octets of @weight exchanges like this one, likewise bounded */
static inline uint64_t rollup_times(uint64_t bytes, uint64_t weight)
{
	return bytes > (uint64_t)INT64_MAX / weight ? (uint64_t)INT64_MAX : bytes * weight;
}

/* rollup_sum() - of octets that somebody may only have announced: it stops at INT64_MAX, where
 * SQLite's integers end, in whatever order it is made */
static inline uint64_t rollup_sum(uint64_t a, uint64_t b)
{
	uint64_t max = INT64_MAX;

	return a > max || b > max - a ? max : a + b;
}

/* Zero-initialised but for rest it stands before the first entry. */
struct rollup_reader {
	struct span rest;
	uint64_t key;
};

struct sqlite3_stmt;
#define ROLLUP_KEY_COLUMNS                                                                         \
	"id, protocol, method, route, status, outcome, reason, grpc_status, src_service,"          \
	" src_namespace, src_workload, dst_port, dst_service, dst_namespace, dst_workload"
/* rollup_key_row() - a row of ROLLUP_KEY_COLUMNS as an exchange with no more than rollup_fields,
 * which borrows from @st until its next step */
struct exchange rollup_key_row(struct sqlite3_stmt *st);

/* rollup_next() - Return: 1 with an entry; 0 at the end; -EBADMSG damaged */
int rollup_next(struct rollup_reader *r, struct rollup_entry *out) MUST_USE;
/**
 * rollup_add() - append an entry
 * @last_key: number of the one before; 0 for the first. Set to this one's.
 */
void rollup_add(struct buf *out, uint64_t *last_key, const struct rollup_entry *entry);
/**
 * rollup_merge() - the sum of two minutes' entries
 * @out:  appended to; borrows neither
 * @room: scratch
 *
 * Return: 0, -EBADMSG when one is damaged, -ENOMEM.
 */
int rollup_merge(struct span a, struct span b, struct sketch *room, struct buf *out) MUST_USE;

struct err;
struct tape;
/**
 * rollup_is_whole() - has the tape counted all it holds?
 * @removed_out: how many it has counted that are not on it any more
 *
 * Return: 1; 0: it is of an older version, or its counts were damaged; negative errno.
 */
int rollup_is_whole(struct tape *t, uint64_t *removed_out, struct err *e) MUST_USE;
