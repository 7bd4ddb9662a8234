// SPDX-License-Identifier: Apache-2.0
#include "node/cri_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/protobuf.h"
#include "schema/labels.h"

/*
 * Theory of operation. A message is read field by field; the numbers below are all that is needed of
 * api.proto, and others are passed over. Maps are repeated entries of key = 1, value = 2.
 *
 * A kubelet puts the pod's own labels on its sandbox, and with them io.kubernetes.pod.name, .namespace and
 * .uid, which the metadata say as well: those are left out.
 *
 * Where the network namespace is the interface does not say. containerd and CRI-O both put their OCI
 * runtime specification into the verbose information, which is JSON: .runtimeSpec.linux.namespaces[] names
 * it with its path, .pid the process that holds it. What is missing there or is of another type is
 * as if it were not said.
 */
enum {
	LIST_ITEMS = 1,

	SANDBOX_ID = 1,
	SANDBOX_STATE = 3, /* 0 ready, 1 not */

	RESPONSE_STATUS = 1,
	RESPONSE_INFO = 2,

	STATUS_ID = 1,
	STATUS_METADATA = 2,
	STATUS_STATE = 3,
	STATUS_CREATED_AT = 4, /* ns since 1970 */
	STATUS_NETWORK = 5,
	STATUS_LINUX = 6,
	STATUS_LABELS = 7,
	STATUS_ANNOTATIONS = 8,

	METADATA_NAME = 1,
	METADATA_UID = 2,
	METADATA_NAMESPACE = 3,

	NETWORK_IP = 1,
	NETWORK_ADDITIONAL_IPS = 2,
	POD_IP_IP = 1,

	LINUX_NAMESPACES = 1,
	NAMESPACE_OPTIONS = 2,
	OPTIONS_NETWORK = 1, /* 0 pod, 1 container, 2 node */
	NETWORK_OF_NODE = 2,
};
#define NAME_MAX_BYTES 256 /* names in Kubernetes have 253 octets at most (RFC 1123) */

/* What is gathered before it becomes immutable. */
struct draft {
	struct cri_pod *pod;
	struct span name, name_space, uid; /* borrowed from the message */
	json_t *labels, *annotations;
	struct span info;
};

/* The same function for each level: a handler for one field. Return of take_all(): 0 or -EBADMSG. */
typedef void take_fn(struct draft *d, const struct proto_field *f);

static int take_all(struct span message, take_fn *take, struct draft *d)
{
	struct proto_field f;
	int r;

	while ((r = proto_next(&message, &f)) > 0)
		take(d, &f);
	return r;
}

static bool is_bytes(const struct proto_field *f, uint32_t number)
{
	return f->number == number && f->wire == PROTO_BYTES;
}

static void take_entry(struct span entry, struct span *key, struct span *value)
{
	struct proto_field f;

	*key = *value = (struct span){0};
	while (proto_next(&entry, &f) > 0) {
		if (is_bytes(&f, 1))
			*key = f.bytes;
		else if (is_bytes(&f, 2))
			*value = f.bytes;
	}
}

static bool begins(struct span s, struct span prefix)
{
	return s.len >= prefix.len && memcmp(s.ptr, prefix.ptr, prefix.len) == 0;
}

static void keep(json_t *object, struct span entry)
{
	struct span key, value;

	take_entry(entry, &key, &value);
	if (key.len && !begins(key, SPAN_LIT("io.kubernetes.pod.")))
		(void)json_object_setn_new(
			object, (const char *)key.ptr, key.len,
			json_stringn(value.len ? (const char *)value.ptr : "", value.len));
}

static void take_metadata(struct draft *d, const struct proto_field *f)
{
	if (is_bytes(f, METADATA_NAME))
		d->name = f->bytes;
	else if (is_bytes(f, METADATA_UID))
		d->uid = f->bytes;
	else if (is_bytes(f, METADATA_NAMESPACE))
		d->name_space = f->bytes;
}

static void add_address(struct draft *d, struct span text)
{
	static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t *to = d->pod->addresses[d->pod->address_count];
	char copy[INET6_ADDRSTRLEN];

	if (d->pod->address_count == CRI_ADDRESSES_MAX || text.len >= sizeof(copy) || text.len == 0)
		return;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (inet_pton(AF_INET, copy, to + 12) == 1)
		memcpy(to, v4_prefix, sizeof(v4_prefix));
	else if (inet_pton(AF_INET6, copy, to) != 1)
		return;
	d->pod->address_count++;
}

