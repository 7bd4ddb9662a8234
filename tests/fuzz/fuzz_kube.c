// SPDX-License-Identifier: Apache-2.0
/* Lines of a watch, cut anywhere: whatever an API server says of pods and services, a census can be made and asked. */
#include <assert.h>

#include "kube/client.h"
#include "kube/register.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
	struct kube_register *people;
	uint64_t now_ns;
};

static int take_line(void *ctx, struct span line)
{
	const struct kube_pod_choice choice = {"*"};
	struct heard *h = ctx;
	json_t *root = json_loadb((const char *)line.ptr, line.len, 0, NULL);
	const json_t *object = json_object_get(root, "object");
	const char *type = json_string_value(json_object_get(root, "type"));
	const struct kube_pod *pod = NULL;
	struct kube_service *service = NULL;
	struct kube_slice *slice = NULL;

	h->now_ns += NS_PER_S;
	if (kube_pod_parse(object, &choice, &pod, NULL) == 0) {
		(void)!register_pod(h->people, kube_pod_ref(pod), h->now_ns);
		if (type && *type == 'D')
			register_pod_gone(h->people, pod->who.pod_uid, h->now_ns, h->now_ns);
	}
	if (kube_service_parse(object, &service, NULL) == 0)
		(void)!register_service(h->people, service);
	if (kube_slice_parse(object, &slice, NULL) == 0)
		(void)!register_slice(h->people, slice);
	kube_pod_unref(pod);
	json_decref(root);
	return 0;
}

static void ask(const struct census *c)
{
	const struct kube_pod *pod;
	size_t i = 0;

	while ((pod = census_next(c, &i))) {
		struct endpoint at = {
			.port = (uint16_t)(pod->port_count ? pod->ports[0].port : 80)};

		for (size_t k = 0; k < pod->address_count; k++) {
			memcpy(at.address, pod->addresses[k], sizeof(at.address));
			(void)census_find(c, &at, pod->accepted_ns);
		}
		assert(census_find_uid(c, pod->who.pod_uid));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct register_config config = {60 * NS_PER_S, 8};
	struct heard h = {register_new(&config), UINT64_C(1764072000) * NS_PER_S};
	struct kube_lines lines = {0};
	size_t cut = size ? data[0] : 0;
	const struct census *c;

	(void)kube_lines_add(&lines, span_of(data, MIN(cut, size)), take_line, &h);
	if (size > cut)
		(void)kube_lines_add(&lines, span_of(data + cut, size - cut), take_line, &h);
	c = register_census(h.people, 0, h.now_ns);
	ask(c);
	census_free(c);
	kube_lines_fini(&lines);
	register_free(h.people);
	return 0;
}
