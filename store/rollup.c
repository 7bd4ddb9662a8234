// SPDX-License-Identifier: Apache-2.0
#include "store/rollup.h"

#include <errno.h>
#include <sqlite3.h>

#include "store/tape.h"
#include "store/varint.h"

/*
 * Theory of operation. A minute is one row and not one row for each key: reading a day of two
 * hundred keys is 1,440 rows instead of 288,000, and what is not asked for is skipped by its
 * length. Minutes add up: entries of one key are merged, all others are copied as they are, so what
 * a commit adds to the minute that is being recorded costs a pass over some kilobytes.
 */

const uint8_t rollup_fields[ROLLUP_FIELD_COUNT] = {
	FIELD_PROTOCOL,	     FIELD_METHOD,	 FIELD_ROUTE,	    FIELD_STATUS,
	FIELD_OUTCOME,	     FIELD_REASON,	 FIELD_GRPC_STATUS, FIELD_SRC_SERVICE,
	FIELD_SRC_NAMESPACE, FIELD_SRC_WORKLOAD, FIELD_DST_PORT,    FIELD_DST_SERVICE,
	FIELD_DST_NAMESPACE, FIELD_DST_WORKLOAD,
};

bool rollup_has_field(enum field f)
{
	for (size_t i = 0; i < ROLLUP_FIELD_COUNT; i++)
		if (rollup_fields[i] == f)
			return true;
	return false;
}

static struct span text_at(sqlite3_stmt *st, int at)
{
	const void *text = sqlite3_column_blob(st, at);

	return span_of(text, text ? (size_t)sqlite3_column_bytes(st, at) : 0);
}

struct exchange rollup_key_row(struct sqlite3_stmt *st)
{
	uint16_t grpc_status = (uint16_t)sqlite3_column_int(st, 7);

	return (struct exchange){
		.protocol = (uint8_t)sqlite3_column_int(st, 1),
		.method = text_at(st, 2),
		.route = text_at(st, 3),
		.status = (uint16_t)sqlite3_column_int(st, 4),
		.outcome = (uint8_t)sqlite3_column_int(st, 5),
		.reason = (uint8_t)sqlite3_column_int(st, 6),
		.grpc_status = grpc_status,
		.has_grpc_status = grpc_status != 0,
		.src.who = {.service = text_at(st, 8),
			    .name_space = text_at(st, 9),
			    .workload = text_at(st, 10)},
		.dst.port = (uint16_t)sqlite3_column_int(st, 11),
		.dst.who = {.service = text_at(st, 12),
			    .name_space = text_at(st, 13),
			    .workload = text_at(st, 14)},
	};
}

int rollup_next(struct rollup_reader *r, struct rollup_entry *out)
{
	struct span in = r->rest, entry;
	uint64_t step, length;

	if (in.len == 0)
		return 0;
	if (!varint_take(&in, &step) || !varint_take(&in, &length) || length > in.len || step == 0)
		return -EBADMSG;
	entry = span_of(in.ptr, (size_t)length);
	r->rest = span_from(in, (size_t)length);
	r->key += step;
	out->key = r->key;
	if (!varint_take(&entry, &out->count) || !varint_take(&entry, &out->request_bytes) ||
	    !varint_take(&entry, &out->response_bytes))
		return -EBADMSG;
	out->sketch = entry;
	return 1;
}

static size_t varint_len(uint64_t v)
{
	return v < 0x80 ? 1 : (size_t)(63 - __builtin_clzll(v)) / 7 + 1;
}

void rollup_add(struct buf *out, uint64_t *last_key, const struct rollup_entry *entry)
{
	varint_add(out, entry->key - *last_key);
	varint_add(out, varint_len(entry->count) + varint_len(entry->request_bytes) +
				varint_len(entry->response_bytes) + entry->sketch.len);
	varint_add(out, entry->count);
	varint_add(out, entry->request_bytes);
	varint_add(out, entry->response_bytes);
	buf_add_span(out, entry->sketch);
	*last_key = entry->key;
}

static int add_sum(struct rollup_entry *a, const struct rollup_entry *b, struct sketch *room,
		   struct buf *out, uint64_t *last_key)
{
	AUTO_BUF sum = {0};

	sketch_clear(room);
	if (!sketch_read(room, &a->sketch) ||
	    !sketch_read(room, &(struct span){b->sketch.ptr, b->sketch.len}))
		return -EBADMSG;
	sketch_write(room, &sum);
	a->count += b->count;
	a->request_bytes = rollup_sum(a->request_bytes, b->request_bytes);
	a->response_bytes = rollup_sum(a->response_bytes, b->response_bytes);
	a->sketch = buf_span(&sum);
	rollup_add(out, last_key, a);
	return room->is_failed || sum.is_failed ? -ENOMEM : 0;
}

int rollup_merge(struct span a, struct span b, struct sketch *room, struct buf *out)
{
	struct rollup_reader ra = {.rest = a}, rb = {.rest = b};
	struct rollup_entry ea, eb;
	uint64_t last_key = 0;
	int has_a = rollup_next(&ra, &ea), has_b = rollup_next(&rb, &eb), r = 0;

	while (r == 0 && (has_a > 0 || has_b > 0) && has_a >= 0 && has_b >= 0) {
		bool takes_a = has_a > 0 && (has_b == 0 || ea.key <= eb.key);
		bool takes_b = has_b > 0 && (has_a == 0 || eb.key <= ea.key);

		if (takes_a && takes_b)
			r = add_sum(&ea, &eb, room, out, &last_key);
		else
			rollup_add(out, &last_key, takes_a ? &ea : &eb);
		if (takes_a)
			has_a = rollup_next(&ra, &ea);
		if (takes_b)
			has_b = rollup_next(&rb, &eb);
	}
	if (has_a < 0 || has_b < 0)
		return -EBADMSG;
	return r == 0 && out->is_failed ? -ENOMEM : r;
}

int rollup_is_whole(struct tape *t, uint64_t *removed_out, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(t, "SELECT rolled, rows FROM tape WHERE id = 1", e);
	int step = st ? sqlite3_step(st) : SQLITE_ERROR;
	int64_t rolled = 0, rows = 0;

	if (step == SQLITE_ROW) {
		rolled = sqlite3_column_int64(st, 0);
		rows = sqlite3_column_int64(st, 1);
	}
	(void)sqlite3_finalize(st);
	if (step != SQLITE_ROW)
		return tape_failed(t, e);
	*removed_out = rolled > rows ? (uint64_t)rolled - (uint64_t)rows : 0;
	return rolled >= rows;
}
