// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "record/reception.h"

/*
 * Theory of operation. The kernel tells the process at the other end of a unix socket, as it was
 * when it connected; its control groups tell the pod, since a kubelet gives each pod one that bears
 * its UID:
 *
 *	/kubepods/burstable/pod0f5c2a76-5d7e-4a1d-9d5d-0c6f2f6f9a11/<container>
 *	/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0f5c2a76_5d7e_...slice/...
 *
 * What a process in a pod cannot do is to leave that group. A process that has ended, whose number
 * is another's by now, could be taken for that one: a container would have to wait until its number
 * comes around and is given to one of the pod that it wants to be taken for.
 */
#define UID_BYTES    36
#define CGROUP_BYTES 8192

/* 8-4-4-4-12 hexadecimal digits */
static bool is_uid(const uint8_t *at)
{
	for (unsigned i = 0; i < UID_BYTES; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (is_dash ? at[i] != '-' && at[i] != '_' : !isxdigit(at[i]))
			return false;
	}
	return true;
}

int pod_uid_of_cgroup(struct span text, char uid_out[POD_UID_MAX])
{
	for (size_t i = 1; i + 3 + UID_BYTES <= text.len; i++) {
		const uint8_t *at = text.ptr + i;

		if (memcmp(at, "pod", 3) != 0 || (at[-1] != '/' && at[-1] != '-') || !is_uid(at + 3))
			continue;
		for (unsigned n = 0; n < UID_BYTES; n++)
			uid_out[n] = at[3 + n] == '_' ? '-' : (char)at[3 + n];
		uid_out[UID_BYTES] = '\0';
		return 0;
	}
	return -ENOENT;
}

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
	return got > 0 ? pod_uid_of_cgroup(span_of(text, (size_t)got), uid_out) : -ESRCH;
}
