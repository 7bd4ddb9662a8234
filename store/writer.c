// SPDX-License-Identifier: Apache-2.0
#include "store/writer.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <xxhash.h>

#include "schema/sql.h"
#include "store/batch.h"
#include "store/chunk.h"
#include "store/common.h"
#include "store/inserts.h"
#include "store/intern.h"
#include "store/packing.h"
#include "store/tape.h"

/*
 * Theory of operation. What the columns do not say goes into blocks (packing.c), at the latest when
 * the batch is written. The batch is written in one transaction, in the order of ids, so the tape's
 * trees grow at their ends and their pages are full. It is kept until the commit has succeeded:
 * SQLite may take a whole transaction back when the disk is full, and then it is simply written
 * again.
 *
 * Numbers of kinds and peers are given when an exchange is added; their rows are part of the same
 * batch. A batch that is given up takes with it everything that was learnt from it.
 *
 * What a failure says of itself is part of its kind, with what varies left out. Where something varies
 * that nobody recognises, each failure would be a kind: after so many of them the error of further
 * ones is "*".
 */
#define ERRORS_MAX   64	  /* of kinds that differ in nothing else, on a tape */
#define ERRORS_OF    1024 /* such kinds that are counted at the same time, a power of two */
#define PEER_ENTRIES 4096
#define KIND_ENTRIES 8192
#define KEY_BYTES    (1 << 20)
#define IDS	     16384 /* slots of the set of ids; twice what a batch holds, a power of two */

/* how many errors kinds have that are the same but for them */
struct errors_of {
	uint64_t hash; /* of what is the same */
	uint32_t count;
};

struct writer {
	struct intern *peers, *kinds;
	struct errors_of errors_of[ERRORS_OF];
	struct packing *packing;
	struct chunk_end end; /* of what is committed */
	struct rollup_writer *rollup;
	struct learned *learned;
	struct trace_writer *traces;
	struct buf key; /* scratch */
	struct batch batch;
	uint64_t *ids; /* of the batch: a set by open addressing, 0 free */
	struct tape *tape;
	struct inserts *inserts;
	struct late_pass late;
	struct writer_totals totals;
};

struct writer *writer_new(struct jobs *jobs, struct route_rules *rules, int level)
{
	AUTO(writer) w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->peers = intern_new(PEER_ENTRIES, KEY_BYTES / 2);
	w->kinds = intern_new(KIND_ENTRIES, KEY_BYTES);
	w->packing = packing_new(jobs, level);
	w->rollup = rollup_writer_new();
	w->learned = learned_new(rules);
	w->traces = trace_writer_new();
	w->ids = calloc(IDS, sizeof(w->ids[0]));
	if (!w->peers || !w->kinds || !w->packing || !w->rollup || !w->learned || !w->traces ||
	    !w->ids)
		return NULL;
	return TAKE(w);
}

void writer_free(struct writer *w)
{
	if (!w)
		return;
	inserts_free(w->inserts);
	packing_free(w->packing);
	intern_free(w->peers);
	intern_free(w->kinds);
	rollup_writer_free(w->rollup);
	learned_free(w->learned);
	trace_writer_free(w->traces);
	buf_fini(&w->key);
	batch_fini(&w->batch);
	free(w->ids);
	free(w);
}

void writer_set_level(struct writer *w, int level)
{
	packing_set_level(w->packing, level);
}

/* The highest id of a table; 0 when it is empty. */
static int highest(struct tape *t, const char *table, uint64_t *out, struct err *e)
{
	char sql[64];
	sqlite3_stmt *st;
	int r = 0;

	(void)sqlite3_snprintf((int)sizeof(sql), sql, "SELECT ifnull(max(id), 0) FROM %s", table);
	st = tape_prepare(t, sql, e);

	if (st && sqlite3_step(st) == SQLITE_ROW)
		*out = (uint64_t)sqlite3_column_int64(st, 0);
	else
		r = tape_failed(t, e);
	(void)sqlite3_finalize(st);
	return r;
}

