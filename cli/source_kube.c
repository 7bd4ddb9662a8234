// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * Each daemon of a cluster is a source of its own (cli/source_api.c) behind the API server's proxy;
 * here their answers become one. A list is a merge by time: of each daemon a page is read ahead, and
 * the next one when it is used up, so memory holds a page of each. Kinds of failure and counts are
 * added up (cli/merge.h). Streams are followed side by side, in a thread each.
 *
 * A daemon that does not answer is said, once, and what the others know is the answer; but the
 * command then ends as one that could not do all it should (exit status 3), as with a damaged tape.
 * What all would refuse alike (a wrong filter, no right) ends it at once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/merge.h"
#include "cli/rest.h"
#include "cli/source_kube.h"
#include "kube/config.h"
#include "lib/id.h"

static void kube_source_close(struct source *s)
{
	struct kube_source *k = kube_of(s);

	for (size_t i = 0; k->nodes && i < k->cluster.count; i++)
		source_close(k->nodes[i].api);
	free(k->nodes);
	cluster_close(&k->cluster);
	free(k);
}

/* ---- who answers ---- */

bool kube_source_ends_all(int r)
{
	static const int codes[] = {-EINVAL, -EPERM, -EACCES, -ECANCELED, -ENOMEM, -E2BIG, -EPIPE};

	for (size_t i = 0; i < COUNT_OF(codes); i++)
		if (r == codes[i])
			return true;
	return false;
}

int kube_source_note_silence(struct kube_source *k, struct kube_node *n, int r, const struct err *e)
{
	if (kube_source_ends_all(r))
		return r;
	if (!n->is_silent) {
		k->silent_count++;
		cli_note("%s does not answer: %s", n->at->name, e->why);
	}
	n->is_silent = true;
	return 0;
}

int kube_source_say_silence(const struct kube_source *k, struct err *e)
{
	if (k->silent_count == 0)
		return 0;
	if (k->silent_count == k->cluster.count)
		return err_set(e, -EHOSTUNREACH, "none of %zu daemons answers", k->cluster.count);
	return err_set(e, -EHOSTUNREACH,
		       "%zu of %zu daemons did not answer: what they have is missing",
		       k->silent_count, k->cluster.count);
}

int kube_source_each(struct kube_source *k, kube_node_fn *fn, void *ctx, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < k->cluster.count && r == 0 && !cli_is_interrupted(); i++) {
		struct kube_node *n = &k->nodes[i];
		struct err why = {0};

		if (n->is_silent)
			continue;
		(void)snprintf(n->api->name_space, sizeof(n->api->name_space), "%s",
			       k->base.name_space);
		r = fn(k, n, ctx, &why);
		if (r < 0)
			r = kube_source_note_silence(k, n, r, &why);
		if (r < 0 && e)
			(void)err_set(e, r, "%s", why.why);
	}
	return r;
}

/* ---- one exchange ---- */

struct search {
	const char *text;
	uint64_t id;
	bool is_found, has_several;
	reader_exchange_fn *fn;
	void *ctx;
};

static int resolve_at(struct kube_source *k, struct kube_node *n, void *ctx, struct err *e)
{
	struct search *w = ctx;
	uint64_t id = 0;
	int r = n->api->ops->resolve(n->api, w->text, &id, e);

	w->has_several |= r == -ENOTUNIQ || (r == 0 && w->is_found && id != w->id);
	if (r == 0) {
		w->is_found = true;
		w->id = k->found = id;
		k->found_at = (size_t)(n - k->nodes);
	}
	return r == -ENOENT || r == -ENOTUNIQ ? 0 : r;
}

static int kube_resolve(struct source *s, const char *text, uint64_t *id_out, struct err *e)
{
	struct search w = {.text = text};
	struct kube_source *k = kube_of(s);
	int r = kube_source_each(k, resolve_at, &w, e);

	if (r < 0)
		return r;
	if (w.has_several)
		return err_set(e, -ENOTUNIQ, "several exchanges end in %s", text);
	if (w.is_found) {
		*id_out = w.id;
		return 0;
	}
	r = kube_source_say_silence(k, e);
	return r < 0 ? r : err_set(e, -ENOENT, "no exchange that you may see ends in %s", text);
}

static int get_at(struct kube_source *k, struct kube_node *n, void *ctx, struct err *e)
{
	struct search *w = ctx;
	int r;

	(void)k;
	if (w->is_found)
		return 0;
	r = n->api->ops->get(n->api, w->id, w->fn, w->ctx, e);
	w->is_found = r == 0;
	return r == -ENOENT ? 0 : r;
}

