// SPDX-License-Identifier: Apache-2.0
#include "kube/backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kube/pod.h"
#include "lib/array.h"

/*
 * Theory of operation
 *
 * A service: its ports and cluster addresses are the Service's, the pods those of its Endpoints (API v1: there
 * on every cluster; EndpointSlices have left beta in 1.21 only), which say the pods' port, too. A workload: its
 * selector lists pods, and a pod is ready by its condition. Which port: kube/offers.c.
 *
 * What comes from the API server goes into paths again (names of pods), so it is checked like what a
 * person typed.
 */

/* ---- JSON ---- */

static const json_t *at(const json_t *o, const char *a, const char *b)
{
	return json_object_get(json_object_get(o, a), b);
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static uint16_t port_of(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 && n <= UINT16_MAX ? (uint16_t)n : 0;
}

/* ---- pods ---- */

struct pods {
	struct kube_backend_pod *list;
	size_t count, room, unready, surplus;
	bool has_failed;
};

static bool is_safe_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.");

	return n > 0 && n <= KUBE_NAME_MAX && name[n] == '\0' && name[0] != '.';
}

static void add_pod(struct pods *p, const char *name, const char *address, uint16_t port)
{
	struct kube_backend_pod pod = {.port = port};
	void *list = p->list;

	if ((*name && !is_safe_name(name)) || !kube_address(span_str(address), pod.address) ||
	    port == 0)
		return;
	if (p->count == KUBE_BACKEND_PODS_MAX) {
		p->surplus++;
		return;
	}
	if (!array_room(&list, &p->room, p->count, sizeof(*p->list))) {
		p->has_failed = true;
		return;
	}
	(void)snprintf(pod.name, sizeof(pod.name), "%s", name);
	p->list = list;
	p->list[p->count++] = pod;
}

/* of a subset of Endpoints; a port without a name is the only one */
static uint16_t subset_port(const json_t *subset, const char *name)
{
	const json_t *port;
	size_t i;

	json_array_foreach(json_object_get(subset, "ports"), i,
			   port) if (strcmp(text_of(port, "name"), name) ==
				     0) return port_of(port, "port");
	return 0;
}

static void add_endpoints(struct pods *p, const json_t *endpoints, const char *port_name)
{
	const json_t *subset, *address;
	size_t i, k;

	json_array_foreach(json_object_get(endpoints, "subsets"), i, subset)
	{
		uint16_t port = subset_port(subset, port_name);

		json_array_foreach(json_object_get(subset, "addresses"), k, address)
		{
			const json_t *of = json_object_get(address, "targetRef");
			bool is_pod = strcmp(text_of(of, "kind"), "Pod") == 0;

			add_pod(p, is_pod ? text_of(of, "name") : "", text_of(address, "ip"), port);
		}
		p->unready += json_array_size(json_object_get(subset, "notReadyAddresses"));
	}
}

static bool is_ready(const json_t *pod)
{
	const json_t *condition;
	size_t i;

	if (*text_of(json_object_get(pod, "metadata"), "deletionTimestamp"))
		return false;
	json_array_foreach(at(pod, "status", "conditions"), i,
			   condition) if (strcmp(text_of(condition, "type"), "Ready") ==
					  0) return strcmp(text_of(condition, "status"), "True") ==
		0;
	return false;
}

/* the pod's own number of the port that was chosen by name: pods of one workload may differ in it */
static uint16_t named_port(const json_t *pod, const char *name, uint16_t otherwise)
{
	struct kube_offers offers;

	kube_offers_of(pod, false, &offers);
	for (size_t i = 0; *name && i < offers.count; i++)
		if (strcmp(offers.list[i].name, name) == 0)
			return offers.list[i].port;
	return otherwise;
}

static void add_if_ready(struct pods *p, const json_t *pod, const struct kube_backend *b)
{
	const char *phase = text_of(json_object_get(pod, "status"), "phase");

	if (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0)
		return;
	if (!is_ready(pod)) {
		p->unready++;
		return;
	}
	add_pod(p, text_of(json_object_get(pod, "metadata"), "name"),
		text_of(json_object_get(pod, "status"), "podIP"),
		named_port(pod, b->port_name, b->port));
}

