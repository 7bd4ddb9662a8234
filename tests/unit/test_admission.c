// SPDX-License-Identifier: Apache-2.0
#include "kube/admission.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/base64.h"

static const struct admission_config plain = {
	.image = "localhost/tapeloop:1",
	.pull_policy = "IfNotPresent",
	.memory_limit = "64Mi",
	.settings = "tapeloop",
	.own_namespace = "tapeloop",
};

#define POD_REQUEST                                                                                \
	"\"operation\":\"CREATE\",\"resource\":{\"group\":\"\",\"version\":\"v1\",\"resource\":"       \
	"\"pods\"},\"namespace\":\"shop\""
#define REVIEW(request)                                                                            \
	"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{"           \
	"\"uid\":\"u1\"," request "}}"
#define POD(meta, spec) POD_REQUEST ",\"object\":{\"metadata\":{" meta "},\"spec\":{" spec "}}"
#define CONTAINERS "\"containers\":[{\"name\":\"c\"}]"

static const struct {
	const char *review;
	enum injection why;
	bool is_native;
} decisions[] = {
	{REVIEW(POD("\"name\":\"a\"", CONTAINERS)), INJECTION_INJECTED, false},
	{REVIEW(POD("", CONTAINERS ",\"restartPolicy\":\"Always\"")), INJECTION_INJECTED, false},
	{REVIEW(POD("", CONTAINERS ",\"restartPolicy\":\"Never\"")), INJECTION_WOULD_END, false},
	{REVIEW(POD("", CONTAINERS ",\"restartPolicy\":\"Never\"")), INJECTION_INJECTED, true},
	{REVIEW(POD("\"annotations\":{\"tapeloop.dev/inject\":\"disabled\"}", CONTAINERS)),
	 INJECTION_OPTED_OUT, false},
	{REVIEW(POD("\"annotations\":{\"tapeloop.dev/inject\":\"enabled\"}", CONTAINERS)),
	 INJECTION_INJECTED, false},
	{REVIEW(POD("\"annotations\":{\"tapeloop.dev/injected\":\"0.1.0\"}", CONTAINERS)),
	 INJECTION_ALREADY, false},
	{REVIEW(POD("", "\"containers\":[{\"name\":\"c\"},{\"name\":\"tapeloop\"}]")), INJECTION_ALREADY,
	 false},
	{REVIEW(POD("", CONTAINERS ",\"initContainers\":[{\"name\":\"tapeloop\"}]")), INJECTION_ALREADY,
	 true},
	{REVIEW(POD("\"labels\":{\"app.kubernetes.io/name\":\"tapeloop\"}", CONTAINERS)),
	 INJECTION_OURS, false},
	{REVIEW("\"operation\":\"CREATE\",\"resource\":{\"group\":\"\",\"resource\":\"pods\"},"
		"\"namespace\":\"tapeloop\",\"object\":{\"spec\":{}}"),
	 INJECTION_OURS, false},
	{REVIEW(POD("", CONTAINERS ",\"hostNetwork\":true")), INJECTION_HOST_NETWORK, false},
	{REVIEW(POD("", CONTAINERS ",\"os\":{\"name\":\"windows\"}")), INJECTION_OTHER_SYSTEM, false},
	{REVIEW(POD("", CONTAINERS ",\"os\":{\"name\":\"linux\"}")), INJECTION_INJECTED, false},
	{REVIEW("\"operation\":\"UPDATE\",\"resource\":{\"group\":\"\",\"resource\":\"pods\"},"
		"\"object\":{\"spec\":{}}"),
	 INJECTION_NOT_A_POD, false},
	{REVIEW("\"operation\":\"CREATE\",\"resource\":{\"group\":\"apps\",\"resource\":\"deployments\"}"),
	 INJECTION_NOT_A_POD, false},
	{REVIEW(POD_REQUEST ",\"subResource\":\"eviction\",\"object\":{\"spec\":{}}"),
	 INJECTION_NOT_A_POD, false},
	{REVIEW(POD_REQUEST ",\"object\":null"), INJECTION_NOT_A_POD, false},
	{REVIEW(POD_REQUEST ",\"object\":{\"spec\":[]}"), INJECTION_NOT_A_POD, false},
	{REVIEW("\"object\":7"), INJECTION_NOT_A_POD, false},
};

