// SPDX-License-Identifier: Apache-2.0
/* fuzz_downward.c - any file of a Downward API volume: refused, or labels in their one form */
#include "record/downward.h"

#include <jansson.h>
#include <stdlib.h>

#include "schema/labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF out = {0};
	AUTO_BUF again = {0};
	json_t *object;

	if (downward_parse(span_of(data, size), &out) < 0 || out.len == 0)
		return 0;
	object = json_loadb((const char *)out.ptr, out.len, JSON_ALLOW_NUL, NULL);
	if (!object)
		abort();
	(void)labels_from_json(object, NULL, NULL, &again);
	if (out.len > LABELS_MAX || !span_eq(buf_span(&out), buf_span(&again)))
		abort();
	json_decref(object);
	return 0;
}
