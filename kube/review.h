// SPDX-License-Identifier: Apache-2.0
/*
 * review.h - whose a token is (TokenReview), and what they may (SubjectAccessReview)
 *
 * Asked through a table of functions, so that tests can answer themselves.
 */
#pragma once

#include "lib/err.h"

#include <stdatomic.h>

/* Who a token is of, as the API server said it. Immutable, shared. */
struct review_user {
	_Atomic unsigned refs;
	char *name; /* owned */
	char *spec; /* owned: "user": .., "uid": .., "groups": [..], "extra": {..}: JSON members */
};
struct review_user *review_user_ref(struct review_user *u);
void review_user_unref(struct review_user *u); /* accepts NULL */

/* What somebody wants to do: in a namespace ("" for all), or of the daemon as a whole (path). */
struct review_question {
	const char *name_space; /* NULL: path counts */
	const char *path;	/* "/metrics": a non-resource URL, verb get */
};

struct reviewer {
	/* who @token is of. Return: 0 with a reference; -EACCES of nobody; -EAGAIN nobody answers.
	 * Any thread. */
	int (*token)(void *ctx, struct span token, struct review_user **out, struct err *e);
	/* may they? Return: 1, 0, or -EAGAIN nobody answers. Any thread. */
	int (*access)(void *ctx, const struct review_user *user, const struct review_question *q,
		      struct err *e);
	void *ctx;
};

/* ---- an API server as reviewer ---- */

struct kube_reviews;

#define KUBE_REVIEW_MS 5000 /* an answer that takes longer is none */

/**
 * kube_reviews_new() - as kube_config_find() finds the API server, each time that a client of it is made
 * @kubeconfig, @context: copied; may be NULL
 * @e: as kube_config_find()
 */
int kube_reviews_new(const char *kubeconfig, const char *context, struct kube_reviews **out,
		     struct err *e) MUST_USE;
void kube_reviews_free(struct kube_reviews *k); /* accepts NULL */
/* kube_reviews_reviewer() - its functions; @k is its ctx */
struct reviewer kube_reviews_reviewer(struct kube_reviews *k);
