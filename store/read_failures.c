// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "lib/clock.h"
#include "schema/sql.h"
#include "store/commons.h"
#include "store/read_list.h"
#include "store/rollup.h"

/*
 * Theory of operation. Each tape counts its failures by kind, client, outcome and minute as it is
 * written (store/rollup_writer.c). These counts are added up here by what a person means by a kind
 *of failure, which spans tapes, pods and addresses: a table of groups, found by hash, compared as a
 * whole. Minutes that are asked for in part, and tapes without counts, are counted from the index
 * over failures, and so is a time so short that its minutes are too few to show a rate.
 *
 *	since                                                 until
 *	  |<- index ->|<------------- counts ------------->|<- index ->|
 *	         whole minute                         whole minute
 *
 * The counts can be filtered by whatever is a column of kinds and clients. A filter that looks at
 * other columns is answered from the index, one that has to see messages one exchange at a time.
 *
 * A client of whom no more than the address is known does not make a kind of its own.
 *
 * The number of groups is bounded. Where routes do not repeat (a scanner tries every path there
 * is), further groups lose their route and error, and then their method: "*". So no failure is left
 * out.
 */
#define GROUPS_MAX 8192			/* a power of two */
#define PLAIN_MAX  (GROUPS_MAX / 2)	/* groups with their route */
#define ROUGH_MAX  (GROUPS_MAX / 4 * 3) /* groups with their method */
#define SLOTS	   (GROUPS_MAX * 2)
#define MINUTE_NS  ROLLUP_MINUTE_NS
#define SHORT_NS   (5 * MINUTE_NS) /* no longer than this: seconds count */

struct group {
	struct failure sum;		 /* its spans live in memory */
	uint8_t *memory;		 /* the key: owned */
	char address[ENDPOINT_TEXT_MAX]; /* of a client of whom no more is known */
	size_t key_bytes;
};

struct groups {
	struct group *all;
	uint32_t *slots; /* index + 1 in all; 0: free */
	size_t count;
	struct buf key;		     /* scratch */
	uint64_t since_ns, until_ns; /* that points stand for */
	uint64_t step_ns;	     /* of points */
	uint64_t unit_ns;	     /* that counts are asked by */
};

/* what tells kinds of failure apart, besides texts */
struct numbers {
	uint16_t status;
	uint8_t outcome, reason;
	int16_t grpc_status;
	uint16_t close_code;
};
_Static_assert(sizeof(struct numbers) == 8, "no padding: keys are compared as bytes");

void failure_texts(struct failure *f, struct span *out[FAILURE_TEXTS])
{
	out[0] = &f->src_service;
	out[1] = &f->src_namespace;
	out[2] = &f->dst_service;
	out[3] = &f->dst_namespace;
	out[4] = &f->method;
	out[5] = &f->route;
	out[6] = &f->error;
}

static void write_key(struct buf *key, struct failure *f)
{
	struct numbers numbers = {f->status, f->outcome, f->reason, f->grpc_status, f->close_code};
	struct span *texts[FAILURE_TEXTS];

	failure_texts(f, texts);
	buf_clear(key);
	buf_add(key, &numbers, sizeof(numbers));
	for (size_t i = 0; i < FAILURE_TEXTS; i++) {
		buf_add(key, &texts[i]->len, sizeof(texts[i]->len));
		buf_add_span(key, *texts[i]);
	}
}

static uint32_t *find(struct groups *g, struct span key)
{
	size_t i = XXH3_64bits(key.ptr, key.len) % SLOTS;

	for (;; i = (i + 1) % SLOTS) {
		const struct group *x = g->slots[i] ? &g->all[g->slots[i] - 1] : NULL;

		if (!x || span_eq(key, span_of(x->memory, x->key_bytes)))
			return &g->slots[i];
	}
}

/* A new group with its own copy of the key, into which its texts point. */
static struct group *add_group(struct groups *g, uint32_t *slot, const struct failure *like)
{
	struct group *x = &g->all[g->count];
	struct span *texts[FAILURE_TEXTS];
	size_t at = sizeof(struct numbers);