/* Return: the response, to be given back with json_decref(@root_out). */
static const json_t *response_to(const struct admission_config *c, const char *review,
				 enum injection *why, json_t **root_out)
{
	AUTO_BUF out = {0};
	struct err e = {0};
	const json_t *response;

	if (admission_answer(c, span_str(review), &out, why, &e) < 0)
		fail_msg("%s: %s", review, e.why);
	*root_out = json_loads(buf_cstr(&out), 0, NULL);
	assert_non_null(*root_out);
	assert_string_equal(json_string_value(json_object_get(*root_out, "apiVersion")),
			    "admission.k8s.io/v1");
	assert_string_equal(json_string_value(json_object_get(*root_out, "kind")),
			    "AdmissionReview");
	response = json_object_get(*root_out, "response");
	assert_string_equal(json_string_value(json_object_get(response, "uid")), "u1");
	assert_true(json_is_true(json_object_get(response, "allowed")));
	return response;
}

static void each_pod_is_allowed_and_some_get_a_sidecar(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(decisions); i++) {
		struct admission_config c = plain;
		enum injection why = INJECTION_COUNT;
		const json_t *response;
		json_t *root;

		c.is_native = decisions[i].is_native;
		response = response_to(&c, decisions[i].review, &why, &root);
		if (why != decisions[i].why)
			fail_msg("%s: %s", decisions[i].review, injection_rows[why].name);
		assert_int_equal(json_object_get(response, "patch") != NULL,
				 why == INJECTION_INJECTED);
		assert_int_equal(json_object_get(response, "patchType") != NULL,
				 why == INJECTION_INJECTED);
		json_decref(root);
	}
}

/* the patch of @review as JSON */
static json_t *patch_of(const struct admission_config *c, const char *review)
{
	enum injection why;
	json_t *root, *patch;
	const json_t *response = response_to(c, review, &why, &root);
	struct span base64 = span_str(json_string_value(json_object_get(response, "patch")));
	uint8_t *text = malloc(base64_decoded_max(base64.len));
	size_t n = 0;

	assert_true(base64_decode(base64, text, &n));
	patch = json_loadb((const char *)text, n, 0, NULL);
	assert_true(json_is_array(patch));
	free(text);
	json_decref(root);
	return patch;
}

static void assert_paths(const char *review, bool is_native, const char *wanted)
{
	struct admission_config c = plain;
	AUTO_BUF paths = {0};
	json_t *patch, *op;
	size_t i;

	c.is_native = is_native;
	patch = patch_of(&c, review);
	json_array_foreach(patch, i, op)
	{
		assert_string_equal(json_string_value(json_object_get(op, "op")), "add");
		assert_non_null(json_object_get(op, "value"));
		buf_add_fmt(&paths, "%s ", json_string_value(json_object_get(op, "path")));
	}
	assert_string_equal(buf_cstr(&paths), wanted);
	json_decref(patch);
}

static void lists_that_are_there_get_members_and_others_are_made(void **state)
{
	(void)state;
	assert_paths(REVIEW(POD("", CONTAINERS)), false,
		     "/metadata/annotations /metadata/annotations/tapeloop.dev~1injected "
		     "/spec/containers/- /spec/volumes ");
	assert_paths(REVIEW(POD("\"annotations\":{}", CONTAINERS ",\"volumes\":[{\"name\":\"v\"}]")),
		     false,
		     "/metadata/annotations/tapeloop.dev~1injected /spec/containers/- "
		     "/spec/volumes/- /spec/volumes/- /spec/volumes/- ");
	assert_paths(REVIEW(POD("\"annotations\":null", CONTAINERS)), true,
		     "/metadata/annotations /metadata/annotations/tapeloop.dev~1injected "
		     "/spec/initContainers /spec/volumes ");
	assert_paths(REVIEW(POD("\"annotations\":{}", CONTAINERS ",\"initContainers\":[{\"name\":\"i\"}]")),
		     true,
		     "/metadata/annotations/tapeloop.dev~1injected /spec/initContainers/0 "
		     "/spec/volumes ");
}

