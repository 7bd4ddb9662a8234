// SPDX-License-Identifier: Apache-2.0
/* census_make.h - put a census together: services and slices first, then pods, then finish. Thread: one, until it is finished. */
#pragma once

#include "kube/census.h"
#include "kube/service.h"
#include "kube/slice.h"
#include "kube/tenure.h"

struct census_pod {
	const struct kube_pod *pod; /* a reference is taken */
	struct tenure tenure;
	bool is_gone;
	/* the topmost owner's, where the pod does not say; borrowed for the call */
	struct span workload, workload_kind;
};

/* NULL: out of memory, as false of the others */
struct census *census_new(uint64_t lost_ns) MUST_USE;
bool census_add_service(struct census *c, const struct kube_service *s) MUST_USE; /* copied */
/* borrowed until it is finished */
bool census_add_slice(struct census *c, const struct kube_slice *s) MUST_USE;
bool census_add_pod(struct census *c, const struct census_pod *p) MUST_USE;
bool census_finish(struct census *c) MUST_USE;