	if (g->count == GROUPS_MAX)
		return NULL;
	x->memory = malloc(g->key.len);
	if (!x->memory)
		return NULL;
	memcpy(x->memory, g->key.ptr, g->key.len);
	x->key_bytes = g->key.len;
	x->sum = *like;
	x->sum.count = 0;
	failure_texts(&x->sum, texts);
	for (size_t i = 0; i < FAILURE_TEXTS; i++) {
		at += sizeof(size_t);
		texts[i]->ptr = x->memory + at;
		at += texts[i]->len;
	}
	*slot = (uint32_t)++g->count;
	return x;
}

/* Where the client is an address: which, or that there are several. */
static void note_address(struct group *x, const char *address)
{
	if (!*address || strcmp(x->address, address) == 0 || strcmp(x->address, "*") == 0)
		return;
	(void)snprintf(x->address, sizeof(x->address), "%s", x->address[0] ? "*" : address);
}

static void sum_up(const struct groups *g, struct group *x, const struct failure *f, uint64_t at_ns)
{
	uint64_t point = at_ns < g->since_ns ? 0 : (at_ns - g->since_ns) / g->step_ns;

	if (x->sum.count == 0 || f->exemplar > x->sum.exemplar)
		x->sum.exemplar = f->exemplar;
	x->sum.first_ns = x->sum.count ? MIN(x->sum.first_ns, f->first_ns) : f->first_ns;
	x->sum.last_ns = MAX(x->sum.last_ns, f->last_ns);
	x->sum.count += f->count;
	x->sum.points[MIN(point, FAILURE_POINTS - 1)] += f->count;
}

/* @at_ns: about when; @address: of the client, or empty */
static int note(struct groups *g, struct failure *f, uint64_t at_ns, const char *address,
		struct err *e)
{
	struct group *x = NULL;
	uint32_t *slot;

	write_key(&g->key, f);
	slot = find(g, buf_span(&g->key));
	if (*slot == 0 && g->count >= PLAIN_MAX) {
		f->route = SPAN_LIT("*");
		f->error = SPAN_LIT("*");
		if (g->count >= ROUGH_MAX)
			f->method = SPAN_LIT("*");
		write_key(&g->key, f);
		slot = find(g, buf_span(&g->key));
	}
	x = *slot ? &g->all[*slot - 1] : g->key.is_failed ? NULL : add_group(g, slot, f);
	if (!x)
		return err_set(e, g->count == GROUPS_MAX ? -E2BIG : -ENOMEM,
			       "more than %d kinds of failures: narrow the filter", GROUPS_MAX);
	note_address(x, address);
	sum_up(g, x, f, at_ns);
	return 0;
}

static struct span who(const struct endpoint *end, char text[ENDPOINT_TEXT_MAX])
{
	struct span service = endpoint_service(end);

	return service.len ? service : span_str(endpoint_text(end, text));
}

/* The client's name; where it has none its address goes into @address. */
static struct span who_asked(const struct endpoint *end, char address[ENDPOINT_TEXT_MAX])
{
	struct span service = endpoint_service(end);

	address[0] = '\0';
	if (service.len == 0)
		(void)endpoint_text(end, address);
	return service;
}

/* --- counted by a tape --- */

/* A row: kind, client, outcome, count, first id, last id, time in units. */
static int note_count(struct groups *g, uint64_t unit_ns, struct read_tape *t, sqlite3_stmt *st,
		      struct err *e)
{
	struct commons *c = read_tape_commons(t);
	const struct kind_row *kind;
	const struct peer_row *src, *dst;
	char address[ENDPOINT_TEXT_MAX], dst_text[ENDPOINT_TEXT_MAX];

