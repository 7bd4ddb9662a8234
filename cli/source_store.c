// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * A reader of the store does the work. Only the stream needs thought: an exchange reaches the tape
 * when it is complete, but stands there under the time when it began, so a slow one appears behind
 * others already shown. Each look therefore goes back a little (LOOK_BACK_NS), every tenth one as
 * far as a request may wait for its answer (LOOK_FAR_NS), and ids already shown are remembered in a
 * set that forgets what is older than that.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/source_kind.h"
#include "store/filter.h"

#define POLL_NS	     (500 * NS_PER_MS)
#define LOOK_BACK_NS (3 * NS_PER_S)
#define LOOK_FAR_NS  (70 * NS_PER_S) /* exchange_timeout and commit_interval, and some more */
#define FAR_EVERY    10

struct store_source {
	struct source base;
	struct reader *reader;
	char *path;
};

static struct store_source *store_of(struct source *s)
{
	return CONTAINER_OF(s, struct store_source, base);
}

static void store_source_close(struct source *s)
{
	struct store_source *st = store_of(s);

	reader_close(st->reader);
	free(st->path);
	free(st);
}

static int make_filter(const struct source *s, const char *text, struct filter **f_out,
		       struct err *e)
{
	struct span only = span_str(s->name_space);
	int r = 0;

	if ((text && text[0]) || only.len)
		r = filter_parse_at(span_str(text ? text : ""), clock_wall_ns(), f_out, e);
	if (r == 0 && only.len && filter_restrict(*f_out, &only, 1) < 0)
		r = err_set(e, -ENOMEM, "out of memory");
	return r;
}

static int make_query(const struct source *s, const struct source_query *q, struct filter **f_out,
		      struct query *out, struct err *e)
{
	int r = make_filter(s, q->filter, f_out, e);

	*out = (struct query){
		.filter = *f_out,
		.since_ns = q->since_ns,
		.until_ns = q->until_ns,
		.cursor = q->cursor,
		.limit = q->limit,
		.is_reverse = q->is_reverse,
		.wants_messages = q->wants_messages,
	};
	return r;
}

/* stops a list when the reader of it pressed ^C */
struct guard {
	reader_exchange_fn *fn;
	void *ctx;
	uint64_t count;
};

#define SLICE_NS                                                                                   \
	NS_PER_S /* a long list says every so often how far it is, and looks whether ^C came */

static int guarded(void *ctx, const struct exchange *x)
{
	struct guard *g = ctx;

	g->count++;
	return cli_is_interrupted() ? 1 : g->fn(g->ctx, x);
}

/* All that could be read was handed out; that it is not all is said, and is a failure. */
static int say_damage(struct store_source *st, int r, struct err *e)
{
	struct reader_damage d;

	if (!reader_take_damage(st->reader, &d) || r < 0)
		return r;
	return err_set(
		e, -EBADMSG,
		"what could not be read was left out (%llu %s, %llu %s): %s; `tapeloop fsck` "
		"says more",
		(unsigned long long)d.tapes, d.tapes == 1 ? "tape" : "tapes",
		(unsigned long long)d.exchanges, d.exchanges == 1 ? "exchange" : "exchanges",
		d.why.why);
}

static int store_list(struct source *s, const struct source_query *q, reader_exchange_fn *fn,
		      void *ctx, uint64_t *cursor_out, struct err *e)
{
	struct reader *reader = store_of(s)->reader;
	struct guard g = {fn, ctx, 0};
	AUTO(filter) f = NULL;
	struct query query;
	int r = make_query(s, q, &f, &query, e);

	if (r < 0)
		return r;
	for (uint64_t slice_ns = SLICE_NS;;) {
		uint64_t reached;

		reader_limit_ns(reader, slice_ns, clock_mono_ns);
		r = reader_list(reader, &query, guarded, &g, cursor_out, e);
		reached = reader_effort(reader)->reached;
		if (r != -ETIMEDOUT || cli_is_interrupted() || (q->limit && g.count == q->limit))
			break;
		if (!reached)
			slice_ns *= 2; /* it did not get through a single tape */
		else
			query.cursor = reached;
		query.limit = q->limit ? q->limit - g.count : 0;
		source_say_progress(reached ? reached : clock_wall_ns(), g.count);
	}
	reader_limit_ns(reader, 0, NULL);
	source_say_limits(f ? filter_gave_up(f) : 0);
	if (r != -ETIMEDOUT)
		return say_damage(store_of(s), r, e);
	/* ^C, or all that was wanted is there: what was found is the answer */
	if (cursor_out)
		*cursor_out = reader_effort(reader)->reached;
	return 0;
}

static int store_get(struct source *s, uint64_t id, reader_exchange_fn *fn, void *ctx,
		     struct err *e)
{
	return reader_get(store_of(s)->reader, id, fn, ctx, e);
}

static int store_resolve(struct source *s, const char *text, uint64_t *id_out, struct err *e)
{
	return reader_resolve(store_of(s)->reader, span_str(text), id_out, e);
}

static int store_failures(struct source *s, const struct source_query *q, uint64_t new_ns,
			  reader_failure_fn *fn, void *ctx, struct err *e)
{
	AUTO(filter) f = NULL;
	struct query query;
	int r = make_query(s, q, &f, &query, e);

	if (r == 0)
		r = reader_failures(store_of(s)->reader, &query, new_ns, fn, ctx, e);
	return say_damage(store_of(s), r, e);
}

static int store_stats(struct source *s, const struct source_query *q, const struct stats_query *by,
		       stats_row_fn *fn, void *ctx, struct stats_answer *answer, struct err *e)
{
	AUTO(filter) f = NULL;
	struct query query;
	struct stats_query asked = *by;
	int r = make_query(s, q, &f, &query, e);

	asked.select = &query;
	if (r == 0)
		r = reader_stats(store_of(s)->reader, &asked, fn, ctx, answer, e);
	return say_damage(store_of(s), r, e);
}

