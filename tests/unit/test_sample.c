// SPDX-License-Identifier: Apache-2.0
/* which exchanges are kept where not all are, and what they stand for */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "record/sample.h"
#include "tests/unit/some_exchange.h"

static struct sampler *sampler(const struct sample_policy *p)
{
	struct sampler *s = NULL;
	struct err e = {0};

	if (sampler_new(p, &s, &e) < 0)
		fail_msg("%s", e.why);
	return s;
}

struct call {
	char trace[33];
	struct exchange x;
};

/* One that did not fail, with a trace id of its own. */
static void make_call(struct call *c, uint64_t *seed, const char *service)
{
	(void)snprintf(c->trace, sizeof(c->trace), "%016llx%016llx",
		       (unsigned long long)some_number(seed),
		       (unsigned long long)some_number(seed));
	c->x = (struct exchange){
		.start_ns = some_number(seed),
		.outcome = OUTCOME_OK,
		.method = span_str("GET"),
		.route = span_str("/cart/{}"),
		.dst.who.service = span_str(service),
		.trace_id = span_str(c->trace),
	};
}

struct sum {
	uint64_t kept, weight;
};

static struct sum run(struct sampler *s, uint64_t *seed, const char *service, size_t count,
		      uint64_t now_ns, uint64_t step_ns)
{
	struct sum sum = {0};

	for (size_t i = 0; i < count; i++) {
		struct call c;
		uint32_t weight;

		make_call(&c, seed, service);
		weight = sampler_weigh(s, &c.x, now_ns + i * step_ns);
		sum.kept += weight > 0;
		sum.weight += weight;
	}
	return sum;
}

static void what_failed_is_always_kept_and_stands_for_itself(void **state)
{
	struct sampler *s = sampler(&(struct sample_policy){.one_in = 1000, .rate_max = 1});
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct call c;

		make_call(&c, &seed, "cart");
		c.x.outcome = OUTCOME_RESET;
		assert_int_equal(sampler_weigh(s, &c.x, 0), 1);
	}
	sampler_free(s);
}

static void one_in_n_is_kept_and_stands_for_n(void **state)
{
	static const uint64_t shares[] = {1, 2, 3, 10, 100};
	uint64_t seed = 88172645463325252;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(shares); i++) {
		struct sampler *s = sampler(&(struct sample_policy){.one_in = shares[i]});
		struct sum sum = run(s, &seed, "cart", 200000, 0, 0);

		assert_int_equal(sum.weight, sum.kept * shares[i]);
		assert_in_range(sum.weight, 188000, 212000); /* the same numbers on every machine */
		sampler_free(s);
	}
}

static void a_trace_is_kept_whole_and_by_wider_shares_too(void **state)
{
	struct sampler *wide = sampler(&(struct sample_policy){.one_in = 10});
	struct sampler *narrow = sampler(&(struct sample_policy){.one_in = 40});
	uint64_t seed = 7, both = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		struct call c;
		bool is_narrow;

		make_call(&c, &seed, "cart");
		is_narrow = sampler_weigh(narrow, &c.x, 0) > 0;
		c.x.dst.who.service = span_str("payment");
		c.x.route = span_str("/pay");
		c.x.start_ns++;
		assert_int_equal(sampler_weigh(narrow, &c.x, 0) > 0, is_narrow);
		if (is_narrow)
			assert_true(sampler_weigh(wide, &c.x, 0) > 0);
		both += is_narrow;
	}
	assert_in_range(both, 400, 600);
	sampler_free(wide);
	sampler_free(narrow);
}

/* OpenTelemetry: kept when the last 14 digits are not below the threshold. */
static void the_trace_ids_of_w3c_are_judged_as_opentelemetry_does(void **state)
{
	static const struct {
		const char *trace;
		uint64_t one_in;
		bool is_kept;
	} cases[] = {
		{"00000000000000000000000000000000", 1, true},
		{"000000000000000000ffffffffffffff", 1000000, true},
		{"ffffffffffffffffff00000000000000", 2, false},
		{"00000000000000000080000000000000", 2, true},
		{"0000000000000000007fffffffffffff", 2, false},
		{"000000000000000000c0000000000000", 4, true},
		{"000000000000000000bfffffffffffff", 4, false},
		{"000000000000000000C0000000000000", 4, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sampler *s = sampler(&(struct sample_policy){.one_in = cases[i].one_in});
		struct exchange x = {.outcome = OUTCOME_OK, .trace_id = span_str(cases[i].trace)};

		assert_int_equal(sampler_weigh(s, &x, 0), cases[i].is_kept ? cases[i].one_in : 0);
		sampler_free(s);
	}
}

static void other_ids_and_none_are_judged_by_a_hash(void **state)
{
	struct sampler *s = sampler(&(struct sample_policy){.one_in = 4});
	uint64_t by_id = 0, by_place = 0;

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		char text[32];
		struct exchange x = {.outcome = OUTCOME_OK, .connection = 77, .sequence = i};
		bool is_kept = sampler_weigh(s, &x, 0) > 0;

		by_place += is_kept;
		assert_int_equal(sampler_weigh(s, &x, 0) > 0, is_kept);
		(void)snprintf(text, sizeof(text), "req-%u", i);
		x.trace_id = span_str(text);
		by_id += sampler_weigh(s, &x, 0) > 0;
	}
	assert_in_range(by_id, 850, 1150);
	assert_in_range(by_place, 850, 1150);
	sampler_free(s);
}

