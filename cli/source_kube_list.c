// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation. A list is a merge by time: of each daemon a page is read ahead, and the next
 * one when it is used up, so memory holds a page of each.
 */
#include <errno.h>
#include <stdlib.h>

#include "cli/source_kube.h"
#include "lib/array.h"

#define PAGE	      256
#define PAGE_MESSAGES 32

struct feed {
	struct kube_node *node;
	struct exchange **ahead; /* owned, and each of them */
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

	if (f->at < f->count || f->is_over)
		return 0;
	f->at = f->count = 0;
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

/* Every feed that is not over has something ahead. */
static int fill_feeds(struct listing *l, const struct feed *used, struct err *e)
{
	struct kube_node *n = used ? used->node : NULL;
	struct err why = {0};
	int r;

	if (!used)
		return kube_source_each(l->k, read_page, l, e);
	if (used->at < used->count || used->is_over)
		return 0;
	r = read_page(l->k, n, l, &why);
	r = r < 0 ? kube_source_note_silence(l->k, n, r, &why) : r;
	return r < 0 ? err_set(e, r, "%s", why.why) : r;
}

static int merge_feeds(struct listing *l, reader_exchange_fn *fn, void *ctx, uint64_t *cursor,
		       struct err *e)
{
	uint64_t count = 0;
	struct feed *f;
	int r = fill_feeds(l, NULL, e);

	while (r == 0 && (f = next_feed(l)) && !cli_is_interrupted()) {
		struct exchange *x = f->ahead[f->at];

		if (l->q->limit && count == l->q->limit)
			return 0; /* there is more: the cursor says where */
		f->at++;
		count++;
		*cursor = x->id;
		r = fn(ctx, x);
		free(x);
		if (r == 0)
			r = fill_feeds(l, f, e);
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
