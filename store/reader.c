// SPDX-License-Identifier: Apache-2.0
#include "store/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/id.h"
#include "schema/sql.h"
#include "store/directory.h"
#include "store/filter.h"
#include "store/read_set.h"

/*
 * Theory of operation. A store is read tape by tape (SQLite can attach ten at most, and needs none
 * of it): read_set.c knows the tapes, read_tape.c makes exchanges of rows, read_list.c merges tapes
 * in order of time, read_failures.c groups. Here is what asks for one exchange.
 */
#define ENDING_LOOKUPS                                                                             \
	4096 /* ids with a given ending that are looked up; with more the tape is read */

static int open_set(struct reader *r, struct err *e)
{
	struct stat st;
	int failed;

	if (stat(r->path, &st) < 0)
		return err_set(e, -errno, "store %s: %s", r->path, strerror(errno));
	r->is_file = !S_ISDIR(st.st_mode);
	r->unpacker = unpacker_new();
	r->scratch = filter_scratch_new();
	if (!r->unpacker || !r->scratch)
		return err_set(e, -ENOMEM, "store %s: out of memory", r->path);
	failed = read_set_refresh(r, e);
	if (failed == 0 && r->count) /* the newest tells whether we can read this store */
		failed = read_set_summary(r, &r->tapes[r->count - 1], e);
	return failed == -ENOENT && !r->is_file ? 0 : failed;
}

int reader_open(const char *path, struct reader **r_out, struct err *e)
{
	struct err why = {0};
	struct reader *r = calloc(1, sizeof(*r));
	int failed;

	if (!r || !(r->path = strdup(path))) {
		free(r);
		return err_set(e, -ENOMEM, "store %s: out of memory", path);
	}
	failed = open_set(r, &why);
	if (failed < 0) {
		reader_close(r);
		return err_set(e, failed, "%s", why.why);
	}
	*r_out = r;
	return 0;
}

void reader_close(struct reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++) {
		read_tape_close(r->tapes[i].open);
		free(r->tapes[i].path);
	}
	free(r->tapes);
	unpacker_free(r->unpacker);
	filter_scratch_free(r->scratch);
	read_room_fini(&r->room);
	free(r->path);
	free(r);
}

bool reader_take_damage(struct reader *r, struct reader_damage *out)
{
	if (r->damage.why.code == 0)
		return false;
	*out = r->damage;
	r->damage = (struct reader_damage){0};
	return true;
}

void reader_limit_ns(struct reader *r, uint64_t ns, uint64_t (*now_ns)(void))
{
	r->limit_ns = ns;
	r->now_ns = now_ns;
}

void reader_restrict(struct reader *r, const struct filter *scope)
{
	r->scope = scope;
}

const struct reader_effort *reader_effort(const struct reader *r)
{
	return &r->effort;
}

/* SELECT of the ids that fulfil @condition and that may be seen; the scope's parameters follow its
 * @params. */
static sqlite3_stmt *prepare_ids(const struct reader *r, struct seen_tape *t, const char *condition,
				 int params, struct filter_sql *scope, struct err *e)
{
	AUTO_BUF sql = {0};
	sqlite3_stmt *st;

	if (r->scope && filter_to_sql(r->scope, scope) < 0) {
		(void)err_set(e, -ENOMEM, "reader: out of memory");
		return NULL;
	}
	buf_add_fmt(&sql, "SELECT exchange.id FROM %s WHERE %s", r->scope ? SQL_FROM : "exchange",
		    condition);
	if (r->scope) {
		buf_add_str(&sql, " AND (");
		buf_add_span(&sql, buf_span(&scope->where));
		buf_add_char(&sql, ')');
	}
	st = tape_prepare(read_tape_tape(t->open), buf_cstr(&sql), e);
	if (st)
		(void)filter_sql_bind(scope, st, params + 1);
	return st;
}

