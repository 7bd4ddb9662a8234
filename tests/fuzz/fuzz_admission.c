// SPDX-License-Identifier: Apache-2.0
/* fuzz_admission.c - any review: refused with a reason, or answered with JSON that allows the pod */
#include "kube/admission.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct admission_config c = {
		.image = "tapeloop:1",
		.pull_policy = "Never",
		.memory_limit = "64Mi",
		.settings = "tapeloop",
		.own_namespace = "tapeloop",
		.is_native = size % 2,
	};
	enum injection why = INJECTION_COUNT;
	AUTO_BUF out = {0};
	struct err e = {0};
	json_t *root;

	if (admission_answer(&c, span_of(data, size), &out, &why, &e) < 0) {
		if (out.len || !e.why[0])
			abort();
		return 0;
	}
	root = json_loadb((const char *)out.ptr, out.len, 0, NULL);
	if (!root || why >= INJECTION_COUNT ||
	    !json_is_true(json_object_get(json_object_get(root, "response"), "allowed")))
		abort();
	json_decref(root);
	return 0;
}
