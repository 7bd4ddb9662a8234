// SPDX-License-Identifier: Apache-2.0
#include "node/processes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Theory of operation. /proc/PID/cgroup can be read by everybody (proc(5)), unlike /proc/PID/ns. A process
 * that ends meanwhile is passed over. Some microseconds a process: for now and then, not for each event.
 */
#define CGROUP_BYTES 8192 /* v1 has a dozen lines */

static ssize_t read_cgroup(int dir, const char *pid, char out[CGROUP_BYTES])
{
	char path[NAME_MAX + 16];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/cgroup", pid);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, out, CGROUP_BYTES);
	(void)close(fd);
	return n;
}

int processes_each(const char *proc, processes_fn *fn, void *ctx, struct err *e)
{
	DIR *d = opendir(proc);
	struct dirent *found;
	char text[CGROUP_BYTES];

	if (!d)
		return err_set(e, -errno, "%s: %s", proc, strerror(errno));
	while ((found = readdir(d))) {
		long pid = strtol(found->d_name, NULL, 10); /* 0: not a process */
		struct cgroup_owner owner;
		ssize_t n = pid > 0 ? read_cgroup(dirfd(d), found->d_name, text) : -1;

		if (n > 0 && cgroup_read(span_of(text, (size_t)n), &owner))
			fn(ctx, (pid_t)pid, &owner);
	}
	(void)closedir(d);
	return 0;
}
