// SPDX-License-Identifier: Apache-2.0
#include "wire/route.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *path, *route;
} rows[] = {
	{"", ""},
	{"/", "/"},
	{"*", "*"},
	{"/api/v1/carts", "/api/v1/carts"},
	{"/cart/17", "/cart/{}"},
	{"/cart/17/", "/cart/{}/"},
	{"/cart//17", "/cart//{}"},
	{"/-12.5", "/{}"},
	{"/2026-11-22/11:30", "/{}/{}"},
	{"/1,2,3", "/{}"},
	{"/10.0.0.1", "/{}"},
	{"/users/550e8400-e29b-41d4-a716-446655440000/mail", "/users/{}/mail"},
	{"/users/{550E8400-E29B-41D4-A716-446655440000}", "/users/{}"},
	{"/commit/9f86d08", "/commit/9f86d08"},
	{"/commit/9f86d081", "/commit/{}"},
	{"/sha/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.json", "/sha/{}.json"},
	{"/files/123.html", "/files/{}.html"},
	{"/objects/5f2b8c1e9d3a4b0012345678", "/objects/{}"},
	{"/t/eyJhbGciOiJIUzI1NiJ9x7Q2", "/t/{}"},
	{"/t/dQw4w9WgXcQ", "/t/dQw4w9WgXcQ"}, /* 11 characters: may be a word of somebody's */
	{"/oauth2/callback", "/oauth2/callback"},
	{"/jquery-3.6.0.min.js", "/jquery-3.6.0.min.js"},
	{"/index.html;jsessionid=9f86d081884c7d65", "/index.html"},
	{"/a;v=1/7;x=2", "/a/{}"},
	{"/deadbeef", "/deadbeef"}, /* letters alone are words */
	{"/%20/x", "/{}/x"},
	{"/caf\xe9/1", "/caf\xe9/{}"},
};

static void a_path_has_its_route(void **state)
{
	uint8_t out[ROUTE_BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t n = route_of(span_str(rows[i].path), out);

		if (!span_eq(span_of(out, n), span_str(rows[i].route)))
			fail_msg("%s: want %s, got %.*s", rows[i].path, rows[i].route, (int)n, (char *)out);
	}
}

static void a_route_of_a_route_is_itself(void **state)
{
	uint8_t once[ROUTE_BYTES_MAX], twice[ROUTE_BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t n = route_of(span_str(rows[i].path), once);
		size_t m = route_of(span_of(once, n), twice);

		assert_true(span_eq(span_of(once, n), span_of(twice, m)));
	}
}

static void a_long_path_is_cut_and_grows_no_further(void **state)
{
	static uint8_t path[10000];
	uint8_t out[ROUTE_BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = i % 2 ? '1' : '/';
	assert_int_equal(route_of(span_of(path, sizeof(path)), out), ROUTE_BYTES_MAX);
	assert_memory_equal(out, "/{}/{}/", 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_has_its_route),
		cmocka_unit_test(a_route_of_a_route_is_itself),
		cmocka_unit_test(a_long_path_is_cut_and_grows_no_further),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