int kube_backend_update(struct kube_backend *b, const json_t *object)
{
	const json_t *items = json_object_get(object, "items"), *pod;
	struct pods p = {0};
	size_t i;

	if (b->reference.kind == KUBE_SERVICE)
		add_endpoints(&p, object, b->port_name);
	else if (b->reference.kind == KUBE_POD)
		add_if_ready(&p, object, b);
	json_array_foreach(items, i, pod) add_if_ready(&p, pod, b);
	if (p.has_failed) {
		free(p.list);
		return -ENOMEM;
	}
	free(b->pods);
	b->pods = p.list;
	b->pod_count = p.count;
	b->unready_count = p.unready;
	b->surplus_count = p.surplus;
	return 0;
}

/* ---- finding ---- */

static void add_cluster(struct kube_backend *b, const char *text)
{
	uint8_t address[16];

	if (b->cluster_count == COUNT_OF(b->cluster) || !kube_address(span_str(text), address))
		return; /* "None", or more than two families */
	for (size_t i = 0; i < b->cluster_count; i++)
		if (memcmp(b->cluster[i], address, sizeof(address)) == 0)
			return;
	memcpy(b->cluster[b->cluster_count++], address, sizeof(address));
}

static int take_offer(struct kube_backend *b, const struct kube_offers *offers,
		      const struct kube_ports *used, struct err *e)
{
	const struct kube_offer *offer = NULL;
	int r = kube_offers_choose(offers, &b->reference, used, &offer, e);

	if (r < 0)
		return r;
	/* one that no container declares */
	b->port = offer->port ? offer->port : b->reference.port;
	(void)snprintf(b->port_name, sizeof(b->port_name), "%s", offer->name);
	b->is_tls = b->reference.scheme == KUBE_SCHEME_ANY
			    ? offer->is_tls || (!offer->port && b->port == 443)
			    : b->reference.scheme == KUBE_SCHEME_HTTPS;
	return 0;
}

static int read_service(struct kube_backend *b, const json_t *service,
			const struct kube_ports *used, struct err *e)
{
	const json_t *spec = json_object_get(service, "spec"), *address;
	struct kube_offers offers;
	size_t i;

	if (strcmp(text_of(spec, "type"), "ExternalName") == 0)
		return err_set(e, -EINVAL, "svc/%s.%s only stands for the name %s: --to http://%s",
			       b->reference.name, b->reference.name_space,
			       text_of(spec, "externalName"), text_of(spec, "externalName"));
	add_cluster(b, text_of(spec, "clusterIP"));
	json_array_foreach(json_object_get(spec, "clusterIPs"), i,
			   address) if (json_is_string(address))
		add_cluster(b, json_string_value(address));
	kube_offers_of(service, true, &offers);
	return take_offer(b, &offers, used, e);
}

/* matchLabels and matchExpressions (meta/v1 LabelSelector) as a query */
static void add_selector(struct buf *out, const json_t *selector)
{
	static const struct {
		const char *operator, * before, *between, *behind;
	} forms[] = {
		{"In", "", "%20in%20(", ")"},
		{"NotIn", "", "%20notin%20(", ")"},
		{"Exists", "", "", ""},
		{"DoesNotExist", "%21", "", ""},
	};
	const char *key, *comma = "";
	const json_t *value, *expression;
	size_t i, k;

	json_object_foreach((json_t *)(uintptr_t)json_object_get(selector, "matchLabels"), key,
			    value)
	{
		buf_add_fmt(out, "%s%s%%3D%s", comma, key,
			    json_is_string(value) ? json_string_value(value) : "");
		comma = "%2C";
	}
	json_array_foreach(json_object_get(selector, "matchExpressions"), i,
			   expression) for (size_t f = 0; f < COUNT_OF(forms); f++)
	{
		if (strcmp(text_of(expression, "operator"), forms[f].operator) != 0)
			continue;
		buf_add_fmt(out, "%s%s%s%s", comma, forms[f].before, text_of(expression, "key"),
			    forms[f].between);
		json_array_foreach(json_object_get(expression, "values"), k, value)
			buf_add_fmt(out, "%s%s", k ? "%2C" : "",
				    json_is_string(value) ? json_string_value(value) : "");
		buf_add_str(out, forms[f].behind);
		comma = "%2C";
	}
}

