// SPDX-License-Identifier: Apache-2.0
/* service.h - what we need of a Service: parsed once, then only read. Thread: any. */
#pragma once

#include <jansson.h>

#include "kube/pod.h"

#define KUBE_SERVICE_ADDRESSES_MAX 4
#define KUBE_SERVICE_PORTS_MAX	   32

struct kube_service_port {
	uint16_t port;
	uint16_t target;	 /* of the pods; 0: by name */
	struct span target_name; /* a container port's */
};

/* Free with kube_service_free(). */
struct kube_service {
	struct span name_space, name, uid;
	struct span selector;				   /* schema/labels.h; empty: it has none */
	uint8_t addresses[KUBE_SERVICE_ADDRESSES_MAX][16]; /* cluster IPs; none when headless */
	size_t address_count;
	struct kube_service_port ports[KUBE_SERVICE_PORTS_MAX]; /* TCP */
	size_t port_count;
	uint64_t created_ns;
};

/* kube_service_parse() - @e: -EINVAL without name, namespace and UID; -ENOMEM */
int kube_service_parse(const json_t *object, struct kube_service **out, struct err *e) MUST_USE;
void kube_service_free(struct kube_service *s); /* accepts NULL */

/* kube_service_selects() - has it this pod behind it, by its selector? */
bool kube_service_selects(const struct kube_service *s, const struct kube_pod *pod);
/* kube_service_target() - the pod's port that one of its ports leads to; 0: the pod has no such */
uint16_t kube_service_target(const struct kube_service_port *p, const struct kube_pod *pod);
