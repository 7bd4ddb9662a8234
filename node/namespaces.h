// SPDX-License-Identifier: Apache-2.0
/*
 * namespaces.h - the named network namespaces of a node, as they appear and end
 *
 * Runtimes give a pod's namespace a name (containerd /run/netns/cni-..., CRI-O and podman /run/netns/...,
 * Docker /run/docker/netns/...) before they put its interface there, and long before a process runs in it.
 * Thread: one.
 */
#pragma once

#include "lib/err.h"

struct namespaces;

#define NAMESPACE_PATH_MAX 512

struct namespace_event {
	bool has_appeared; /* else it has ended */
	uint32_t inode;
	const char *path; /* borrowed for the call */
};
typedef void namespace_event_fn(void *ctx, const struct namespace_event *event);

/**
 * namespaces_open() - begin to watch
 * @directories: absolute; need not exist yet; two names of one directory count once
 * @e:           -errno: no descriptors; -EINVAL not absolute
 */
int namespaces_open(const char *const *directories, size_t count, struct namespaces **n_out,
		    struct err *e) MUST_USE;
void namespaces_close(struct namespaces *n); /* accepts NULL */
AUTO_DEFINE(namespaces, namespaces_close)

int namespaces_fd(const struct namespaces *n); /* readable when something may have changed */
/*
 * namespaces_read() - tell what has changed since the last call; the first tells what is there.
 * Return: 0 or -ENOMEM (some are not told; the next call tries again).
 */
int namespaces_read(struct namespaces *n, namespace_event_fn *fn, void *ctx);
/* namespaces_look() - likewise, without trusting the descriptor: all directories are read again. Now and then. */
int namespaces_look(struct namespaces *n, namespace_event_fn *fn, void *ctx);
