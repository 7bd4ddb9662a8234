// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/cgroup.h"

#define ID  "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"
#define ID2 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
#define UID "2c48913c-b29f-11e7-9350-020968147796"
#define UND "2c48913c_b29f_11e7_9350_020968147796"
#define MIRROR "0123456789abcdef0123456789abcdef"

static void a_path_names_pod_and_container(void **state)
{
	static const struct {
		const char *path, *uid, *container, *runtime;
	} cases[] = {
		/* systemd driver: each class of service, each runtime */
		{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UND ".slice/cri-containerd-" ID ".scope",
		 UID, ID, "containerd"},
		{"/kubepods.slice/kubepods-pod" UND ".slice/crio-" ID ".scope", UID, ID, "cri-o"},
		{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UND ".slice/docker-" ID ".scope", UID, ID,
		 "docker"},
		{"/kubepods.slice/kubepods-pod" UND ".slice", UID, "", NULL},
		/* cgroupfs driver */
		{"/kubepods/burstable/pod" UID "/" ID, UID, ID, NULL},
		{"/kubepods/pod" UID "/" ID "/init.scope", UID, ID, NULL},
		{"/kubepods/besteffort/pod" MIRROR "/" ID, MIRROR, ID, NULL},
		/* from another cgroup namespace; a node that is a container itself */
		{"/../../kubepods-burstable-pod" UND ".slice/cri-containerd-" ID ".scope", UID, ID, "containerd"},
		{"/../cri-containerd-" ID ".scope", "", ID, "containerd"},
		{"/docker/" ID2 "/kubelet/kubepods/burstable/pod" UID "/" ID, UID, ID, NULL},
		{"/system.slice/docker-" ID2 ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UND
		 ".slice/cri-containerd-" ID ".scope",
		 UID, ID, "containerd"},
		/* what a container starts is its own business */
		{"/kubepods/pod" UID "/" ID "/docker/" ID2, UID, ID, NULL},
		/* outside of Kubernetes */
		{"/machine.slice/libpod-" ID ".scope/container", "", ID, "podman"},
		{"/libpod_parent/libpod-" ID, "", ID, "podman"},
		{"/docker/" ID, "", ID, NULL},
		/* nothing of the kind */
		{"/", NULL, NULL, NULL},
		{"", NULL, NULL, NULL},
		{"/user.slice/user-0.slice/session-3.scope", NULL, NULL, NULL},
		{"/system.slice/podinfo.service", NULL, NULL, NULL},
		{"/kubepods/burstable", NULL, NULL, NULL},
		{"/kubepods/pod" UID "x", NULL, NULL, NULL},
		{"/kubepods/xpod" UID, NULL, NULL, NULL},
		{"/system.slice/crio-conmon-" ID ".scope", NULL, NULL, NULL},
		{"/cri-containerd-" ID "0.scope", NULL, NULL, NULL},
		{"/cri-containerd-0A" ID ".scope", NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct cgroup_owner got;
		bool found = cgroup_parse(span_str(cases[i].path), &got);

		if (found != (cases[i].uid != NULL))
			fail_msg("%s: %s", cases[i].path, found ? "found" : "not found");
		assert_string_equal(got.pod_uid, found ? cases[i].uid : "");
		assert_string_equal(got.container_id, found ? cases[i].container : "");
		if (cases[i].runtime)
			assert_string_equal(got.runtime, cases[i].runtime);
		else
			assert_null(got.runtime);
	}
}

static void of_several_hierarchies_the_one_that_says_most_counts(void **state)
{
	static const char v1[] = "12:pids:/kubepods/pod" UID "\n"
				 "11:memory:/kubepods/pod" UID "/" ID "\n"
				 "1:name=systemd:/system.slice/containerd.service\n"
				 "0::/\n";
	static const char *const nothing[] = {"", "\n\n", "0::/\n", "no colons\n", "1:one\n", ":::::\n"};
	struct cgroup_owner got;

	(void)state;
	assert_true(cgroup_read(span_str(v1), &got));
	assert_string_equal(got.pod_uid, UID);
	assert_string_equal(got.container_id, ID);
	assert_true(cgroup_read(span_str("0::/kubepods/pod" UID "/" ID), &got)); /* no line end */
	assert_string_equal(got.container_id, ID);
	for (size_t i = 0; i < COUNT_OF(nothing); i++)
		assert_false(cgroup_read(span_str(nothing[i]), &got));
}

#define UID_TEXT   "0f5c2a76-5d7e-4a1d-9d5d-0c6f2f6f9a11"

static const struct {
	const char *cgroup, *uid; /* NULL: no pod's */
} nested[] = {
	{"0::/kubepods/burstable/pod" UID_TEXT "/7ab2\n", UID_TEXT},
	{"12:pids:/tapek8s-n1/kubepods/besteffort/pod" UID_TEXT "/7ab2\n1:name=x:/\n", UID_TEXT},
	{"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0f5c2a76_5d7e_4a1d_9d5d_"
	 "0c6f2f6f9a11.slice/cri-containerd-7ab2.scope\n",
	 UID_TEXT},
	{"0::/../../pod" UID_TEXT "/x", UID_TEXT},
	{"0::/system.slice/ssh.service\n", NULL},
	{"0::/kubepods/pod" UID_TEXT, UID_TEXT},
	{"0::/kubepods/pod0f5c2a76-5d7e", NULL},
	{"0::/mypod" UID_TEXT, NULL},
	{"0::/kubepods/podzf5c2a76-5d7e-4a1d-9d5d-0c6f2f6f9a11/x", NULL},
	{"0::/kubepods/pod" UID_TEXT "/7ab2/pod11111111-5d7e-4a1d-9d5d-0c6f2f6f9a11", UID_TEXT},
	{"", NULL},
};

static void a_group_that_a_container_made_does_not_tell_the_pod(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(nested); i++) {
		char uid[CGROUP_UID_MAX] = "";
		bool is_pod = cgroup_outer_pod(span_str(nested[i].cgroup), uid);

		assert_int_equal(is_pod, nested[i].uid != NULL);
		if (nested[i].uid)
			assert_string_equal(uid, nested[i].uid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_names_pod_and_container),
		cmocka_unit_test(of_several_hierarchies_the_one_that_says_most_counts),
		cmocka_unit_test(a_group_that_a_container_made_does_not_tell_the_pod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