/* Return: 0, -ENOENT when whoever asks may not see it, or SQLite's. */
static int may_see(const struct reader *r, struct seen_tape *t, uint64_t id, struct err *e)
{
	struct filter_sql scope = {0};
	sqlite3_stmt *st;
	int step = SQLITE_ERROR;

	if (!r->scope)
		return 0;
	st = prepare_ids(r, t, "exchange.id = ?", 1, &scope, e);
	if (st) {
		(void)sqlite3_bind_int64(st, 1, (int64_t)id);
		step = sqlite3_step(st);
	}
	(void)sqlite3_finalize(st);
	filter_sql_fini(&scope);
	if (step == SQLITE_ROW)
		return 0;
	return step == SQLITE_DONE ? -ENOENT
	       : st		   ? tape_failed(read_tape_tape(t->open), e)
				   : e->code;
}

static int hand_out(struct reader *r, struct seen_tape *t, const struct batch *b,
		    reader_exchange_fn *fn, void *ctx, struct err *e)
{
	struct exchange x;
	int failed = read_tape_exchange(t->open, b, b->rows, true, r->unpacker, &r->room, &x, e);

	if (failed < 0)
		return failed;
	failed = fn(ctx, &x);
	return MIN(failed, 0);
}

/* Return: 0 found and handed out; -ENOENT not on this tape, or the tape is gone. */
static int get_from(struct reader *r, struct seen_tape *t, uint64_t id, reader_exchange_fn *fn,
		    void *ctx, struct err *e)
{
	struct batch b = {0};
	int failed = read_set_summary(r, t, e);

	if (failed == 0 && (id < t->summary.first_id || id > t->summary.last_id))
		return -ENOENT;
	if (failed == 0)
		failed = read_set_open(r, t, e);
	if (failed == 0)
		failed = may_see(r, t, id, e);
	if (failed == 0)
		failed = read_tape_get(t->open, id, &b, e);
	if (failed == 0)
		failed = hand_out(r, t, &b, fn, ctx, e);
	batch_fini(&b);
	return failed;
}

static int no_such_id(const struct reader *r, uint64_t id, struct err *e)
{
	char text[ID_TEXT_LEN + 1];

	return err_set(e, -ENOENT, "store %s: no exchange %s", r->path, id_format(id, text));
}

int reader_get(struct reader *r, uint64_t id, reader_exchange_fn *fn, void *ctx, struct err *e)
{
	struct err why = {0};
	int failed = read_set_refresh(r, &why);

	r->turn++;
	for (size_t i = r->count; i-- > 0 && failed == 0;) {
		failed = get_from(r, &r->tapes[i], id, fn, ctx, &why);
		if (failed == 0)
			return 0;
		failed = failed == -ENOENT ? 0 : failed;
	}
	if (failed < 0)
		return err_set(e, failed, "%s", why.why);
	return no_such_id(r, id, e);
}

/* --- ids by their ending --- */

struct ending {
	uint64_t low, mask;
	uint64_t found; /* 0: none yet */
	bool has_several;
};

static void note_id(struct ending *n, uint64_t id)
{
	n->has_several = n->has_several || (n->found && n->found != id);
	n->found = id;
}

/* Ids with a long ending are rare: ask for each that the tape's window can hold. */
static int look_up(const struct reader *r, struct seen_tape *t, struct ending *n, struct err *e)
{
	struct tape *tape = read_tape_tape(t->open);
	struct filter_sql scope = {0};
	sqlite3_stmt *st = prepare_ids(r, t, "exchange.id = ?", 1, &scope, e);
	uint64_t id = (t->summary.first_id & ~n->mask) | n->low;
	int step = SQLITE_DONE;

	for (; st && id <= t->summary.last_id && id <= INT64_MAX && !n->has_several;
	     id += n->mask + 1) {
		(void)sqlite3_bind_int64(st, 1, (int64_t)id);
		step = sqlite3_step(st);
		if (step == SQLITE_ROW)
			note_id(n, id);
		else if (step != SQLITE_DONE)
			break;
		(void)sqlite3_reset(st);
		if (n->mask == UINT64_MAX)
			break;
	}
	(void)sqlite3_finalize(st);
	filter_sql_fini(&scope);
	if (!st)
		return e->code;
	return step == SQLITE_ROW || step == SQLITE_DONE ? 0 : tape_failed(tape, e);
}

