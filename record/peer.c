// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "record/reception.h"

/*
 * Theory of operation. The kernel tells the process at the other end of a unix socket, as it was
 * when it connected; its control groups tell the pod, since a kubelet gives each pod one that bears
 * its UID. What a process in a pod cannot do is to leave that group. A process that has ended, whose
 * number is another's by now, could be taken for that one: a container would have to wait until its
 * number comes around and is given to one of the pod that it wants to be taken for.
 */
#define CGROUP_BYTES 8192

int peer_pod_uid(int fd, char uid_out[POD_UID_MAX])
{
	char path[64], text[CGROUP_BYTES];
	struct ucred who;
	socklen_t n = sizeof(who);
	ssize_t got;
	int cgroup;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)who.pid);
	cgroup = open(path, O_RDONLY | O_CLOEXEC);
	if (cgroup < 0)
		return -ESRCH;
	got = read(cgroup, text, sizeof(text));
	(void)close(cgroup);
	if (got <= 0)
		return -ESRCH;
	return cgroup_outer_pod(span_of(text, (size_t)got), uid_out) ? 0 : -ENOENT;
}
