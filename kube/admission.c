// SPDX-License-Identifier: Apache-2.0
#include "kube/admission.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "kube/sidecar.h"
#include "lib/json.h"

/*
 * Theory of operation. Kubernetes, dynamic admission control: the API server posts an
 * AdmissionReview with the object that is about to be made; the answer carries the review's uid,
 * whether the object is allowed, and a JSON Patch (RFC 6902) in base64. We only ever add:
 *
 *	/metadata/annotations   tapeloop.dev/injected, by which a second call knows the first one;
 *	                        tapeloop.dev/handover, by which the node's daemon knows that it gets
 *	                        this pod's exchanges and need not capture them, too
 *	/spec/containers or, native, /spec/initContainers   the sidecar (kube/sidecar.c)
 *	/spec/volumes           its volumes
 *
 * A list that is absent is added whole, one that is there gets members. A native sidecar comes
 * first of the init containers, so that what the others say is recorded too.
 *
 * Which namespaces take part is the API server's to decide, by the namespaceSelector of the
 * configuration; what can be told from the pod is decided here. The review is a stranger's: all is
 * looked up by type, nothing is believed to be there.
 */
#define ANNOTATION_INJECT   "tapeloop.dev/inject"
#define ANNOTATION_INJECTED "tapeloop.dev/injected"
#define POINTER_INJECTED    "/metadata/annotations/tapeloop.dev~1injected" /* RFC 6901 section 3 */
#define POINTER_HANDOVER    "/metadata/annotations/tapeloop.dev~1handover"

const struct injection_row injection_rows[INJECTION_COUNT] = {
#define INJECTION(NAME, name, what) [INJECTION_##NAME] = {name, what},
#include "kube/injection.tbl.h"
#undef INJECTION
};

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static bool is_text(const json_t *object, const char *key, const char *wanted)
{
	return strcmp(text_at(object, key), wanted) == 0;
}

static bool has_container(const json_t *list)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one) if (is_text(one, "name", SIDECAR_NAME)) return true;
	return false;
}

static bool is_pod(const json_t *request)
{
	const json_t *resource = json_object_get(request, "resource");

	return is_text(request, "operation", "CREATE") && is_text(resource, "resource", "pods") &&
	       is_text(resource, "group", "") && is_text(request, "subResource", "") &&
	       json_is_object(json_object_get(json_object_get(request, "object"), "spec"));
}

static enum injection decide(const struct admission_config *c, const json_t *request)
{
	const json_t *pod = json_object_get(request, "object");
	const json_t *meta = json_object_get(pod, "metadata"), *spec = json_object_get(pod, "spec");
	const json_t *annotations = json_object_get(meta, "annotations");
	const json_t *os = json_object_get(json_object_get(spec, "os"), "name");

	if (!is_pod(request))
		return INJECTION_NOT_A_POD;
	if (is_text(request, "namespace", c->own_namespace) ||
	    is_text(json_object_get(meta, "labels"), "app.kubernetes.io/name", "tapeloop"))
		return INJECTION_OURS;
	if (is_text(annotations, ANNOTATION_INJECT, "disabled"))
		return INJECTION_OPTED_OUT;
	if (*text_at(annotations, ANNOTATION_INJECTED) ||
	    has_container(json_object_get(spec, "containers")) ||
	    has_container(json_object_get(spec, "initContainers")))
		return INJECTION_ALREADY;
	if (json_is_true(json_object_get(spec, "hostNetwork")))
		return INJECTION_HOST_NETWORK;
	if (os && strcmp(text_at(json_object_get(spec, "os"), "name"), "linux") != 0)
		return INJECTION_OTHER_SYSTEM;
	if (!c->is_native && *text_at(spec, "restartPolicy") &&
	    !is_text(spec, "restartPolicy", "Always"))
		return INJECTION_WOULD_END;
	return INJECTION_INJECTED;
}

/* one operation at the end of @patch; @value moves in */
static int add_op(json_t *patch, const char *path, json_t *value)
{
	json_t *op = json_pack("{s:s, s:s, s:o}", "op", "add", "path", path, "value", value);

	return json_array_append_new(patch, op) < 0 ? -ENOMEM : 0;
}

/* @value becomes a member of the list at @path: at its @place, or the list's only one */
static int add_member(json_t *patch, const json_t *list, const char *path, const char *place,
		      json_t *value)
{
	char pointer[64];

	if (!json_is_array(list))
		return add_op(patch, path, json_pack("[o]", value));
	(void)snprintf(pointer, sizeof(pointer), "%s/%s", path, place);
	return add_op(patch, pointer, value);
}

static int add_annotations(json_t *patch, const struct admission_config *c, const json_t *pod)
{
	const json_t *meta = json_object_get(pod, "metadata");
	int failed = 0;

	if (!json_is_object(json_object_get(meta, "annotations")))
		failed = add_op(patch, "/metadata/annotations", json_object());
	if (failed == 0)
		failed = add_op(patch, POINTER_INJECTED, json_string(TAPELOOP_VERSION));
	if (failed == 0 && sidecar_hands_over(c))
		failed = add_op(patch, POINTER_HANDOVER, json_string(c->handover));
	return failed;
}

