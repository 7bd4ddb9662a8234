// SPDX-License-Identifier: Apache-2.0
#include "store/read_tape.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "schema/sql.h"
#include "store/body_cache.h"
#include "store/common.h"
#include "store/commons.h"
#include "store/read_blocks.h"
#include "store/trace_run.h"

/*
 * Theory of operation. A row is copied out of SQLite at once, so that no statement stays open, and
 * no read transaction with it, while somebody looks at the exchange. It becomes an exchange with
 * the help of its kind and its peers; its pack is opened for the times, and decompressed only when
 * messages are wanted. A body that lies in another exchange's pack is fetched from there, one step
 * far: that one holds it itself.
 *
 * Everything read here may be damaged or made to harm. SQLite checks its own structure; here every
 * length is checked against what is there, and types are taken as they come.
 */
#define PREFIX_BYTES 160 /* of a pack of version 1: more than times and prefix can be */

struct read_tape {
	struct tape *tape;
	struct commons *commons;
	struct read_blocks *blocks;
	sqlite3_stmt *get;
	sqlite3_stmt *trace;	     /* of a sealed tape; NULL: not yet asked for */
	struct tape_summary summary; /* final once is_sealed */
	struct body_cache bodies;    /* those that stand in another exchange */
};

static int prepare(struct read_tape *t, struct err *e)
{
	t->commons = commons_new(t->tape, e);
	t->blocks = t->commons ? read_blocks_new(t->tape, e) : NULL;
	t->get = t->blocks ? tape_prepare(t->tape,
					  "SELECT " READ_COLUMNS " FROM exchange WHERE id = ?", e)
			   : NULL;
	return t->get ? 0 : e->code;
}

int read_tape_open(const char *path, struct read_tape **t_out, struct err *e)
{
	struct err why = {0};
	struct read_tape *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return err_set(e, -ENOMEM, "tape %s: out of memory", path);
	r = tape_open(path, TAPE_READ, &t->tape, &why);
	if (r == 0)
		r = tape_summary(t->tape, &t->summary, &why);
	if (r == 0)
		r = prepare(t, &why);
	if (r < 0) {
		read_tape_close(t);
		return err_set(e, r, "%s", why.why);
	}
	*t_out = t;
	return 0;
}

void read_tape_close(struct read_tape *t)
{
	if (!t)
		return;
	(void)sqlite3_finalize(t->get);
	(void)sqlite3_finalize(t->trace);
	read_blocks_free(t->blocks);
	body_cache_fini(&t->bodies);
	commons_free(t->commons);
	tape_close(t->tape);
	free(t);
}

void read_tape_rest(struct read_tape *t)
{
	read_blocks_rest(t->blocks);
	body_cache_fini(&t->bodies);
	(void)sqlite3_db_release_memory(tape_db(t->tape));
}

struct tape *read_tape_tape(const struct read_tape *t)
{
	return t->tape;
}

struct commons *read_tape_commons(const struct read_tape *t)
{
	return t->commons;
}

int read_tape_summary(struct read_tape *t, struct tape_summary *out, struct err *e)
{
	uint64_t named = t->summary.named;
	int r = t->summary.is_sealed ? 0 : tape_summary(t->tape, &t->summary, e);

	if (r == 0 && t->summary.named != named)
		commons_forget(t->commons); /* no exchange is being looked at between queries */
	if (r == 0)
		*out = t->summary;
	return r;
}

/* --- a row out of SQLite --- */

static struct piece keep(sqlite3_stmt *st, int at, size_t max, struct batch *b)
{
	const void *bytes = sqlite3_column_blob(st, at);
	size_t n = (size_t)sqlite3_column_bytes(st, at);

	return batch_add(b, span_of(bytes, bytes ? MIN(n, max) : 0));
}

static struct piece keep_text(sqlite3_stmt *st, int at, struct batch *b)
{
	bool is_text = sqlite3_column_type(st, at) == SQLITE_TEXT;

	return is_text ? keep(st, at, SIZE_MAX, b) : (struct piece){0};
}

static struct piece keep_blob(sqlite3_stmt *st, int at, size_t max, struct batch *b)
{
	bool is_blob = sqlite3_column_type(st, at) == SQLITE_BLOB;

