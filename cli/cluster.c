// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/rest.h"
#include "kube/config.h"
#include "kube/sidecar.h"
#include "lib/array.h"

/*
 * Theory of operation
 *
 * Daemons are reached through the API server's proxy to pods (docs/decisions/0020): whoever may list
 * pods and `get pods/proxy` in the installation's namespace reaches them from wherever kubectl works.
 * The proxy keeps the header Authorization, so the token goes in one of ours. Whoever shows the API
 * server a certificate has no token; who may make one for the ServiceAccount tapeloop-reader
 * (TokenRequest) asks as that.
 *
 * A sidecar listens on its pod's loopback alone, and is reached by a port-forward (docs/decisions/0022):
 * the API server knows who may do that, the sidecar need not ask anybody, and no token is shown to a
 * pod that is not ours.
 */

#define API_PORT      "api" /* name of the container's port; else API_NUMBER */
#define API_NUMBER    7700
#define TOKEN_SECONDS 3600
#define SELECTOR      "app.kubernetes.io%2Fname%3Dtapeloop%2Capp.kubernetes.io%2Fcomponent%3Dnode"
#define HANDOVER                                                                                   \
	"tapeloop.dev/handover" /* annotation: it hands over to its node, and keeps no tape */

static const char *installation(void)
{
	const char *name = getenv("TAPELOOP_KUBE_NAMESPACE");

	return name && *name ? name : CLUSTER_NAMESPACE;
}

/* ---- who we are ---- */

static int request_token(struct cluster *c, struct err *e)
{
	json_t *request =
		json_pack("{ss ss s{si}}", "apiVersion", "authentication.k8s.io/v1", "kind",
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
	return err_set(
		e, r < 0 ? r : -EPROTO,
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
	struct cluster c = {.args = a};
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

static void node_fini(struct cluster_node *n)
{
	free(n->name);
	free(n->name_space);
	free(n->pod);
}

void cluster_close(struct cluster *c)
{
	for (size_t i = 0; i < c->count; i++) {
		node_fini(&c->nodes[i]);
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

/* Of the first container that names one. */
static int port_of(const json_t *pod)
{
	const json_t *containers = json_object_get(json_object_get(pod, "spec"), "containers");
	const json_t *c, *p;
	size_t i, k;

	json_array_foreach(containers, i, c) json_array_foreach(json_object_get(c, "ports"), k, p)
	{
		const char *port = json_string_value(json_object_get(p, "name"));

		if (port && strcmp(port, API_PORT) == 0)
			return (int)json_integer_value(json_object_get(p, "containerPort"));
	}
	return API_NUMBER;
}

static bool has_container(const json_t *pod, const char *list, const char *name)
{
	const json_t *c;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(pod, "spec"), list), i, c)
	{
		const char *its = json_string_value(json_object_get(c, "name"));

		if (its && strcmp(its, name) == 0)
			return true;
	}
	return false;
}

/* A sidecar that keeps a tape; native ones are init containers. */
static bool is_asked(const json_t *pod, bool is_sidecar)
{
	const json_t *meta = json_object_get(pod, "metadata");

	if (strcmp(text_at(pod, "status", "phase"), "Running") != 0)
		return false;
	return !is_sidecar ||
	       ((has_container(pod, "containers", SIDECAR_NAME) ||
		 has_container(pod, "initContainers", SIDECAR_NAME)) &&
		!*text_at(meta, "annotations", HANDOVER) &&
		strcmp(text_at(meta, "labels", "app.kubernetes.io/name"), "tapeloop") != 0);
}

static int add_node(struct cluster *c, const json_t *pod, bool is_sidecar, struct err *e)
{
	const char *name = text_at(pod, "metadata", "name"),
		   *node = text_at(pod, "spec", "nodeName");
	const char *name_space = text_at(pod, "metadata", "namespace");
	struct cluster_node n = {.is_sidecar = is_sidecar,
				 .port = is_sidecar ? API_NUMBER : port_of(pod)};
	void *nodes = c->nodes;

	if (!is_asked(pod, is_sidecar))
		return 0;
	if (c->count == CLUSTER_NODES_MAX)
		return err_set(e, -E2BIG, "more than %d daemons", CLUSTER_NODES_MAX);
	if (asprintf(&n.name, "%s%s%s", is_sidecar ? name_space : "node ", is_sidecar ? "/" : "",
		     is_sidecar || !*node ? name : node) < 0)
		n.name = NULL;
	n.name_space = strdup(name_space);
	n.pod = strdup(name);
	if (!n.name || !n.name_space || !n.pod ||
	    !array_room(&nodes, &c->room, c->count, sizeof(*c->nodes))) {
		node_fini(&n);
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

	json_array_foreach(json_object_get(list, "items"), i, pod) if (r == 0) r =
		add_node(c, pod, are_sidecars, e);
	json_decref(list);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct cluster_node *)a)->name,
		      ((const struct cluster_node *)b)->name);
}

/* Who may not list the nodes' daemons, but has sidecars, asks these. */
static int find_all(struct cluster *c, const char *name_space, struct err *e)
{
	AUTO_BUF path = {0};
	struct err why = {0};
	int r;

	buf_add_fmt(&path, "/api/v1/namespaces/%s/pods?labelSelector=%s", installation(), SELECTOR);
	r = add_pods(c, buf_cstr(&path), false, &why);
	if (*name_space && (r == 0 || r == -EPERM)) {
		buf_clear(&path);
		buf_add_fmt(&path, "/api/v1/namespaces/%s/pods", name_space);
		(void)add_pods(c, buf_cstr(&path), true, NULL); /* they are an addition */
	}
	if (r == -EPERM && c->count) {
		cli_note("The nodes' daemons are not asked, only sidecars: %s", why.why);
		return 0;
	}
	return r < 0 ? err_set(e, r, "%s", why.why) : 0;
}

int cluster_find_nodes(struct cluster *c, const char *name_space, struct err *e)
{
	int r = find_all(c, name_space, e);

	if (r == 0 && c->count == 0)
		return err_set(e, -ENXIO,
			       "no daemon runs in namespace %s (pods labelled "
			       "app.kubernetes.io/name=tapeloop, "
			       "component node); $TAPELOOP_KUBE_NAMESPACE names another",
			       installation());
	if (r == 0)
		qsort(c->nodes, c->count, sizeof(*c->nodes), by_name);
	return r < 0 && r != -EPERM && r != -EACCES && e ? (e->code = r == -ENOENT ? -ENXIO : r)
							 : r;
}

int cluster_ask(const struct cluster *c, struct kube_client *client, const struct cluster_node *n,
		struct rest **out, struct err *e)
{
	AUTO_BUF base = {0};

	if (n->is_sidecar)
		return rest_open_pod(c->args, client, n->name_space, n->pod, n->port, n->name, out,
				     e);
	buf_add_fmt(&base, "/api/v1/namespaces/%s/pods/https:%s:%d/proxy", n->name_space, n->pod,
		    n->port);
	return rest_open_kube(client, buf_cstr(&base), c->token, n->name, out, e);
}
