// SPDX-License-Identifier: Apache-2.0
/* cgroup.h - which pod and which container a process belongs to, by the path of its control group */
#pragma once

#include "lib/base.h"

#define CGROUP_UID_MAX	     64 /* with its NUL */
#define CGROUP_CONTAINER_MAX 65

struct cgroup_owner {
	char pod_uid[CGROUP_UID_MAX]; /* "" outside of pods */
	/* 64 hexadecimal digits; "" for the pod's own group */
	char container_id[CGROUP_CONTAINER_MAX];
	/* as in containerID of a pod's status: "containerd"; NULL unknown */
	const char *runtime;
};

/**
 * cgroup_parse() - read one path
 * @path: as in /proc/PID/cgroup behind the second colon
 *
 * Return: false, and nothing in @out, when it is neither a pod's nor a container's.
 */
bool cgroup_parse(struct span path, struct cgroup_owner *out);
/**
 * cgroup_read() - read a whole /proc/PID/cgroup (cgroups(7))
 *
 * Return: as cgroup_parse() of the line that says most.
 */
bool cgroup_read(struct span file, struct cgroup_owner *out);
/*
 * cgroup_outer_pod() - the UID of the pod that a /proc/PID/cgroup says, the outermost where pods lie in each
 * other: what a container makes inside of its own group changes nothing. Return: false when it says none.
 */
bool cgroup_outer_pod(struct span file, char uid_out[CGROUP_UID_MAX]);
