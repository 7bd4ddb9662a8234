// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation. The handles are open and stay usable; from here on bytes of strangers are
 * parsed. First the bounding and ambient sets, so that no program started by us could get anything
 * back, then no_new_privs against setuid files, then all three sets of this thread, which every
 * later thread inherits. What needs a capability that we never had is left out.
 */
#define CAPABILITIES_MAX 64

/*
 * A file with effective capabilities is not executed at all where the bounding set lacks one of
 * them (a sidecar has CAP_NET_RAW alone). So the image's file has permitted ones only.
 */
int privileges_raise(struct err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, now) < 0)
		return err_set(e, -errno, "privileges: capget: %s", strerror(errno));
	for (size_t i = 0; i < COUNT_OF(now); i++)
		now[i].effective = now[i].permitted;
	if (syscall(SYS_capset, &head, now) < 0)
		return err_set(e, -errno, "privileges: capset: %s", strerror(errno));
	return 0;
}

static int keep(uint64_t kept, struct err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};

	for (unsigned long i = 0; i < CAPABILITIES_MAX; i++)
		if (!(kept & UINT64_C(1) << i))
			/* not ours to drop without CAP_SETPCAP */
			(void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, -errno, "privileges: no_new_privs: %s", strerror(errno));
	if (syscall(SYS_capget, &head, caps) < 0)
		return err_set(e, -errno, "privileges: capget: %s", strerror(errno));
	for (unsigned i = 0; i < COUNT_OF(caps); i++) {
		caps[i].permitted &= (uint32_t)(kept >> 32 * i);
		caps[i].effective = caps[i].permitted;
		caps[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, caps) < 0)
		return err_set(e, -errno, "privileges: capset: %s", strerror(errno));
	return 0;
}

int privileges_drop(struct err *e)
{
	return keep(0, e);
}

int privileges_keep_opener(struct err *e)
{
	return keep(UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_NET_RAW |
			    UINT64_C(1) << CAP_SYS_PTRACE,
		    e);
}