static void take_pod_ip(struct draft *d, const struct proto_field *f)
{
	if (is_bytes(f, POD_IP_IP))
		add_address(d, f->bytes);
}

static void take_network(struct draft *d, const struct proto_field *f)
{
	if (is_bytes(f, NETWORK_IP))
		add_address(d, f->bytes);
	else if (is_bytes(f, NETWORK_ADDITIONAL_IPS))
		(void)take_all(f->bytes, take_pod_ip, d);
}

static void take_options(struct draft *d, const struct proto_field *f)
{
	if (f->number == OPTIONS_NETWORK && f->wire == PROTO_VARINT)
		d->pod->is_host_network = f->scalar == NETWORK_OF_NODE;
}

static void take_namespaces(struct draft *d, const struct proto_field *f)
{
	if (is_bytes(f, NAMESPACE_OPTIONS))
		(void)take_all(f->bytes, take_options, d);
}

static void take_linux(struct draft *d, const struct proto_field *f)
{
	if (is_bytes(f, LINUX_NAMESPACES))
		(void)take_all(f->bytes, take_namespaces, d);
}

static void take_number(struct draft *d, const struct proto_field *f)
{
	if (f->number == STATUS_STATE)
		d->pod->is_ready = f->scalar == 0;
	else if (f->number == STATUS_CREATED_AT)
		d->pod->created_ns = f->scalar;
}

static void take_status(struct draft *d, const struct proto_field *f)
{
	static take_fn *const parts[] = {
		[STATUS_METADATA] = take_metadata,
		[STATUS_NETWORK] = take_network,
		[STATUS_LINUX] = take_linux,
	};

	if (f->wire == PROTO_VARINT)
		take_number(d, f);
	if (f->wire != PROTO_BYTES)
		return;
	if (f->number < COUNT_OF(parts) && parts[f->number])
		(void)take_all(f->bytes, parts[f->number], d);
	else if (f->number == STATUS_ID)
		(void)snprintf(d->pod->sandbox_id, sizeof(d->pod->sandbox_id), "%.*s",
			       (int)MIN(f->bytes.len, (size_t)CRI_ID_MAX),
			       (const char *)f->bytes.ptr);
	else if (f->number == STATUS_LABELS)
		keep(d->labels, f->bytes);
	else if (f->number == STATUS_ANNOTATIONS)
		keep(d->annotations, f->bytes);
}

static void take_response(struct draft *d, const struct proto_field *f)
{
	struct span key, value;

	if (is_bytes(f, RESPONSE_STATUS))
		(void)take_all(f->bytes, take_status, d);
	if (!is_bytes(f, RESPONSE_INFO))
		return;
	take_entry(f->bytes, &key, &value);
	if (span_eq(key, SPAN_LIT("info")))
		d->info = value;
}

static void take_namespace_path(struct cri_pod *pod, const json_t *spec)
{
	const json_t *one, *all = json_object_get(json_object_get(spec, "linux"), "namespaces");
	size_t i;

	json_array_foreach(all, i, one)
	{
		const char *type = json_string_value(json_object_get(one, "type"));
		const char *path = json_string_value(json_object_get(one, "path"));

		if (type && path && strcmp(type, "network") == 0 &&
		    strlen(path) < sizeof(pod->netns_path))
			(void)snprintf(pod->netns_path, sizeof(pod->netns_path), "%s", path);
	}
}

static void read_info(struct cri_pod *pod, struct span info)
{
	json_t *root = info.len ? json_loadb((const char *)info.ptr, info.len, 0, NULL) : NULL;
	json_int_t pid = json_integer_value(json_object_get(root, "pid"));

	if (pid > 0 && pid <= INT32_MAX)
		pod->pid = (pid_t)pid;
	take_namespace_path(pod, json_object_get(root, "runtimeSpec"));
	json_decref(root);
}