	commons_trim(c);
	kind = commons_kind(c, (uint64_t)sqlite3_column_int64(st, 0), e);
	src = kind ? commons_peer(c, (uint64_t)sqlite3_column_int64(st, 1), e) : NULL;
	dst = src ? commons_peer(c, kind->dst, e) : NULL;
	if (!dst)
		return e->code;
	return note(g,
		    &(struct failure){
			    .src_service = who_asked(&src->end, address),
			    .dst_service = who(&dst->end, dst_text),
			    .src_namespace = src->end.who.name_space,
			    .dst_namespace = dst->end.who.name_space,
			    .method = kind->method,
			    .route = kind->route,
			    .error = kind->error,
			    .status = kind->status,
			    .outcome = (uint8_t)sqlite3_column_int(st, 2),
			    .reason = kind->reason,
			    .grpc_status = (int16_t)kind->grpc_status,
			    .close_code = kind->close_code,
			    .count = (uint64_t)sqlite3_column_int64(st, 3),
			    .first_ns = (uint64_t)sqlite3_column_int64(st, 4),
			    .last_ns = (uint64_t)sqlite3_column_int64(st, 5),
			    .exemplar = (uint64_t)sqlite3_column_int64(st, 5),
		    },
		    (uint64_t)sqlite3_column_int64(st, 6) * unit_ns, address, e);
}

static int note_counts(struct groups *g, uint64_t unit_ns, struct read_tape *t, sqlite3_stmt *st,
		       struct err *e)
{
	int step, r = 0;

	while (r == 0 && (step = sqlite3_step(st)) != SQLITE_DONE)
		r = step == SQLITE_ROW ? note_count(g, unit_ns, t, st, e)
				       : tape_failed(read_tape_tape(t), e);
	(void)sqlite3_finalize(st);
	return r;
}

/* From the index over failures: all that the plan selects, or what of it lies in [since, until). */
static int count_index(struct groups *g, const struct read_plan *p, uint64_t since, uint64_t until,
		       struct seen_tape *seen, struct err *e)
{
	struct query part = *p->q;
	struct read_plan here = *p;
	AUTO_BUF sql = {0};
	sqlite3_stmt *st;
	uint64_t after, before;

	part.since_ns = since;
	part.until_ns = until;
	here.q = &part;
	if ((until && since >= until) || !read_plan_window(&here, &seen->summary, &after, &before))
		return 0;
	buf_add_fmt(&sql,
		    "SELECT exchange.kind, exchange.src, exchange.outcome, count(*),"
		    " min(exchange.id), max(exchange.id), (exchange.id - exchange.moved) / %llu "
		    "FROM %s",
		    (unsigned long long)g->unit_ns, here.is_all ? "exchange" : SQL_FROM);
	read_plan_where(&here, &sql);
	buf_add_str(&sql, " GROUP BY 1, 2, 3, 7");
	st = tape_prepare(read_tape_tape(seen->open), buf_cstr(&sql), e);
	if (!st)
		return e->code;
	(void)read_plan_bind(&here, st, 1, after, before);
	return note_counts(g, g->unit_ns, seen->open, st, e);
}

/* From the counts of minutes [@from, @to). */
static int count_minutes(struct groups *g, const struct read_plan *p, uint64_t from, uint64_t to,
			 struct seen_tape *seen, struct err *e)
{
	AUTO_BUF sql = {0};
	sqlite3_stmt *st;

	buf_add_str(&sql, "SELECT exchange.kind, exchange.src, exchange.outcome, exchange.count,"
			  " exchange.first_id, exchange.last_id, exchange.minute FROM failure AS ");
	buf_add_str(&sql, p->is_all ? "exchange" : SQL_FROM);
	buf_add_str(&sql, " WHERE exchange.minute >= ? AND exchange.minute < ?");
	if (!p->is_all) {
		buf_add_str(&sql, " AND (");
		buf_add_span(&sql, buf_span(&p->filter.where));
		buf_add_char(&sql, ')');
	}
	st = tape_prepare(read_tape_tape(seen->open), buf_cstr(&sql), e);
	if (!st)
		return e->code;
	(void)sqlite3_bind_int64(st, 1, (int64_t)from);
	(void)sqlite3_bind_int64(st, 2, (int64_t)to);
	if (!p->is_all)
		(void)filter_sql_bind(&p->filter, st, 3);
	return note_counts(g, MINUTE_NS, seen->open, st, e);
}