static int kube_get_one(struct source *s, uint64_t id, reader_exchange_fn *fn, void *ctx,
			struct err *e)
{
	struct search w = {.id = id, .fn = fn, .ctx = ctx};
	struct kube_source *k = kube_of(s);
	char text[ID_TEXT_LEN + 1];
	int r = 0;

	if (k->found == id && !k->nodes[k->found_at].is_silent)
		r = get_at(k, &k->nodes[k->found_at], &w, e);
	if (r == 0 && !w.is_found)
		r = kube_source_each(k, get_at, &w, e);
	if (r == 0 && !w.is_found)
		r = kube_source_say_silence(k, e);
	if (r == 0 && !w.is_found)
		r = err_set(e, -ENOENT, "no exchange %s that you may see", id_format(id, text));
	return r;
}

/* ---- sums ---- */

/* The same end for all daemons, so that their times agree. */
static struct source_query until_now(const struct source_query *q)
{
	struct source_query same = *q;

	same.until_ns = q->until_ns ? q->until_ns : clock_wall_ns();
	same.limit = 0;
	return same;
}

struct failures_question {
	struct source_query q;
	struct failures_merge *merge;
};

static int failures_at(struct kube_source *k, struct kube_node *n, void *ctx, struct err *e)
{
	struct failures_question *f = ctx;

	(void)k;
	return n->api->ops->failures(n->api, &f->q, 0, failures_merge_add, f->merge, e);
}

static int kube_failures(struct source *s, const struct source_query *q, uint64_t new_ns,
			 reader_failure_fn *fn, void *ctx, struct err *e)
{
	AUTO(failures_merge) merge = failures_merge_new();
	struct failures_question f = {.q = until_now(q), .merge = merge};
	int r = merge ? kube_source_each(kube_of(s), failures_at, &f, e)
		      : err_set(e, -ENOMEM, "out of memory");

	if (r == 0)
		r = failures_merge_hand_out(merge, q->limit, new_ns, fn, ctx);
	return r < 0 ? r : kube_source_say_silence(kube_of(s), e);
}

struct stats_question {
	struct source_query q;
	struct stats_query by;
	struct stats_merge *merge;
	bool is_cut;
};

static int stats_at(struct kube_source *k, struct kube_node *n, void *ctx, struct err *e)
{
	struct stats_question *q = ctx;
	struct stats_answer answer = {0};
	int r = n->api->ops->stats(n->api, &q->q, &q->by, stats_merge_add, q->merge, &answer, e);

	(void)k;
	q->is_cut |= answer.group_count > 1000; /* what the API hands out at most */
	stats_merge_answer(q->merge, &answer);
	return r;
}

static int kube_stats(struct source *s, const struct source_query *q, const struct stats_query *by,
		      stats_row_fn *fn, void *ctx, struct stats_answer *answer, struct err *e)
{
	struct stats_question sq = {.q = until_now(q), .by = *by};
	AUTO(stats_merge) merge = stats_merge_new(&sq.by);
	int r;

	sq.by.wants_sketches = true;
	sq.merge = merge;
	r = merge ? kube_source_each(kube_of(s), stats_at, &sq, e)
		  : err_set(e, -ENOMEM, "out of memory");
	if (sq.is_cut)
		cli_note("There are more than 1000 groups at a daemon: of the smaller ones some "
			 "are missing.");
	if (r == 0)
		r = stats_merge_hand_out(merge, q->limit, fn, ctx, answer);
	return r < 0 ? r : kube_source_say_silence(kube_of(s), e);
}

/* ---- of the daemons themselves ---- */

struct tapes_question {
	int (*fn)(void *ctx, const struct tape_info *t);
	void *ctx;
	const struct kube_node *node;
};

static int name_tape(void *ctx, const struct tape_info *t)
{
	struct tapes_question *q = ctx;
	struct tape_info named = *t;
	AUTO_BUF path = {0};

	buf_add_fmt(&path, "%s: %s", q->node->at->name, t->path);
	named.path = buf_cstr(&path);
	return q->fn(q->ctx, &named);
}

static int tapes_at(struct kube_source *k, struct kube_node *n, void *ctx, struct err *e)
{
	struct tapes_question *q = ctx;

	(void)k;
	q->node = n;
	return n->api->ops->tapes(n->api, name_tape, q, e);
}

static int kube_tapes(struct source *s, int (*fn)(void *ctx, const struct tape_info *t), void *ctx,
		      struct err *e)
{
	struct tapes_question q = {.fn = fn, .ctx = ctx};
	int r = kube_source_each(kube_of(s), tapes_at, &q, e);

	return r < 0 ? r : kube_source_say_silence(kube_of(s), e);
}

struct explain_question {
	const struct source_query *q;
	struct buf *out;
};

