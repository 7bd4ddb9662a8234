// SPDX-License-Identifier: Apache-2.0
/*
 * reference.h - a server in a cluster as people write it: svc/NAME[.NAMESPACE][:PORT]
 *
 *     svc/cart   svc+https/cart.shop:8443   pod/cart-0.shop:http   deploy/cart   sts/db.shop
 *
 * Kinds are those of kubectl, short and long. Thread: any.
 */
#pragma once

#include "lib/err.h"

#define KUBE_LABEL_MAX	   63  /* RFC 1123: of a namespace, of a service */
#define KUBE_NAME_MAX	   253 /* of an object */
#define KUBE_PORT_NAME_MAX 63  /* IANA allows 15; services of Kubernetes more */

enum kube_kind {
	KUBE_SERVICE,
	KUBE_POD,
	KUBE_DEPLOYMENT,
	KUBE_STATEFULSET,
	KUBE_DAEMONSET,
	KUBE_REPLICASET,
	KUBE_JOB,
};

enum kube_scheme {
	KUBE_SCHEME_ANY, /* what the port says */
	KUBE_SCHEME_HTTP,
	KUBE_SCHEME_HTTPS,
};

struct kube_reference {
	uint8_t kind;				/* enum kube_kind */
	uint8_t scheme;				/* enum kube_scheme */
	uint16_t port;				/* 0: by name, or not given */
	char port_name[KUBE_PORT_NAME_MAX + 1]; /* "": not given */
	char name[KUBE_NAME_MAX + 1];
	char name_space[KUBE_LABEL_MAX + 1]; /* "": not given */
};

/* kube_reference_is() - is it meant as one, and not as a URL or HOST:PORT? */
bool kube_reference_is(const char *text);
/**
 * kube_reference_parse() - read one
 * @e: -EINVAL says what was expected
 *
 * The last dot stands before the namespace; a service may also have .svc and the cluster's domain behind
 * it. Names of pods and workloads may have dots: then the namespace must be given.
 */
int kube_reference_parse(const char *text, struct kube_reference *out, struct err *e) MUST_USE;

/* What the API calls a kind. */
struct kube_resource {
	const char *word;   /* as we print it: "svc" */
	const char *kind;   /* "Service" */
	const char *prefix; /* "/api/v1" */
	const char *plural; /* "services" */
};
const struct kube_resource *kube_resource(enum kube_kind kind);