/* Has the tape counted all it holds, and can the filter be asked of the counts? 1, 0 or errno */
static int has_counts(const struct read_plan *p, struct seen_tape *seen, struct err *e)
{
	static const char *const columns_of_counts[] = {"kind.", "dst.", "src.", "exchange.outcome",
							NULL};
	uint64_t removed;

	return read_plan_names_only(p, columns_of_counts)
		       ? rollup_is_whole(read_tape_tape(seen->open), &removed, e)
		       : 0;
}

static int count_tape(struct groups *g, const struct read_plan *p, struct seen_tape *seen,
		      struct err *e)
{
	uint64_t since = p->q->since_ns, until = p->q->until_ns, after, before;
	uint64_t from = (since + MINUTE_NS - 1) / MINUTE_NS;
	uint64_t to = until ? until / MINUTE_NS : UINT64_MAX / MINUTE_NS;
	int r = g->unit_ns < MINUTE_NS ? 0 : has_counts(p, seen, e);

	if (r < 0 || !read_plan_window(p, &seen->summary, &after, &before))
		return MIN(r, 0);
	if (r == 0 || from >= to)
		return count_index(g, p, since, until, seen, e);
	r = count_minutes(g, p, from, to, seen, e);
	if (r == 0 && since % MINUTE_NS)
		r = count_index(g, p, since, from * MINUTE_NS, seen, e);
	if (r == 0 && until % MINUTE_NS)
		r = count_index(g, p, to * MINUTE_NS, until, seen, e);
	return r;
}

/* What newer tapes hold was counted: who asks from there on gets an answer. */
static int say_how_far(const struct reader *r, size_t at, struct err *e)
{
	uint64_t counted = UINT64_MAX;
	AUTO_BUF since = {0};

	for (size_t i = at + 1; i < r->count; i++)
		if (r->tapes[i].has_summary && r->tapes[i].summary.rows &&
		    r->tapes[i].is_failures == r->tapes[at].is_failures)
			counted = MIN(counted, r->tapes[i].summary.first_id);
	if (counted == UINT64_MAX)
		return err_set(
			e, -ETIMEDOUT,
			"out of time before the failures of one tape were counted; ask less: a"
			" shorter time, a service, a status");
	clock_format_utc(&since, counted);
	return err_set(
		e, -ETIMEDOUT,
		"out of time: failures since %s were counted; ask for those, or less: a service,"
		" a status",
		buf_cstr(&since));
}

static int count_all(struct reader *r, const struct read_plan *p, struct groups *g, struct err *e)
{
	int failed = 0;

	for (size_t i = r->count; i-- > 0 && failed == 0;) {
		r->turn++;
		failed = read_set_summary(r, &r->tapes[i], e);
		if (failed == 0)
			failed = read_set_open(r, &r->tapes[i], e);
		if (failed == 0)
			failed = read_set_left_out(r, true, count_tape(g, p, &r->tapes[i], e), e);
		if (failed == -ETIMEDOUT || (failed == 0 && i && read_set_is_late(r)))
			return say_how_far(r, failed ? i : i - 1, e);
		failed = failed == -ENOENT ? 0 : failed;
	}
	return failed;
}

/* --- counted one by one --- */

struct each {
	struct groups *groups;
	struct err *e;
};

static int note_each(void *ctx, const struct exchange *x)
{
	struct each *each = ctx;
	char address[ENDPOINT_TEXT_MAX], dst_text[ENDPOINT_TEXT_MAX];

	return note(each->groups,
		    &(struct failure){
			    .src_service = who_asked(&x->src, address),
			    .dst_service = who(&x->dst, dst_text),
			    .src_namespace = x->src.who.name_space,
			    .dst_namespace = x->dst.who.name_space,
			    .method = x->method,
			    .route = x->route,
			    .error = x->error,
			    .status = x->status,
			    .outcome = x->outcome,
			    .reason = x->reason,
			    .grpc_status = (int16_t)(x->has_grpc_status ? x->grpc_status : -1),
			    .close_code = x->close_code,
			    .count = 1,
			    .first_ns = x->id,
			    .last_ns = x->id,
			    .exemplar = x->id,
		    },
		    x->start_ns, address, each->e);
}

