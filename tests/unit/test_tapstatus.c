// SPDX-License-Identifier: Apache-2.0
/* One status that the daemons of many nodes write: what each has to say, when there is nothing to say, sums, nodes that are gone. */
#include "kube/tapstatus.h"

#include <stdio.h>
#include <stdlib.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#define NOON (UINT64_C(1764072000) * NS_PER_S)

/* A merge patch is put on (RFC 7396). */
static json_t *merge(json_t *now, const json_t *patch)
{
	const char *key;
	json_t *value;

	if (!json_is_object(patch))
		return json_deep_copy(patch);
	now = json_is_object(now) ? json_copy(now) : json_object();
	json_object_foreach((json_t *)(uintptr_t)patch, key, value) {
		if (json_is_null(value))
			json_object_del(now, key);
		else
			json_object_set_new(now, key, merge(json_object_get(now, key), value));
	}
	return now;
}

/* Write it as a server would have it then; @status is replaced. */
static void write_status(json_t **status, const struct tapreport *r, uint64_t now_ns)
{
	json_t *patch = tapstatus_patch(*status, "41", r, now_ns), *after;

	assert_non_null(patch);
	assert_string_equal(json_string_value(json_object_get(json_object_get(patch, "metadata"), "resourceVersion")), "41");
	after = merge(*status, json_object_get(patch, "status"));
	json_decref(*status);
	json_decref(patch);
	*status = after;
}

static json_int_t number(const json_t *status, const char *key)
{
	return json_integer_value(json_object_get(status, key));
}

static const char *condition(const json_t *status, const char *key)
{
	return json_string_value(json_object_get(json_array_get(json_object_get(status, "conditions"), 0), key));
}

static void the_first_to_speak_speaks_for_all_and_each_counts_for_itself(void **state)
{
	json_t *spec = json_object(), *status = NULL;
	struct tapreport a = {.node = "a", .generation = 1, .applied = spec, .applied_generation = 1, .pods = 2};
	struct tapreport b = {.node = "b", .generation = 1, .applied = spec, .applied_generation = 1};

	(void)state;
	assert_int_equal(tapstatus_need(status, &a), TAPSTATUS_SPEC);
	write_status(&status, &a, NOON);
	assert_int_equal(tapstatus_need(status, &a), TAPSTATUS_FINE);
	assert_int_equal(tapstatus_need(status, &b), TAPSTATUS_FINE); /* has no part in it */
	assert_string_equal(condition(status, "status"), "True");
	assert_string_equal(condition(status, "lastTransitionTime"), "2025-11-25T12:00:00Z");
	b.pods = 3;
	b.exchanges = 5;
	assert_int_equal(tapstatus_need(status, &b), TAPSTATUS_COUNTS);
	write_status(&status, &b, NOON + NS_PER_S);
	assert_int_equal(number(status, "pods"), 5);
	assert_int_equal(number(status, "exchanges"), 5);
	assert_int_equal(tapstatus_exchanges(status, "b"), 5);
	assert_int_equal(tapstatus_exchanges(status, "c"), 0);
	assert_int_equal(tapstatus_need(status, &a), TAPSTATUS_FINE);
	assert_string_equal(condition(status, "lastTransitionTime"), "2025-11-25T12:00:00Z"); /* it has not changed */
	a.exchanges = 1;
	assert_int_equal(tapstatus_need(status, &a), TAPSTATUS_COUNTS);
	write_status(&status, &a, NOON);
	assert_int_equal(number(status, "exchanges"), 6);
	json_decref(status);
	json_decref(spec);
}

