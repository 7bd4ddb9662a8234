// SPDX-License-Identifier: Apache-2.0
/* cluster.h - a Kubernetes cluster as we reach it: its API server, who we are there, where daemons run */
#pragma once

#include "cli/source.h"
#include "kube/client.h"

#define CLUSTER_NAMESPACE                                                                          \
	"tapeloop" /* of the installation; $TAPELOOP_KUBE_NAMESPACE says another */
#define CLUSTER_ACCOUNT	  "tapeloop-reader"
#define CLUSTER_NODES_MAX 5000

/* A daemon's pod. */
struct cluster_node {
	char *name; /* of the node, or NAMESPACE/POD of a sidecar */
	char *name_space, *pod;
	int port;	 /* of its API */
	bool is_sidecar; /* reached by a port-forward; a node's daemon by the proxy */
};

struct cluster {
	struct kube_client *client;
	const struct kube_args *args; /* borrowed */
	char *token;		      /* what the daemons are shown */
	struct cluster_node *nodes;
	size_t count, room;
};

/**
 * cluster_open() - find the API server and who we are there
 * @e: what kubectl would say, too: no kubeconfig, no such context, a plugin that fails
 */
int cluster_open(const struct kube_args *a, struct cluster *out, struct err *e) MUST_USE;
/*
 * cluster_find_nodes() - the daemons of the nodes; with @name_space its sidecars that keep a tape, too
 *
 * Return: 0; -ENXIO there are none; -EPERM we may list neither.
 */
int cluster_find_nodes(struct cluster *c, const char *name_space, struct err *e) MUST_USE;
void cluster_close(struct cluster *c);

struct rest;
/* cluster_ask() - a way to ask @n by @client, which may be another one of the same cluster; borrowed */
int cluster_ask(const struct cluster *c, struct kube_client *client, const struct cluster_node *n,
		struct rest **out, struct err *e) MUST_USE;
