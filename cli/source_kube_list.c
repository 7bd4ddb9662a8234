// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation. A list is a merge by time: of each daemon a page is read ahead, and the next
 * one when it is used up, so memory holds a page of each.
 *
 * What a pod of one node asks one of another is recorded by both. Such exchanges have a key in common
 * (`wire`): when one comes, those of the other daemons that are ahead within a second are looked through
 * for its other view, further pages of them are read where they do not reach so far, and the two are told
 * as one. Where the nodes' clocks are further apart, or so much came in that second that a few pages do not
 * hold it, both are told.
 */
#include <errno.h>
#include <stdlib.h>

#include "cli/source_kube.h"
#include "lib/array.h"
#include "schema/view.h"

#define AHEAD_MAX     2048 /* exchanges of a daemon that are held */
#define PAGE	      256
#define PAGE_MESSAGES 32

struct feed {
	struct kube_node *node;
	struct exchange **ahead; /* owned, and each of them; NULL: told with another one */
	size_t at, count, room;
	uint64_t cursor;
	bool is_over;
};

struct listing {
	struct kube_source *k;
	const struct source_query *q;
	struct feed *feeds;
	size_t count;
	struct err damage; /* what a daemon left out of its answer */
};

static void feed_fini(struct feed *f)
{
	while (f->at < f->count)
		free(f->ahead[f->at++]);
	free(f->ahead);
}

static int keep_ahead(void *ctx, const struct exchange *x)
{
	struct feed *f = ctx;
	void *ahead = f->ahead;
	struct exchange *copy = malloc(exchange_bytes(x));

	if (!copy || !array_room(&ahead, &f->room, f->count, sizeof(struct exchange *))) {
		free(copy);
		return -ENOMEM;
	}
	f->ahead = ahead;
	f->ahead[f->count++] = exchange_copy(x, copy);
	return 0;
}

static int read_page(struct kube_source *k, struct kube_node *n, void *ctx, struct err *e)
{
	struct listing *l = ctx;
	struct feed *f = &l->feeds[n - k->nodes];
	struct source_query q = *l->q;
	uint64_t page = q.wants_messages ? PAGE_MESSAGES : PAGE;
	int r;

	if (f->is_over)
		return 0;
	f->count -= f->at;
	if (f->count)
		memmove(f->ahead, f->ahead + f->at, f->count * sizeof(struct exchange *));
	f->at = 0;
	q.limit = q.limit ? MIN(q.limit, page) : page;
	q.cursor = f->cursor;
	r = n->api->ops->list(n->api, &q, keep_ahead, f, &f->cursor, e);
	f->is_over = r < 0 || f->cursor == 0;
	if (r == -EBADMSG) { /* a damaged tape: what could be read is there */
		l->damage = *e;
		return 0;
	}
	return r;
}

static struct feed *next_feed(const struct listing *l)
{
	struct feed *next = NULL;

	for (size_t i = 0; i < l->count; i++) {
		struct feed *f = &l->feeds[i];

		if (f->at == f->count)
			continue;
		if (!next || (l->q->is_reverse ? f->ahead[f->at]->id < next->ahead[next->at]->id
					       : f->ahead[f->at]->id > next->ahead[next->at]->id))
			next = f;
	}
	return next;
}

/* One more page of a feed. */
static int read_more(struct listing *l, const struct feed *f, struct err *e)
{
	struct err why = {0};
	int r = read_page(l->k, f->node, l, &why);

	r = r < 0 ? kube_source_note_silence(l->k, f->node, r, &why) : r;
	return r < 0 ? err_set(e, r, "%s", why.why) : r;
}

/* Every feed that is not over, and whose node answers, has something ahead. */
static int fill_feeds(struct listing *l, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < l->count && r == 0; i++) {
		struct feed *f = &l->feeds[i];

		while (f->at < f->count && !f->ahead[f->at])
			f->at++;
		if (f->at == f->count && !f->is_over && !f->node->is_silent)
			r = read_more(l, f, e);
	}
	return r;
}

/* --- the other view --- */

static bool is_within(const struct listing *l, const struct exchange *ahead,
		      const struct exchange *x)
{
	return l->q->is_reverse ? ahead->id <= x->id + VIEW_APART_NS
				: ahead->id + VIEW_APART_NS >= x->id;
}

