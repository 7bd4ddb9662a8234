// SPDX-License-Identifier: Apache-2.0
/* source_kube.h - the daemons of a cluster as one source: what cli/source_kube*.c share */
#pragma once

#include "cli/cluster.h"
#include "cli/source_kind.h"

struct kube_node {
	const struct cluster_node *at;
	struct source *api; /* owned */
	bool is_silent;	    /* it did not answer, and that was said */
};

struct kube_source {
	struct source base;
	struct kube_args args;
	struct cluster cluster;
	struct kube_node *nodes;
	size_t silent_count;
	uint64_t found;	 /* id that was resolved last, */
	size_t found_at; /* and at which node */
};

static inline struct kube_source *kube_of(struct source *s)
{
	return CONTAINER_OF(s, struct kube_source, base);
}

/* kube_source_ends_all() - is @r what all daemons would say, so that asking ends? */
bool kube_source_ends_all(int r);
/* kube_source_note_silence() - Return: 0: go on without this node; else @r, which ends the question */
int kube_source_note_silence(struct kube_source *k, struct kube_node *n, int r,
			     const struct err *e);
/* kube_source_say_silence() - at the end of a question: was it the answer of all? Return: 0 or -EHOSTUNREACH. */
int kube_source_say_silence(const struct kube_source *k, struct err *e);
typedef int kube_node_fn(struct kube_source *k, struct kube_node *n, void *ctx, struct err *e);
/* kube_source_each() - ask each node that answers. Return: 0, or what ended it. */
int kube_source_each(struct kube_source *k, kube_node_fn *fn, void *ctx, struct err *e);

/* struct source_ops::list and ::stream */
int kube_source_list(struct source *s, const struct source_query *q, reader_exchange_fn *fn,
		     void *ctx, uint64_t *cursor_out, struct err *e);
int kube_source_follow(struct source *s, const char *filter, reader_exchange_fn *fn, void *ctx,
		       struct err *e);
