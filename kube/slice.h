// SPDX-License-Identifier: Apache-2.0
/*
 * slice.h - what we need of an EndpointSlice (discovery.k8s.io v1, v1beta1) or of Endpoints (v1): where a
 * service really is. Parsed once, then only read. Thread: any.
 */
#pragma once

#include <jansson.h>

#include "lib/err.h"
#include "schema/exchange.h"

#define KUBE_SLICE_PORTS_MAX 16
#define KUBE_SLICE_ENDPOINTS_MAX                                                                   \
	1000 /* as the API has it; what Endpoints have beyond is not looked at */

struct kube_endpoint {
	uint8_t address[16];
	struct span pod_uid;		      /* empty: no pod, or nobody said */
	uint16_t ports[KUBE_SLICE_PORTS_MAX]; /* TCP */
	uint8_t port_count;
};

/* Free with kube_slice_free(). */
struct kube_slice {
	struct span service, name_space, uid;
	uint64_t created_ns;
	const struct kube_endpoint *endpoints;
	size_t endpoint_count;
};

/* kube_slice_parse() - of any of the three kinds. @e: -EINVAL without service, namespace and UID; -ENOMEM */
int kube_slice_parse(const json_t *object, struct kube_slice **out, struct err *e) MUST_USE;
void kube_slice_free(struct kube_slice *s); /* accepts NULL */