/* Does what is ahead reach as far as a view of @x may be? */
static bool reaches(const struct listing *l, const struct feed *f, const struct exchange *x)
{
	const struct exchange *last = f->count ? f->ahead[f->count - 1] : NULL;

	return f->is_over || f->node->is_silent || f->count - f->at >= AHEAD_MAX ||
	       (f->count > f->at && last && !is_within(l, last, x));
}

static struct exchange **find_view(struct listing *l, struct feed *f, const struct exchange *x,
				   struct err *e)
{
	while (!reaches(l, f, x))
		if (read_more(l, f, e) < 0)
			return NULL;
	for (size_t i = f->at; i < f->count; i++)
		if (f->ahead[i] && f->ahead[i]->wire_key == x->wire_key &&
		    view_matches(f->ahead[i], x))
			return &f->ahead[i];
	return NULL;
}

/* Whose node recorded it? The other way round where nothing says it, so that the earlier one is the client's. */
static bool is_clients(const struct feed *f, const struct exchange *x, const struct exchange *other)
{
	const char *name = f->node->at->name; /* "node NAME" */
	struct span node = span_str(strncmp(name, "node ", 5) == 0 ? name + 5 : name);

	if (span_eq(x->src.who.node, node) || span_eq(x->dst.who.node, node))
		return span_eq(x->src.who.node, node);
	return x->start_ns <= other->start_ns;
}

/* Tell @x, which is taken out of @from, as one with its other view if there is one. */
static int tell(struct listing *l, const struct feed *from, struct exchange *x,
		reader_exchange_fn *fn, void *ctx, struct err *e)
{
	struct exchange **found = NULL, *other = NULL;
	struct exchange *told = x;
	int r;

	for (size_t i = 0; i < l->count && x->wire_key && !found; i++)
		if (&l->feeds[i] != from)
			found = find_view(l, &l->feeds[i], x, e);
	if (found) {
		other = *found;
		*found = NULL;
		told = view_is_better(other, x) ? other : x;
		told = is_clients(from, x, other) ? view_join(told, x, other)
						  : view_join(told, other, x);
	}
	r = fn(ctx, told);
	free(other);
	free(x);
	return r;
}

static int merge_feeds(struct listing *l, reader_exchange_fn *fn, void *ctx, uint64_t *cursor,
		       struct err *e)
{
	uint64_t count = 0;
	struct feed *f;
	int r = kube_source_each(l->k, read_page, l, e);

	while (r == 0 && (f = next_feed(l)) && !cli_is_interrupted()) {
		struct exchange *x = f->ahead[f->at];

		if (l->q->limit && count == l->q->limit)
			return 0; /* there is more: the cursor says where */
		f->at++;
		count++;
		*cursor = x->id;
		r = tell(l, f, x, fn, ctx, e);
		if (r == 0)
			r = fill_feeds(l, e);
	}
	if (r == 0 && !next_feed(l))
		*cursor = 0;
	return r;
}

int kube_source_list(struct source *s, const struct source_query *q, reader_exchange_fn *fn,
		     void *ctx, uint64_t *cursor_out, struct err *e)
{
	struct kube_source *k = kube_of(s);
	struct listing l = {.k = k, .q = q, .count = k->cluster.count};
	uint64_t cursor = 0;
	int r = -ENOMEM;

	l.feeds = calloc(l.count + 1, sizeof(*l.feeds));
	for (size_t i = 0; i < l.count && l.feeds; i++)
		l.feeds[i] = (struct feed){.node = &k->nodes[i], .cursor = q->cursor};
	if (l.feeds)
		r = merge_feeds(&l, fn, ctx, &cursor, e);
	else
		(void)err_set(e, r, "out of memory");
	for (size_t i = 0; i < l.count && l.feeds; i++)
		feed_fini(&l.feeds[i]);
	free(l.feeds);
	if (cursor_out)
		*cursor_out = cursor;
	if (r < 0 && r != -ECANCELED)
		return r;
	r = kube_source_say_silence(k, e);
	return r == 0 && l.damage.code ? err_set(e, -EBADMSG, "%s", l.damage.why) : r;
}