static int read_ids(const struct reader *r, struct seen_tape *t, struct ending *n, struct err *e)
{
	struct tape *tape = read_tape_tape(t->open);
	struct filter_sql scope = {0};
	sqlite3_stmt *st = prepare_ids(r, t, "(exchange.id & ?) = ?", 2, &scope, e);
	int step = SQLITE_DONE;

	if (st) {
		(void)sqlite3_bind_int64(st, 1, (int64_t)n->mask);
		(void)sqlite3_bind_int64(st, 2, (int64_t)n->low);
	}
	while (st && !n->has_several && (step = sqlite3_step(st)) == SQLITE_ROW)
		note_id(n, (uint64_t)sqlite3_column_int64(st, 0));
	(void)sqlite3_finalize(st);
	filter_sql_fini(&scope);
	if (!st)
		return e->code;
	return step == SQLITE_ROW || step == SQLITE_DONE ? 0 : tape_failed(tape, e);
}

static int find_ending(struct reader *r, struct seen_tape *t, struct ending *n, struct err *e)
{
	const struct tape_summary *sum = &t->summary;
	int failed = read_set_summary(r, t, e);

	if (failed == 0)
		failed = read_set_open(r, t, e);
	if (failed < 0)
		return failed == -ENOENT ? 0 : failed;
	if (n->mask == UINT64_MAX ||
	    (sum->last_id - sum->first_id) / (n->mask + 1) < ENDING_LOOKUPS)
		return look_up(r, t, n, e);
	return read_ids(r, t, n, e);
}

static int say_ending(const struct reader *r, struct span text, const struct ending *n,
		      uint64_t *id_out, struct err *e)
{
	if (n->has_several)
		return err_set(e, -ENOTUNIQ, "store %s: several exchanges end in %.*s", r->path,
			       (int)text.len, (const char *)text.ptr);
	if (!n->found)
		return err_set(e, -ENOENT, "store %s: no exchange ends in %.*s", r->path,
			       (int)text.len, (const char *)text.ptr);
	*id_out = n->found;
	return 0;
}

int reader_resolve(struct reader *r, struct span text, uint64_t *id_out, struct err *e)
{
	struct err why = {0};
	struct ending n = {0};
	unsigned bits;
	int failed = id_parse(text, &n.low, &bits);

	if (failed < 0)
		return err_set(e, -EINVAL, "'%.*s' is no id nor the ending of one",
			       (int)MIN(text.len, (size_t)64), (const char *)text.ptr);
	n.mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
	failed = read_set_refresh(r, &why);
	r->turn++;
	for (size_t i = r->count; i-- > 0 && failed == 0 && !n.has_several;)
		failed = find_ending(r, &r->tapes[i], &n, &why);
	if (failed < 0)
		return err_set(e, failed, "%s", why.why);
	return say_ending(r, text, &n, id_out, e);
}

static int tell_tape(const struct seen_tape *t, const char *damage,
		     int (*fn)(void *ctx, const struct tape_info *t), void *ctx)
{
	struct tape_info info = {
		.path = t->path,
		.bytes = directory_file_bytes(t->path),
		.is_pinned = directory_is_pinned(t->path),
		.is_of_failures = t->is_failures,
		.damage = damage,
	};

	if (!damage) {
		info.rows = t->summary.rows;
		info.first_ns = t->summary.first_id;
		info.last_ns = t->summary.last_id;
		info.is_sealed = t->summary.is_sealed;
	}
	return fn(ctx, &info);
}

int reader_tapes(struct reader *r, int (*fn)(void *ctx, const struct tape_info *t), void *ctx,
		 struct err *e)
{
	struct err why = {0};
	struct reader_damage damage;
	int failed = read_set_refresh(r, &why), said = 0;

	if (r->scope)
		return err_set(e, -EACCES, "tapes hold exchanges of all namespaces");
	(void)reader_take_damage(r, &damage);
	r->turn++;
	for (size_t i = r->count; i-- > 0 && failed == 0 && said == 0;) {
		struct seen_tape *t = &r->tapes[i];
		bool is_damaged;

		failed = read_set_summary(r, t, &why);
		is_damaged = reader_take_damage(r, &damage);
		if (failed == 0 || is_damaged)
			said = tell_tape(t, is_damaged ? damage.why.why : NULL, fn, ctx);
		failed = failed == -ENOENT ? 0 : failed;
	}
	return failed < 0 ? err_set(e, failed, "%s", why.why) : MIN(said, 0);
}
