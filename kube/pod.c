// SPDX-License-Identifier: Apache-2.0
#include "kube/pod.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/json_field.h"

/*
 * Theory of operation. A Pod is some ten kilobytes of JSON of which we need some hundred bytes. They
 * are first gathered as a draft whose texts point into the JSON, then copied into one piece of
 * memory with a count of references before it.
 *
 * A pod of a Deployment is owned by a ReplicaSet whose name is the Deployment's with the pod's label
 * pod-template-hash behind it: the Deployment follows from these two without asking for the
 * ReplicaSet. A Job's name says nothing certain of a CronJob (kube/register.c). Pods of a kubelet's
 * own files are owned by their Node, which is no workload.
 */
struct block {
	_Atomic uint32_t references;
	struct kube_pod pod;
};

struct draft {
	struct kube_pod pod;
	struct kube_container containers[KUBE_POD_CONTAINERS_MAX];
	struct kube_container_port ports[KUBE_POD_PORTS_MAX];
	struct buf labels, annotations;
};

static struct span text_of(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_string(v) ? span_of(json_string_value(v), json_string_length(v))
				 : (struct span){0};
}

static uint16_t port_of(const json_t *object, const char *key)
{
	uint64_t n = json_field_u64(object, key);

	return n <= UINT16_MAX ? (uint16_t)n : 0;
}

