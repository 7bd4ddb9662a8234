// SPDX-License-Identifier: Apache-2.0
/*
 * pod.h - what we need of a Pod: parsed once, immutable, shared by reference
 *
 * Times are of the clocks of those who wrote them (kubelets, the API server), in ns since 1970; 0
 * where they did not.
 */
#pragma once

#include <jansson.h>

#include "lib/err.h"
#include "schema/exchange.h"
#include "schema/labels.h"

#define KUBE_POD_ADDRESSES_MAX	4
#define KUBE_POD_CONTAINERS_MAX 64 /* of all sorts; what a pod has beyond is not looked at */
#define KUBE_POD_PORTS_MAX	64

struct kube_container {
	struct span name;
	struct span id;	      /* without its scheme ("containerd://"); empty before it runs */
	uint64_t started_ns;  /* the last start; to the second */
	uint64_t finished_ns; /* 0 while it runs */
	bool is_init;	      /* an init container, sidecars among them */
};

struct kube_container_port {
	struct span name; /* may be empty */
	struct span container;
	uint16_t port, host_port; /* host_port 0: none */
};

/* What of it is in the host's network has the node's address. */
struct kube_pod {
	/* namespace, pod, pod_uid, node, labels, chosen annotations; workload and its kind: of the
	   controller that it names itself (a ReplicaSet, a Job): kube/census.h knows whose that is.
	   source API, certain */
	struct identity who;
	struct span resource_version;
	struct span owner_uid;			       /* of that controller; empty: none */
	struct span template_hash;		       /* label pod-template-hash */
	uint8_t addresses[KUBE_POD_ADDRESSES_MAX][16]; /* as in struct endpoint; status.podIPs */
	size_t address_count;
	uint8_t host_address[16]; /* status.hostIP; has_host_address */
	bool has_host_address;
	bool is_host_network;
	bool has_ended; /* phase Succeeded or Failed: its address may be somebody else's */
	uint64_t created_ns, accepted_ns; /* creationTimestamp; startTime: its kubelet took it */
	uint64_t deletion_ns;		  /* when its deletion was asked for; 0: it was not */
	const struct kube_container *containers;
	size_t container_count;
	const struct kube_container_port *ports; /* TCP */
	size_t port_count;
};

struct kube_pod_choice {
	/* keys with commas between, * at the end for all that begin so; NULL or "": none */
	const char *annotations;
};

/**
 * kube_pod_parse() - from a Pod of the API, or of a kubelet's /pods
 * @e: -EINVAL without a name, namespace and UID, or where something has the wrong type; -ENOMEM
 *
 * The first reference is the caller's. Thread: any.
 */
int kube_pod_parse(const json_t *object, const struct kube_pod_choice *choice,
		   const struct kube_pod **pod_out, struct err *e) MUST_USE;
/* kube_address() - as struct endpoint has it. Return: false when it is none; @out is then anything. */
bool kube_address(struct span text, uint8_t out[16]);
const struct kube_pod *kube_pod_ref(const struct kube_pod *p);
void kube_pod_unref(const struct kube_pod *p); /* accepts NULL */
