// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <xxhash.h>

#include "schema/sql.h"
#include "store/commons.h"
#include "store/read_list.h"

/*
 * Theory of operation. Each tape counts its failures by kind, client and outcome, from the index
 * over failures alone. These counts are added up here by what a person means by a kind of failure,
 * which spans tapes, pods and addresses: a table of groups, found by hash, compared as a whole.
 *
 * A filter that has to see messages is answered one exchange at a time instead.
 *
 * The number of groups is bounded. Where routes do not repeat (a scanner tries every path there
 * is), further groups lose their route, and then their method: "*". So no failure is left out.
 */
#define GROUPS_MAX 8192			/* a power of two */
#define PLAIN_MAX  (GROUPS_MAX / 2)	/* groups with their route */
#define ROUGH_MAX  (GROUPS_MAX / 4 * 3) /* groups with their method */
#define SLOTS	   (GROUPS_MAX * 2)

struct group {
	struct failure sum; /* its spans live in memory */
	uint8_t *memory;    /* the key: owned */
	size_t key_bytes;
};

struct groups {
	struct group *all;
	uint32_t *slots; /* index + 1 in all; 0: free */
	size_t count;
	struct buf key; /* scratch */
};

/* what tells kinds of failure apart, besides texts */
struct numbers {
	uint16_t status;
	uint8_t outcome, reason;
	int16_t grpc_status;
	uint16_t close_code;
};
_Static_assert(sizeof(struct numbers) == 8, "no padding: keys are compared as bytes");

#define TEXT_COUNT 6
static void texts_of(struct failure *f, struct span *out[TEXT_COUNT])
{
	out[0] = &f->src_service;
	out[1] = &f->src_namespace;
	out[2] = &f->dst_service;
	out[3] = &f->dst_namespace;
	out[4] = &f->method;
	out[5] = &f->route;
}