	return is_blob ? keep(st, at, max, b) : (struct piece){0};
}

int read_tape_row(struct sqlite3_stmt *st, bool wants_messages, struct batch *b)
{
	struct row *row = batch_row(b);
	uint64_t id = (uint64_t)sqlite3_column_int64(st, 0);

	if (!row)
		return -ENOMEM;
	*row = (struct row){
		.id = id,
		.moved = (uint64_t)sqlite3_column_int64(st, 1),
		.kind = (uint64_t)sqlite3_column_int64(st, 2),
		.outcome = (uint8_t)sqlite3_column_int(st, 3),
		.src = (uint64_t)sqlite3_column_int64(st, 4),
		.src_port = (uint16_t)sqlite3_column_int(st, 5),
		.connection = id - (uint64_t)sqlite3_column_int64(st, 6),
		.sequence = (uint32_t)sqlite3_column_int64(st, 7),
		.latency_ns = (uint64_t)sqlite3_column_int64(st, 8),
		.is_path_route = sqlite3_column_type(st, 9) == SQLITE_INTEGER,
		.is_path_part = sqlite3_column_type(st, 9) == SQLITE_BLOB,
		.path = keep(st, 9, SIZE_MAX, b),
		.query = keep_text(st, 10, b),
		.has_target = sqlite3_column_type(st, 11) != SQLITE_INTEGER,
		.target = keep_text(st, 11, b),
		.request_bytes = (uint64_t)sqlite3_column_int64(st, 12),
		.response_bytes = (uint64_t)sqlite3_column_int64(st, 13),
		.is_trace_packed = sqlite3_column_type(st, 14) == SQLITE_BLOB,
		.trace = keep(st, 14, SQL_TRACE_BYTES * 1024, b),
		.replay = keep_text(st, 15, b),
		.stream = (uint32_t)sqlite3_column_int64(st, 16),
		.sent = (uint64_t)sqlite3_column_int64(st, 17),
		.received = (uint64_t)sqlite3_column_int64(st, 18),
		.deadline_ns = (uint64_t)sqlite3_column_int64(st, 19),
		.times = keep_blob(st, 20, wants_messages ? SIZE_MAX : PREFIX_BYTES, b),
		.place = sqlite3_column_int64(st, 21),
		.dst_latency_ns = (uint64_t)sqlite3_column_int64(st, 22),
		.wire = (uint64_t)sqlite3_column_int64(st, 23),
	};
	if (b->bytes.is_failed || b->bytes.len > UINT32_MAX)
		return -ENOMEM;
	b->row_count++;
	return 0;
}

int read_tape_get(struct read_tape *t, uint64_t id, struct batch *b, struct err *e)
{
	int step, r;

	(void)sqlite3_bind_int64(t->get, 1, (int64_t)id);
	step = sqlite3_step(t->get);
	if (step == SQLITE_ROW)
		r = read_tape_row(t->get, true, b);
	else
		r = step == SQLITE_DONE ? -ENOENT : tape_failed(t->tape, e);
	(void)sqlite3_reset(t->get);
	return r;
}

/* --- traces --- */

#define TRACE_IDS_MAX 256 /* each is looked up by itself; more are found sooner by one statement */

static const char trace_sql[] =
	"SELECT exchange.id FROM exchange WHERE " SQL_TRACE_EQUALS " LIMIT 257";

/* From the index of a sealed tape. It stays prepared: that takes ten times as long as the answer. */
static int find_sealed(struct read_tape *t, struct span column, bool is_blob, struct id_ranges *out,
		       struct err *e)
{
	int step = SQLITE_ROW, r = 1, n = 0;

