// SPDX-License-Identifier: Apache-2.0
/* reviewer.h - who answers what TokenReview and SubjectAccessReview ask; tests have one of their own */
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
