// SPDX-License-Identifier: Apache-2.0
#include "store/writer.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "schema/sql.h"
#include "store/batch.h"
#include "store/bodies.h"
#include "store/common.h"
#include "store/dictionary.h"
#include "store/intern.h"
#include "store/pack.h"
#include "store/tape.h"

/*
 * Theory of operation. An exchange is packed at once, so the batch holds its few hundred bytes and
 * not the exchange. The batch is written in one transaction, in the order of ids, so the tape's
 * tree grows at its end and its pages are full. It is kept until the commit has succeeded: SQLite
 * may take a whole transaction back when the disk is full, and then it is simply written again.
 *
 * Numbers of kinds and peers are given when an exchange is added; their rows are part of the same
 * batch. A batch that is given up takes with it everything that was learnt from it.
 */
#define PEER_ENTRIES 4096
#define KIND_ENTRIES 8192
#define KEY_BYTES    (1 << 20)
#define IDS	     16384 /* slots of the set of ids; twice what a batch holds, a power of two */

static const char insert_sql[] =
	"INSERT INTO exchange (id, moved, kind, outcome, src, src_port, connection, sequence, "
	"latency,"
	" path, query, target, request_size, response_size, trace_id, replay, stream, sent,"
	" received, deadline, dictionary, pack) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
static const char tape_sql[] =
	"UPDATE tape SET rows = rows + ?1, raw_bytes = raw_bytes + ?2, packed_bytes = packed_bytes "
	"+ ?3,"
	" first_id = iif(rows = 0, ?4, min(first_id, ?4)), last_id = max(last_id, ?5),"
	" moved_max = max(moved_max, ?6) WHERE id = 1";

/* the first ones in the order of enum common_table */
enum statement { ST_PEER, ST_KIND, ST_DICTIONARY, ST_EXCHANGE, ST_TAPE, ST_HAS, ST_COUNT };

struct writer {
	struct packer *packer;
	struct intern *peers, *kinds;
	struct dictionaries *dictionaries;
	uint32_t next_dictionary; /* number on the tape */
	struct bodies *bodies;
	struct buf key; /* scratch */
	struct batch batch;
	uint64_t *ids; /* of the batch: a set by open addressing, 0 free */
	struct tape *tape;
	sqlite3_stmt *st[ST_COUNT];
	struct writer_totals totals;
};

struct writer *writer_new(struct jobs *jobs, int level)
{
	AUTO(writer) w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->packer = packer_new(level);
	w->peers = intern_new(PEER_ENTRIES, KEY_BYTES / 2);
	w->kinds = intern_new(KIND_ENTRIES, KEY_BYTES);
	w->dictionaries = dictionaries_new(jobs, level);
	w->bodies = bodies_new();
	w->ids = calloc(IDS, sizeof(w->ids[0]));
	if (!w->packer || !w->peers || !w->kinds || !w->dictionaries || !w->bodies || !w->ids)
		return NULL;
	return TAKE(w);
}

static void finalize(struct writer *w)
{
	for (size_t i = 0; i < ST_COUNT; i++) {
		(void)sqlite3_finalize(w->st[i]);
		w->st[i] = NULL;
	}
}

void writer_free(struct writer *w)
{
	if (!w)
		return;
	finalize(w);
	packer_free(w->packer);
	intern_free(w->peers);
	intern_free(w->kinds);
	dictionaries_free(w->dictionaries);
	bodies_free(w->bodies);
	buf_fini(&w->key);
	batch_fini(&w->batch);
	free(w->ids);
	free(w);
}

void writer_set_level(struct writer *w, int level)
{
	packer_set_level(w->packer, level);
	dictionaries_set_level(w->dictionaries, level);
}

static int highest(struct tape *t, const char *sql, uint64_t *out, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(t, sql, e);
	int r = 0;

	if (st && sqlite3_step(st) == SQLITE_ROW)
		*out = (uint64_t)sqlite3_column_int64(st, 0);
	else
		r = tape_failed(t, e);
	(void)sqlite3_finalize(st);
	return r;
}

static int prepare(struct writer *w, struct err *e)
{
	const char *const sql[] = {
		[ST_PEER] = common_insert_sql[COMMON_PEER],
		[ST_KIND] = common_insert_sql[COMMON_KIND],
		[ST_DICTIONARY] = common_insert_sql[COMMON_DICTIONARY],
		[ST_EXCHANGE] = insert_sql,
		[ST_TAPE] = tape_sql,
		[ST_HAS] = "SELECT 1 FROM exchange WHERE id = ?",
	};
	int r = 0;

	for (size_t i = 0; i < ST_COUNT && r == 0; i++) {
		w->st[i] = tape_prepare(w->tape, sql[i], e);
		if (!w->st[i])
			r = tape_failed(w->tape, e);
	}
	return r;
}