/* All texts of the record, one behind the other in one piece that its first span owns. */
static int keep_texts(struct draft *d)
{
	AUTO_BUF text = {0};
	struct identity *who = &d->pod->who;
	struct span *const to[] = {&who->name_space, &who->pod, &who->pod_uid, &who->labels,
				   &d->pod->annotations};
	size_t ends[COUNT_OF(to)], begin = 0;
	uint8_t *copy;

	buf_add_span(&text, d->name_space);
	ends[0] = text.len;
	buf_add_span(&text, d->name);
	ends[1] = text.len;
	buf_add_span(&text, d->uid);
	ends[2] = text.len;
	(void)labels_from_json(d->labels, NULL, NULL, &text);
	ends[3] = text.len;
	(void)labels_from_json(d->annotations, NULL, NULL, &text);
	ends[4] = text.len;
	copy = text.is_failed ? NULL : malloc(text.len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text.ptr, text.len);
	for (size_t i = 0; i < COUNT_OF(to); begin = ends[i++])
		*to[i] = span_of(copy + begin, ends[i] - begin);
	return 0;
}

static int finish(struct draft *d, struct err *e)
{
	if (d->name.len == 0 || d->name_space.len == 0 || d->uid.len == 0 ||
	    d->name.len > NAME_MAX_BYTES || d->name_space.len > NAME_MAX_BYTES ||
	    d->uid.len > NAME_MAX_BYTES)
		return err_set(e, -EBADMSG, "a pod's sandbox without its name, namespace and UID");
	d->pod->who.source = IDENTITY_RUNTIME;
	d->pod->who.certainty = CERTAINTY_CERTAIN;
	read_info(d->pod, d->info);
	return keep_texts(d) < 0 ? err_set(e, -ENOMEM, "sandbox: out of memory") : 0;
}

int cri_read_status(struct span message, const struct cri_pod **p_out, struct err *e)
{
	struct draft d = {.pod = calloc(1, sizeof(*d.pod)),
			  .labels = json_object(),
			  .annotations = json_object()};
	int failed = -ENOMEM;

	if (d.pod && d.labels && d.annotations) {
		d.pod->refs = 1;
		d.pod->is_ready = true; /* 0, the default, is not sent */
		failed = take_all(message, take_response, &d);
		failed = failed < 0 ? err_set(e, failed,
					      "what the runtime said of a sandbox cannot be read")
				    : finish(&d, e);
	}
	json_decref(d.labels);
	json_decref(d.annotations);
	if (failed < 0) {
		free(d.pod);
		return failed;
	}
	*p_out = d.pod;
	return 0;
}

const struct cri_pod *cri_pod_ref(const struct cri_pod *p)
{
	atomic_fetch_add(&((struct cri_pod *)(uintptr_t)p)->refs, 1);
	return p;
}

void cri_pod_unref(const struct cri_pod *p)
{
	struct cri_pod *own = (struct cri_pod *)(uintptr_t)p;

	if (!own || atomic_fetch_sub(&own->refs, 1) != 1)
		return;
	free((uint8_t *)(uintptr_t)own->who.name_space.ptr);
	free(own);
}

int cri_read_list(struct span message, cri_listed_fn *fn, void *ctx)
{
	struct proto_field item, f;
	int r, said;

	while ((r = proto_next(&message, &item)) > 0) {
		struct cri_listed one = {.is_ready = true}; /* 0, the default, is not sent */

		if (!is_bytes(&item, LIST_ITEMS))
			continue;
		while (proto_next(&item.bytes, &f) > 0) {
			if (is_bytes(&f, SANDBOX_ID))
				one.id = f.bytes;
			else if (f.number == SANDBOX_STATE && f.wire == PROTO_VARINT)
				one.is_ready = f.scalar == 0;
		}
		said = one.id.len && one.id.len < CRI_ID_MAX ? fn(ctx, &one) : 0;
		if (said)
			return said;
	}
	return r;
}

void cri_write_status_request(struct span sandbox_id, struct buf *out)
{
	buf_add_char(out, 1 << 3 | PROTO_BYTES); /* pod_sandbox_id = 1 */
	buf_add_char(out, (char)sandbox_id.len);
	buf_add_span(out, sandbox_id);
	buf_add_char(out, 2 << 3 | PROTO_VARINT); /* verbose = 2 */
	buf_add_char(out, 1);
}