	if (!t->trace && !(t->trace = tape_prepare(t->tape, trace_sql, e)))
		return e->code;
	for (int i = 1; i <= 2; i++) {
		if (is_blob)
			(void)sqlite3_bind_blob(t->trace, i, column.ptr, (int)column.len,
						SQLITE_STATIC);
		else
			(void)sqlite3_bind_text(t->trace, i, (const char *)column.ptr,
						(int)column.len, SQLITE_STATIC);
	}
	for (; r == 1 && (step = sqlite3_step(t->trace)) == SQLITE_ROW; n++) {
		uint64_t id = (uint64_t)sqlite3_column_int64(t->trace, 0);

		r = n == TRACE_IDS_MAX ? 0 : id_ranges_add(out, id, id) ? 1 : -ENOMEM;
	}
	if (r == 1 && step != SQLITE_DONE)
		r = tape_failed(t->tape, e);
	(void)sqlite3_reset(t->trace);
	return r == -ENOMEM ? err_set(e, r, "reader: out of memory") : r;
}

int read_tape_find_trace(struct read_tape *t, struct span trace, struct id_ranges *out,
			 struct err *e)
{
	uint8_t packed[SQL_TRACE_BYTES];
	size_t n = sql_trace_pack(trace, packed);
	struct span column = n ? span_of(packed, n) : trace;

	return t->summary.is_sealed ? find_sealed(t, column, n > 0, out, e)
				    : trace_run_find(t->tape, column, out, e);
}

/* --- a row as an exchange --- */

void read_room_fini(struct read_room *room)
{
	buf_fini(&room->texts);
	buf_fini(&room->messages);
	buf_fini(&room->packed);
	buf_fini(&room->request_body);
	buf_fini(&room->response_body);
}

static int damaged(const struct read_tape *t, uint64_t id, const char *what, struct err *e)
{
	return err_set(e, -EBADMSG, "tape %s: damaged: exchange %" PRIu64 ": %s",
		       tape_path(t->tape), id, what);
}

static struct span absent_if(bool is_absent, struct span s)
{
	return is_absent ? (struct span){0} : s;
}

static void use_kind(const struct kind_row *k, struct exchange *x)
{
	x->protocol = k->protocol;
	x->method = k->method;
	x->host = absent_if(k->request_flags & COMMON_NO_HOST, k->host);
	x->route = k->route;
	x->error = k->error;
	x->status = k->status;
	x->reason = k->reason;
	x->anomalies = k->anomalies;
	x->request.flags = k->request_flags & 0xffff;
	x->request.version = k->request_version;
	x->request.content_type = absent_if(k->request_flags & COMMON_NO_TYPE, k->request_type);
	x->response.flags = k->response_flags & 0xffff;
	x->response.version = k->response_version;
	x->h2_error = k->h2_error;
	x->has_grpc_status = k->grpc_status >= 0;
	x->grpc_status = x->has_grpc_status ? (uint16_t)k->grpc_status : 0;
	x->close_code = k->close_code;
	x->weight = k->weight;
	x->response.content_type = absent_if(k->response_flags & COMMON_NO_TYPE, k->response_type);
}

static void use_row(const struct batch *b, const struct row *row, struct exchange *x)
{
	*x = (struct exchange){
		.id = row->id,
		.start_ns = row->id - row->moved,
		.connection = row->connection,
		.sequence = row->sequence,
		.stream = row->stream,
		.messages = {row->sent, row->received},
		.grpc_timeout_ns = row->deadline_ns,
		.outcome = row->outcome,
		.wire_key = row->wire,
		.path = batch_span(b, row->path),
		.target = batch_span(b, row->target),
		.trace_id = batch_span(b, row->trace),
		.replay_of = batch_span(b, row->replay),
		.request.body_bytes = row->request_bytes,
		.response.body_bytes = row->response_bytes,
	};
}

/* The route with @part for its first {}, as SQL_PATH says it for the only one. */
static struct span fill_hole(struct span route, struct span part, struct buf *texts)
{
	const uint8_t *hole = span_find(route, SPAN_LIT("{}"));
	size_t before = hole ? (size_t)(hole - route.ptr) : route.len, at = texts->len;

	buf_add(texts, route.ptr, before);
	buf_add_span(texts, part);
	buf_add_span(texts, span_from(route, before + 2));
	return span_of(texts->ptr + at, texts->len - at);
}

/* Texts that have to be put together: the target, the trace id. Their sizes are known before. */
static int use_texts(const struct batch *b, const struct row *row, struct exchange *x,
		     struct buf *texts)
{
	static const char hex[] = "0123456789abcdef";
	struct span query = batch_span(b, row->query), trace = x->trace_id;
	size_t path_bytes = x->path.len + x->route.len, target_bytes;

