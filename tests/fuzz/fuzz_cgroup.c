// SPDX-License-Identifier: Apache-2.0
/* fuzz_cgroup.c - any /proc/PID/cgroup: no pod's, or a UID in its one form */
#include "record/reception.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char uid[POD_UID_MAX] = "";

	if (pod_uid_of_cgroup(span_of(data, size), uid) == 0 && (strlen(uid) != 36 || strchr(uid, '_')))
		abort();
	return 0;
}
