// SPDX-License-Identifier: Apache-2.0
/* tenure.h - for how long a pod has had its addresses, as far as can be told */
#pragma once

#include "kube/pod.h"

/* All in wall ns. It may have had them in [since, until), it certainly did in [sure_since, sure_until). */
struct tenure {
	uint64_t since_ns, sure_since_ns;
	uint64_t sure_until_ns, until_ns; /* UINT64_MAX: it still does */
};

/* tenure_begin() - of a pod that is first heard of at @now_ns with its address */
void tenure_begin(struct tenure *t, const struct kube_pod *pod, uint64_t now_ns);
/* tenure_update() - it was heard of again */
void tenure_update(struct tenure *t, const struct kube_pod *pod, uint64_t now_ns);
/* tenure_end() - it is gone, and was certainly there at @known_ns */
void tenure_end(struct tenure *t, const struct kube_pod *pod, uint64_t known_ns, uint64_t now_ns);