static int explain_at(struct kube_source *k, struct kube_node *n, void *ctx, struct err *e)
{
	struct explain_question *q = ctx;

	(void)k;
	buf_add_fmt(q->out, "%s:\n", n->at->name);
	return n->api->ops->explain(n->api, q->q, q->out, e);
}

static int kube_explain(struct source *s, const struct source_query *q, struct buf *out,
			struct err *e)
{
	struct explain_question x = {.q = q, .out = out};
	int r = kube_source_each(kube_of(s), explain_at, &x, e);

	return r < 0 ? r : kube_source_say_silence(kube_of(s), e);
}

struct counters_question {
	struct counters *sum;
	size_t unknown;
};

static int counters_at(struct kube_source *k, struct kube_node *n, void *ctx, struct err *e)
{
	struct counters_question *q = ctx;
	struct counters one = {0};
	size_t unknown = 0;
	int r = n->api->ops->counters(n->api, &one, &unknown, e);

	(void)k;
	for (int i = 0; i < COUNTER_COUNT && r == 0; i++)
		counter_add(q->sum, (enum counter)i, counter_get(&one, (enum counter)i));
	q->unknown = MAX(q->unknown, unknown);
	return r;
}

static int kube_counters(struct source *s, struct counters *out, size_t *unknown_out, struct err *e)
{
	struct counters_question q = {.sum = out};
	int r;

	*out = (struct counters){0};
	r = kube_source_each(kube_of(s), counters_at, &q, e);
	*unknown_out = q.unknown;
	return r < 0 ? r : kube_source_say_silence(kube_of(s), e);
}

struct health_question {
	struct buf *why;
	size_t well;
};

static int health_at(struct kube_source *k, struct kube_node *n, void *ctx, struct err *e)
{
	struct health_question *q = ctx;
	AUTO_BUF why = {0};
	int r = n->api->ops->health(n->api, &why, e);

	(void)k;
	q->well += r > 0;
	if (r >= 0 && why.len)
		buf_add_fmt(q->why, "%s%s: %s", q->why->len ? "; " : "", n->at->name,
			    buf_cstr(&why));
	else if (r == 0)
		buf_add_fmt(q->why, "%s%s does not record", q->why->len ? "; " : "", n->at->name);
	return MIN(r, 0);
}

/* Recording: all that answer do. */
static int kube_health(struct source *s, struct buf *why_out, struct err *e)
{
	struct health_question q = {.why = why_out};
	struct kube_source *k = kube_of(s);
	int r = kube_source_each(k, health_at, &q, e);

	if (r == 0 && k->silent_count == k->cluster.count)
		return kube_source_say_silence(k, e);
	if (k->silent_count)
		buf_add_fmt(why_out, "%s%zu of %zu daemons do not answer", why_out->len ? "; " : "",
			    k->silent_count, k->cluster.count);
	return r < 0 ? r : q.well == k->cluster.count;
}

/* ---- opening ---- */

static const struct source_ops kube_ops = {
	.close = kube_source_close,
	.list = kube_source_list,
	.get = kube_get_one,
	.resolve = kube_resolve,
	.failures = kube_failures,
	.stats = kube_stats,
	.tapes = kube_tapes,
	.explain = kube_explain,
	.stream = kube_source_follow,
	.counters = kube_counters,
	.health = kube_health,
};

static int open_nodes(struct kube_source *k, struct err *e)
{
	int r = 0;

	k->nodes = calloc(k->cluster.count + 1, sizeof(*k->nodes));
	if (!k->nodes)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < k->cluster.count && r == 0; i++) {
		const struct cluster_node *at = &k->cluster.nodes[i];
		struct rest *rest = NULL;

		k->nodes[i].at = at;
		r = cluster_ask(&k->cluster, k->cluster.client, at, &rest, e);
		if (r == 0)
			r = source_api_over(rest, at->name, &k->nodes[i].api, e);
	}
	return r;
}

int source_kube_open(const struct source_args *a, struct source **s_out, struct err *e)
{
	struct kube_source *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return err_set(e, -ENOMEM, "out of memory");
	k->base.ops = &kube_ops;
	k->args = a->kube;
	r = cluster_open(&k->args, &k->cluster, e);
	if (r == 0)
		r = cluster_find_nodes(&k->cluster, a->name_space ? a->name_space : "", e);
	if (r == 0)
		r = open_nodes(k, e);
	if (r < 0) {
		kube_source_close(&k->base);
		return r;
	}
	(void)snprintf(k->base.name, sizeof(k->base.name), "%zu daemons of %s", k->cluster.count,
		       kube_client_config(k->cluster.client)->server);
	*s_out = &k->base;
	return 0;
}