/* What was learnt is about another tape, or about rows that never came onto one. */
static int forget(struct writer *w, struct err *e)
{
	uint64_t peer = 0, kind = 0, dictionary = 0;
	int r = 0;

	bodies_forget(w->bodies);
	dictionaries_leave_tape(w->dictionaries);
	if (w->tape)
		r = highest(w->tape, "SELECT ifnull(max(id), 0) FROM peer", &peer, e);
	if (w->tape && r == 0)
		r = highest(w->tape, "SELECT ifnull(max(id), 0) FROM kind", &kind, e);
	if (w->tape && r == 0)
		r = highest(w->tape, "SELECT ifnull(max(id), 0) FROM dictionary", &dictionary, e);
	intern_restart(w->peers, peer + 1);
	intern_restart(w->kinds, kind + 1);
	w->next_dictionary = (uint32_t)dictionary + 1;
	return r;
}

int writer_begin_tape(struct writer *w, struct tape *t, struct err *e)
{
	int r;

	finalize(w);
	w->tape = t;
	r = forget(w, e);
	if (r == 0 && t)
		r = prepare(w, e);
	if (r < 0) {
		finalize(w);
		w->tape = NULL;
	}
	return r;
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
	bool has;

	(void)sqlite3_bind_int64(w->st[ST_HAS], 1, (int64_t)id);
	has = sqlite3_step(w->st[ST_HAS]) == SQLITE_ROW;
	(void)sqlite3_reset(w->st[ST_HAS]);
	return has;
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
	return row->src && dst && row->kind;
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

static size_t message_bytes(const struct message *m)
{
	return m->head.len + m->framing.len + m->body.len + m->trailers.len;
}

static int fill_pack(struct writer *w, const struct exchange *x, struct row *row, struct err *e)
{
	struct batch *b = &w->batch;
	struct pack_elsewhere elsewhere = find_bodies(w, x);
	struct dictionary *class = dictionary_of(w->dictionaries, x);
	const struct ZSTD_CDict_s *ready = class ? dictionary_ready(w->dictionaries, class) : NULL;
	uint32_t at;
	int r;

	row->dictionary = ready ? use_dictionary(w, class) : 0;
	at = (uint32_t)b->bytes.len;
	r = packer_pack(w->packer, x, &elsewhere, row->dictionary ? ready : NULL, &b->bytes, e);
	row->pack = (struct piece){at, (uint32_t)b->bytes.len - at};
	row->raw_bytes = (uint32_t)(message_bytes(&x->request) + message_bytes(&x->response));
	if (class)
		dictionary_learn(w->dictionaries, class, packer_raw(w->packer));
	return r;
}

static int fill(struct writer *w, const struct exchange *x, struct row *row, struct err *e)
{
	struct batch *b = &w->batch;

	fill_numbers(x, row);
	if (!fill_commons(w, x, row))
		return err_set(e, -ENOMEM, "store: no memory for what exchanges have in common");
	fill_target(b, x, row);
	fill_trace(b, x, row);
	row->replay = batch_add(b, x->replay_of);
	return fill_pack(w, x, row, e);
}

int writer_add(struct writer *w, const struct exchange *x, struct err *e)
{
	struct batch *b = &w->batch;
	size_t bytes = b->bytes.len;
	struct row *row = batch_row(b);
	int r = row ? fill(w, x, row, e) : -ENOMEM;

	if (r == 0 && b->bytes.is_failed)
		r = -ENOMEM;
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

static int step(struct writer *w, enum statement which, struct err *e)
{
	int r = sqlite3_step(w->st[which]) == SQLITE_DONE ? 0 : tape_failed(w->tape, e);

	(void)sqlite3_reset(w->st[which]);
	return r;
}

static void bind_text(sqlite3_stmt *st, int at, struct span s)
{
	(void)sqlite3_bind_text(st, at, (const char *)s.ptr, (int)s.len, SQLITE_STATIC);
}

static void bind_text_or_0(sqlite3_stmt *st, int at, bool is_0, struct span s)
{
	if (is_0)
		(void)sqlite3_bind_int(st, at, 0);
	else
		bind_text(st, at, s);
}

static void bind_row(sqlite3_stmt *st, const struct batch *b, const struct row *row)
{
	struct span trace = batch_span(b, row->trace), pack = batch_span(b, row->pack);

	(void)sqlite3_bind_int64(st, 1, (int64_t)row->id);
	(void)sqlite3_bind_int64(st, 2, (int64_t)row->moved);
	(void)sqlite3_bind_int64(st, 3, (int64_t)row->kind);
	(void)sqlite3_bind_int(st, 4, row->outcome);
	(void)sqlite3_bind_int64(st, 5, (int64_t)row->src);
	(void)sqlite3_bind_int(st, 6, row->src_port);
	(void)sqlite3_bind_int64(st, 7, (int64_t)row->connection);
	(void)sqlite3_bind_int64(st, 8, row->sequence);
	(void)sqlite3_bind_int64(st, 9, (int64_t)row->latency_ns);
	if (row->is_path_part)
		(void)sqlite3_bind_blob(st, 10, batch_span(b, row->path).ptr, (int)row->path.len,
					SQLITE_STATIC);
	else
		bind_text_or_0(st, 10, row->is_path_route, batch_span(b, row->path));
	bind_text(st, 11, batch_span(b, row->query));
	bind_text_or_0(st, 12, !row->has_target, batch_span(b, row->target));
	(void)sqlite3_bind_int64(st, 13, (int64_t)row->request_bytes);
	(void)sqlite3_bind_int64(st, 14, (int64_t)row->response_bytes);
	if (row->is_trace_packed)
		(void)sqlite3_bind_blob(st, 15, trace.ptr, (int)trace.len, SQLITE_STATIC);
	else
		bind_text(st, 15, trace);
	bind_text(st, 16, batch_span(b, row->replay));
	(void)sqlite3_bind_int64(st, 17, row->stream);
	(void)sqlite3_bind_int64(st, 18, (int64_t)row->sent);
	(void)sqlite3_bind_int64(st, 19, (int64_t)row->received);
	(void)sqlite3_bind_int64(st, 20, (int64_t)row->deadline_ns);
	(void)sqlite3_bind_int64(st, 21, row->dictionary);
	(void)sqlite3_bind_blob(st, 22, pack.ptr, (int)pack.len, SQLITE_STATIC);
}

static int write_commons(struct writer *w, struct err *e)
{
	const struct batch *b = &w->batch;
	int r = 0;

	for (size_t i = 0; i < b->common_count && r == 0; i++) {
		const struct common_row *row = &b->commons[i];
		enum statement which = (enum statement)row->table;

		common_bind(w->st[which], row->number, batch_span(b, row->key));
		r = step(w, which, e);
	}
	return r;
}

static int write_rows(struct writer *w, struct writer_totals *sum, struct err *e)
{
	const struct batch *b = &w->batch;
	int r = 0;

	for (size_t i = 0; i < b->row_count && r == 0; i++) {
		bind_row(w->st[ST_EXCHANGE], b, &b->rows[i]);
		r = step(w, ST_EXCHANGE, e);
		sum->raw_bytes += b->rows[i].raw_bytes;
		sum->packed_bytes += b->rows[i].pack.len;
	}
	sum->exchanges = b->row_count;
	return r;
}

static int write_summary(struct writer *w, const struct writer_totals *sum, struct err *e)
{
	const struct batch *b = &w->batch;
	uint64_t first = UINT64_MAX, last = 0;
	int64_t moved = 0;

	for (size_t i = 0; i < b->row_count; i++) {
		first = MIN(first, b->rows[i].id);
		last = MAX(last, b->rows[i].id);
		moved = MAX(moved, (int64_t)b->rows[i].moved);
	}
	(void)sqlite3_bind_int64(w->st[ST_TAPE], 1, (int64_t)sum->exchanges);
	(void)sqlite3_bind_int64(w->st[ST_TAPE], 2, (int64_t)sum->raw_bytes);
	(void)sqlite3_bind_int64(w->st[ST_TAPE], 3, (int64_t)sum->packed_bytes);
	(void)sqlite3_bind_int64(w->st[ST_TAPE], 4, (int64_t)first);
	(void)sqlite3_bind_int64(w->st[ST_TAPE], 5, (int64_t)last);
	(void)sqlite3_bind_int64(w->st[ST_TAPE], 6, moved);
	return step(w, ST_TAPE, e);
}

int writer_write(struct writer *w, struct err *e)
{
	struct writer_totals sum = {0};
	int r;

	if (w->batch.row_count == 0)
		return 0;
	batch_sort(&w->batch);
	r = tape_run(w->tape, "BEGIN IMMEDIATE", e);
	if (r == 0)
		r = write_commons(w, e);
	if (r == 0)
		r = write_rows(w, &sum, e);
	if (r == 0)
		r = write_summary(w, &sum, e);
	if (r == 0)
		r = tape_run(w->tape, "COMMIT", e);
	if (r < 0) {
		(void)sqlite3_exec(tape_db(w->tape), "ROLLBACK", NULL, NULL, NULL);
		return r;
	}
	forget_ids(w);
	batch_clear(&w->batch);
	w->totals.exchanges += sum.exchanges;
	w->totals.raw_bytes += sum.raw_bytes;
	w->totals.packed_bytes += sum.packed_bytes;
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
	batch_clear(&w->batch);
	bodies_forget(w->bodies);
	dictionaries_leave_tape(w->dictionaries);
	intern_forget(w->peers);
	intern_forget(w->kinds);
	return n;
}

size_t writer_batch_bytes(const struct writer *w)
{
	return batch_memory(&w->batch);
}

size_t writer_batch_rows(const struct writer *w)
{
	return w->batch.row_count;
}

struct writer_totals writer_totals(const struct writer *w)
{
	return w->totals;
}