/* --- the answer --- */

static int most_first(const void *a, const void *b)
{
	const struct failure *x = &((const struct group *)a)->sum;
	const struct failure *y = &((const struct group *)b)->sum;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return (x->exemplar < y->exemplar) - (x->exemplar > y->exemplar);
}

static size_t point_count(const struct groups *g)
{
	uint64_t n = (g->until_ns - g->since_ns + g->step_ns - 1) / g->step_ns;

	return (size_t)MIN(MAX(n, 1), FAILURE_POINTS);
}

static int hand_out(struct groups *g, uint64_t limit, uint64_t new_ns, reader_failure_fn *fn,
		    void *ctx)
{
	uint64_t given = 0;
	int r = 0;

	qsort(g->all, g->count, sizeof(*g->all), most_first);
	for (size_t i = 0; i < g->count && r == 0 && (limit == 0 || given < limit); i++) {
		struct failure *f = &g->all[i].sum;

		if (f->first_ns < new_ns)
			continue;
		if (f->src_service.len == 0)
			f->src_service = span_str(g->all[i].address);
		f->points_ns = g->since_ns;
		f->step_ns = g->step_ns;
		f->point_count = point_count(g);
		given++;
		r = fn(ctx, f);
	}
	return MIN(r, 0);
}

static void groups_fini(struct groups *g)
{
	for (size_t i = 0; i < g->count; i++)
		free(g->all[i].memory);
	free(g->all);
	free(g->slots);
	buf_fini(&g->key);
}

static uint64_t round_up(uint64_t v, uint64_t step)
{
	return v > INT64_MAX ? v : (v + step - 1) / step * step;
}

/* The time that points stand for: what was asked for, as far as there is anything. */
static int choose_points(struct reader *r, const struct query *q, uint64_t new_ns, struct groups *g,
			 struct err *e)
{
	uint64_t first, last, since = MAX(q->since_ns, new_ns);
	int failed = read_set_bounds(r, &first, &last, e);

	first = MIN(first, last);
	g->since_ns = since ? since : first;
	g->until_ns = MAX(q->until_ns ? q->until_ns : last + 1, g->since_ns + 1);
	g->unit_ns = g->until_ns - g->since_ns > SHORT_NS ? MINUTE_NS : NS_PER_S;
	g->since_ns -= g->since_ns % g->unit_ns;
	g->step_ns = round_up((g->until_ns - g->since_ns + FAILURE_POINTS - 1) / FAILURE_POINTS,
			      g->unit_ns);
	return failed;
}

static int count_failures(struct reader *r, const struct query *q, uint64_t new_ns,
			  struct groups *g, struct err *e)
{
	struct query unlimited = *q;
	struct each each = {g, e};
	struct read_plan p;
	int failed;

	unlimited.limit = unlimited.cursor = 0;
	failed = read_plan_init(&p, &unlimited, SQL_FAILED, e);
	if (failed == 0)
		failed = read_set_permits(r, q, e);
	if (failed == 0)
		failed = choose_points(r, q, new_ns, g, e);
	if (failed == 0 && p.needs_residual)
		failed = read_list(r, &p, note_each, &each, NULL, e);
	else if (failed == 0)
		failed = count_all(r, &p, g, e);
	read_plan_fini(&p);
	return failed;
}

int reader_failures(struct reader *r, const struct query *q, uint64_t new_ns, reader_failure_fn *fn,
		    void *ctx, struct err *e)
{
	struct err why = {0};
	struct groups g = {
		.all = calloc(GROUPS_MAX, sizeof(*g.all)),
		.slots = calloc(SLOTS, sizeof(*g.slots)),
	};
	int failed = -ENOMEM;

	if (g.all && g.slots)
		failed = count_failures(r, q, new_ns, &g, &why);
	if (failed == 0)
		failed = hand_out(&g, q->limit, new_ns, fn, ctx);
	groups_fini(&g);
	return failed < 0 ? err_set(e, failed, "%s", *why.why ? why.why : strerror(-failed)) : 0;
}