static int add_container(json_t *patch, const struct admission_config *c, const json_t *pod)
{
	const json_t *spec = json_object_get(pod, "spec");
	json_t *container = sidecar_container(c, json_object_get(pod, "metadata"));

	if (c->is_native)
		return add_member(patch, json_object_get(spec, "initContainers"),
				  "/spec/initContainers", "0", container);
	return add_member(patch, json_object_get(spec, "containers"), "/spec/containers", "-",
			  container);
}

/* Volumes whose names the pod has already are taken to be ours: only we use that prefix. */
static int add_volumes(json_t *patch, const struct admission_config *c, const json_t *pod)
{
	const json_t *list = json_object_get(json_object_get(pod, "spec"), "volumes");
	json_t *volumes = sidecar_volumes(c), *one;
	int failed = volumes ? 0 : -ENOMEM;
	size_t i;

	if (failed == 0 && !json_is_array(list))
		failed = add_op(patch, "/spec/volumes", json_incref(volumes));
	else
		json_array_foreach(volumes, i, one) if (failed == 0) failed =
			add_op(patch, "/spec/volumes/-", json_incref(one));
	json_decref(volumes);
	return failed;
}

/* the patch as base64 of its JSON; NULL: no memory */
static json_t *make_patch(const struct admission_config *c, const json_t *pod)
{
	json_t *patch = json_array(), *text = NULL;
	AUTO_BUF base64 = {0};
	struct json j = json_to(&base64);
	char *json = NULL;

	if (patch && add_annotations(patch, c, pod) == 0 && add_container(patch, c, pod) == 0 &&
	    add_volumes(patch, c, pod) == 0)
		json = json_dumps(patch, JSON_COMPACT);
	if (json) {
		json_base64(&j, span_str(json)); /* with its quotes */
		text = json_loadb((const char *)base64.ptr, base64.len, JSON_DECODE_ANY, NULL);
	}
	free(json);
	json_decref(patch);
	return text;
}

static int write_answer(const char *uid, json_t *patch, struct buf *out)
{
	json_t *response = json_pack("{s:s, s:b}", "uid", uid, "allowed", 1);
	json_t *review;
	char *text = NULL;

	if (response && patch &&
	    (json_object_set_new(response, "patchType", json_string("JSONPatch")) < 0 ||
	     json_object_set(response, "patch", patch) < 0)) {
		json_decref(response);
		return -ENOMEM;
	}
	review = json_pack("{s:s, s:s, s:o}", "apiVersion", "admission.k8s.io/v1", "kind",
			   "AdmissionReview", "response", response);
	if (review)
		text = json_dumps(review, JSON_COMPACT);
	json_decref(review);
	if (text)
		buf_add_str(out, text);
	free(text);
	return text && !out->is_failed ? 0 : -ENOMEM;
}

/* @out: borrowed from @review */
static int find_request(const json_t *review, const json_t **out, struct err *e)
{
	const json_t *request = json_object_get(review, "request");

	if (!is_text(review, "kind", "AdmissionReview"))
		return err_set(e, -EBADMSG, "kind: expected AdmissionReview");
	if (!is_text(review, "apiVersion", "admission.k8s.io/v1"))
		return err_set(e, -EBADMSG, "apiVersion: expected admission.k8s.io/v1");
	if (!json_is_object(request))
		return err_set(e, -EBADMSG, "request: expected an object");
	if (!*text_at(request, "uid"))
		return err_set(e, -EBADMSG, "request.uid: expected a text");
	*out = request;
	return 0;
}

static int answer(const struct admission_config *config, const json_t *review, struct buf *out,
		  enum injection *why, struct err *e)
{
	const json_t *request = NULL;
	json_t *patch = NULL;
	int failed = find_request(review, &request, e);

	if (failed < 0)
		return failed;
	*why = decide(config, request);
	if (*why == INJECTION_INJECTED) {
		patch = make_patch(config, json_object_get(request, "object"));
		failed = patch ? 0 : -ENOMEM;
	}
	if (failed == 0)
		failed = write_answer(text_at(request, "uid"), patch, out);
	json_decref(patch);
	return failed < 0 ? err_set(e, failed, "out of memory") : 0;
}

int admission_answer(const struct admission_config *config, struct span review, struct buf *out,
		     enum injection *why, struct err *e)
{
	json_error_t where;
	json_t *tree;
	int failed;

	if (review.len > ADMISSION_BYTES_MAX)
		return err_set(e, -E2BIG, "longer than %zu bytes", ADMISSION_BYTES_MAX);
	tree = json_loadb((const char *)review.ptr, review.len, JSON_REJECT_DUPLICATES, &where);
	if (!tree)
		return err_set(e, -EBADMSG, "no JSON: line %d, column %d: %s", where.line,
			       where.column, where.text);
	failed = answer(config, tree, out, why, e);
	json_decref(tree);
	return failed;
}
