// SPDX-License-Identifier: Apache-2.0
/*
 * netns.h - do something inside another network namespace, and be sure to come back
 */
#pragma once

#include "lib/err.h"

#define NETNS_PATH_MAX 4096

/* netns_path() - "cart" -> /run/netns/cart; a text with a slash is a path already. -ENAMETOOLONG.
 */
int netns_path(const char *name, char out[NETNS_PATH_MAX], struct err *e) MUST_USE;

/**
 * netns_run() - call @fn inside a network namespace
 * @path: what netns_path() gave; NULL: the namespace we are in, no setns() is needed
 * @fn:   its return value is handed on; what it opens stays open and belongs to that namespace
 * @e:    names the namespace: -ENOENT, -EPERM (needs CAP_SYS_ADMIN), -EINVAL (no network namespace)
 *
 * The call is made in a thread of its own that ends with it, so that no thread of ours can be left
 * behind in the wrong namespace, whatever fails.
 */
int netns_run(const char *path, int (*fn)(void *arg, struct err *e), void *arg,
	      struct err *e) MUST_USE;

/* netns_inode() - what tells namespaces apart; 0 when there is none at @path (NULL: our own) */
uint64_t netns_inode(const char *path);

/*
 * netns_addresses() - every address of the interfaces of the namespace that the thread is in, but
 * loopback and link-local ones. Return: 0 or a negative errno.
 */
int netns_addresses(void (*fn)(void *ctx, const uint8_t address[16]), void *ctx) MUST_USE;