static void write_key(struct buf *key, struct failure *f)
{
	struct numbers numbers = {f->status, f->outcome, f->reason, f->grpc_status, f->close_code};
	struct span *texts[TEXT_COUNT];

	texts_of(f, texts);
	buf_clear(key);
	buf_add(key, &numbers, sizeof(numbers));
	for (size_t i = 0; i < TEXT_COUNT; i++) {
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
	struct span *texts[TEXT_COUNT];
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
	texts_of(&x->sum, texts);
	for (size_t i = 0; i < TEXT_COUNT; i++) {
		at += sizeof(size_t);
		texts[i]->ptr = x->memory + at;
		at += texts[i]->len;
	}
	*slot = (uint32_t)++g->count;
	return x;
}

static void sum_up(struct group *x, const struct failure *f)
{
	if (x->sum.count == 0 || f->exemplar > x->sum.exemplar)
		x->sum.exemplar = f->exemplar;
	x->sum.first_ns = x->sum.count ? MIN(x->sum.first_ns, f->first_ns) : f->first_ns;
	x->sum.last_ns = MAX(x->sum.last_ns, f->last_ns);
	x->sum.count += f->count;
}

static int note(struct groups *g, struct failure *f, struct err *e)
{
	struct group *x = NULL;
	uint32_t *slot;

	write_key(&g->key, f);
	slot = find(g, buf_span(&g->key));
	if (*slot == 0 && g->count >= PLAIN_MAX) {
		f->route = SPAN_LIT("*");
		if (g->count >= ROUGH_MAX)
			f->method = SPAN_LIT("*");
		write_key(&g->key, f);
		slot = find(g, buf_span(&g->key));
	}
	x = *slot ? &g->all[*slot - 1] : g->key.is_failed ? NULL : add_group(g, slot, f);
	if (!x)
		return err_set(e, g->count == GROUPS_MAX ? -E2BIG : -ENOMEM,
			       "more than %d kinds of failures: narrow the filter", GROUPS_MAX);
	sum_up(x, f);
	return 0;
}

static struct span who(const struct endpoint *end, char text[ENDPOINT_TEXT_MAX])
{
	struct span service = endpoint_service(end);

	return service.len ? service : span_str(endpoint_text(end, text));
}

/* --- counted by a tape --- */

static int note_count(struct groups *g, struct read_tape *t, sqlite3_stmt *st, struct err *e)
{
	struct commons *c = read_tape_commons(t);
	const struct kind_row *kind;
	const struct peer_row *src, *dst;
	char src_text[ENDPOINT_TEXT_MAX], dst_text[ENDPOINT_TEXT_MAX];

	commons_trim(c);
	kind = commons_kind(c, (uint64_t)sqlite3_column_int64(st, 0), e);
	src = kind ? commons_peer(c, (uint64_t)sqlite3_column_int64(st, 1), e) : NULL;
	dst = src ? commons_peer(c, kind->dst, e) : NULL;
	if (!dst)
		return e->code;
	return note(g,
		    &(struct failure){
			    .src_service = who(&src->end, src_text),
			    .dst_service = who(&dst->end, dst_text),
			    .src_namespace = src->end.who.name_space,
			    .dst_namespace = dst->end.who.name_space,
			    .method = kind->method,
			    .route = kind->route,
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
		    e);
}

static int count_tape(struct groups *g, const struct read_plan *p, struct seen_tape *seen,
		      struct err *e)
{
	struct tape *tape = read_tape_tape(seen->open);
	AUTO_BUF sql = {0};
	sqlite3_stmt *st;
	uint64_t after, before;
	int step, r = 0;

	if (!read_plan_window(p, &seen->summary, &after, &before))
		return 0;
	buf_add_fmt(&sql,
		    "SELECT exchange.kind, exchange.src, exchange.outcome, count(*),"
		    " min(exchange.id), max(exchange.id) FROM %s",
		    p->is_all ? "exchange" : SQL_FROM);
	read_plan_where(p, &sql);
	buf_add_str(&sql, " GROUP BY exchange.kind, exchange.src, exchange.outcome");
	st = tape_prepare(tape, buf_cstr(&sql), e);
	if (!st)
		return e->code;
	(void)read_plan_bind(p, st, 1, after, before);
	while (r == 0 && (step = sqlite3_step(st)) != SQLITE_DONE)
		r = step == SQLITE_ROW ? note_count(g, seen->open, st, e) : tape_failed(tape, e);
	(void)sqlite3_finalize(st);
	return r;
}

static int count_all(struct reader *r, const struct read_plan *p, struct groups *g, struct err *e)
{
	int failed = read_set_refresh(r, e);

	for (size_t i = r->count; i-- > 0 && failed == 0;) {
		r->turn++;
		failed = read_set_summary(r, &r->tapes[i], e);
		if (failed == 0)
			failed = read_set_open(r, &r->tapes[i], e);
		if (failed == 0)
			failed = count_tape(g, p, &r->tapes[i], e);
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
	char src_text[ENDPOINT_TEXT_MAX], dst_text[ENDPOINT_TEXT_MAX];

	return note(each->groups,
		    &(struct failure){
			    .src_service = who(&x->src, src_text),
			    .dst_service = who(&x->dst, dst_text),
			    .src_namespace = x->src.who.name_space,
			    .dst_namespace = x->dst.who.name_space,
			    .method = x->method,
			    .route = x->route,
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
		    each->e);
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

static int hand_out(struct groups *g, uint64_t limit, reader_failure_fn *fn, void *ctx)
{
	int r = 0;

	qsort(g->all, g->count, sizeof(*g->all), most_first);
	for (size_t i = 0; i < g->count && r == 0 && (limit == 0 || i < limit); i++)
		r = fn(ctx, &g->all[i].sum);
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

static int count_failures(struct reader *r, const struct query *q, struct groups *g, struct err *e)
{
	struct query unlimited = *q;
	struct each each = {g, e};
	struct read_plan p;
	int failed;

	unlimited.limit = unlimited.cursor = 0;
	failed = read_plan_init(&p, &unlimited, SQL_FAILED, e);
	if (failed == 0 && p.needs_residual)
		failed = read_list(r, &p, note_each, &each, NULL, e);
	else if (failed == 0)
		failed = count_all(r, &p, g, e);
	read_plan_fini(&p);
	return failed;
}

int reader_failures(struct reader *r, const struct query *q, reader_failure_fn *fn, void *ctx,
		    struct err *e)
{
	struct err why = {0};
	struct groups g = {
		.all = calloc(GROUPS_MAX, sizeof(*g.all)),
		.slots = calloc(SLOTS, sizeof(*g.slots)),
	};
	int failed = -ENOMEM;

	if (g.all && g.slots)
		failed = count_failures(r, q, &g, &why);
	if (failed == 0)
		failed = hand_out(&g, q->limit, fn, ctx);
	groups_fini(&g);
	return failed < 0 ? err_set(e, failed, "%s", *why.why ? why.why : strerror(-failed)) : 0;
}
