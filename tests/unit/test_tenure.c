// SPDX-License-Identifier: Apache-2.0
#include "kube/tenure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define S   NS_PER_S
#define T0  (UINT64_C(1764000000) * S)
#define FOR_EVER UINT64_MAX

/* A pod that was accepted at T0, runs from T0 + 2 s on, and has its address. */
static struct kube_pod running(const struct kube_container *c)
{
	return (struct kube_pod){.created_ns = T0,
				 .accepted_ns = T0,
				 .containers = c,
				 .container_count = 1,
				 .address_count = 1};
}

static void the_second_in_which_a_container_started_is_not_certain(void **state)
{
	const struct kube_container c = {.started_ns = T0 + 2 * S};
	struct kube_pod pod = running(&c);
	struct tenure t;

	(void)state;
	tenure_begin(&t, &pod, T0 + 5 * S);
	assert_int_equal(t.since_ns, T0);
	assert_int_equal(t.sure_since_ns, T0 + 3 * S);
	assert_int_equal(t.sure_until_ns, FOR_EVER);
	assert_int_equal(t.until_ns, FOR_EVER);
}

/* A kubelet may take half a minute from the sandbox's end to the object's: its address is another's by then. */
static void from_when_a_deletion_is_asked_for_nothing_is_sure(void **state)
{
	const struct kube_container c = {.started_ns = T0 + 2 * S};
	struct kube_pod pod = running(&c);
	struct tenure t;

	(void)state;
	tenure_begin(&t, &pod, T0 + 5 * S);
	pod.deletion_ns = T0 + 39 * S;
	tenure_update(&t, &pod, T0 + 9 * S);
	assert_int_equal(t.sure_until_ns, T0 + 9 * S);
	assert_int_equal(t.until_ns, FOR_EVER);
	tenure_update(&t, &pod, T0 + 12 * S);
	assert_int_equal(t.sure_until_ns, T0 + 9 * S);
	tenure_end(&t, &pod, T0 + 20 * S, T0 + 20 * S);
	assert_int_equal(t.sure_until_ns, T0 + 9 * S);
	assert_int_equal(t.until_ns, T0 + 20 * S);
}

static void a_pod_that_is_to_go_and_whose_containers_have_ended_has_no_address(void **state)
{
	struct kube_container c = {.started_ns = T0 + 2 * S};
	struct kube_pod pod = running(&c);
	struct tenure t;

	(void)state;
	tenure_begin(&t, &pod, T0 + 5 * S);
	pod.deletion_ns = T0 + 39 * S;
	c.finished_ns = T0 + 10 * S;
	tenure_update(&t, &pod, T0 + 15 * S);
	assert_int_equal(t.sure_until_ns, T0 + 10 * S);
	assert_int_equal(t.until_ns, T0 + 11 * S);
	tenure_end(&t, &pod, T0 + 40 * S, T0 + 40 * S);
	assert_int_equal(t.until_ns, T0 + 11 * S);
}

/* It is started again: a container that ended is no pod that did. */
static void a_pod_whose_container_has_ended_and_that_stays_keeps_its_address(void **state)
{
	const struct kube_container c = {.started_ns = T0 + 2 * S, .finished_ns = T0 + 10 * S};
	struct kube_pod pod = running(&c);
	struct tenure t;

	(void)state;
	tenure_begin(&t, &pod, T0 + 15 * S);
	assert_int_equal(t.until_ns, FOR_EVER);
	pod.has_ended = true;
	tenure_update(&t, &pod, T0 + 16 * S);
	assert_int_equal(t.until_ns, T0 + 11 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_second_in_which_a_container_started_is_not_certain),
		cmocka_unit_test(from_when_a_deletion_is_asked_for_nothing_is_sure),
		cmocka_unit_test(a_pod_that_is_to_go_and_whose_containers_have_ended_has_no_address),
		cmocka_unit_test(a_pod_whose_container_has_ended_and_that_stays_keeps_its_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