bool kube_address(struct span text, uint8_t out[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char copy[INET6_ADDRSTRLEN];

	if (text.len == 0 || text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (inet_pton(AF_INET, copy, out + 12) == 1) {
		memcpy(out, mapped, sizeof(mapped));
		return true;
	}
	return inet_pton(AF_INET6, copy, out) == 1;
}

/* ---- gathering ---- */

/* a whole key, or the beginning of one and *, in a list with commas between */
static bool is_chosen(void *ctx, struct span key)
{
	const char *at = ctx;

	while (at && *at) {
		size_t n = strcspn(at, ",");
		struct span row = span_trim(span_of(at, n));
		bool is_prefix = row.len && row.ptr[row.len - 1] == '*';

		if (is_prefix ? key.len >= row.len - 1 && memcmp(key.ptr, row.ptr, row.len - 1) == 0
			      : row.len && span_eq(key, row))
			return true;
		at += n + (at[n] == ',');
	}
	return false;
}

static void gather_owner(struct draft *d, const json_t *meta)
{
	const json_t *owners = json_object_get(meta, "ownerReferences"), *owner;
	struct identity *who = &d->pod.who;
	struct span hash = d->pod.template_hash;
	size_t i, stem;

	json_array_foreach(owners, i, owner)
	{
		if (!json_is_true(json_object_get(owner, "controller")))
			continue;
		who->workload = text_of(owner, "name");
		who->workload_kind = text_of(owner, "kind");
		d->pod.owner_uid = text_of(owner, "uid");
	}
	if (span_eq(who->workload_kind, SPAN_LIT("Node")))
		who->workload = who->workload_kind = (struct span){0};
	stem = who->workload.len - MIN(hash.len, who->workload.len);
	if (!hash.len || stem < 2 || !span_eq(who->workload_kind, SPAN_LIT("ReplicaSet")) ||
	    who->workload.ptr[stem - 1] != '-' || !span_eq(span_from(who->workload, stem), hash))
		return;
	who->workload.len = stem - 1;
	who->workload_kind = SPAN_LIT("Deployment");
}

static int gather_meta(struct draft *d, const json_t *meta, const struct kube_pod_choice *choice,
		       struct err *e)
{
	struct identity *who = &d->pod.who;
	const json_t *labels = json_object_get(meta, "labels");

	who->pod = text_of(meta, "name");
	who->name_space = text_of(meta, "namespace");
	who->pod_uid = text_of(meta, "uid");
	if (!who->pod.len || !who->name_space.len || !who->pod_uid.len)
		return err_set(e, -EINVAL, "a pod without name, namespace or UID");
	d->pod.resource_version = text_of(meta, "resourceVersion");
	d->pod.created_ns = json_field_time(meta, "creationTimestamp");
	d->pod.deletion_ns = json_field_time(meta, "deletionTimestamp");
	d->pod.template_hash = text_of(labels, "pod-template-hash");
	(void)labels_from_json(labels, NULL, NULL, &d->labels);
	if (choice && choice->annotations && *choice->annotations)
		(void)labels_from_json(json_object_get(meta, "annotations"), is_chosen,
				       (void *)(uintptr_t)choice->annotations, &d->annotations);
	if (d->labels.is_failed || d->annotations.is_failed)
		return err_set(e, -ENOMEM, "a pod: out of memory");
	who->labels = buf_span(&d->labels);
	who->annotations = buf_span(&d->annotations);
	who->source = IDENTITY_API;
	who->certainty = CERTAINTY_CERTAIN;
	gather_owner(d, meta);
	return 0;
}

static void gather_ports(struct draft *d, const json_t *container)
{
	const json_t *ports = json_object_get(container, "ports"), *port;
	size_t i;

	json_array_foreach(ports, i, port)
	{
		struct span protocol = text_of(port, "protocol");
		struct kube_container_port p = {.name = text_of(port, "name"),
						.container = text_of(container, "name"),
						.port = port_of(port, "containerPort"),
						.host_port = port_of(port, "hostPort")};

		if (p.port && d->pod.port_count < KUBE_POD_PORTS_MAX &&
		    (!protocol.len || span_eq(protocol, SPAN_LIT("TCP"))))
			d->ports[d->pod.port_count++] = p;
	}
}

/* "containerd://4f2a..." without its scheme */
static struct span container_id(struct span s)
{
	const uint8_t *at = span_find(s, SPAN_LIT("://"));

	return at ? span_from(s, (size_t)(at - s.ptr) + 3) : s;
}

static void gather_state(struct kube_container *c, const json_t *status)
{
	const json_t *state = json_object_get(status, "state");
	const json_t *running = json_object_get(state, "running");
	const json_t *ended = json_object_get(state, "terminated");

	c->id = container_id(text_of(status, "containerID"));
	c->started_ns = json_field_time(running ? running : ended, "startedAt");
	c->finished_ns = json_field_time(ended, "finishedAt");
}

static void gather_containers(struct draft *d, const json_t *spec, const json_t *status,
			      const char *key, const char *status_key, bool is_init)
{
	const json_t *all = json_object_get(spec, key), *one, *said;
	const json_t *states = json_object_get(status, status_key);
	size_t i, k;

	json_array_foreach(all, i, one)
	{
		struct kube_container c = {.name = text_of(one, "name"), .is_init = is_init};

		gather_ports(d, one);
		json_array_foreach(states, k, said) if (span_eq(text_of(said, "name"), c.name))
			gather_state(&c, said);
		if (d->pod.container_count < KUBE_POD_CONTAINERS_MAX)
			d->containers[d->pod.container_count++] = c;
	}
}

static void add_address(struct kube_pod *p, struct span text)
{
	uint8_t address[16] = {0};

	if (!kube_address(text, address) || p->address_count == KUBE_POD_ADDRESSES_MAX)
		return;
	for (size_t i = 0; i < p->address_count; i++)
		if (memcmp(p->addresses[i], address, sizeof(address)) == 0)
			return;
	memcpy(p->addresses[p->address_count++], address, sizeof(address));
}

static void gather_status(struct draft *d, const json_t *spec, const json_t *status)
{
	const json_t *addresses = json_object_get(status, "podIPs"), *one;
	struct span phase = text_of(status, "phase");
	struct kube_pod *p = &d->pod;
	size_t i;

	p->who.node = text_of(spec, "nodeName");
	p->is_host_network = json_is_true(json_object_get(spec, "hostNetwork"));
	p->has_host_address = kube_address(text_of(status, "hostIP"), p->host_address);
	p->accepted_ns = json_field_time(status, "startTime");
	p->has_ended = span_eq(phase, SPAN_LIT("Succeeded")) || span_eq(phase, SPAN_LIT("Failed"));
	add_address(p, text_of(status, "podIP"));
	json_array_foreach(addresses, i, one) add_address(p, text_of(one, "ip"));
	gather_containers(d, spec, status, "containers", "containerStatuses", false);
	gather_containers(d, spec, status, "initContainers", "initContainerStatuses", true);
}

/* ---- one piece ---- */

/* every text of a pod, so that size and copy cannot disagree */
// clang-format off
#define TEXTS_OF_POD(p, S)                                                                         \
	S((p)->who.name_space) S((p)->who.pod) S((p)->who.pod_uid) S((p)->who.node)                \
	S((p)->who.labels) S((p)->who.annotations) S((p)->who.workload) S((p)->who.workload_kind)  \
	S((p)->resource_version) S((p)->owner_uid) S((p)->template_hash)
// clang-format on

static size_t texts_bytes(const struct draft *d)
{
	size_t n = 0;

#define ADD(s) n += (s).len;
	TEXTS_OF_POD(&d->pod, ADD)
	for (size_t i = 0; i < d->pod.container_count; i++)
		n += d->containers[i].name.len + d->containers[i].id.len;
	for (size_t i = 0; i < d->pod.port_count; i++)
		n += d->ports[i].name.len + d->ports[i].container.len;
#undef ADD
	return n;
}

static struct span move_text(struct span s, uint8_t **to)
{
	struct span copy = {*to, s.len};

	if (s.len)
		memcpy(*to, s.ptr, s.len);
	*to += s.len;
	return copy;
}

static const struct kube_pod *make_pod(const struct draft *d)
{
	size_t containers = d->pod.container_count * sizeof(d->containers[0]);
	size_t ports = d->pod.port_count * sizeof(d->ports[0]);
	struct block *b = malloc(sizeof(*b) + containers + ports + texts_bytes(d));
	struct kube_container *c;
	struct kube_container_port *q;
	uint8_t *to;

	if (!b)
		return NULL;
	*b = (struct block){.references = 1, .pod = d->pod};
	c = (struct kube_container *)(void *)(b + 1);
	q = (struct kube_container_port *)(void *)((uint8_t *)c + containers);
	to = (uint8_t *)q + ports;
	memcpy(c, d->containers, containers);
	memcpy(q, d->ports, ports);
#define COPY(s) s = move_text(s, &to);
	TEXTS_OF_POD(&b->pod, COPY)
	for (size_t i = 0; i < d->pod.container_count; i++) {
		COPY(c[i].name)
		COPY(c[i].id)
	}
	for (size_t i = 0; i < d->pod.port_count; i++) {
		COPY(q[i].name)
		COPY(q[i].container)
	}
#undef COPY
	b->pod.containers = c;
	b->pod.ports = q;
	return &b->pod;
}

int kube_pod_parse(const json_t *object, const struct kube_pod_choice *choice,
		   const struct kube_pod **pod_out, struct err *e)
{
	struct draft d = {0};
	const struct kube_pod *pod = NULL;
	int r = gather_meta(&d, json_object_get(object, "metadata"), choice, e);

	if (r == 0) {
		gather_status(&d, json_object_get(object, "spec"),
			      json_object_get(object, "status"));
		pod = make_pod(&d);
		if (!pod)
			r = err_set(e, -ENOMEM, "a pod: out of memory");
	}
	buf_fini(&d.labels);
	buf_fini(&d.annotations);
	if (r == 0)
		*pod_out = pod;
	return r;
}

static struct block *block_of(const struct kube_pod *p)
{
	return (struct block *)((uintptr_t)p - offsetof(struct block, pod));
}

const struct kube_pod *kube_pod_ref(const struct kube_pod *p)
{
	(void)atomic_fetch_add_explicit(&block_of(p)->references, 1, memory_order_relaxed);
	return p;
}

void kube_pod_unref(const struct kube_pod *p)
{
	if (p && atomic_fetch_sub_explicit(&block_of(p)->references, 1, memory_order_acq_rel) == 1)
		free(block_of(p));
}
