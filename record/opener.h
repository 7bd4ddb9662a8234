// SPDX-License-Identifier: Apache-2.0
/*
 * opener.h - a small process that keeps the privilege to enter network namespaces, for one that gave it up
 *
 * It makes sockets there and tells whose namespace is whose; it parses nothing that comes off a wire.
 * Thread: one at a time.
 */
#pragma once

#include <sys/types.h>

#include "lib/err.h"

struct opener;

/**
 * opener_start() - fork it; to be called while the process has its privileges and one thread
 * @drop: called in the new process: give up what it does not need; may be NULL
 * @e:    -errno: no process, or @drop failed
 */
int opener_start(int (*drop)(struct err *e), struct opener **o_out, struct err *e) MUST_USE;
void opener_stop(struct opener *o); /* ends the process; accepts NULL */

/**
 * opener_open() - a packet socket in a network namespace, for packet_socket_open()
 * @path:  of the namespace: /run/netns/NAME, /proc/PID/ns/net
 * @inode: the namespace must still be this one; 0: any but our own
 * @e:     -ENOENT, -ESTALE it is another namespace by now, -EPERM (needs CAP_SYS_ADMIN, and CAP_SYS_PTRACE
 *         for /proc), -EINVAL no network namespace, or our own; -EPIPE the process has ended
 *
 * Return: the descriptor, the caller's.
 */
int opener_open(struct opener *o, const char *path, uint32_t inode, struct err *e) MUST_USE;

#define OPENER_ADDRESSES_MAX 16
/* opener_addresses() - of the interfaces there, but loopback and link-local ones. Return: how many, or as opener_open() */
int opener_addresses(struct opener *o, const char *path, uint8_t out[OPENER_ADDRESSES_MAX][16],
		     struct err *e) MUST_USE;

#define OPENER_PIDS_MAX 256
/**
 * opener_netns_of() - the network namespaces of processes
 * @inodes_out: one for each of @pids; 0 where there is no such process, or it may not be asked
 *
 * Return: 0 or -EPIPE.
 */
int opener_netns_of(struct opener *o, const pid_t *pids, size_t count, uint32_t *inodes_out,
		    struct err *e) MUST_USE;
