// SPDX-License-Identifier: Apache-2.0
#include "kube/slice.h"

#include <errno.h>
#include <stdlib.h>

#include "kube/pod.h"
#include "lib/json_field.h"

/*
 * Theory of operation. An EndpointSlice has endpoints and ports side by side, and names its service by a
 * label. Endpoints have subsets of addresses with their ports, ready or not, and their service's name. Each
 * becomes a list of addresses with a pod and ports, whether it is ready or not: what is asked there is asked
 * of the service. Endpoints and texts lie behind the struct.
 */
#define LABEL_SERVICE "kubernetes.io/service-name"

struct draft {
	struct kube_slice slice;
	struct kube_endpoint *endpoints; /* owned; KUBE_SLICE_ENDPOINTS_MAX */
	size_t count, text_bytes;
};

static struct span text_of(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_string(v) ? span_of(json_string_value(v), json_string_length(v))
				 : (struct span){0};
}

static void gather_ports(const json_t *ports, struct kube_endpoint *to)
{
	const json_t *port;
	size_t i;

	json_array_foreach(ports, i, port)
	{
		struct span protocol = text_of(port, "protocol");
		json_int_t n = json_integer_value(json_object_get(port, "port"));

		if (n > 0 && n <= UINT16_MAX && to->port_count < KUBE_SLICE_PORTS_MAX &&
		    (!protocol.len || span_eq(protocol, SPAN_LIT("TCP"))))
			to->ports[to->port_count++] = (uint16_t)n;
	}
}

static void add_endpoint(struct draft *d, struct span address, const json_t *target,
			 const struct kube_endpoint *ports)
{
	struct kube_endpoint *to = &d->endpoints[d->count];
	bool is_pod = span_eq(text_of(target, "kind"), SPAN_LIT("Pod"));

	if (d->count == KUBE_SLICE_ENDPOINTS_MAX)
		return;
	*to = *ports;
	if (!kube_address(address, to->address))
		return; /* a name (FQDN) */
	to->pod_uid = is_pod ? text_of(target, "uid") : (struct span){0};
	d->text_bytes += to->pod_uid.len;
	d->count++;
}

static void gather_slice(struct draft *d, const json_t *object)
{
	const json_t *all = json_object_get(object, "endpoints"), *one, *address;
	struct kube_endpoint ports = {0};
	size_t i, k;

	gather_ports(json_object_get(object, "ports"), &ports);
	json_array_foreach(all, i, one)
		json_array_foreach(json_object_get(one, "addresses"), k, address)
			add_endpoint(d, span_str(json_string_value(address)),
				     json_object_get(one, "targetRef"), &ports);
}

static void gather_subset(struct draft *d, const json_t *subset)
{
	static const char *const lists[] = {"addresses", "notReadyAddresses"};
	struct kube_endpoint ports = {0};
	const json_t *one;
	size_t k;

	gather_ports(json_object_get(subset, "ports"), &ports);
	for (size_t i = 0; i < COUNT_OF(lists); i++)
		json_array_foreach(json_object_get(subset, lists[i]), k, one) add_endpoint(
			d, text_of(one, "ip"), json_object_get(one, "targetRef"), &ports);
}

static struct span move_text(struct span s, uint8_t **to)
{
	struct span copy = {*to, s.len};

	if (s.len)
		memcpy(*to, s.ptr, s.len);
	*to += s.len;
	return copy;
}

static struct kube_slice *make_slice(const struct draft *d)
{
	const struct kube_slice *from = &d->slice;
	size_t bytes = d->count * sizeof(*d->endpoints);
	struct kube_slice *s = malloc(sizeof(*s) + bytes + d->text_bytes + from->service.len +
				      from->name_space.len + from->uid.len);
	struct kube_endpoint *endpoints;
	uint8_t *to;

	if (!s)
		return NULL;
	*s = *from;
	endpoints = (struct kube_endpoint *)(s + 1);
	to = (uint8_t *)(endpoints + d->count);
	if (d->count)
		memcpy(endpoints, d->endpoints, bytes);
	for (size_t i = 0; i < d->count; i++)
		endpoints[i].pod_uid = move_text(endpoints[i].pod_uid, &to);
	s->service = move_text(s->service, &to);
	s->name_space = move_text(s->name_space, &to);
	s->uid = move_text(s->uid, &to);
	s->endpoints = endpoints;
	s->endpoint_count = d->count;
	return s;
}

int kube_slice_parse(const json_t *object, struct kube_slice **out, struct err *e)
{
	const json_t *meta = json_object_get(object, "metadata"), *subset;
	const json_t *subsets = json_object_get(object, "subsets");
	bool is_slice =
		json_object_get(object, "endpoints") || json_object_get(object, "addressType");
	struct draft d = {.slice = {.service = is_slice ? text_of(json_object_get(meta, "labels"),
								  LABEL_SERVICE)
							: text_of(meta, "name"),
				    .name_space = text_of(meta, "namespace"),
				    .uid = text_of(meta, "uid"),
				    .created_ns = json_field_time(meta, "creationTimestamp")}};
	size_t i;

	if (!d.slice.service.len || !d.slice.name_space.len || !d.slice.uid.len)
		return err_set(e, -EINVAL, "endpoints without service, namespace or UID");
	d.endpoints = calloc(KUBE_SLICE_ENDPOINTS_MAX, sizeof(*d.endpoints));
	if (d.endpoints && is_slice)
		gather_slice(&d, object);
	json_array_foreach(subsets, i, subset) if (d.endpoints && !is_slice)
		gather_subset(&d, subset);
	*out = d.endpoints ? make_slice(&d) : NULL;
	free(d.endpoints);
	return *out ? 0 : err_set(e, -ENOMEM, "endpoints: out of memory");
}

void kube_slice_free(struct kube_slice *s)
{
	free(s);
}
