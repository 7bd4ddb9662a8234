// SPDX-License-Identifier: Apache-2.0
/* exec.h - run an exec credential plugin, as kubectl does (client.authentication.k8s.io) */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

struct kube_config;

/* What it said; all texts may be NULL. Free with kube_exec_answer_fini(). */
struct kube_exec_answer {
	char *token;
	char *cert, *key;    /* PEM */
	uint64_t expires_ns; /* [wall ns]; 0: it does not say */
};

/**
 * kube_exec_run() - run it and read the ExecCredential that it prints
 * @e: -ENOENT no such program; -ETIMEDOUT it took longer than a minute; -EIO it failed; -EPROTO it
 *     printed something else, or neither a token nor a certificate
 *
 * Waits for the program. Its standard error and input are ours. Thread: any.
 */
int kube_exec_run(const struct kube_config *c, struct kube_exec_answer *out,
		  struct err *e) MUST_USE;
void kube_exec_answer_fini(struct kube_exec_answer *a);
