// SPDX-License-Identifier: Apache-2.0
#include "kube/backend.h"

#include <errno.h>
#include <stdio.h>

/*
 * Which port of a service or a pod is meant, and whether it speaks TLS.
 *
 * Named or numbered: that one. Of a pod any number will do, for containers need not declare what they listen
 * to. Not given: the only one; of several the one that the recorded exchanges asked, as the service's
 * number or the pod's, when that leaves one.
 *
 * TLS: what appProtocol says (Service, KEP-1507); else the port's name, https or https-SOMETHING as service
 * meshes have it; else the number 443.
 */

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

static bool is_word_of_tls(const char *word)
{
	static const char *const words[] = {"https", "wss", "grpcs", "tls", "kubernetes.io/wss"};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		size_t n = strlen(words[i]);

		if (strncasecmp(word, words[i], n) == 0 && (word[n] == '\0' || word[n] == '-'))
			return true;
	}
	return false;
}

static bool is_tls(const char *protocol, const char *name, uint16_t port)
{
	if (*protocol)
		return is_word_of_tls(protocol);
	return is_word_of_tls(name) || (port == 443 && strncmp(name, "http", 4) != 0);
}

static void add_offer(struct kube_offers *out, const json_t *port, const char *number)
{
	const char *protocol = text_of(port, "protocol"), *name = text_of(port, "name");
	struct kube_offer offer = {.port = port_of(port, number),
				   .target = port_of(port, "targetPort")};

	if (offer.port == 0 || out->count == KUBE_BACKEND_PORTS_MAX ||
	    (*protocol && strcmp(protocol, "TCP") != 0) || strlen(name) >= sizeof(offer.name))
		return;
	(void)snprintf(offer.name, sizeof(offer.name), "%s", name);
	offer.is_tls = is_tls(text_of(port, "appProtocol"), name, offer.port);
	out->list[out->count++] = offer;
}

void kube_offers_of(const json_t *object, bool is_service, struct kube_offers *out)
{
	const json_t *spec = json_object_get(object, "spec"), *container, *port;
	size_t i, k;

	out->count = 0;
	if (is_service)
		json_array_foreach(json_object_get(spec, "ports"), i, port)
			add_offer(out, port, "port");
	else
		json_array_foreach(json_object_get(spec, "containers"), i, container)
			json_array_foreach(json_object_get(container, "ports"), k, port)
				add_offer(out, port, "containerPort");
}

void kube_ports_add(struct kube_ports *p, uint16_t port)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->list[i] == port)
			return;
	if (p->count < COUNT_OF(p->list) && port)
		p->list[p->count++] = port;
}

static bool is_used(const struct kube_ports *used, const struct kube_offer *o)
{
	for (size_t i = 0; used && i < used->count; i++)
		if (used->list[i] == o->port || used->list[i] == o->target)
			return true;
	return false;
}

static bool is_meant(const struct kube_reference *ref, const struct kube_ports *used, bool by_use,
		     const struct kube_offer *o)
{
	if (ref->port)
		return o->port == ref->port;
	if (*ref->port_name)
		return strcmp(o->name, ref->port_name) == 0;
	return !by_use || is_used(used, o);
}

static int refuse(const struct kube_offers *o, const struct kube_reference *ref, int code,
		  const char *what, struct err *e)
{
	const char *word = kube_resource(ref->kind)->word;
	AUTO_BUF list = {0};

	for (size_t i = 0; i < o->count && list.len < 300; i++)
		buf_add_fmt(&list, "%s%u%s%s%s", i ? ", " : "", o->list[i].port,
			    *o->list[i].name ? " (" : "", o->list[i].name,
			    *o->list[i].name ? ")" : "");
	return err_set(e, code, "%s/%s.%s %s; it has %s: %s/%s.%s:PORT", word, ref->name,
		       ref->name_space, what, o->count ? buf_cstr(&list) : "none that it declares",
		       word, ref->name, ref->name_space);
}

/* Return: how many are meant; *out the first */
static size_t count_meant(const struct kube_offers *o, const struct kube_reference *ref,
			  const struct kube_ports *used, bool by_use, const struct kube_offer **out)
{
	size_t count = 0;

	for (size_t i = o->count; i-- > 0;)
		if (is_meant(ref, used, by_use, &o->list[i])) {
			*out = &o->list[i];
			count++;
		}
	return count;
}

int kube_offers_choose(const struct kube_offers *o, const struct kube_reference *ref,
		       const struct kube_ports *used, const struct kube_offer **out, struct err *e)
{
	static const struct kube_offer undeclared[] = {{0}};
	bool is_given = ref->port || *ref->port_name;
	size_t count = count_meant(o, ref, used, false, out);

	if (count > 1 && !is_given && used)
		count = count_meant(o, ref, used, true, out);
	if (count == 1 ||
	    (count > 1 && is_given)) /* a pod's port may be declared by two containers */
		return 0;
	if (count == 0 && is_given && (ref->kind == KUBE_SERVICE || *ref->port_name))
		return refuse(o, ref, -EINVAL, "has no such port", e);
	if (count == 0 && is_given) {
		*out = undeclared; /* the caller knows the number */
		return 0;
	}
	return refuse(o, ref, -ENOTUNIQ,
		      o->count ? "has several ports, and what was recorded does not tell which"
			       : "does not say its port",
		      e);
}
