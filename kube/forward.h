// SPDX-License-Identifier: Apache-2.0
/*
 * forward.h - connections to ports of pods, through the API server (pods/portforward)
 *
 *     kube_forward_new() -> kube_forward_add()... -> kube_forward_start() -> kube_forward_open()... -> kube_forward_free()
 *
 * Each connection is one end of a pair of sockets; a thread of its own carries bytes between the other end and
 * a WebSocket of the API server. Before anything else the end gives one octet when the pod's port was asked for; it ends
 * when it could not be, and kube_line_why() says why. A pod that cannot be reached any more is left out, another
 * ready one of the same backend takes its place. Who we are: `get pods/portforward` (and, from Kubernetes 1.35 on,
 * `create`).
 *
 * Thread: all calls in one, but for the notes, which come from the thread that forwards.
 */
#pragma once

#include "kube/backend.h"

struct kube_forward;
struct kube_line; /* what becomes of a connection */

#define KUBE_FORWARD_MAX 8192 /* connections at once */

/* A line for people: a pod is left out, and why. Borrowed for the call. */
typedef void kube_forward_note_fn(void *ctx, const char *text);

/* kube_forward_new() - takes @client, in any case: from now on it is that thread's */
int kube_forward_new(struct kube_client *client, kube_forward_note_fn *note, void *ctx,
		     struct kube_forward **out, struct err *e) MUST_USE;
/* kube_forward_add() - takes @backend, which has pods (by name). Before the start. Return: its number; -EINVAL, -ENOMEM. */
int kube_forward_add(struct kube_forward *f, struct kube_backend *backend, struct err *e) MUST_USE;
int kube_forward_start(struct kube_forward *f, struct err *e) MUST_USE;
/**
 * kube_forward_open() - begin a connection to the next pod of a backend
 * @line_out: owned, kube_line_close() it behind the descriptor
 *
 * Return: a stream socket that does not block, owned; -EMFILE too many, or another negative errno.
 */
int kube_forward_open(struct kube_forward *f, size_t backend, struct kube_line **line_out);
/*
 * kube_line_why() - when the connection has ended: 0 as connections end; else a negative errno with *@text_out,
 * which names the pod and lives as long as the kube_forward
 */
int kube_line_why(struct kube_line *line, const char **text_out);
void kube_line_close(struct kube_line *line); /* accepts NULL */

struct kube_forward_counts {
	uint64_t connections; /* that reached their pod's port, as far as the API server says */
	uint64_t failures;    /* that did not */
	uint64_t left_out;    /* pods that were given up */
};
struct kube_forward_counts kube_forward_counts(const struct kube_forward *f, size_t backend);
void kube_forward_free(struct kube_forward *f); /* ends all connections; accepts NULL */
AUTO_DEFINE(kube_forward, kube_forward_free)
