// SPDX-License-Identifier: Apache-2.0
#include "kube/reference.h"

#include <errno.h>
#include <stdio.h>

/*
 *     KIND[+SCHEME] "/" NAME ["." NAMESPACE] [":" PORT]
 *
 * Names are cut at dots from the right, since a namespace is a single label (RFC 1123) and names of pods and
 * workloads may be several; a service is a single label, so it is cut from the left, and what DNS has behind
 * its namespace may stand there. Everything that comes out of here goes into paths of the API and consists of
 * lower-case letters, digits, '-' and '.' alone.
 */

#define EXPECTED "expected KIND/NAME[.NAMESPACE][:PORT]"
#define KINDS	 "svc, pod, deploy, sts, ds, rs, job"

static const struct kube_resource resources[] = {
	[KUBE_SERVICE] = {"svc", "Service", "/api/v1", "services"},
	[KUBE_POD] = {"pod", "Pod", "/api/v1", "pods"},
	[KUBE_DEPLOYMENT] = {"deploy", "Deployment", "/apis/apps/v1", "deployments"},
	[KUBE_STATEFULSET] = {"sts", "StatefulSet", "/apis/apps/v1", "statefulsets"},
	[KUBE_DAEMONSET] = {"ds", "DaemonSet", "/apis/apps/v1", "daemonsets"},
	[KUBE_REPLICASET] = {"rs", "ReplicaSet", "/apis/apps/v1", "replicasets"},
	[KUBE_JOB] = {"job", "Job", "/apis/batch/v1", "jobs"},
};

static const struct {
	const char *word;
	uint8_t kind;
} words[] = {
	{"svc", KUBE_SERVICE},
	{"service", KUBE_SERVICE},
	{"services", KUBE_SERVICE},
	{"po", KUBE_POD},
	{"pod", KUBE_POD},
	{"pods", KUBE_POD},
	{"deploy", KUBE_DEPLOYMENT},
	{"deployment", KUBE_DEPLOYMENT},
	{"deployments", KUBE_DEPLOYMENT},
	{"sts", KUBE_STATEFULSET},
	{"statefulset", KUBE_STATEFULSET},
	{"statefulsets", KUBE_STATEFULSET},
	{"ds", KUBE_DAEMONSET},
	{"daemonset", KUBE_DAEMONSET},
	{"daemonsets", KUBE_DAEMONSET},
	{"rs", KUBE_REPLICASET},
	{"replicaset", KUBE_REPLICASET},
	{"replicasets", KUBE_REPLICASET},
	{"job", KUBE_JOB},
	{"jobs", KUBE_JOB},
};

/* grpc and h2c are spoken where they were recorded: only whether it is over TLS must be said */
static const struct {
	const char *word;
	uint8_t scheme;
} schemes[] = {
	{"http", KUBE_SCHEME_HTTP},   {"https", KUBE_SCHEME_HTTPS}, {"ws", KUBE_SCHEME_HTTP},
	{"wss", KUBE_SCHEME_HTTPS},   {"h2c", KUBE_SCHEME_HTTP},    {"grpc", KUBE_SCHEME_HTTP},
	{"grpcs", KUBE_SCHEME_HTTPS},
};

const struct kube_resource *kube_resource(enum kube_kind kind)
{
	return &resources[kind];
}

