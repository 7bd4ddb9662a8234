// SPDX-License-Identifier: Apache-2.0
/*
 * cri_message.h - what a container runtime says of a pod's sandbox, read from its messages
 *
 * Container Runtime Interface, runtime.v1 (k8s.io/cri-api, api.proto); v1alpha2 has the same fields.
 */
#pragma once

#include <stdatomic.h>
#include <sys/types.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "node/namespaces.h"
#include "schema/exchange.h"

#define CRI_ID_MAX	  128
#define CRI_ADDRESSES_MAX 4

/* One sandbox: parsed once, then immutable, shared by reference. */
struct cri_pod {
	struct identity who;	 /* namespace, pod, pod_uid, labels; source RUNTIME, certain */
	struct span annotations; /* all that the kubelet passed on; schema/labels.h */
	char sandbox_id[CRI_ID_MAX];
	bool is_ready, is_host_network;
	uint64_t created_ns;		     /* ns since 1970 */
	char netns_path[NAMESPACE_PATH_MAX]; /* "": not said */
	pid_t pid;			     /* of the sandbox's process; 0: not said */
	uint8_t addresses[CRI_ADDRESSES_MAX][16];
	size_t address_count;
	_Atomic unsigned refs;
};

const struct cri_pod *cri_pod_ref(const struct cri_pod *p);
void cri_pod_unref(const struct cri_pod *p); /* accepts NULL */

/* A sandbox as a list names it. */
struct cri_listed {
	struct span id; /* borrowed from the message */
	bool is_ready;
};
typedef int cri_listed_fn(void *ctx, const struct cri_listed *sandbox);
/* cri_read_list() - a ListPodSandboxResponse. Return: 0, what @fn said when that was not 0, or -EBADMSG. */
int cri_read_list(struct span message, cri_listed_fn *fn, void *ctx) MUST_USE;
/**
 * cri_read_status() - a PodSandboxStatusResponse that was asked for with verbose information
 * @e: -EBADMSG no such message, or without name, namespace and UID; -ENOMEM
 *
 * The first reference is the caller's.
 */
int cri_read_status(struct span message, const struct cri_pod **p_out, struct err *e) MUST_USE;
/* cri_write_status_request() - a PodSandboxStatusRequest, verbose; the id has less than 128 octets */
void cri_write_status_request(struct span sandbox_id, struct buf *out);
