// SPDX-License-Identifier: Apache-2.0
#include "kube/sidecar.h"

#include <string.h>

/*
 * Theory of operation. The same container is written in deploy/components/sidecar for those who want
 * no webhook; a test holds the two together.
 *
 * It runs as an ordinary user with CAP_NET_RAW from its file, which is why privilege escalation must
 * be allowed: no_new_privs would make the file's capabilities void. tapeloopd sets no_new_privs
 * itself, before it reads a packet. Nothing is mounted that belongs to the node, and there is no
 * token of a service account: it does not speak with the API server.
 *
 * Whose pod it is: a ReplicaSet of a Deployment bears the Deployment's name with the label
 * pod-template-hash behind it, so that one is named; anything else that owns the pod, by itself.
 */
#define USER 7700 /* of the image */

static json_t *field(const char *name, const char *path)
{
	return json_pack("{s:s, s:{s:{s:s}}}", "name", name, "valueFrom", "fieldRef", "fieldPath",
			 path);
}

static json_t *value(const char *name, const char *text)
{
	return json_pack("{s:s, s:s}", "name", name, "value", text);
}

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* how much of a ReplicaSet's name is its Deployment's; 0: it has none */
static int deployment_length(const char *name, const char *hash)
{
	size_t n = strlen(name), h = strlen(hash);

	if (!h || n <= h + 1 || name[n - h - 1] != '-' || strcmp(name + n - h, hash) != 0)
		return 0;
	return (int)(n - h - 1);
}

static int add_workload(json_t *env, const json_t *meta)
{
	const json_t *owner = json_array_get(json_object_get(meta, "ownerReferences"), 0);
	const char *kind = text_at(owner, "kind"), *name = text_at(owner, "name");
	const char *hash = text_at(json_object_get(meta, "labels"), "pod-template-hash");
	int n = strcmp(kind, "ReplicaSet") == 0 ? deployment_length(name, hash) : 0;

	if (!*kind || !*name)
		return 0;
	if (json_array_append_new(env, value("WORKLOAD_KIND", n ? "Deployment" : kind)) < 0)
		return -1;
	return json_array_append_new(
		env, n ? json_pack("{s:s, s:s%}", "name", "WORKLOAD_NAME", "value", name, (size_t)n)
		       : value("WORKLOAD_NAME", name));
}

bool sidecar_hands_over(const struct admission_config *c)
{
	return c->handover && c->handover[0] == '/';
}

static json_t *environment(const struct admission_config *c, const json_t *meta)
{
	json_t *env =
		json_pack("[o, o, o, o]", field("POD_NAME", "metadata.name"),
			  field("POD_NAMESPACE", "metadata.namespace"),
			  field("POD_UID", "metadata.uid"), field("NODE_NAME", "spec.nodeName"));

	if (env && (add_workload(env, meta) < 0 ||
		    (sidecar_hands_over(c) &&
		     json_array_append_new(env, value("TAPELOOP_HANDOVER_TO", c->handover)) < 0))) {
		json_decref(env);
		return NULL;
	}
	return env;
}

static json_t *security(void)
{
	return json_pack("{s:i, s:i, s:b, s:b, s:b, s:{s:[s], s:[s]}, s:{s:s}}", "runAsUser", USER,
			 "runAsGroup", USER, "runAsNonRoot", 1, "allowPrivilegeEscalation", 1,
			 "readOnlyRootFilesystem", 1, "capabilities", "drop", "ALL", "add",
			 "NET_RAW", "seccompProfile", "type", "RuntimeDefault");
}

/* the directory of the node's socket, as long as the text before its last slash */
static int directory_length(const struct admission_config *c)
{
	return (int)MAX(strrchr(c->handover, '/') - c->handover, 1);
}

/* where it hands over, the socket's directory takes the tapes' place */
static json_t *mounts(const struct admission_config *c)
{
	if (sidecar_hands_over(c))
		return json_pack("[{s:s, s:s%, s:b}, {s:s, s:s, s:b}, {s:s, s:s, s:b}]", "name",
				 "tapeloop-handover", "mountPath", c->handover,
				 (size_t)directory_length(c), "readOnly", 1, "name",
				 "tapeloop-podinfo", "mountPath", "/etc/podinfo", "readOnly", 1,
				 "name", "tapeloop-settings", "mountPath", "/etc/tapeloop",
				 "readOnly", 1);
	return json_pack("[{s:s, s:s}, {s:s, s:s, s:b}, {s:s, s:s, s:b}]", "name", "tapeloop-tapes",
			 "mountPath", "/var/lib/tapeloop", "name", "tapeloop-podinfo", "mountPath",
			 "/etc/podinfo", "readOnly", 1, "name", "tapeloop-settings", "mountPath",
			 "/etc/tapeloop", "readOnly", 1);
}

/* Native: the application starts once this one captures, so that its first request is on the tape. */
static int make_native(json_t *container)
{
	json_t *probe = json_pack("{s:{s:[s, s, s, s]}, s:i, s:i, s:i}", "exec", "command",
				  "/usr/bin/tapeloop", "tapes", "--api", "http://127.0.0.1:7700",
				  "periodSeconds", 1, "timeoutSeconds", 5, "failureThreshold", 30);

	return json_object_set_new(container, "restartPolicy", json_string("Always")) < 0
		       ? -1
		       : json_object_set_new(container, "startupProbe", probe);
}

json_t *sidecar_container(const struct admission_config *c, const json_t *metadata)
{
	json_t *container = json_pack(
		"{s:s, s:s, s:s, s:[s], s:o, s:o, s:{s:{s:s, s:s}, s:{s:s}}, s:o}", "name",
		SIDECAR_NAME, "image", c->image, "imagePullPolicy", c->pull_policy, "args",
		"--sidecar", "env", environment(c, metadata), "securityContext", security(),
		"resources", "requests", "cpu", "10m", "memory", "16Mi", "limits", "memory",
		c->memory_limit, "volumeMounts", mounts(c));

	if (container && c->is_native && make_native(container) < 0) {
		json_decref(container);
		return NULL;
	}
	return container;
}

/* A node without the daemon makes the directory, and the sidecar finds nobody there, and says so. */
static json_t *first_volume(const struct admission_config *c)
{
	if (sidecar_hands_over(c))
		return json_pack("{s:s, s:{s:s%, s:s}}", "name", "tapeloop-handover", "hostPath",
				 "path", c->handover, (size_t)directory_length(c), "type",
				 "DirectoryOrCreate");
	return json_pack("{s:s, s:{s:s}}", "name", "tapeloop-tapes", "emptyDir", "sizeLimit",
			 "512Mi");
}

json_t *sidecar_volumes(const struct admission_config *c)
{
	return json_pack("[o, {s:s, s:{s:[{s:s, s:{s:s}}, {s:s, s:{s:s}}]}}, {s:s, s:{s:s, s:b}}]",
			 first_volume(c), "name", "tapeloop-podinfo", "downwardAPI", "items",
			 "path", "labels", "fieldRef", "fieldPath", "metadata.labels", "path",
			 "annotations", "fieldRef", "fieldPath", "metadata.annotations", "name",
			 "tapeloop-settings", "configMap", "name", c->settings, "optional", 1);
}