static bool is_lower(uint8_t c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* RFC 1123, lower case: what DNS calls a label */
static bool is_label(struct span s)
{
	if (s.len == 0 || s.len > KUBE_LABEL_MAX || s.ptr[0] == '-' || s.ptr[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_lower(s.ptr[i]) && !is_digit(s.ptr[i]) && s.ptr[i] != '-')
			return false;
	return true;
}

static struct span before(struct span s, const uint8_t *at)
{
	return at ? span_of(s.ptr, (size_t)(at - s.ptr)) : s;
}

static struct span behind(struct span s, const uint8_t *at)
{
	return at ? span_from(s, (size_t)(at - s.ptr) + 1) : (struct span){0};
}

static bool is_name(struct span s)
{
	if (s.len > KUBE_NAME_MAX)
		return false;
	for (;;) {
		const uint8_t *dot = span_chr(s, '.');

		if (!is_label(before(s, dot)))
			return false;
		if (!dot)
			return true;
		s = behind(s, dot);
	}
}

bool kube_reference_is(const char *text)
{
	size_t n = 0;

	while (is_lower((uint8_t)text[n]) || is_digit((uint8_t)text[n]) || text[n] == '+')
		n++;
	return n > 0 && text[n] == '/' && text[n + 1] != '\0';
}

static bool take_kind(struct span s, struct kube_reference *out)
{
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (span_eq(s, span_str(words[i].word))) {
			out->kind = words[i].kind;
			return true;
		}
	return false;
}

static bool take_scheme(struct span s, struct kube_reference *out)
{
	for (size_t i = 0; i < COUNT_OF(schemes); i++)
		if (span_eq(s, span_str(schemes[i].word))) {
			out->scheme = schemes[i].scheme;
			return true;
		}
	return false;
}

static bool take_number(struct span s, struct kube_reference *out)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (!is_digit(s.ptr[i]) || n > UINT16_MAX)
			return false;
		n = n * 10 + (uint32_t)(s.ptr[i] - '0');
	}
	out->port = (uint16_t)n;
	return s.len > 0 && n > 0 && n <= UINT16_MAX;
}

static bool take_port(struct span s, struct kube_reference *out)
{
	bool has_letter = false;

	for (size_t i = 0; i < s.len; i++)
		has_letter |= is_lower(s.ptr[i]);
	if (!has_letter)
		return take_number(s, out);
	if (!is_label(s))
		return false;
	(void)snprintf(out->port_name, sizeof(out->port_name), "%.*s", (int)s.len,
		       (const char *)s.ptr);
	return true;
}

/* what DNS may have behind a service's namespace */
static bool is_domain(struct span s)
{
	return s.len == 0 || span_eq(s, SPAN_LIT("svc")) ||
	       (s.len > 4 && memcmp(s.ptr, "svc.", 4) == 0 && is_name(s));
}

static bool take_name(struct span s, struct kube_reference *out)
{
	bool is_service = out->kind == KUBE_SERVICE;
	const uint8_t *dot = !s.len	  ? NULL
			     : is_service ? memchr(s.ptr, '.', s.len)
					  : memrchr(s.ptr, '.', s.len);
	struct span name = before(s, dot), name_space = behind(s, dot), domain = {0};

	if (is_service && name_space.len) {
		const uint8_t *end = memchr(name_space.ptr, '.', name_space.len);

		domain = behind(name_space, end);
		if (end && domain.len == 0)
			return false;
		name_space = before(name_space, end);
	}
	if (!(is_service ? is_label(name) : is_name(name)) || (dot && !is_label(name_space)) ||
	    !is_domain(domain))
		return false;
	(void)snprintf(out->name, sizeof(out->name), "%.*s", (int)name.len, (const char *)name.ptr);
	(void)snprintf(out->name_space, sizeof(out->name_space), "%.*s", (int)name_space.len,
		       name_space.len ? (const char *)name_space.ptr : "");
	return true;
}

int kube_reference_parse(const char *text, struct kube_reference *out, struct err *e)
{
	struct kube_reference ref = {0};
	struct span s = span_str(text);
	const uint8_t *slash = span_chr(s, '/');
	struct span kind = before(s, slash), rest = behind(s, slash);
	const uint8_t *plus = span_chr(kind, '+');
	const uint8_t *colon = span_chr(rest, ':');

	if (!slash || !take_kind(before(kind, plus), &ref))
		return err_set(e, -EINVAL, "target %s: " EXPECTED ", KIND one of " KINDS, text);
	if (plus && !take_scheme(behind(kind, plus), &ref))
		return err_set(e, -EINVAL,
			       "target %s: expected %s+http or %s+https before the slash", text,
			       resources[ref.kind].word, resources[ref.kind].word);
	if (!take_name(before(rest, colon), &ref))
		return err_set(e, -EINVAL,
			       "target %s: " EXPECTED
			       ", names in lower-case letters, digits and '-'",
			       text);
	if (colon && !take_port(behind(rest, colon), &ref))
		return err_set(e, -EINVAL,
			       "target %s: a port is its name, or a number from 1 to 65535", text);
	*out = ref;
	return 0;
}
