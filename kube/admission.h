// SPDX-License-Identifier: Apache-2.0
/*
 * admission.h - an AdmissionReview (admission.k8s.io/v1) answered: a pod gets a sidecar, or why not
 *
 * Thread: any; nothing here is shared.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

#define ADMISSION_BYTES_MAX ((size_t)4 << 20) /* the API server's own limit of an object is 3 MiB */

enum injection {
#define INJECTION(NAME, name, what) INJECTION_##NAME,
#include "kube/injection.tbl.h"
#undef INJECTION
	INJECTION_COUNT
};

struct injection_row {
	const char *name, *what;
};
extern const struct injection_row injection_rows[INJECTION_COUNT];

/* What the sidecar is like; texts are borrowed. */
struct admission_config {
	const char *image;
	const char *pull_policy;   /* Always, IfNotPresent or Never */
	const char *memory_limit;  /* a Kubernetes quantity */
	const char *settings;	   /* ConfigMap of the pod's namespace with its settings */
	const char *handover;	   /* socket on the node; "": the sidecar keeps its own tape */
	const char *own_namespace; /* tapeloop's: its pods get none */
	bool is_native;		   /* the cluster has native sidecars (Kubernetes 1.29) */
};

/**
 * admission_answer() - what the API server is to be told
 * @review: the request's body
 * @out:    appended to: the AdmissionReview with the response; on failure nothing
 * @why:    what was decided
 * @e:      what is wrong with @review, naming the field
 *
 * The pod is allowed in any case: recording is no reason to keep a pod from starting.
 *
 * Return: 0; -EBADMSG no JSON, or no AdmissionReview of v1; -E2BIG; -ENOMEM.
 */
int admission_answer(const struct admission_config *config, struct span review, struct buf *out,
		     enum injection *why, struct err *e) MUST_USE;
