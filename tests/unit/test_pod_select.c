// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "record/pod_select.h"
#include "record/residents.h"

static const struct identity web = {
	.name_space = {(const uint8_t *)"shop", 4},
	.pod = {(const uint8_t *)"web-7d4", 7},
	.pod_uid = {(const uint8_t *)"u-1", 3},
	.labels = {(const uint8_t *)"{\"app\":\"web\"}", 13},
};

static void a_selection_is_a_filter_over_what_a_pod_is_called(void **state)
{
	static const struct {
		const char *text;
		bool holds;
	} cases[] = {
		{"", true},
		{"pod.namespace != \"kube-system\"", true},
		{"pod.namespace == \"shop\" && pod.labels[\"app\"] == \"web\"", true},
		{"pod.namespace in [\"a\", \"b\"]", false},
		{"pod.name.startsWith(\"web-\")", true},
		{"pod.name.endsWith(\"web-\")", false},
		{"pod.name == 'status'", false}, /* a word in quotes is no field */
		{"pod.uid == \"u-1\"", true},
		{"pod.annotations[\"tapeloop.dev/record\"] == \"false\"", true},
		{"!(pod.annotations[\"tapeloop.dev/record\"] == \"false\")", false},
		{"pod.labels[\"app\"] == \"pod.name\"", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO(pod_select) s = NULL;
		struct err e = {0};

		if (pod_select_new(span_str(cases[i].text), &s, &e) < 0)
			fail_msg("%s: %s", cases[i].text, e.why);
		if (pod_select_holds(s, &web, SPAN_LIT("{\"tapeloop.dev/record\":\"false\"}")) != cases[i].holds)
			fail_msg("%s", cases[i].text);
	}
}

static void what_says_nothing_of_a_pod_is_refused_at_its_column(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"status >= 500", "column 1: 'status'"},
		{"pod.namespace == \"a\" && dst.pod == \"b\"", "column 25: 'dst.pod'"},
		{"pod.colour == \"a\"", "column 1: 'pod.colour'"},
		{"cart", "column 1: 'cart'"},
		{"pod.name == ", "column"},
		{"pod.name.startsWith(\"a\"", "column"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct pod_select *s = NULL;
		struct err e = {0};

		assert_int_equal(pod_select_new(span_str(cases[i].text), &s, &e), -EINVAL);
		if (!strstr(e.why, cases[i].why) || strstr(e.why, "dst.pod ") || strstr(e.why, "dst.name"))
			fail_msg("%s: %s", cases[i].text, e.why);
	}
}

/* --- who lives where --- */

static struct endpoint at(uint8_t a, uint8_t d)
{
	return (struct endpoint){.address = {[10] = 0xff, [11] = 0xff, a, 0, 0, d}, .is_ipv4 = true};
}

static void an_address_is_somebodys_in_one_namespace_and_time(void **state)
{
	static const uint8_t one[1][16] = {{[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}};
	const struct resident rows[] = {
		{.netns = 7, .from_ns = 100 * NS_PER_S, .until_ns = 200 * NS_PER_S, .addresses = one, .address_count = 1,
		 .who.pod = SPAN_LIT("first")},
		{.netns = 7, .from_ns = 300 * NS_PER_S, .addresses = one, .address_count = 1, .who.pod = SPAN_LIT("second")},
		{.netns = 5, .from_ns = 100 * NS_PER_S, .until_ns = 200 * NS_PER_S, .who.pod = SPAN_LIT("gone")},
		{.netns = 5, .from_ns = 200 * NS_PER_S + NS_PER_MS, .who.pod = SPAN_LIT("at once")},
		{.netns = 3, .from_ns = 100 * NS_PER_S, .who.pod = SPAN_LIT("other")},
	};
	static const struct {
		uint32_t netns;
		uint8_t a, d;
		uint64_t s;
		const char *who;
	} cases[] = {
		{5, 127, 1, 199, "gone"}, {5, 127, 1, 200, "gone"}, {5, 127, 1, 201, "at once"},
		{7, 10, 1, 150, "first"}, {7, 10, 1, 201, "first"}, {7, 10, 1, 250, NULL}, {7, 10, 1, 299, "second"},
		{7, 10, 1, 900, "second"}, {7, 10, 2, 150, NULL},   {7, 127, 9, 150, "first"}, {3, 127, 1, 150, "other"},
		{3, 10, 1, 150, NULL},	   {0, 127, 1, 150, NULL},  {9, 127, 1, 150, NULL},    {7, 10, 1, 50, NULL},
	};
	struct residents *r = residents_new(rows, COUNT_OF(rows));

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct endpoint end = at(cases[i].a, cases[i].d);
		const struct identity *who = residents_find(r, cases[i].netns, &end, cases[i].s * NS_PER_S);

		if (!who != !cases[i].who || (who && !span_eq(who->pod, span_str(cases[i].who))))
			fail_msg("case %zu: %.*s", i, who ? (int)who->pod.len : 0, who ? (const char *)who->pod.ptr : "");
	}
	{
		struct endpoint end = at(10, 1), loopback = at(127, 1);

		assert_true(span_eq(residents_at(r, &end, 150 * NS_PER_S)->pod, SPAN_LIT("first")));
		assert_true(span_eq(residents_at(r, &end, 900 * NS_PER_S)->pod, SPAN_LIT("second")));
		assert_null(residents_at(r, &end, 250 * NS_PER_S));
		assert_null(residents_at(r, &loopback, 150 * NS_PER_S));
	}
	residents_free(r);
	assert_null(residents_find(NULL, 7, &(struct endpoint){0}, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_selection_is_a_filter_over_what_a_pod_is_called),
		cmocka_unit_test(what_says_nothing_of_a_pod_is_refused_at_its_column),
		cmocka_unit_test(an_address_is_somebodys_in_one_namespace_and_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
