// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kube/config.h"
#include "lib/array.h"

/*
 * Theory of operation
 *
 * Daemons are reached through the API server's proxy to pods (docs/decisions/0020): whoever may list
 * pods and `get pods/proxy` in the installation's namespace reaches them from wherever kubectl works.
 * The proxy keeps the header Authorization, so the token goes in one of ours. Whoever shows the API
 * server a certificate has no token; who may make one for the ServiceAccount tapeloop-reader
 * (TokenRequest) asks as that.
 */

#define API_PORT     "api" /* name of the container's port; else API_NUMBER */
#define API_NUMBER   7700
#define TOKEN_SECONDS 3600
#define SELECTOR     "app.kubernetes.io%2Fname%3Dtapeloop%2Capp.kubernetes.io%2Fcomponent%3Dnode"
#define CONTAINER    "tapeloop" /* of a sidecar */

static const char *installation(void)
{
	const char *name = getenv("TAPELOOP_KUBE_NAMESPACE");

	return name && *name ? name : CLUSTER_NAMESPACE;
}

/* ---- who we are ---- */

static int request_token(struct cluster *c, struct err *e)
{
	json_t *request = json_pack("{ss ss s{si}}", "apiVersion", "authentication.k8s.io/v1", "kind",
				    "TokenRequest", "spec", "expirationSeconds", TOKEN_SECONDS);
	json_t *answer = NULL;
	const char *token;
	AUTO_BUF path = {0};
	struct err why = {0};
	int r;

	buf_add_fmt(&path, "/api/v1/namespaces/%s/serviceaccounts/" CLUSTER_ACCOUNT "/token",
		    installation());
	r = request ? kube_create(c->client, buf_cstr(&path), request, &answer, &why) : -ENOMEM;
	token = json_string_value(json_object_get(json_object_get(answer, "status"), "token"));
	if (r == 0 && token)
		c->token = strdup(token);
	json_decref(request);
	json_decref(answer);
	if (c->token)
		return 0;
	return err_set(e, r < 0 ? r : -EPROTO,
		       "this kubeconfig shows the API server a certificate, which does not reach the "
		       "daemons, and there is no token for ServiceAccount %s/" CLUSTER_ACCOUNT ": %s",
		       installation(), why.why);
}

static int find_token(struct cluster *c, struct err *e)
{
	const char *token = NULL;
	int r = kube_client_token(c->client, &token, e);

	if (r < 0)
		return r;
	if (!token)
		return request_token(c, e);
	c->token = strdup(token);
	return c->token ? 0 : err_set(e, -ENOMEM, "out of memory");
}

int cluster_open(const struct kube_args *a, struct cluster *out, struct err *e)
{
	struct cluster c = {0};
	struct kube_config *config = NULL;
	int r = kube_config_find(a->kubeconfig, a->context, &config, e);

	if (r == 0)
		r = kube_client_new(config, &c.client, e);
	if (r == 0)
		r = find_token(&c, e);
	if (r < 0) {
		cluster_close(&c);
		return r == -ENOENT && e ? (e->code = -ENXIO) : r; /* it is no 'nothing matched' */
	}
	*out = c;
	return 0;
}

void cluster_close(struct cluster *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->nodes[i].name);
		free(c->nodes[i].base);
	}
	free(c->nodes);
	if (c->token)
		explicit_bzero(c->token, strlen(c->token));
	free(c->token);
	kube_client_free(c->client);
	*c = (struct cluster){0};
}

/* ---- where the daemons are ---- */

static const char *text_at(const json_t *o, const char *a, const char *b)
{
	const char *text = json_string_value(json_object_get(json_object_get(o, a), b));

	return text ? text : "";
}

static int port_of(const json_t *pod, const char *container)
{
	const json_t *containers = json_object_get(json_object_get(pod, "spec"), "containers");
	const json_t *c, *p;
	size_t i, k;

	json_array_foreach(containers, i, c)
	{
		const char *name = json_string_value(json_object_get(c, "name"));

		if (container && (!name || strcmp(name, container) != 0))
			continue;
		json_array_foreach(json_object_get(c, "ports"), k, p)
		{
			const char *port = json_string_value(json_object_get(p, "name"));

			if (port && strcmp(port, API_PORT) == 0)
				return (int)json_integer_value(json_object_get(p, "containerPort"));
		}
		if (container)
			return API_NUMBER;
	}
	return container ? 0 : API_NUMBER;
}

static int add_node(struct cluster *c, const json_t *pod, bool is_sidecar, struct err *e)
{
	const char *name = text_at(pod, "metadata", "name"), *node = text_at(pod, "spec", "nodeName");
	const char *name_space = text_at(pod, "metadata", "namespace");
	int port = port_of(pod, is_sidecar ? CONTAINER : NULL);
	struct cluster_node n = {0};
	void *nodes = c->nodes;

	if (port == 0 || strcmp(text_at(pod, "status", "phase"), "Running") != 0)
		return 0;
	if (c->count == CLUSTER_NODES_MAX)
		return err_set(e, -E2BIG, "more than %d daemons", CLUSTER_NODES_MAX);
	if (asprintf(&n.name, "%s%s%s", is_sidecar ? name_space : "node ", is_sidecar ? "/" : "",
		     is_sidecar || !*node ? name : node) < 0)
		n.name = NULL;
	if (asprintf(&n.base, "/api/v1/namespaces/%s/pods/https:%s:%d/proxy", name_space, name, port) <
	    0)
		n.base = NULL;
	if (!n.name || !n.base || !array_room(&nodes, &c->room, c->count, sizeof(*c->nodes))) {
		free(n.name);
		free(n.base);
		return err_set(e, -ENOMEM, "out of memory");
	}
	c->nodes = nodes;
	c->nodes[c->count++] = n;
	return 0;
}

static int add_pods(struct cluster *c, const char *path, bool are_sidecars, struct err *e)
{
	json_t *list = NULL;
	const json_t *pod;
	size_t i;
	int r = kube_get(c->client, path, &list, e);

	json_array_foreach(json_object_get(list, "items"), i, pod)
		if (r == 0)
			r = add_node(c, pod, are_sidecars, e);
	json_decref(list);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct cluster_node *)a)->name, ((const struct cluster_node *)b)->name);
}

int cluster_find_nodes(struct cluster *c, const char *name_space, struct err *e)
{
	AUTO_BUF path = {0};
	int r;

	buf_add_fmt(&path, "/api/v1/namespaces/%s/pods?labelSelector=%s", installation(), SELECTOR);
	r = add_pods(c, buf_cstr(&path), false, e);
	buf_clear(&path);
	buf_add_fmt(&path, "/api/v1/namespaces/%s/pods", name_space);
	/* who may not list them asks the nodes alone: the sidecars are an addition */
	if (r == 0 && *name_space)
		(void)add_pods(c, buf_cstr(&path), true, NULL);
	if (r == 0 && c->count == 0)
		return err_set(e, -ENXIO,
			       "no daemon runs in namespace %s (pods labelled app.kubernetes.io/name=tapeloop, "
			       "component node); $TAPELOOP_KUBE_NAMESPACE names another",
			       installation());
	if (r == 0)
		qsort(c->nodes, c->count, sizeof(*c->nodes), by_name);
	return r < 0 && r != -EPERM && r != -EACCES && e ? (e->code = r == -ENOENT ? -ENXIO : r) : r;
}
