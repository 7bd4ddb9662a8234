// SPDX-License-Identifier: Apache-2.0
/* What a node says of its pods: control groups, a runtime's list and status. The first byte chooses. */
#include "node/cgroup.h"
#include "node/cri_message.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *ctx, const struct cri_listed *one)
{
	size_t *bytes = ctx;

	for (size_t i = 0; i < one->id.len; i++)
		*bytes += one->id.ptr[i];
	assert(one->id.len < CRI_ID_MAX);
	return 0;
}

static void read_status(struct span message)
{
	const struct cri_pod *pod = NULL;
	struct err e;

	if (cri_read_status(message, &pod, &e) < 0) {
		assert(!pod && *e.why);
		return;
	}
	assert(pod->who.pod.len && pod->who.name_space.len && pod->who.pod_uid.len);
	assert(strlen(pod->netns_path) < sizeof(pod->netns_path) && pod->pid >= 0);
	assert(strlen(pod->sandbox_id) < sizeof(pod->sandbox_id) &&
	       pod->address_count <= CRI_ADDRESSES_MAX);
	cri_pod_unref(pod);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct cgroup_owner owner;
	char uid[CGROUP_UID_MAX];
	size_t sum = 0;

	if (size == 0)
		return 0;
	in = span_from(in, 1);
	if (data[0] % 3 == 0)
		read_status(in);
	else if (data[0] % 3 == 1)
		(void)!cri_read_list(in, take, &sum);
	else if (cgroup_read(in, &owner))
		assert(*owner.pod_uid || *owner.container_id);
	if (data[0] % 3 == 2 && cgroup_outer_pod(in, uid))
		assert(*uid && *owner.pod_uid && !strchr(uid, '_'));
	return 0;
}