static void an_error_names_its_place_and_goes_with_the_next_good_version(void **state)
{
	json_t *spec = json_pack("{s:[s]}", "match", "failed()"), *status = NULL, *last;
	struct tapreport r = {.node = "a", .generation = 1, .applied = spec, .applied_generation = 1};
	struct fault f = {.field = "spec.match[0]", .line = 2, .column = 7, .reason = "InvalidExpression", .err = {-22, "no such field"}};
	struct fault other = {.field = "spec.x", .reason = "UnknownField", .err = {-22, "no such field"}};
	uint64_t generation;

	(void)state;
	write_status(&status, &r, NOON);
	r.generation = 2;
	r.fault = &f;
	assert_int_equal(tapstatus_need(status, &r), TAPSTATUS_SPEC);
	write_status(&status, &r, NOON + 60 * NS_PER_S);
	assert_string_equal(condition(status, "status"), "False");
	assert_string_equal(condition(status, "reason"), "InvalidExpression");
	assert_string_equal(condition(status, "message"), "spec.match[0]: line 2, column 7: no such field (generation 1 stays in force)");
	assert_string_equal(condition(status, "lastTransitionTime"), "2025-11-25T12:01:00Z");
	assert_int_equal(number(json_object_get(status, "error"), "column"), 7);
	last = tapstatus_applied(status, &generation);
	assert_true(json_equal(last, spec));
	assert_int_equal(generation, 1);
	json_decref(last);
	r.fault = &other; /* without a column: the one before does not stay */
	write_status(&status, &r, NOON);
	assert_null(json_object_get(json_object_get(status, "error"), "column"));
	r.fault = NULL;
	r.generation = r.applied_generation = 3;
	write_status(&status, &r, NOON);
	assert_null(json_object_get(status, "error"));
	json_decref(status);
	json_decref(spec);
}

static void a_spec_that_is_applied_leaves_nothing_of_the_one_before(void **state)
{
	json_t *first = json_pack("{s:{},s:[s]}", "select", "match", "cart"), *second = json_pack("{s:[s]}", "match", "pay");
	json_t *status = NULL, *last;
	struct tapreport r = {.node = "a", .generation = 1, .applied = first, .applied_generation = 1};
	uint64_t generation;

	(void)state;
	write_status(&status, &r, NOON);
	r = (struct tapreport){.node = "a", .generation = 2, .applied = second, .applied_generation = 2};
	write_status(&status, &r, NOON);
	last = tapstatus_applied(status, &generation);
	assert_true(json_equal(last, second));
	json_decref(last);
	json_decref(status);
	json_decref(first);
	json_decref(second);
}

static bool is_a_or_b(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "a") == 0 || strcmp(name, "b") == 0;
}

static void nodes_that_are_gone_are_taken_out_of_the_sums(void **state)
{
	json_t *status = json_pack("{s:[{s:s,s:i},{s:s,s:i},{s:s,s:i}]}", "nodes", "name", "b", "pods", 2, "name", "gone", "pods", 40, "name",
				   "a", "pods", 9);
	struct tapreport r = {.node = "a", .generation = 1, .pods = 1, .has_node = is_a_or_b};

	(void)state;
	write_status(&status, &r, NOON);
	assert_int_equal(json_array_size(json_object_get(status, "nodes")), 2);
	assert_int_equal(number(status, "pods"), 3);
	r.pods = 0; /* no part in it any more */
	write_status(&status, &r, NOON);
	assert_int_equal(json_array_size(json_object_get(status, "nodes")), 1);
	json_decref(status);
}

static void a_status_that_somebody_else_wrote_is_no_trouble(void **state)
{
	static const char *const statuses[] = {
		"null", "7", "[]", "{\"conditions\":7,\"nodes\":{}}", "{\"conditions\":[7,{\"type\":8}],\"nodes\":[7,{},{\"name\":[]}]}",
		"{\"applied\":{\"spec\":\"{\",\"generation\":-1}}", "{\"applied\":7}",
		"{\"conditions\":[{\"type\":\"Other\",\"status\":\"True\"}],\"nodes\":[{\"name\":\"x\",\"pods\":9223372036854775807},{\"name\":\"y\",\"pods\":9223372036854775807}]}",
	};
	struct tapreport r = {.node = "a", .generation = 1, .pods = 1};
	uint64_t generation;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(statuses); i++) {
		json_t *status = json_loads(statuses[i], JSON_DECODE_ANY, NULL);
		json_t *last = tapstatus_applied(status, &generation);

		assert_null(last);
		assert_int_equal(tapstatus_need(status, &r), TAPSTATUS_SPEC);
		write_status(&status, &r, NOON);
		assert_true(number(status, "pods") >= 1);
		assert_int_equal(tapstatus_need(status, &r), TAPSTATUS_FINE);
		json_decref(status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_to_speak_speaks_for_all_and_each_counts_for_itself),
		cmocka_unit_test(an_error_names_its_place_and_goes_with_the_next_good_version),
		cmocka_unit_test(a_spec_that_is_applied_leaves_nothing_of_the_one_before),
		cmocka_unit_test(nodes_that_are_gone_are_taken_out_of_the_sums),
		cmocka_unit_test(a_status_that_somebody_else_wrote_is_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
