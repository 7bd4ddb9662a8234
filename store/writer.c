// SPDX-License-Identifier: Apache-2.0
#include "store/writer.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "schema/sql.h"
#include "store/batch.h"
#include "store/bodies.h"
#include "store/chunk.h"
#include "store/common.h"
#include "store/dictionary.h"
#include "store/inserts.h"
#include "store/intern.h"
#include "store/tape.h"

/*
 * Theory of operation. The messages of an exchange go into the block that its class has open; a
 * block that is full is compressed at once, the others when the batch is written. So where much
 * comes, many share a block, and where little comes, nothing waits. The batch is written in one
 * transaction, in the order of ids, so the tape's trees grow at their ends and their pages are
 * full. It is kept until the commit has succeeded: SQLite may take a whole transaction back when
 * the disk is full, and then it is simply written again.
 *
 * Numbers of kinds and peers are given when an exchange is added; their rows are part of the same
 * batch. A batch that is given up takes with it everything that was learnt from it.
 */
#define PEER_ENTRIES 4096
#define KIND_ENTRIES 8192
#define KEY_BYTES    (1 << 20)
#define IDS	     16384 /* slots of the set of ids; twice what a batch holds, a power of two */

#define DRAFTS	 (DICTIONARY_CLASSES + 1) /* the last: of all that have no class */
#define CLASS_OF 1024			  /* kinds whose class is remembered, a power of two */

/* A kind's class follows from the kind. */
struct class_of {
	uint64_t kind; /* 0: free */
	struct dictionary *class;
};

struct writer {
	struct block_packer *packer;
	struct intern *peers, *kinds;
	struct dictionaries *dictionaries;
	uint32_t next_dictionary; /* number on the tape */
	uint64_t next_block;	  /* likewise */
	struct class_of class_of[CLASS_OF];
	struct block_draft drafts[DRAFTS];
	size_t draft_bytes;   /* in all of them */
	struct chunk_end end; /* of what is committed */
	struct bodies *bodies;
	struct rollup_writer *rollup;
	struct learned *learned;
	struct buf key; /* scratch */
	struct batch batch;
	uint64_t *ids; /* of the batch: a set by open addressing, 0 free */
	struct tape *tape;
	struct inserts *inserts;
	struct writer_totals totals;
};

struct writer *writer_new(struct jobs *jobs, struct route_rules *rules, int level)
{
	AUTO(writer) w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->packer = block_packer_new(level);
	w->peers = intern_new(PEER_ENTRIES, KEY_BYTES / 2);
	w->kinds = intern_new(KIND_ENTRIES, KEY_BYTES);
	w->dictionaries = dictionaries_new(jobs, level);
	w->bodies = bodies_new();
	w->rollup = rollup_writer_new();
	w->learned = learned_new(rules);
	w->ids = calloc(IDS, sizeof(w->ids[0]));
	if (!w->packer || !w->peers || !w->kinds || !w->dictionaries || !w->bodies || !w->rollup || !w->learned ||
	    !w->ids)
		return NULL;
	return TAKE(w);
}

void writer_free(struct writer *w)
{
	if (!w)
		return;
	inserts_free(w->inserts);
	block_packer_free(w->packer);
	for (size_t i = 0; i < DRAFTS; i++)
		block_draft_fini(&w->drafts[i]);
	intern_free(w->peers);
	intern_free(w->kinds);
	dictionaries_free(w->dictionaries);
	bodies_free(w->bodies);
	rollup_writer_free(w->rollup);
	learned_free(w->learned);
	buf_fini(&w->key);
	batch_fini(&w->batch);
	free(w->ids);
	free(w);
}

