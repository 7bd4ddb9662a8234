// SPDX-License-Identifier: Apache-2.0
#include "store/failure_json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct failure example(void)
{
	return (struct failure){
		.src_service = SPAN_LIT("web"),
		.src_namespace = SPAN_LIT("shop"),
		.dst_service = SPAN_LIT("cart"),
		.method = SPAN_LIT("POST"),
		.route = SPAN_LIT("/cart/{}"),
		.error = SPAN_LIT("no item {}"),
		.status = 503,
		.outcome = OUTCOME_SERVER_ERROR,
		.reason = REASON_NONE,
		.grpc_status = 14,
		.close_code = 1006,
		.count = 17,
		.first_ns = 1764000000123456789,
		.last_ns = 1764000009000000000,
		.exemplar = 1764000009000000000,
		.points_ns = 1764000000000000000,
		.step_ns = 60000000000,
		.point_count = 3,
		.points = {7, 0, 10},
	};
}

static int expect_example(void *ctx, const struct failure *f)
{
	struct failure want = example();
	unsigned *seen = ctx;

	(*seen)++;
	assert_true(span_eq(f->src_service, want.src_service));
	assert_true(span_eq(f->src_namespace, want.src_namespace));
	assert_true(span_eq(f->dst_service, want.dst_service));
	assert_int_equal(f->dst_namespace.len, 0);
	assert_true(span_eq(f->method, want.method));
	assert_true(span_eq(f->route, want.route));
	assert_true(span_eq(f->error, want.error));
	assert_int_equal(f->status, want.status);
	assert_int_equal(f->outcome, want.outcome);
	assert_int_equal(f->reason, want.reason);
	assert_int_equal(f->grpc_status, want.grpc_status);
	assert_int_equal(f->close_code, want.close_code);
	assert_true(f->count == want.count);
	assert_true(f->first_ns == want.first_ns);
	assert_true(f->last_ns == want.last_ns);
	assert_true(f->exemplar == want.exemplar);
	assert_true(f->points_ns == want.points_ns && f->step_ns == want.step_ns);
	assert_int_equal(f->point_count, want.point_count);
	assert_memory_equal(f->points, want.points, sizeof(want.points));
	return 0;
}

static void a_list_of_failures_comes_back(void **state)
{
	struct failure f = example();
	AUTO_BUF text = {0};
	struct json j = json_to(&text);
	unsigned seen = 0;

	(void)state;
	json_object_begin(&j);
	json_key(&j, "failures");
	json_array_begin(&j);
	failure_to_json(&j, &f);
	failure_to_json(&j, &f);
	json_array_end(&j);
	json_object_end(&j);
	assert_int_equal(failures_from_json(buf_span(&text), expect_example, &seen, NULL), 0);
	assert_int_equal(seen, 2);
}

static void what_is_no_list_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"failures\":7}",
		"{\"failures\":[{}]}",
		"{\"failures\":[7]}",
		"{\"failures\":[{\"count\":1,\"status\":70000}]}",
		"{\"failures\":[{\"count\":1,\"status\":200,\"outcome\":\"ok\",\"reason\":\"none\",\"exemplar\":"
		"\"1GYQWMXQJBK8N\",\"first\":\"2025-11-24T15:59:00Z\",\"last\":\"2025-11-24T15:59:00Z\","
		"\"rate\":{\"since\":\"2025-11-24T15:59:00Z\",\"step_ns\":1,\"counts\":[-1]}}]}",
		"{\"failures\":[{\"count\":1,\"status\":200,\"grpc_status\":\"9\"}]}",
	};
	struct err e;
	unsigned seen = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(failures_from_json(span_str(bad[i]), expect_example, &seen, &e),
				 -EINVAL);
	assert_int_equal(seen, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_of_failures_comes_back),
		cmocka_unit_test(what_is_no_list_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
