// SPDX-License-Identifier: Apache-2.0
#include "kube/service.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/json_field.h"
#include "lib/json_scan.h"

/*
 * Theory of operation. Which pods are behind a service follows from its selector and their labels at
 * once, before any of them is ready and an EndpointSlice says so. All texts lie behind the struct.
 */
static struct span text_of(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_string(v) ? span_of(json_string_value(v), json_string_length(v))
				 : (struct span){0};
}

static uint16_t port_of(const json_t *v)
{
	json_int_t n = json_integer_value(v);

	return n > 0 && n <= UINT16_MAX ? (uint16_t)n : 0;
}

static void gather_ports(struct kube_service *s, const json_t *spec)
{
	const json_t *ports = json_object_get(spec, "ports"), *port;
	size_t i;

	json_array_foreach(ports, i, port)
	{
		struct span protocol = text_of(port, "protocol");
		struct kube_service_port p = {.port = port_of(json_object_get(port, "port")),
					      .target =
						      port_of(json_object_get(port, "targetPort")),
					      .target_name = text_of(port, "targetPort")};

		if (!p.target && !p.target_name.len)
			p.target = p.port;
		if (p.port && s->port_count < KUBE_SERVICE_PORTS_MAX &&
		    (!protocol.len || span_eq(protocol, SPAN_LIT("TCP"))))
			s->ports[s->port_count++] = p;
	}
}

static void add_address(struct kube_service *s, struct span text)
{
	uint8_t address[16] = {0};

	if (s->address_count == KUBE_SERVICE_ADDRESSES_MAX || !kube_address(text, address))
		return;
	for (size_t i = 0; i < s->address_count; i++)
		if (memcmp(s->addresses[i], address, 16) == 0)
			return;
	memcpy(s->addresses[s->address_count++], address, 16);
}

static void gather_addresses(struct kube_service *s, const json_t *spec)
{
	const json_t *all = json_object_get(spec, "clusterIPs"), *one;
	size_t i;

	add_address(s, text_of(spec, "clusterIP"));
	json_array_foreach(all, i, one) add_address(s, span_str(json_string_value(one)));
}

static struct span move_text(struct span s, uint8_t **to)
{
	struct span copy = {*to, s.len};

	if (s.len)
		memcpy(*to, s.ptr, s.len);
	*to += s.len;
	return copy;
}

static struct kube_service *make_service(const struct kube_service *d)
{
	size_t n = d->name.len + d->name_space.len + d->uid.len + d->selector.len;
	struct kube_service *s;
	uint8_t *to;

	for (size_t i = 0; i < d->port_count; i++)
		n += d->ports[i].target_name.len;
	s = malloc(sizeof(*s) + n);
	if (!s)
		return NULL;
	*s = *d;
	to = (uint8_t *)(s + 1);
	s->name = move_text(d->name, &to);
	s->name_space = move_text(d->name_space, &to);
	s->uid = move_text(d->uid, &to);
	s->selector = move_text(d->selector, &to);
	for (size_t i = 0; i < d->port_count; i++)
		s->ports[i].target_name = move_text(d->ports[i].target_name, &to);
	return s;
}

int kube_service_parse(const json_t *object, struct kube_service **out, struct err *e)
{
	const json_t *meta = json_object_get(object, "metadata"),
		     *spec = json_object_get(object, "spec");
	struct kube_service draft = {.name = text_of(meta, "name"),
				     .name_space = text_of(meta, "namespace"),
				     .uid = text_of(meta, "uid"),
				     .created_ns = json_field_time(meta, "creationTimestamp")};
	AUTO_BUF selector = {0};

	if (!draft.name.len || !draft.name_space.len || !draft.uid.len)
		return err_set(e, -EINVAL, "a service without name, namespace or UID");
	(void)labels_from_json(json_object_get(spec, "selector"), NULL, NULL, &selector);
	draft.selector = buf_span(&selector);
	gather_ports(&draft, spec);
	gather_addresses(&draft, spec);
	*out = selector.is_failed ? NULL : make_service(&draft);
	return *out ? 0 : err_set(e, -ENOMEM, "a service: out of memory");
}

void kube_service_free(struct kube_service *s)
{
	free(s);
}

bool kube_service_selects(const struct kube_service *s, const struct kube_pod *pod)
{
	struct json_scan_iter it = {.rest = s->selector};
	struct json_scan labels = json_scan_value(pod->who.labels);

	if (!s->selector.len || !span_eq(s->name_space, pod->who.name_space))
		return false;
	while (json_scan_next(&it)) {
		struct json_scan v = json_scan_member(&labels, it.key.text);

		/* keys and values of labels need no escapes (Kubernetes: syntax and character set) */
		if (v.type != JSON_SCAN_TEXT || !span_eq(v.text, it.value.text))
			return false;
	}
	return true;
}

uint16_t kube_service_target(const struct kube_service_port *p, const struct kube_pod *pod)
{
	if (p->target)
		return p->target;
	for (size_t i = 0; i < pod->port_count; i++)
		if (span_eq(pod->ports[i].name, p->target_name))
			return pod->ports[i].port;
	return 0;
}