void writer_set_level(struct writer *w, int level)
{
	block_packer_set_level(w->packer, level);
	dictionaries_set_level(w->dictionaries, level);
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

	bodies_forget(w->bodies);
	dictionaries_leave_tape(w->dictionaries);
	memset(w->class_of, 0, sizeof(w->class_of));
	w->end = (struct chunk_end){0};
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
	intern_restart(w->peers, peer + 1);
	intern_restart(w->kinds, kind + 1);
	w->next_dictionary = (uint32_t)dictionary + 1;
	w->next_block = block + 1;
	return r;
}

int writer_begin_tape(struct writer *w, struct tape *t, struct err *e)
{
	int r;

	inserts_free(TAKE(w->inserts));
	w->tape = t;
	r = forget(w, e);
	if (r == 0 && t)
		r = inserts_new(t, w->rollup, w->learned, &w->inserts, e);
	if (r == 0)
		r = rollup_writer_begin_tape(w->rollup, t, e);
	if (r == 0)
		r = learned_begin_tape(w->learned, t, e);
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

static bool fill_commons(struct writer *w, const struct exchange *x, struct row *row)
{
	uint64_t dst;

	common_peer_key(&w->key, &x->src, false);
	row->src = common_number(w, COMMON_PEER);
	common_peer_key(&w->key, &x->dst, true);
	dst = common_number(w, COMMON_PEER);
	common_kind_key(&w->key, x, dst);
	row->kind = common_number(w, COMMON_KIND);
	if (!row->src || !dst || !row->kind)
		return false;
	row->weight = MAX(x->weight, 1);
	row->rollup_key = rollup_writer_key(w->rollup, x, row->kind, row->src, &w->batch);
	return row->rollup_key != 0;
}

/* What stands for {} when @route has just one and @path is the route otherwise. */
static bool part_of_path(struct span path, struct span route, struct span *part)
{
	const uint8_t *hole = route.len ? memmem(route.ptr, route.len, "{}", 2) : NULL;
	size_t before = hole ? (size_t)(hole - route.ptr) : 0;
	struct span after = span_from(route, before + 2);

	if (!hole || path.len < before + after.len || memcmp(path.ptr, route.ptr, before) != 0)
		return false;
	if (after.len && (memmem(after.ptr, after.len, "{}", 2) ||
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
		.request_bytes = MIN(x->request.body_bytes, (uint64_t)INT64_MAX),
		.response_bytes = MIN(x->response.body_bytes, (uint64_t)INT64_MAX),
		.sequence = x->sequence,
		.stream = x->stream,
		.sent = MIN(x->messages[0], (uint64_t)INT64_MAX),
		.received = MIN(x->messages[1], (uint64_t)INT64_MAX),
		.deadline_ns = MIN(x->grpc_timeout_ns, (uint64_t)INT64_MAX),
		.src_port = x->src.port,
		.outcome = x->outcome,
	};
}

static struct pack_elsewhere find_bodies(struct writer *w, const struct exchange *x)
{
	struct pack_elsewhere found = {0};

	if (x->request.body.len >= BODIES_LENGTH_MIN)
		found.request = bodies_find(w->bodies, BODIES_REQUEST, x->request.body, x->id);
	if (x->response.body.len >= BODIES_LENGTH_MIN)
		found.response = bodies_find(w->bodies, BODIES_RESPONSE, x->response.body, x->id);
	return found;
}

/* The number on the tape of a dictionary that is used now; 0 without memory. */
static uint32_t use_dictionary(struct writer *w, struct dictionary *d)
{
	uint32_t *number = dictionary_number(d);
	struct common_row *row;

	if (*number)
		return *number;
	row = batch_common(&w->batch);
	common_dictionary_key(&w->key, dictionary_class(d), dictionary_bytes(d));
	if (!row || w->key.is_failed)
		return 0;
	*row = (struct common_row){w->next_dictionary, COMMON_DICTIONARY,
				   batch_add(&w->batch, buf_span(&w->key))};
	if (w->batch.bytes.is_failed)
		return 0;
	w->batch.common_count++;
	*number = w->next_dictionary++;
	return *number;
}

/* --- blocks --- */

static struct dictionary *class_of(struct writer *w, const struct exchange *x, uint64_t kind)
{
	struct class_of *known = &w->class_of[kind % CLASS_OF];

	if (known->kind != kind)
		*known = (struct class_of){kind, dictionary_of(w->dictionaries, x)};
	return known->class;
}

/* The block of a class is full, or the batch is to be written. */
static int close_draft(struct writer *w, size_t class, struct err *e)
{
	struct block_draft *d = &w->drafts[class];
	struct dictionary *c =
		class < DICTIONARY_CLASSES ? dictionary_at(w->dictionaries, class) : NULL;
	const struct ZSTD_CDict_s *ready = c ? dictionary_ready(w->dictionaries, c) : NULL;
	struct block_info *info = batch_block(&w->batch);
	uint64_t at = w->batch.packed.len;
	uint32_t number = ready ? use_dictionary(w, c) : 0;

	if (!info || block_pack(w->packer, d, number ? ready : NULL, &w->batch.packed, info) < 0)
		return err_set(e, -ENOMEM, "store: no memory for a block");
	info->at = at;
	info->dictionary = number;
	w->draft_bytes -= info->raw_bytes;
	w->batch.block_count++;
	return 0;
}

static int close_drafts(struct writer *w, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < DRAFTS && r == 0; i++)
		if (w->drafts[i].exchanges)
			r = close_draft(w, i, e);
	return r;
}

static size_t message_bytes(const struct message *m)
{
	return m->head.len + m->framing.len + m->body.len + m->trailers.len;
}

/* The messages into the block of their class. The last that may fail, so that nothing is left
 * there. */
static int fill_pack(struct writer *w, const struct exchange *x, struct row *row, struct err *e)
{
	struct pack_elsewhere elsewhere = find_bodies(w, x);
	struct dictionary *class = class_of(w, x, row->kind);
	size_t at = class ? dictionary_index(w->dictionaries, class) : DICTIONARY_CLASSES, was;
	struct block_draft *d = &w->drafts[at];
	int r = 0;

	row->raw_bytes = (uint32_t)(message_bytes(&x->request) + message_bytes(&x->response));
	if (!block_draft_has_room(d, row->raw_bytes))
		r = close_draft(w, at, e);
	if (r < 0)
		return r;
	if (d->exchanges == 0)
		d->number = w->next_block++;
	was = d->raw.len;
	w->draft_bytes -= block_draft_bytes(d);
	r = pack_add(x, &elsewhere, &d->prefixes, &d->raw, e);
	w->draft_bytes += block_draft_bytes(d);
	if (r < 0)
		return r;
	row->place = (int64_t)(d->number * BLOCK_PLACES + d->exchanges++);
	if (class)
		dictionary_learn(w->dictionaries, class, span_from(buf_span(&d->raw), was));
	return 0;
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
	return b->bytes.is_failed ? -ENOMEM : fill_pack(w, x, row, e);
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
		bodies_forget(w->bodies);
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
	r = close_drafts(w, e);
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

uint64_t writer_dictionaries(const struct writer *w)
{
	return dictionaries_count(w->dictionaries);
}

uint64_t writer_discard(struct writer *w)
{
	uint64_t n = w->batch.row_count;

	forget_ids(w);
	for (size_t i = 0; i < DRAFTS; i++)
		block_draft_clear(&w->drafts[i]);
	w->draft_bytes = 0;
	batch_clear(&w->batch);
	bodies_forget(w->bodies);
	dictionaries_leave_tape(w->dictionaries);
	intern_forget(w->peers);
	intern_forget(w->kinds);
	rollup_writer_forget(w->rollup);
	return n;
}

size_t writer_batch_bytes(const struct writer *w)
{
	return batch_memory(&w->batch) + w->draft_bytes;
}

size_t writer_batch_rows(const struct writer *w)
{
	return w->batch.row_count;
}

struct writer_totals writer_totals(const struct writer *w)
{
	return w->totals;
}
