// SPDX-License-Identifier: Apache-2.0
#include "schema/route_rules.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct span shop = {(const uint8_t *)"shop/users", 10};

/* a word without digits: another one for each number */
static const char *word(unsigned n, char out[16])
{
	for (unsigned i = 0; i < 5; i++, n /= 26)
		out[i] = (char)('a' + n % 26);
	out[5] = '\0';
	return out;
}

static void see_users(struct route_rules *r, unsigned from, unsigned count, const char *ending)
{
	for (unsigned i = from; i < from + count; i++) {
		char path[64], w[16];

		(void)snprintf(path, sizeof(path), "/users/%s%s", word(i, w), ending);
		(void)route_rules_learn(r, shop, span_str(path));
	}
}

static void expect_route(struct route_rules *r, const char *path, const char *want)
{
	struct span got = route_rules_apply(r, shop, span_str(path));

	if (!span_eq(got, span_str(want)))
		fail_msg("%s: want %s, got %.*s", path, want, (int)got.len, (const char *)got.ptr);
}

static void a_position_with_many_words_is_variable(void **state)
{
	AUTO(route_rules) r = route_rules_new();

	(void)state;
	see_users(r, 0, ROUTE_RULES_WORDS - 1, "");
	see_users(r, 0, ROUTE_RULES_WORDS - 1, ""); /* the same ones again */
	expect_route(r, "/users/ann", "/users/ann");
	assert_int_equal(route_rules_count(r), 0);
	see_users(r, 1000, 1, "");
	assert_int_equal(route_rules_count(r), 1);
	expect_route(r, "/users/ann", "/users/{}");
	expect_route(r, "/users/ann/mail", "/users/{}/mail");
	expect_route(r, "/users/{}", "/users/{}");
	expect_route(r, "/users/", "/users/");
	expect_route(r, "/users", "/users");
	expect_route(r, "/groups/ann", "/groups/ann");
}

static void what_follows_a_variable_position_is_observed_as_one(void **state)
{
	AUTO(route_rules) r = route_rules_new();

	(void)state;
	see_users(r, 0, ROUTE_RULES_WORDS, "/mail");
	expect_route(r, "/users/ann/mail", "/users/{}/mail");
	for (unsigned i = 0; i < ROUTE_RULES_WORDS; i++) {
		char path[64], w[16];

		(void)snprintf(path, sizeof(path), "/users/ann/mail/%s", word(i, w));
		(void)route_rules_learn(r, shop, span_str(path));
	}
	expect_route(r, "/users/bob/mail/inbox", "/users/{}/mail/{}");
}

static void rules_are_of_one_server(void **state)
{
	AUTO(route_rules) r = route_rules_new();
	struct span other = SPAN_LIT("shop/pages"), path = SPAN_LIT("/users/ann");

	(void)state;
	see_users(r, 0, ROUTE_RULES_WORDS, "");
	assert_true(span_eq(route_rules_apply(r, other, path), path));
}

static void what_is_no_path_is_left_alone(void **state)
{
	AUTO(route_rules) r = route_rules_new();
	static const char *const odd[] = {"", "*", "example.com:443", "/", "//", "///a//"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(odd); i++) {
		struct span got = route_rules_learn(r, shop, span_str(odd[i]));

		assert_true(span_eq(got, span_str(odd[i])));
	}
}

static void rules_that_are_kept_mean_the_same_after_a_restart(void **state)
{
	AUTO(route_rules) r = route_rules_new();
	AUTO(route_rules) again = route_rules_new();

	(void)state;
	see_users(r, 0, ROUTE_RULES_WORDS, "");
	see_users(r, 0, ROUTE_RULES_WORDS, "/mail");
	for (size_t i = 0; i < route_rules_count(r); i++) {
		struct span server, prefix;

		route_rules_get(r, i, &server, &prefix);
		assert_int_equal(route_rules_add(again, server, prefix), 0);
		assert_int_equal(route_rules_add(again, server, prefix), 0); /* known by now */
	}
	assert_int_equal(route_rules_count(again), route_rules_count(r));
	expect_route(again, "/users/ann/mail", "/users/{}/mail");
}

/* A scanner that tries every path there is makes one rule, not thousands. */
static void a_flood_of_paths_is_bounded(void **state)
{
	AUTO(route_rules) r = route_rules_new();

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		char path[64], a[16], b[16];

		(void)snprintf(path, sizeof(path), "/%s/%s/x", word(i, a), word(i * 7919, b));
		(void)route_rules_learn(r, shop, span_str(path));
	}
	assert_int_equal(route_rules_count(r), 2);
	expect_route(r, "/any/thing/x", "/{}/{}/x");
	for (unsigned i = 0; i < 100000; i++) { /* of ever new servers */
		char server[64];

		(void)snprintf(server, sizeof(server), "10.0.%u.%u", i >> 8, i & 255);
		(void)route_rules_learn(r, span_str(server), SPAN_LIT("/a/b/c"));
	}
	assert_int_equal(route_rules_count(r), 2);
}

static void there_is_room_for_so_many_rules(void **state)
{
	AUTO(route_rules) r = route_rules_new();
	char w[16];

	(void)state;
	for (unsigned i = 0; i < ROUTE_RULES_MAX; i++)
		assert_int_equal(route_rules_add(r, shop, span_str(word(i, w))), 0);
	assert_int_equal(route_rules_add(r, shop, SPAN_LIT("one more")), -E2BIG);
	see_users(r, 0, ROUTE_RULES_WORDS, "");
	expect_route(r, "/users/ann", "/users/ann");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_position_with_many_words_is_variable),
		cmocka_unit_test(what_follows_a_variable_position_is_observed_as_one),
		cmocka_unit_test(rules_are_of_one_server),
		cmocka_unit_test(what_is_no_path_is_left_alone),
		cmocka_unit_test(rules_that_are_kept_mean_the_same_after_a_restart),
		cmocka_unit_test(a_flood_of_paths_is_bounded),
		cmocka_unit_test(there_is_room_for_so_many_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