static int store_tapes(struct source *s, int (*fn)(void *ctx, const struct tape_info *t), void *ctx,
		       struct err *e)
{
	return reader_tapes(store_of(s)->reader, fn, ctx, e);
}

static int store_explain(struct source *s, const struct source_query *q, struct buf *out,
			 struct err *e)
{
	AUTO(filter) f = NULL;
	struct explanation x = {0};
	struct query query;
	int r = make_query(s, q, &f, &query, e);

	if (r == 0)
		r = reader_explain(store_of(s)->reader, &query, &x, e);
	if (r == 0)
		explanation_text(&x, out);
	explanation_fini(&x);
	return r;
}

/* Ids that were shown: open addressing, twice as large whenever half full; 0 is no id. */
struct shown {
	uint64_t *slots;
	size_t size; /* power of two, or 0 */
	size_t count;
};

static size_t slot_of(const struct shown *sh, uint64_t id)
{
	size_t i = (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (sh->size - 1);

	while (sh->slots[i] && sh->slots[i] != id)
		i = (i + 1) & (sh->size - 1);
	return i;
}

/* a table of @size slots with the ids of the old one that are @from or later */
static bool shown_rebuild(struct shown *sh, size_t size, uint64_t from)
{
	struct shown next = {.slots = calloc(size, sizeof(*next.slots)), .size = size};

	if (!next.slots)
		return false;
	for (size_t i = 0; i < sh->size; i++) {
		if (sh->slots[i] >= from && sh->slots[i]) {
			next.slots[slot_of(&next, sh->slots[i])] = sh->slots[i];
			next.count++;
		}
	}
	free(sh->slots);
	*sh = next;
	return true;
}

/* Return: 1 new, 0 already there, -ENOMEM */
static int shown_add(struct shown *sh, uint64_t id)
{
	size_t i;

	if (sh->count * 2 >= sh->size && !shown_rebuild(sh, sh->size ? sh->size * 2 : 1024, 0))
		return -ENOMEM;
	i = slot_of(sh, id);
	if (sh->slots[i])
		return 0;
	sh->slots[i] = id;
	sh->count++;
	return 1;
}

struct poll {
	struct shown shown;
	reader_exchange_fn *fn;
	void *ctx;
	bool is_quiet; /* the first look only learns what was there before */
	bool is_stopped;
};

static int on_polled(void *ctx, const struct exchange *x)
{
	struct poll *p = ctx;
	int r = shown_add(&p->shown, x->id);

	if (r <= 0 || p->is_quiet)
		return r;
	r = p->fn(p->ctx, x);
	p->is_stopped = r > 0;
	return r;
}

/* A directory gets new tapes; one opened anew knows them all. */
static int look(struct store_source *st, const struct query *q, struct poll *p, struct err *e)
{
	AUTO(reader) r = NULL;
	int result = reader_open(st->path, &r, e);

	return result < 0 ? result : reader_list(r, q, on_polled, p, NULL, e);
}

static int store_stream(struct source *s, const char *filter, reader_exchange_fn *fn, void *ctx,
			struct err *e)
{
	struct source_query sq = {.filter = filter, .is_reverse = true};
	struct poll p = {.fn = fn, .ctx = ctx, .is_quiet = true};
	AUTO(filter) f = NULL;
	struct query q;
	int r = make_query(s, &sq, &f, &q, e);

	for (unsigned turn = 0; r == 0 && !p.is_stopped && !cli_is_interrupted(); turn++) {
		uint64_t now = clock_wall_ns();
		bool is_far = turn % FAR_EVERY == 0;

		q.since_ns = now - (is_far ? LOOK_FAR_NS : LOOK_BACK_NS);
		r = look(store_of(s), &q, &p, e);
		p.is_quiet = false;
		if (is_far &&
		    !shown_rebuild(&p.shown, p.shown.size ? p.shown.size : 1024, q.since_ns))
			r = err_set(e, -ENOMEM, "out of memory");
		if (r == 0 && !p.is_stopped)
			(void)nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
	}
	free(p.shown.slots);
	return r < 0 ? r : 0;
}

static int store_counters(struct source *s, struct counters *out, size_t *unknown_out,
			  struct err *e)
{
	(void)out, (void)unknown_out;
	return err_set(e, -ENOTSUP, "%s: only a running daemon counts", s->name);
}

static int store_health(struct source *s, struct buf *why_out, struct err *e)
{
	(void)why_out;
	return err_set(e, -ENOTSUP, "%s: only a running daemon has a health", s->name);
}

static const struct source_ops store_ops = {
	.close = store_source_close,
	.list = store_list,
	.get = store_get,
	.resolve = store_resolve,
	.failures = store_failures,
	.stats = store_stats,
	.tapes = store_tapes,
	.explain = store_explain,
	.stream = store_stream,
	.counters = store_counters,
	.health = store_health,
};

int source_store_open(const char *path, struct source **s_out, struct err *e)
{
	struct store_source *st = calloc(1, sizeof(*st));
	int r = -ENOMEM;

	if (st)
		st->path = strdup(path);
	if (!st || !st->path) {
		free(st);
		return err_set(e, -ENOMEM, "out of memory");
	}
	st->base.ops = &store_ops;
	(void)snprintf(st->base.name, sizeof(st->base.name), "store %s", path);
	r = reader_open(path, &st->reader, e);
	if (r < 0) {
		free(st->path);
		free(st);
		/* no store is not 'nothing matched' */
		return r == -ENOENT && e ? (e->code = -ENXIO) : r;
	}
	*s_out = &st->base;
	return 0;
}