/* What was learnt is about another tape, or about rows that never came onto one. */
static int forget(struct writer *w, struct err *e)
{
	uint64_t peer = 0, kind = 0, dictionary = 0, block = 0;
	int r = 0;

	w->end = (struct chunk_end){0};
	memset(w->errors_of, 0, sizeof(w->errors_of));
	if (w->tape)
		r = highest(w->tape, "peer", &peer, e);
	if (w->tape && r == 0)
		r = highest(w->tape, "kind", &kind, e);
	if (w->tape && r == 0)
		r = highest(w->tape, "dictionary", &dictionary, e);
	if (w->tape && r == 0)
		r = highest(w->tape, "block", &block, e);
	if (w->tape && r == 0)
		r = chunk_find_end(w->tape, &w->end, e);
	w->late.after = 0;
	intern_restart(w->peers, peer + 1);
	intern_restart(w->kinds, kind + 1);
	packing_begin_tape(w->packing, (uint32_t)dictionary + 1, block + 1);
	return r;
}

int writer_begin_tape(struct writer *w, struct tape *t, struct err *e)
{
	int r;

	inserts_free(TAKE(w->inserts));
	w->tape = t;
	r = forget(w, e);
	if (r == 0 && t)
		r = inserts_new(t, w->rollup, w->learned, w->traces, &w->inserts, e);
	if (r == 0)
		r = rollup_writer_begin_tape(w->rollup, t, e);
	if (r == 0)
		r = learned_begin_tape(w->learned, t, e);
	if (r == 0)
		r = trace_writer_begin_tape(w->traces, t, e);
	if (r < 0)
		w->tape = NULL;
	return r;
}

int writer_learn(struct writer *w, struct tape *t, struct err *e)
{
	return learned_read(w->learned, t, e);
}

/* --- the set of ids in the batch --- */

static size_t id_slot(const struct writer *w, uint64_t id)
{
	size_t i = (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 50);

	_Static_assert(IDS == 1 << 14, "the shift leaves as many bits");
	while (w->ids[i] && w->ids[i] != id)
		i = (i + 1) % IDS;
	return i;
}

bool writer_has_id(const struct writer *w, uint64_t id)
{
	return w->ids[id_slot(w, id)] == id;
}

bool writer_tape_has_id(struct writer *w, uint64_t id)
{
	return inserts_has_id(w->inserts, id);
}

static void forget_ids(struct writer *w)
{
	memset(w->ids, 0, IDS * sizeof(w->ids[0]));
}

/* --- an exchange into the batch --- */

/* Return: the number of the row that w->key describes; 0 without memory. */
static uint64_t common_number(struct writer *w, enum common_table table)
{
	bool is_new;
	uint64_t number;
	struct common_row *row = batch_common(&w->batch);

	if (!row || w->key.is_failed)
		return 0;
	number = intern_number(table == COMMON_PEER ? w->peers : w->kinds, buf_span(&w->key),
			       &is_new);
	if (!is_new)
		return number;
	*row = (struct common_row){number, (uint8_t)table, batch_add(&w->batch, buf_span(&w->key))};
	w->batch.common_count++;
	return number;
}

/* Is there room for one more? The kind of w->key is new, then it is counted. */
static bool has_room_for_error(struct writer *w, size_t error_bytes)
{
	struct span same = common_kind_but_error(&w->key, error_bytes);
	uint64_t hash = XXH3_64bits(same.ptr, same.len);
	struct errors_of *of = &w->errors_of[hash % ERRORS_OF];

	if (of->hash != hash)
		*of = (struct errors_of){.hash = hash};
	return of->count < ERRORS_MAX && ++of->count;
}

