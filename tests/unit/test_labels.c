// SPDX-License-Identifier: Apache-2.0
#include "schema/labels.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

static const struct {
	const char *object, *text;
} cases[] = {
	{"{}", ""},
	{"null", ""},
	{"[\"a\"]", ""},
	{"{\"b\":\"2\",\"a\":\"1\"}", "{\"a\":\"1\",\"b\":\"2\"}"},
	{"{\"a\":7,\"b\":null,\"c\":{\"d\":\"e\"}}", ""},
	{"{\"ab\":\"1\",\"a\":\"2\",\"a/b\":\"3\"}", "{\"a\":\"2\",\"a/b\":\"3\",\"ab\":\"1\"}"},
	{"{\"q\\\"\":\"back\\\\slash \\u0007\"}", "{\"q\\\"\":\"back\\\\slash \\u0007\"}"},
};

static void equal_labels_are_equal_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		json_t *object = json_loads(cases[i].object, JSON_DECODE_ANY, NULL);
		AUTO_BUF text = {0};

		assert_non_null(object);
		assert_int_equal(labels_from_json(object, NULL, NULL, &text), 0);
		assert_string_equal(buf_cstr(&text), cases[i].text);
		json_decref(object);
	}
}

static bool is_wanted(void *ctx, struct span key)
{
	return span_eq(key, span_str(ctx));
}

static void only_chosen_keys_are_taken(void **state)
{
	json_t *object = json_loads("{\"a\":\"1\",\"b\":\"2\"}", 0, NULL);
	char wanted[] = "b";
	AUTO_BUF text = {0};

	(void)state;
	assert_int_equal(labels_from_json(object, is_wanted, wanted, &text), 0);
	assert_string_equal(buf_cstr(&text), "{\"b\":\"2\"}");
	json_decref(object);
}

static void what_is_too_long_is_left_out_and_counted(void **state)
{
	static char long_value[LABELS_MAX];
	json_t *object = json_object();
	AUTO_BUF text = {0};

	(void)state;
	memset(long_value, 'x', sizeof(long_value) - 1);
	(void)json_object_set_new(object, "a", json_string("1"));
	(void)json_object_set_new(object, "b", json_string(long_value));
	(void)json_object_set_new(object, "c", json_string("3"));
	assert_int_equal(labels_from_json(object, NULL, NULL, &text), 1);
	assert_string_equal(buf_cstr(&text), "{\"a\":\"1\",\"c\":\"3\"}");
	json_decref(object);
}

/* A tape may come from anywhere. */
static void whatever_a_tape_says_a_document_stays_one(void **state)
{
	static const struct {
		const char *labels, *json;
	} odd[] = {
		{"", "{}"},
		{"{\"a\":\"1\"}", "{\"a\":\"1\"}"},
		{"{\"a\":\"1\",\"b", "{\"a\":\"1\"}"},
		{"}{", "{}"},
		{"[\"a\",\"b\"]", "{}"},
		{"{\"a\":7,\"b\":\"\\u00e9\"}", "{\"b\":\"\303\251\"}"},
		{"{\"a\":\"\xff\"}", "{\"a\":\"\\\\xff\"}"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(odd); i++) {
		AUTO_BUF text = {0};
		struct json j = json_to(&text);

		labels_put(&j, span_str(odd[i].labels));
		assert_string_equal(buf_cstr(&text), odd[i].json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_labels_are_equal_texts),
		cmocka_unit_test(only_chosen_keys_are_taken),
		cmocka_unit_test(what_is_too_long_is_left_out_and_counted),
		cmocka_unit_test(whatever_a_tape_says_a_document_stays_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
