// SPDX-License-Identifier: Apache-2.0
/*
 * backend.h - what a kube/reference.h means now: a port, a cluster address, the ready pods behind it
 *
 * Of a service: the addresses of its Endpoints. Of a workload: its pods by the selector. Rights that this
 * takes: get services and endpoints; get pods; get deployments (and so on) and list pods. Thread: the client's.
 */
#pragma once

#include "kube/client.h"
#include "kube/reference.h"

#define KUBE_BACKEND_PODS_MAX  1000 /* those beyond are not used */
#define KUBE_BACKEND_PORTS_MAX 32

struct kube_backend_pod {
	/* "": an address without a pod, of Endpoints that somebody wrote */
	char name[KUBE_NAME_MAX + 1];
	uint8_t address[16]; /* as in struct endpoint */
	uint16_t port;
};

struct kube_backend {
	struct kube_reference reference; /* with its namespace */
	bool is_tls;			 /* as the reference or the port says */
	uint16_t port;			 /* what clients are told: the service's, else the pods' */
	/* of the service's port, or the container's; "": none */
	char port_name[KUBE_PORT_NAME_MAX + 1];
	uint8_t cluster[2][16]; /* of a service; none when it is headless */
	size_t cluster_count;
	struct kube_backend_pod *pods; /* ready; owned */
	size_t pod_count;
	size_t unready_count;
	size_t surplus_count; /* ready, and not among pods: KUBE_BACKEND_PODS_MAX */
	char *pods_path;      /* of the API: what kube_backend_update() reads; owned */
};

/* Ports that clients were seen to ask: what decides when there are several. */
struct kube_ports {
	uint16_t list[KUBE_BACKEND_PORTS_MAX];
	size_t count;
};
/* kube_ports_add() - each once; what finds no room is not looked at */
void kube_ports_add(struct kube_ports *p, uint16_t port);

/**
 * kube_backend_find() - ask the API server
 * @name_space: where the reference gives none
 * @used:       may be NULL
 * @out:        filled in; kube_backend_fini() it
 * @e:          as kube_get(); -EINVAL no such port, or ExternalName; -ENOTUNIQ several ports and @used decides
 *              nothing: @e lists them; -EHOSTUNREACH no pod is ready
 */
int kube_backend_find(struct kube_client *c, const struct kube_reference *ref,
		      const char *name_space, const struct kube_ports *used,
		      struct kube_backend *out, struct err *e) MUST_USE;
/* kube_backend_update() - its pods, from what the API server says now of pods_path. Return: 0 or -ENOMEM. */
int kube_backend_update(struct kube_backend *b, const json_t *object);
void kube_backend_fini(struct kube_backend *b);

/* ---- the parts, for kube_backend_find() and its tests ---- */

/* A port that a service or a pod offers. */
struct kube_offer {
	uint16_t port, target; /* target: the pod's, when it has a number of its own; else 0 */
	char name[KUBE_PORT_NAME_MAX + 1];
	bool is_tls;
};
struct kube_offers {
	struct kube_offer list[KUBE_BACKEND_PORTS_MAX];
	size_t count;
};
/* kube_offers_of() - of a Service, or of a Pod's (or a pod template's) containers; TCP alone */
void kube_offers_of(const json_t *object, bool is_service, struct kube_offers *out);
/* kube_offers_choose() - the one that is meant. -EINVAL, -ENOTUNIQ: @e lists them. */
int kube_offers_choose(const struct kube_offers *o, const struct kube_reference *ref,
		       const struct kube_ports *used, const struct kube_offer **out,
		       struct err *e) MUST_USE;