	buf_clear(texts);
	if (!buf_reserve(texts, 2 * path_bytes + query.len + 2 * trace.len + 1))
		return -ENOMEM;
	if (row->is_path_part)
		x->path = fill_hole(x->route, x->path, texts);
	if (!row->has_target) {
		target_bytes = x->path.len + query.len;
		buf_add_span(texts, x->path);
		buf_add_span(texts, query);
		x->target = span_of(texts->ptr + texts->len - target_bytes, target_bytes);
	}
	if (row->is_trace_packed) {
		x->trace_id = span_of(texts->ptr + texts->len, 2 * trace.len);
		for (size_t i = 0; i < trace.len; i++) {
			buf_add_char(texts, hex[trace.ptr[i] >> 4]);
			buf_add_char(texts, hex[trace.ptr[i] & 15]);
		}
	}
	exchange_split_grpc(x);
	return 0;
}

static int use_columns(struct read_tape *t, const struct batch *b, const struct row *row,
		       struct buf *texts, struct exchange *x, struct err *e)
{
	const struct kind_row *kind = commons_kind(t->commons, row->kind, e);
	const struct peer_row *src = kind ? commons_peer(t->commons, row->src, e) : NULL;
	const struct peer_row *dst = src ? commons_peer(t->commons, kind->dst, e) : NULL;

	if (!dst)
		return e->code;
	use_row(b, row, x);
	use_kind(kind, x);
	x->src = src->end;
	x->src.port = row->src_port;
	x->dst = dst->end;
	if (row->is_path_route)
		x->path = x->route;
	return use_texts(b, row, x, texts);
}

/* --- messages --- */

/* The raw form of an exchange, and its prefix; it lives in an open block, or in @room->packed. */
static int find_raw(struct read_tape *t, const struct row *row, const struct exchange *x,
		    struct unpacker *u, struct read_room *room, struct pack *p, struct span *raw,
		    struct err *e)
{
	const struct block *b;
	int r = read_blocks_find(t->blocks, (uint64_t)row->place / BLOCK_PLACES, u, &room->packed,
				 &b, e);

	if (r == 0 && block_take(b, (unsigned)(row->place % BLOCK_PLACES), p, raw) < 0)
		r = damaged(t, row->id, "its place is not in its block", e);
	if (r == 0)
		pack_meet(p, x);
	return r;
}

/* Likewise from a pack of version 1. @x: its times are set again. */
static int find_raw_old(struct read_tape *t, const struct batch *b, const struct row *row,
			struct exchange *x, struct unpacker *u, struct read_room *room,
			struct pack *p, struct span *raw, struct err *e)
{
	const struct ZSTD_DDict_s *dictionary;
	bool is_compressed;
	int r = 0;

	if (pack_open_old(batch_span(b, row->times), x, row->latency_ns, p, raw, &is_compressed) <
	    0)
		return damaged(t, row->id, "the beginning of its pack", e);
	if (!is_compressed)
		return 0;
	r = read_blocks_dictionary(t->blocks, (uint64_t)-row->place, &dictionary, e);
	if (r == 0)
		r = unpacker_decompress(u, *raw, p->raw_bytes, dictionary, &room->packed);
	*raw = buf_span(&room->packed);
	return r == -EBADMSG ? damaged(t, row->id, "its messages cannot be unpacked", e) : r;
}

static int unpack(struct read_tape *t, const struct batch *b, const struct row *row,
		  struct unpacker *u, struct read_room *room, struct exchange *x, struct pack *p,
		  struct err *e)
{
	struct span raw;
	int r = row->place > 0 ? find_raw(t, row, x, u, room, p, &raw, e)
			       : find_raw_old(t, b, row, x, u, room, p, &raw, e);

	if (r < 0)
		return r;
	r = pack_messages(p, raw, x, &room->messages);
	return r == -EBADMSG ? damaged(t, x->id, "its messages cannot be unpacked", e) : r;
}

