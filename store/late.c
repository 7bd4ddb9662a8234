// SPDX-License-Identifier: Apache-2.0
#include "store/late.h"

#include <errno.h>
#include <sqlite3.h>

#include "store/commons.h"
#include "store/late_split.h"
#include "store/tape.h"

/*
 * Theory of operation. Who records gives an end whose name may still be learned a peer of its own, of
 * one address in one short while. So a name costs one row, however many exchanges have it: the row is
 * changed in place, and all of them, failures included, are found by the new name at once. Counts of
 * minutes are by name; those of an end that waits have keys of their own, which name its peer
 * (rollup_key.src_waits, dst_waits) and take the names from there.
 *
 * Only where an address changed hands in that while, and exchanges of both are there, the row is
 * split (late_split.c), which reads all exchanges of the while: a few in one call.
 *
 * A row that has its names, or will not get any, no longer waits: its since and until are 0.
 */
#define PARTS_MAX  8
#define SPLITS_MAX 4 /* in one call: each reads the exchanges of its while */
#define ROWS_MAX   1024

struct late {
	struct tape *tape;
	const struct late_config *config;
	struct late_pass *pass;
	struct late_result result;
	struct commons *commons;
	unsigned spans; /* that were read */
};

static int ask_ids(struct late *l, uint64_t *ids, size_t *count, struct err *e)
{
	sqlite3_stmt *st = tape_prepare(
		l->tape, "SELECT id FROM peer WHERE id > ? AND until > 0 ORDER BY id LIMIT ?", e);
	unsigned most = MIN(MAX(l->config->rows_max, 1), ROWS_MAX);
	int step = SQLITE_ERROR;

	*count = 0;
	if (!st)
		return tape_failed(l->tape, e);
	(void)sqlite3_bind_int64(st, 1, (int64_t)l->pass->after);
	(void)sqlite3_bind_int64(st, 2, most);
	while (*count < most && (step = sqlite3_step(st)) == SQLITE_ROW)
		ids[(*count)++] = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	l->result.has_more = *count == most;
	return *count == most || step == SQLITE_DONE ? 0 : tape_failed(l->tape, e);
}

/* What holds from one time to the next, with what is the same put together. Return: how many parts. */
static size_t ask_parts(const struct late *l, const struct endpoint *end, struct late_part *parts)
{
	uint64_t at = end->who.since_ns, until = end->who.until_ns;
	size_t n = 0;

	while (at < until) {
		struct late_answer a = l->config->ask(l->config->ctx, end, at);
		uint64_t to = MIN(MAX(a.until_ns, at + 1), until);

		if (n && parts[n - 1].who == a.who && parts[n - 1].is_final == a.is_final)
			parts[n - 1].until_ns = to;
		else if (n < PARTS_MAX)
			parts[n++] = (struct late_part){at, to, a.who, a.is_final};
		else /* nobody can say what follows */
			parts[n - 1] = (struct late_part){parts[n - 1].from_ns, to = until, NULL,
							  a.is_final};
		at = to;
	}
	return n;
}

/* Parts in which nothing was recorded say nothing. */
static size_t keep_used(struct late_part *parts, size_t count, const struct late_span *span)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		if (span->first_ns < parts[i].until_ns && span->last_ns >= parts[i].from_ns)
			parts[n++] = parts[i];
	return n ? n : MIN(count, 1);
}

static int narrow(struct late *l, uint64_t peer, const struct endpoint *end,
		  struct late_part *parts, size_t *count, struct err *e)
{
	struct late_span span = {0};
	int r;

	if (*count < 2)
		return 0;
	l->spans++;
	r = late_span_of(l->tape, peer, end->who.since_ns, end->who.until_ns, &span, e);
	if (r == 0)
		*count = keep_used(parts, *count, &span);
	return r;
}

static void count_parts(struct late *l, const struct late_part *parts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		l->result.named += parts[i].who != NULL;
		l->result.never += !parts[i].who && parts[i].is_final;
		l->result.waiting += !parts[i].is_final;
	}
}

/* Is there anything to write? */
static bool is_news(const struct late_part *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (parts[i].who || parts[i].is_final)
			return true;
	return false;
}

static int write_parts(struct late *l, uint64_t peer, const struct endpoint *end,
		       struct late_part *parts, size_t count, struct err *e)
{
	int r;

	if (count == 1)
		r = late_rename(l->tape, peer, parts, e);
	else
		r = late_split(l->tape, peer, parts, count, e);
	l->result.was_split |= count > 1;
	if (r == 0)
		l->pass->changed(l->pass->ctx, end);
	return r;
}

static int look_at(struct late *l, uint64_t peer, struct err *e)
{
	const struct peer_row *row = commons_peer(l->commons, peer, e);
	struct late_part parts[PARTS_MAX];
	size_t count;
	int r;

	if (!row)
		return e ? e->code : -EBADMSG;
	count = ask_parts(l, &row->end, parts);
	r = is_news(parts, count) ? narrow(l, peer, &row->end, parts, &count, e) : 0;
	if (r == 0 && is_news(parts, count))
		r = write_parts(l, peer, &row->end, parts, count, e);
	count_parts(l, parts, count);
	return r;
}

static int look_at_all(struct late *l, struct err *e)
{
	uint64_t ids[ROWS_MAX];
	size_t count, i;
	int r = ask_ids(l, ids, &count, e);

	for (i = 0; i < count && r == 0 && l->spans < SPLITS_MAX; i++) {
		r = look_at(l, ids[i], e);
		l->pass->after = ids[i];
		commons_trim(l->commons);
	}
	l->result.has_more |= i < count;
	if (!l->result.has_more)
		l->pass->after = 0;
	return r;
}

/* Counts take the names of their peers; those that have their names are counted like any other. */
static const char counts_sql[] =
	"UPDATE rollup_key SET (src_service, src_namespace, src_workload, src_waits) ="
	" (SELECT service, namespace, workload, iif(until > 0, id, 0) FROM peer WHERE id = "
	"src_waits)"
	" WHERE src_waits > 0;"
	"UPDATE rollup_key SET (dst_service, dst_namespace, dst_workload, dst_waits) ="
	" (SELECT service, namespace, workload, iif(until > 0, id, 0) FROM peer WHERE id = "
	"dst_waits)"
	" WHERE dst_waits > 0;"
	"UPDATE tape SET named = named + 1 WHERE id = 1;";

static int run(struct late *l, struct err *e)
{
	int r = look_at_all(l, e);
	bool is_changed = l->result.named || l->result.never || l->result.was_split;

	return r == 0 && is_changed ? tape_run(l->tape, counts_sql, e) : r;
}

static void add_result(struct late_result *to, const struct late_result *more)
{
	to->named += more->named;
	to->never += more->never;
	to->waiting += more->waiting;
	to->has_more |= more->has_more;
	to->was_split |= more->was_split;
}

int late_write(struct tape *t, const struct late_config *c, struct late_pass *pass,
	       struct late_result *out, struct err *e)
{
	struct late l = {.tape = t, .config = c, .pass = pass, .commons = commons_new(t, e)};
	uint64_t after = pass->after;
	int r = l.commons ? tape_run(t, "BEGIN IMMEDIATE", e) : -ENOMEM;

	if (r == 0) {
		r = run(&l, e);
		if (r == 0)
			r = tape_run(t, "COMMIT", e);
		if (r < 0)
			(void)sqlite3_exec(tape_db(t), "ROLLBACK", NULL, NULL, NULL);
	}
	commons_free(l.commons);
	if (r < 0)
		pass->after = after;
	else
		add_result(out, &l.result);
	return r;
}
