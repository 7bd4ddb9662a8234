// SPDX-License-Identifier: Apache-2.0
/* grant.h - who asks, and what they may see */
#pragma once

#include "http-api/name_list.h"

#define GRANT_NAME_MAX 256

enum grant_role { GRANT_READ, GRANT_REPLAY, GRANT_ADMIN, GRANT_ROLE_COUNT };

struct grant {
	char name[GRANT_NAME_MAX]; /* for the log, cut */
	enum grant_role role;
	bool sees_all;	  /* every namespace, and what is in none */
	bool sees_daemon; /* counters, metrics, tapes: they are of all namespaces together */
	struct name_list namespaces; /* when it does not see all */
};

static inline void grant_fini(struct grant *g)
{
	name_list_fini(&g->namespaces);
}

/* What is asked of whoever knows: http-api/token_file.h, http-api/kube_access.h. */
struct grant_question {
	struct span token;
	struct span name_space; /* the only one that matters; empty: all */
	bool wants_daemon;	/* sees_daemon matters */
	uint64_t now_ns;	/* monotonic */
};
