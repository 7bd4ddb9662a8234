// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_json_scan.c - any text: walked without harm; where jansson reads it as JSON, every member
 * and element is the same
 */
#include "lib/json_scan.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEPTH_MAX 40

static void require(bool is_so)
{
	if (!is_so)
		abort();
}

static void compare_text(const struct json_scan *v, const json_t *want)
{
	uint8_t *room = malloc(v->text.len + 1);
	size_t n;

	require(room != NULL);
	n = json_scan_unescape(v->text, room);
	require(n <= v->text.len);
	require(span_eq(span_of(room, n),
			span_of(json_string_value(want), json_string_length(want))));
	free(room);
}

static void compare(const struct json_scan *v, const json_t *want, unsigned depth);

static void compare_object(const struct json_scan *v, json_t *want, unsigned depth)
{
	struct json_scan_iter it = {.rest = v->text};
	const char *name;
	json_t *member;
	size_t n = 0;

	json_object_foreach(want, name, member)
	{
		struct json_scan found = json_scan_member(v, span_str(name));

		if (strlen(name) < 100 && *name)
			compare(&found, member, depth + 1);
	}
	while (json_scan_next(&it))
		n++;
	require(n == json_object_size(want));
}

static void compare_array(const struct json_scan *v, const json_t *want, unsigned depth)
{
	struct json_scan_iter it = {.rest = v->text};
	size_t n = 0;

	for (; json_scan_next(&it); n++) {
		require(n < json_array_size(want));
		compare(&it.value, json_array_get(want, n), depth + 1);
	}
	require(n == json_array_size(want));
}

static void compare(const struct json_scan *v, const json_t *want, unsigned depth)
{
	if (depth > DEPTH_MAX)
		return;
	switch (json_typeof(want)) {
	case JSON_OBJECT:
		require(v->type == JSON_SCAN_OBJECT);
		compare_object(v, (json_t *)(uintptr_t)want, depth);
		break;
	case JSON_ARRAY:
		require(v->type == JSON_SCAN_ARRAY);
		compare_array(v, want, depth);
		break;
	case JSON_STRING:
		require(v->type == JSON_SCAN_TEXT);
		compare_text(v, want);
		break;
	case JSON_INTEGER:
		require(v->type == JSON_SCAN_INT && v->number == json_integer_value(want));
		break;
	case JSON_REAL: require(v->type == JSON_SCAN_DOUBLE || v->type == JSON_SCAN_ABSENT); break;
	case JSON_TRUE:
	case JSON_FALSE:
		require(v->type == JSON_SCAN_BOOL && v->is_true == json_is_true(want));
		break;
	case JSON_NULL: require(v->type == JSON_SCAN_NULL); break;
	}
}

/* whatever it is: every step ends, inside of the text */
static void walk(struct json_scan v, unsigned depth)
{
	struct json_scan_iter it = {.rest = v.text};

	if ((v.type != JSON_SCAN_ARRAY && v.type != JSON_SCAN_OBJECT) || depth > DEPTH_MAX)
		return;
	while (json_scan_next(&it))
		walk(it.value, depth + 1);
	(void)json_scan_member(&v, SPAN_LIT("a"));
	(void)json_scan_element(&v, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_scan v = json_scan_value(span_of(data, size));
	json_t *want;

	if (size > 4096)
		return 0;
	walk(v, 0);
	want = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (want)
		compare(&v, want, 0);
	json_decref(want);
	return 0;
}
