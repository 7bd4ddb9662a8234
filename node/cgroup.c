// SPDX-License-Identifier: Apache-2.0
#include "node/cgroup.h"

/*
 * Theory of operation. A kubelet makes a control group for each pod, a runtime one for each container in
 * it. How they are called depends on the driver; both forms are found in cgroup v1 and v2:
 *
 *	cgroupfs  /kubepods/burstable/pod2c48913c-b29f-11e7-9350-020968147796/<64 hex digits>
 *	systemd   /kubepods.slice/kubepods-burstable.slice/
 *	          kubepods-burstable-pod2c48913c_b29f_11e7_9350_020968147796.slice/cri-containerd-<64>.scope
 *
 * A dash means "child of" in the name of a slice, so the UID has underscores there. A static pod's UID is
 * the hash of its file: 32 hexadecimal digits without dashes. Podman's pods have an id of 64.
 *
 * The path is read from the left, component by component. A pod within a container (a node that is itself
 * a container) begins anew; of containers within a pod the first counts, what it starts itself is
 * its own business. Components that say nothing (kubepods, /.., init.scope) are passed over: seen from another
 * cgroup namespace a path begins with /.. and has lost its beginning.
 *
 * The monitor of CRI-O and podman (conmon) lives beside the container, not in it: its group says nothing.
 */
#define HEX_ID 64

/* What stands before a container's id. */
static const struct {
	const char *prefix, *runtime;
} containers[] = {
	{"cri-containerd-", "containerd"},
	{"nerdctl-", "containerd"},
	{"crio-", "cri-o"},
	{"docker-", "docker"},
	{"libpod-", "podman"},
	{"", NULL},
};

static struct span without_suffix(struct span s, struct span suffix)
{
	if (s.len > suffix.len && memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0)
		s.len -= suffix.len;
	return s;
}

static bool is_hex(struct span s, size_t len)
{
	for (size_t i = 0; i < s.len; i++)
		if (!(s.ptr[i] >= '0' && s.ptr[i] <= '9') && !(s.ptr[i] >= 'a' && s.ptr[i] <= 'f'))
			return false;
	return s.len == len;
}

/* 8-4-4-4-12 hexadecimal digits with '-' or '_' between them (RFC 9562 section 4) */
static bool is_uuid(struct span s)
{
	static const size_t groups[] = {8, 4, 4, 4, 12};
	size_t at = 0;

	if (s.len != 36)
		return false;
	for (size_t g = 0; g < COUNT_OF(groups); g++) {
		if (g && s.ptr[at] != '-' && s.ptr[at] != '_')
			return false;
		at += g > 0;
		if (!is_hex(span_of(s.ptr + at, groups[g]), groups[g]))
			return false;
		at += groups[g];
	}
	return true;
}

static void copy(struct span s, char *out)
{
	for (size_t i = 0; i < s.len; i++)
		out[i] = s.ptr[i] == '_' ? '-' : (char)s.ptr[i];
	out[s.len] = '\0';
}

/* "pod2c48...", "kubepods-burstable-pod2c48_..."; podman's "machine-libpod_pod_<64>" is too long to be kept */
static bool take_pod(struct span component, struct cgroup_owner *out)
{
	struct span name = without_suffix(component, SPAN_LIT(".slice"));

	for (size_t i = 0; i + 3 < name.len; i++) {
		struct span uid = span_from(name, i + 3);

		if (memcmp(name.ptr + i, "pod", 3) != 0 || (i && name.ptr[i - 1] != '-'))
			continue;
		if (!is_uuid(uid) && !is_hex(uid, 32))
			continue;
		*out = (struct cgroup_owner){0};
		copy(uid, out->pod_uid);
		return true;
	}
	return false;
}

static bool take_container(struct span component, struct cgroup_owner *out)
{
	struct span name = without_suffix(component, SPAN_LIT(".scope"));

	for (size_t i = 0; i < COUNT_OF(containers); i++) {
		size_t skip = strlen(containers[i].prefix);

		if (name.len != skip + HEX_ID ||
		    memcmp(name.ptr, containers[i].prefix, skip) != 0 ||
		    !is_hex(span_from(name, skip), HEX_ID))
			continue;
		if (*out->container_id)
			return true;
		copy(span_from(name, skip), out->container_id);
		out->runtime = containers[i].runtime;
		return true;
	}
	return false;
}

/* What stands before the first slash; the path goes on behind it. */
static struct span take_component(struct span *path)
{
	const uint8_t *slash = memchr(path->ptr, '/', path->len);
	struct span component = span_of(path->ptr, slash ? (size_t)(slash - path->ptr) : path->len);

	*path = span_from(*path, component.len + 1);
	return component;
}

bool cgroup_parse(struct span path, struct cgroup_owner *out)
{
	struct cgroup_owner found = {0};

	while (path.len) {
		struct span component = take_component(&path);

		if (!take_pod(component, &found))
			(void)take_container(component, &found);
	}
	*out = found;
	return *found.pod_uid || *found.container_id;
}

/* The more a line says, the more it counts: some hierarchies of v1 are not used by the runtime. */
static unsigned weight(const struct cgroup_owner *o)
{
	return (*o->pod_uid ? 2U : 0) + (*o->container_id ? 1U : 0);
}

/* "ID:controllers:path" */
static struct span path_of(struct span line)
{
	for (unsigned colons = 0; colons < 2; colons++) {
		const uint8_t *colon = span_chr(line, ':');

		if (!colon)
			return (struct span){0};
		line = span_from(line, (size_t)(colon - line.ptr) + 1);
	}
	return line;
}

/* The first line of a text, without its end; the text goes on behind it. */
static struct span take_line(struct span *file)
{
	const uint8_t *end = memchr(file->ptr, '\n', file->len);
	struct span line = span_of(file->ptr, end ? (size_t)(end - file->ptr) : file->len);

	*file = span_from(*file, line.len + 1);
	return line;
}

bool cgroup_read(struct span file, struct cgroup_owner *out)
{
	*out = (struct cgroup_owner){0};
	while (file.len) {
		struct cgroup_owner found;

		if (cgroup_parse(path_of(take_line(&file)), &found) && weight(&found) > weight(out))
			*out = found;
	}
	return weight(out) > 0;
}

bool cgroup_outer_pod(struct span file, char uid_out[CGROUP_UID_MAX])
{
	struct cgroup_owner found = {0};

	while (file.len) {
		struct span path = path_of(take_line(&file));

		while (path.len) {
			if (take_pod(take_component(&path), &found)) {
				memcpy(uid_out, found.pod_uid, CGROUP_UID_MAX);
				return true;
			}
		}
	}
	return false;
}
