// SPDX-License-Identifier: Apache-2.0
#include "lib/json_field.h"

#include "lib/clock.h"

uint64_t json_field_u64(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

uint64_t json_field_time(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	uint64_t ns = 0;

	return text && clock_parse(span_str(text), 0, &ns) == 0 ? ns : 0;
}