static int use_times(struct read_tape *t, const struct batch *b, const struct row *row,
		     struct exchange *x, struct err *e)
{
	struct span times = batch_span(b, row->times), payload;
	bool is_compressed;
	struct pack p;
	int r = row->place > 0
			? pack_take_times(times, x, row->latency_ns)
			: pack_open_old(times, x, row->latency_ns, &p, &payload, &is_compressed);

	return r < 0 ? damaged(t, row->id, "its times", e) : 0;
}

/* The messages of another exchange, for its bodies. */
static int unpack_other(struct read_tape *t, uint64_t id, struct unpacker *u,
			struct read_room *room, struct exchange *x, struct pack *p, struct err *e)
{
	struct batch b = {0};
	int r = read_tape_get(t, id, &b, e);

	if (r == -ENOENT)
		r = damaged(t, id, "it should hold a body of another one, but is not there", e);
	if (r == 0)
		r = use_columns(t, &b, b.rows, &room->texts, x, e);
	if (r == 0)
		r = unpack(t, &b, b.rows, u, room, x, p, e);
	batch_fini(&b);
	return r;
}

static int keep_body(struct buf *keep, struct span found, struct span *body)
{
	buf_clear(keep);
	buf_add_span(keep, found);
	*body = buf_span(keep);
	return keep->is_failed ? -ENOMEM : 0;
}

/*
 * The body that exchange @id holds for others, into @keep
 * @want: how long the body is to be
 */
static int fetch_body(struct read_tape *t, uint64_t id, bool is_request, uint64_t want,
		      struct unpacker *u, struct buf *keep, struct span *body, struct err *e)
{
	struct read_room room = {0};
	struct exchange other = {0};
	struct span found;
	struct pack p;
	int r;

	if (body_cache_find(&t->bodies, id, is_request, &found) && found.len == want)
		return keep_body(keep, found, body);
	r = unpack_other(t, id, u, &room, &other, &p, e);
	found = is_request ? other.request.body : other.response.body;
	if (r == 0 &&
	    (found.len != want || (is_request ? p.elsewhere.request : p.elsewhere.response)))
		r = damaged(t, id, "it should hold a body of another one, but does not", e);
	if (r == 0) {
		body_cache_add(&t->bodies, id, is_request, found);
		r = keep_body(keep, found, body);
	}
	read_room_fini(&room);
	return r;
}

int read_tape_exchange(struct read_tape *t, const struct batch *b, const struct row *row,
		       bool wants_messages, struct unpacker *u, struct read_room *room,
		       struct exchange *x_out, struct err *e)
{
	struct exchange x;
	struct pack p = {0};
	int r;

	commons_trim(t->commons);
	r = use_columns(t, b, row, &room->texts, &x, e);
	if (r == 0)
		r = use_times(t, b, row, &x, e);
	if (r == 0 && wants_messages)
		r = unpack(t, b, row, u, room, &x, &p, e);
	if (r == 0 && p.elsewhere.request)
		r = fetch_body(t, p.elsewhere.request, true, p.request_body, u, &room->request_body,
			       &x.request.body, e);
	if (r == 0 && p.elsewhere.response)
		r = fetch_body(t, p.elsewhere.response, false, p.response_body, u,
			       &room->response_body, &x.response.body, e);
	if (r == -ENOMEM)
		return err_set(e, r, "tape %s: out of memory", tape_path(t->tape));
	if (r == 0)
		*x_out = x;
	return r;
}

int read_tape_pack(struct read_tape *t, const struct batch *b, const struct row *row,
		   struct unpacker *u, struct read_room *room, struct exchange *x_out,
		   struct pack_elsewhere *elsewhere, struct err *e)
{
	struct pack p = {0};
	int r;

	commons_trim(t->commons);
	r = use_columns(t, b, row, &room->texts, x_out, e);
	if (r == 0)
		r = use_times(t, b, row, x_out, e);
	if (r == 0)
		r = unpack(t, b, row, u, room, x_out, &p, e);
	if (r == 0 && p.elsewhere.request)
		x_out->request.body = (struct span){NULL, (size_t)p.request_body};
	if (r == 0 && p.elsewhere.response)
		x_out->response.body = (struct span){NULL, (size_t)p.response_body};
	*elsewhere = p.elsewhere;
	return r;
}