static uint64_t kind_number(struct writer *w, const struct exchange *x, uint64_t dst)
{
	size_t n = x->error.len;

	common_kind_key(&w->key, x, dst);
	if (n && !w->key.is_failed && !intern_find(w->kinds, buf_span(&w->key)) &&
	    !has_room_for_error(w, n))
		common_kind_any_error(&w->key, n);
	return common_number(w, COMMON_KIND);
}

static bool fill_commons(struct writer *w, const struct exchange *x, struct row *row)
{
	uint64_t dst;

	common_peer_key(&w->key, &x->src, false);
	row->src = common_number(w, COMMON_PEER);
	common_peer_key(&w->key, &x->dst, true);
	dst = common_number(w, COMMON_PEER);
	row->kind = kind_number(w, x, dst);
	if (!row->src || !dst || !row->kind)
		return false;
	row->weight = MAX(x->weight, 1);
	row->rollup_key = rollup_writer_key(w->rollup, x, row->kind, row->src, dst, &w->batch);
	return row->rollup_key != 0;
}

/* What stands for {} when @route has just one and @path is the route otherwise. */
static bool part_of_path(struct span path, struct span route, struct span *part)
{
	const uint8_t *hole = span_find(route, SPAN_LIT("{}"));
	size_t before = hole ? (size_t)(hole - route.ptr) : 0;
	struct span after = span_from(route, before + 2);

	if (!hole || path.len < before + after.len || memcmp(path.ptr, route.ptr, before) != 0)
		return false;
	if (after.len && (span_find(after, SPAN_LIT("{}")) ||
			  memcmp(path.ptr + path.len - after.len, after.ptr, after.len) != 0))
		return false;
	*part = span_of(path.ptr + before, path.len - before - after.len);
	return true;
}

static void fill_target(struct batch *b, const struct exchange *x, struct row *row)
{
	struct span path = x->path, target = x->target, part;
	bool begins = target.len >= path.len &&
		      (path.len == 0 || memcmp(target.ptr, path.ptr, path.len) == 0);

	row->is_path_route = span_eq(path, x->route);
	row->is_path_part = !row->is_path_route && part_of_path(path, x->route, &part);
	if (!row->is_path_route)
		row->path = batch_add(b, row->is_path_part ? part : path);
	row->has_target = !begins;
	if (begins)
		row->query = batch_add(b, span_from(target, path.len));
	else
		row->target = batch_add(b, target);
}

static void fill_trace(struct batch *b, const struct exchange *x, struct row *row)
{
	uint8_t packed[SQL_TRACE_BYTES];
	size_t n = sql_trace_pack(x->trace_id, packed);

	row->is_trace_packed = n > 0;
	row->trace = batch_add(b, n ? span_of(packed, n) : x->trace_id);
}

static void fill_numbers(const struct exchange *x, struct row *row)
{
	*row = (struct row){
		.id = x->id,
		.moved = x->id - x->start_ns,
		.connection = x->connection,
		.latency_ns = MIN(exchange_latency_ns(x), (uint64_t)INT64_MAX),
		.dst_latency_ns = MIN(exchange_server_latency_ns(x), (uint64_t)INT64_MAX),
		.request_bytes = MIN(x->request.body_bytes, (uint64_t)INT64_MAX),
		.response_bytes = MIN(x->response.body_bytes, (uint64_t)INT64_MAX),
		.sequence = x->sequence,
		.stream = x->stream,
		.sent = MIN(x->messages[0], (uint64_t)INT64_MAX),
		.received = MIN(x->messages[1], (uint64_t)INT64_MAX),
		.deadline_ns = MIN(x->grpc_timeout_ns, (uint64_t)INT64_MAX),
		.wire = MIN(x->wire_key, (uint64_t)INT64_MAX),
		.src_port = x->src.port,
		.outcome = x->outcome,
	};
}