static void a_service_may_have_a_share_of_its_own(void **state)
{
	const char *const services[] = {"cart=1", "a=b=50", NULL};
	struct sampler *s = sampler(&(struct sample_policy){.one_in = 10, .services = services});
	uint64_t seed = 3;

	(void)state;
	assert_int_equal(run(s, &seed, "cart", 1000, 0, 0).kept, 1000);
	assert_in_range(run(s, &seed, "a=b", 20000, 0, 0).kept, 320, 480);
	assert_in_range(run(s, &seed, "other", 20000, 0, 0).kept, 1850, 2150);
	sampler_free(s);
}

static void a_share_that_is_none_is_refused(void **state)
{
	static const char *const wrong[] = {"cart",    "=3",	       "cart=", "cart=0",
					    "cart=2x", "cart=1000001", ""};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		const char *const rows[] = {wrong[i], NULL};
		struct sampler *s;
		struct err e = {0};

		assert_int_equal(sampler_new(&(struct sample_policy){.services = rows}, &s, &e),
				 -EINVAL);
		assert_non_null(strstr(e.why, "sample.services"));
	}
}

static void the_first_of_each_route_and_minute_are_kept(void **state)
{
	struct sampler *s = sampler(&(struct sample_policy){.one_in = 1000000, .first = 3});
	uint64_t seed = 3;
	struct call c;

	(void)state;
	assert_int_equal(run(s, &seed, "cart", 1000, 0, 0).weight, 3);
	assert_int_equal(run(s, &seed, "cart", 1000, 59 * NS_PER_S, 0).weight, 0);
	assert_int_equal(run(s, &seed, "cart", 1000, 60 * NS_PER_S, 0).weight, 3);
	assert_int_equal(run(s, &seed, "payment", 1000, 61 * NS_PER_S, 0).weight, 3);
	make_call(&c, &seed, "cart");
	c.x.method = span_str("POST");
	assert_int_equal(sampler_weigh(s, &c.x, 61 * NS_PER_S), 1);
	c.x.route = span_str("/other");
	assert_int_equal(sampler_weigh(s, &c.x, 61 * NS_PER_S), 1);
	sampler_free(s);
}

static void a_rate_narrows_the_share_and_weights_stay_right(void **state)
{
	struct sampler *s = sampler(&(struct sample_policy){.one_in = 1, .rate_max = 200});
	uint64_t seed = 88172645463325252, weight = 0;

	(void)state;
	for (uint64_t second = 0; second < 20; second++) {
		struct sum sum = run(s, &seed, "cart", 20000, second * NS_PER_S, NS_PER_S / 20000);

		if (second > 0)
			assert_in_range(sum.kept, 50, 300);
		weight += sum.weight;
	}
	assert_in_range(weight, 340000, 460000); /* of 400,000 */
	/* a quiet service keeps all again, and another was never concerned */
	assert_int_equal(run(s, &seed, "cart", 100, 60 * NS_PER_S, 0).kept, 100);
	assert_int_equal(run(s, &seed, "other", 150, 5 * NS_PER_S, 0).weight, 150);
	sampler_free(s);
}

static void a_policy_that_keeps_all_is_known(void **state)
{
	const char *const services[] = {"cart=2", NULL};

	(void)state;
	assert_true(sample_keeps_all(&(struct sample_policy){.one_in = 1}));
	assert_true(sample_keeps_all(&(struct sample_policy){.one_in = 1, .first = 9}));
	assert_false(sample_keeps_all(&(struct sample_policy){.one_in = 2}));
	assert_false(sample_keeps_all(&(struct sample_policy){.one_in = 1, .rate_max = 1}));
	assert_false(sample_keeps_all(&(struct sample_policy){.one_in = 1, .services = services}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_failed_is_always_kept_and_stands_for_itself),
		cmocka_unit_test(one_in_n_is_kept_and_stands_for_n),
		cmocka_unit_test(a_trace_is_kept_whole_and_by_wider_shares_too),
		cmocka_unit_test(the_trace_ids_of_w3c_are_judged_as_opentelemetry_does),
		cmocka_unit_test(other_ids_and_none_are_judged_by_a_hash),
		cmocka_unit_test(a_service_may_have_a_share_of_its_own),
		cmocka_unit_test(a_share_that_is_none_is_refused),
		cmocka_unit_test(the_first_of_each_route_and_minute_are_kept),
		cmocka_unit_test(a_rate_narrows_the_share_and_weights_stay_right),
		cmocka_unit_test(a_policy_that_keeps_all_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
