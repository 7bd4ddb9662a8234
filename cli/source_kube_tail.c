// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation. Streams are followed side by side, in a thread each, with a client of its own;
 * the caller's function is called by one of them at a time. When it has had enough, or one is refused
 * what all would be, the clients of the others are stopped.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/rest.h"
#include "cli/source_kube.h"
#include "kube/config.h"

struct tails {
	pthread_mutex_t lock; /* held while the caller's function runs: it is one thread's */
	reader_exchange_fn *fn;
	void *ctx;
	const char *filter;
	struct tail *all;
	size_t count;
	int result; /* under the lock: what the function said last */
};

struct tail {
	struct tails *of;
	struct kube_source *k;
	struct kube_node *node;
	struct kube_client *client; /* the thread's own */
	struct source *api;
	pthread_t thread;
	bool is_started;
	int result;
	struct err why;
};

static int on_tail(void *ctx, const struct exchange *x)
{
	struct tails *t = ctx;
	int r;

	(void)pthread_mutex_lock(&t->lock);
	r = t->result ? t->result : t->fn(t->ctx, x);
	t->result = r;
	(void)pthread_mutex_unlock(&t->lock);
	return r;
}

/* The caller has had enough, or all of them are refused alike. */
static void stop_others(struct tail *one)
{
	for (size_t i = 0; i < one->of->count; i++)
		if (one->of->all[i].client && &one->of->all[i] != one)
			kube_client_stop(one->of->all[i].client);
}

static void *follow(void *arg)
{
	struct tail *t = arg;

	t->result = t->api->ops->stream(t->api, t->of->filter, on_tail, t->of, &t->why);
	if (t->result < 0 && !kube_source_ends_all(t->result))
		cli_note("%s does not answer any more: %s", t->node->at->name, t->why.why);
	else
		stop_others(t);
	return NULL;
}

static int open_tail(struct tail *t, struct err *e)
{
	struct kube_config *config = NULL;
	struct rest *rest = NULL;
	int r = kube_config_find(t->k->args.kubeconfig, t->k->args.context, &config, e);

	if (r == 0)
		r = kube_client_new(config, &t->client, e);
	if (r == 0)
		r = cluster_ask(&t->k->cluster, t->client, t->node->at, &rest, e);
	if (r == 0)
		r = source_api_over(rest, t->node->at->name, &t->api, e);
	if (r == 0)
		(void)snprintf(t->api->name_space, sizeof(t->api->name_space), "%s",
			       t->k->base.name_space);
	return r;
}

static int start_tails(struct tails *all, struct kube_source *k, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < all->count && r == 0; i++) {
		all->all[i] = (struct tail){.of = all, .k = k, .node = &k->nodes[i]};
		r = open_tail(&all->all[i], e);
	}
	/* all clients are there before the first thread may stop them */
	for (size_t i = 0; i < all->count && r == 0; i++) {
		r = -pthread_create(&all->all[i].thread, NULL, follow, &all->all[i]);
		all->all[i].is_started = r == 0;
		if (r < 0)
			(void)err_set(e, r, "cannot start a thread: %s", strerror(-r));
	}
	return r;
}

static int end_tails(struct tails *all, int r, struct err *e)
{
	for (size_t i = 0; i < all->count; i++) {
		struct tail *t = &all->all[i];

		if (r < 0 && t->client)
			kube_client_stop(t->client);
		if (t->is_started)
			(void)pthread_join(t->thread, NULL);
	}
	for (size_t i = 0; i < all->count; i++) {
		struct tail *t = &all->all[i];

		if (r == 0 && t->result < 0 && t->result != -ECANCELED &&
		    kube_source_ends_all(t->result))
			r = err_set(e, t->result, "%s", t->why.why);
		source_close(t->api);
		kube_client_free(t->client);
	}
	return r;
}

int kube_source_follow(struct source *s, const char *filter, reader_exchange_fn *fn, void *ctx,
		       struct err *e)
{
	struct kube_source *k = kube_of(s);
	struct tails all = {.fn = fn, .ctx = ctx, .filter = filter, .count = k->cluster.count};
	int r;

	all.all = calloc(all.count + 1, sizeof(*all.all));
	if (!all.all)
		return err_set(e, -ENOMEM, "out of memory");
	(void)pthread_mutex_init(&all.lock, NULL);
	r = end_tails(&all, start_tails(&all, k, e), e);
	if (r == 0 && all.result < 0)
		r = all.result;
	(void)pthread_mutex_destroy(&all.lock);
	free(all.all);
	return r;
}