static int fill(struct writer *w, const struct exchange *x, struct row *row, struct err *e)
{
	struct batch *b = &w->batch;
	size_t at;

	fill_numbers(x, row);
	if (!fill_commons(w, x, row))
		return err_set(e, -ENOMEM, "store: no memory for what exchanges have in common");
	fill_target(b, x, row);
	fill_trace(b, x, row);
	row->replay = batch_add(b, x->replay_of);
	at = b->bytes.len;
	pack_add_times(&b->bytes, x);
	row->times = (struct piece){(uint32_t)at, (uint32_t)(b->bytes.len - at)};
	return b->bytes.is_failed ? -ENOMEM : packing_add(w->packing, x, row, b, e);
}

int writer_add(struct writer *w, const struct exchange *x, struct err *e)
{
	struct batch *b = &w->batch;
	size_t bytes = b->bytes.len;
	struct row *row = batch_row(b);
	int r = row ? fill(w, x, row, e) : -ENOMEM;

	if (r < 0) {
		/* kinds that were new stay in the batch; bodies are not where we noted them */
		if (r == -ENOMEM)
			(void)err_set(e, r, "store: no memory beside a batch of %zu bytes", bytes);
		b->bytes.is_failed = false;
		packing_forget_bodies(w->packing);
		return r;
	}
	w->ids[id_slot(w, x->id)] = x->id;
	b->row_count++;
	return 0;
}

/* --- the batch onto the tape --- */

int writer_write(struct writer *w, struct err *e)
{
	struct batch *b = &w->batch;
	int r;

	if (b->row_count == 0)
		return 0;
	r = packing_flush(w->packing, b, e);
	if (r < 0)
		return r;
	batch_sort(b);
	r = inserts_write(w->inserts, b, &w->end, e);
	if (r < 0)
		return r;
	w->totals.exchanges += b->row_count;
	w->totals.raw_bytes += batch_raw_bytes(b);
	w->totals.packed_bytes += b->packed.len;
	forget_ids(w);
	batch_clear(b);
	return 0;
}

/* --- names that come later --- */

/* The next exchange of that end gets a row of its own: this one has got its names. */
static void peer_changed(void *ctx, const struct endpoint *end)
{
	struct writer *w = ctx;

	common_peer_key(&w->key, end, end->port != 0);
	if (!w->key.is_failed)
		intern_drop(w->peers, buf_span(&w->key));
}

/* The tape has rows that others numbered. */
static int number_anew(struct writer *w, struct err *e)
{
	uint64_t peer = 0, kind = 0;
	int r = highest(w->tape, "peer", &peer, e);

	if (r == 0)
		r = highest(w->tape, "kind", &kind, e);
	if (r < 0)
		return r;
	intern_restart(w->peers, peer + 1);
	intern_restart(w->kinds, kind + 1);
	return rollup_writer_begin_tape(w->rollup, w->tape, e);
}

int writer_name_late(struct writer *w, const struct late_config *c, struct late_result *out,
		     struct err *e)
{
	struct late_result found = {0};
	int r;

	if (!w->tape || w->batch.row_count)
		return 0;
	w->late.changed = peer_changed;
	w->late.ctx = w;
	r = late_write(w->tape, c, &w->late, &found, e);
	if (r < 0)
		return r;
	out->named += found.named;
	out->never += found.never;
	out->waiting += found.waiting;
	out->has_more |= found.has_more;
	return found.was_split ? number_anew(w, e) : 0;
}

uint64_t writer_dictionaries(const struct writer *w)
{
	return packing_dictionaries(w->packing);
}

uint64_t writer_discard(struct writer *w)
{
	uint64_t n = w->batch.row_count;

	forget_ids(w);
	batch_clear(&w->batch);
	packing_discard(w->packing);
	intern_forget(w->peers);
	intern_forget(w->kinds);
	rollup_writer_forget(w->rollup);
	return n;
}

size_t writer_batch_bytes(const struct writer *w)
{
	return batch_memory(&w->batch) + packing_bytes(w->packing);
}

size_t writer_batch_rows(const struct writer *w)
{
	return w->batch.row_count;
}

struct writer_totals writer_totals(const struct writer *w)
{
	return w->totals;
}