static const struct {
	const char *meta, *kind, *name; /* kind NULL: none is named */
} owners[] = {
	{"\"name\":\"a\"", NULL, NULL},
	{"\"labels\":{\"pod-template-hash\":\"5d8f\"},\"ownerReferences\":[{\"kind\":\"ReplicaSet\","
	 "\"name\":\"cart-5d8f\"}]",
	 "Deployment", "cart"},
	{"\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"cart-5d8f\"}]", "ReplicaSet",
	 "cart-5d8f"},
	{"\"labels\":{\"pod-template-hash\":\"cart-5d8f\"},\"ownerReferences\":[{\"kind\":"
	 "\"ReplicaSet\",\"name\":\"cart-5d8f\"}]",
	 "ReplicaSet", "cart-5d8f"},
	{"\"ownerReferences\":[{\"kind\":\"StatefulSet\",\"name\":\"db\"}]", "StatefulSet", "db"},
	{"\"ownerReferences\":[7]", NULL, NULL},
};

static const char *variable(const json_t *container, const char *name)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(container, "env"), i, one)
		if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0)
			return json_string_value(json_object_get(one, "value"));
	return NULL;
}

static void the_workload_is_told_where_the_pod_says_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(owners); i++) {
		AUTO_BUF review = {0};
		json_t *patch;
		const json_t *container;

		buf_add_fmt(&review, REVIEW(POD_REQUEST ",\"object\":{\"metadata\":{%s},\"spec\":{" CONTAINERS "}}"),
			    owners[i].meta);
		patch = patch_of(&plain, buf_cstr(&review));
		container = json_object_get(json_array_get(patch, 2), "value");
		if (!owners[i].kind) {
			assert_null(variable(container, "WORKLOAD_KIND"));
		} else {
			assert_string_equal(variable(container, "WORKLOAD_KIND"), owners[i].kind);
			assert_string_equal(variable(container, "WORKLOAD_NAME"), owners[i].name);
		}
		json_decref(patch);
	}
}

static const struct {
	const char *review, *says;
} garbage[] = {
	{"", "no JSON: line 1"},
	{"{\"kind\":", "no JSON: line 1, column 8"},
	{"[]", "kind: expected AdmissionReview"},
	{"{\"kind\":\"Pod\"}", "kind: expected AdmissionReview"},
	{"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1beta1\"}",
	 "apiVersion: expected admission.k8s.io/v1"},
	{"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\"}",
	 "request: expected an object"},
	{"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{}}",
	 "request.uid: expected a text"},
	{"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{\"uid\":7}}",
	 "request.uid: expected a text"},
	{"{\"a\":1,\"a\":2}", "duplicate"},
};

static void garbage_is_refused_with_its_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(garbage); i++) {
		AUTO_BUF out = {0};
		enum injection why;
		struct err e = {0};

		assert_int_equal(admission_answer(&plain, span_str(garbage[i].review), &out, &why, &e),
				 -EBADMSG);
		assert_int_equal(out.len, 0);
		if (!strstr(e.why, garbage[i].says))
			fail_msg("%s: %s", garbage[i].review, e.why);
	}
}

static void a_review_may_not_be_endless(void **state)
{
	uint8_t *much = malloc(ADMISSION_BYTES_MAX + 1);
	AUTO_BUF out = {0};
	enum injection why;
	struct err e = {0};

	(void)state;
	memset(much, ' ', ADMISSION_BYTES_MAX + 1);
	assert_int_equal(admission_answer(&plain, span_of(much, ADMISSION_BYTES_MAX + 1), &out, &why, &e),
			 -E2BIG);
	free(much);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_pod_is_allowed_and_some_get_a_sidecar),
		cmocka_unit_test(lists_that_are_there_get_members_and_others_are_made),
		cmocka_unit_test(the_workload_is_told_where_the_pod_says_it),
		cmocka_unit_test(garbage_is_refused_with_its_reason),
		cmocka_unit_test(a_review_may_not_be_endless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