/* labels have no such octets: who sends them means a path of ours */
static bool is_query(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f || memchr("&#?\"<>", s.ptr[i], 6))
			return false;
	return true;
}

static int read_workload(struct kube_backend *b, const json_t *object,
			 const struct kube_ports *used, struct err *e)
{
	const json_t *spec = json_object_get(object, "spec");
	struct kube_offers offers;
	AUTO_BUF path = {0};
	AUTO_BUF selector = {0};

	if (b->reference.kind != KUBE_POD) {
		add_selector(&selector, json_object_get(spec, "selector"));
		if (!selector.len || !is_query(buf_span(&selector)))
			return err_set(e, -EPROTO, "%s/%s.%s: its selector cannot be used",
				       kube_resource(b->reference.kind)->word, b->reference.name,
				       b->reference.name_space);
		buf_add_fmt(&path, "/api/v1/namespaces/%s/pods?labelSelector=%s",
			    b->reference.name_space, buf_cstr(&selector));
		free(b->pods_path);
		b->pods_path = strdup(buf_cstr(&path));
		object = json_object_get(spec, "template");
	}
	if (!b->pods_path)
		return err_set(e, -ENOMEM, "out of memory");
	kube_offers_of(object, false, &offers);
	/* containers need not declare what they listen to: then what was asked before says it */
	if (offers.count == 0 && used)
		for (size_t i = 0; i < used->count; i++)
			offers.list[offers.count++] = (struct kube_offer){.port = used->list[i]};
	return take_offer(b, &offers, used, e);
}

static int find(struct kube_client *c, struct kube_backend *b, const struct kube_ports *used,
		struct err *e)
{
	const struct kube_resource *resource = kube_resource(b->reference.kind);
	json_t *object = NULL;
	AUTO_BUF path = {0};
	int r;

	buf_add_fmt(&path, "%s/namespaces/%s/%s/%s", resource->prefix, b->reference.name_space,
		    resource->plural, b->reference.name);
	r = kube_get(c, buf_cstr(&path), &object, e);
	if (r < 0)
		return r;
	if (b->reference.kind == KUBE_SERVICE) {
		r = read_service(b, object, used, e);
		buf_clear(&path);
		buf_add_fmt(&path, "/api/v1/namespaces/%s/endpoints/%s", b->reference.name_space,
			    b->reference.name);
	}
	b->pods_path = strdup(buf_cstr(&path));
	if (r == 0 && b->reference.kind != KUBE_SERVICE)
		r = read_workload(b, object, used, e);
	json_decref(object);
	return r;
}

static int list_pods(struct kube_client *c, struct kube_backend *b, struct err *e)
{
	json_t *object = NULL;
	int r = b->pods_path ? kube_get(c, b->pods_path, &object, e)
			     : err_set(e, -ENOMEM, "out of memory");

	if (r == 0 && kube_backend_update(b, object) < 0)
		r = err_set(e, -ENOMEM, "out of memory");
	json_decref(object);
	if (r == 0 && b->pod_count == 0)
		r = err_set(e, -EHOSTUNREACH, "%s/%s.%s has no ready pod (%zu are not ready)",
			    kube_resource(b->reference.kind)->word, b->reference.name,
			    b->reference.name_space, b->unready_count);
	return r;
}

int kube_backend_find(struct kube_client *c, const struct kube_reference *ref,
		      const char *name_space, const struct kube_ports *used,
		      struct kube_backend *out, struct err *e)
{
	struct kube_backend b = {.reference = *ref};
	int r;

	if (!*b.reference.name_space)
		(void)snprintf(b.reference.name_space, sizeof(b.reference.name_space), "%s",
			       name_space);
	r = find(c, &b, used, e);
	if (r == 0)
		r = list_pods(c, &b, e);
	*out = b;
	return r;
}

void kube_backend_fini(struct kube_backend *b)
{
	free(b->pods);
	free(b->pods_path);
	*b = (struct kube_backend){0};
}
