// SPDX-License-Identifier: Apache-2.0
/* processes.h - which processes of this machine are a container's, by /proc/PID/cgroup */
#pragma once

#include <sys/types.h>

#include "lib/err.h"
#include "node/cgroup.h"

/* processes_each() - @fn is called for each that is. @proc: "/proc". Return: 0, or why it cannot be read. */
typedef void processes_fn(void *ctx, pid_t pid, const struct cgroup_owner *owner);
int processes_each(const char *proc, processes_fn *fn, void *ctx, struct err *e) MUST_USE;
