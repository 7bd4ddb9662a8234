// SPDX-License-Identifier: Apache-2.0
/*
 * kube_access.h - who may ask, from the API server: TokenReview says who it is, SubjectAccessReview what
 * they may: `get pods/tapes` in group tapeloop.dev, in a namespace or in all of them, and for the
 * daemon as a whole `get /metrics`.
 */
#pragma once

#include "http-api/grant.h"
#include "kube/review.h"

struct kube_access;
struct namespaces;

/* what is asked without a namespace being named: more of them are refused, naming one helps */
#define KUBE_ACCESS_NAMESPACES_MAX 512
#define KUBE_ACCESS_USERS_MAX	   256
#define KUBE_ACCESS_DECISIONS_MAX  4096
#define KUBE_ACCESS_REFUSED_NS	   (5 * NS_PER_S) /* how long a token is known to be bad, at most */

/**
 * kube_access_new() - NULL: no memory
 * @reviewer:   copied; its ctx is borrowed
 * @namespaces: borrowed: what there is to see
 * @keep_ns:    how long answers count, the good and the bad
 */
struct kube_access *kube_access_new(const struct reviewer *reviewer, struct namespaces *namespaces,
				    uint64_t keep_ns) MUST_USE;
void kube_access_free(struct kube_access *k); /* accepts NULL */
/**
 * kube_access_grant() - any thread; may wait for the API server
 * @out: zeroed by the caller, who calls grant_fini()
 * @e:   -EACCES no valid token; -EPERM not in the namespace that was named; -EAGAIN the API server
 *       does not answer; -E2BIG too many namespaces to ask for; -ENOMEM
 */
int kube_access_grant(struct kube_access *k, const struct grant_question *q, struct grant *out,
		      struct err *e) MUST_USE;
