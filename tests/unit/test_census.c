// SPDX-License-Identifier: Apache-2.0
/* Who was at an address at a moment: births, deaths, addresses used again, ports, services. */
#include "kube/register.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

/* Seconds after noon, in tables; as ns, and as text. */
#define NOON UINT64_C(1764072000)
static uint64_t at_s(double s)
{
	return NOON * NS_PER_S + (uint64_t)(s * 1e9);
}

static const char *text_s(int s)
{
	static char text[4][32];
	static unsigned next;
	char *to = text[next++ % 4];

	(void)snprintf(to, 32, "2025-11-25T12:%02d:%02dZ", s / 60, s % 60);
	return to;
}

static struct endpoint address(const char *text, uint16_t port)
{
	struct endpoint e = {.port = port, .is_ipv4 = !strchr(text, ':')};

	assert_true(kube_address(span_str(text), e.address));
	return e;
}

static const struct kube_pod *parse(const char *text)
{
	const struct kube_pod_choice choice = {"a.b/*,whole"};
	const struct kube_pod *pod = NULL;
	struct err e = {0};
	json_error_t why;
	json_t *object = json_loads(text, 0, &why);

	if (!object)
		fail_msg("%s: %s", text, why.text);
	if (kube_pod_parse(object, &choice, &pod, &e) < 0)
		fail_msg("%s", e.why);
	json_decref(object);
	return pod;
}

/* @start, @run, @end: seconds after noon; -1: not yet */
static const struct kube_pod *pod(const char *name, const char *ip, int start, int run, int end)
{
	AUTO_BUF t = {0};

	buf_add_fmt(&t, "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\",\"uid\":\"uid-%s\"},", name, name);
	buf_add_str(&t, "\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"app\"}]},");
	buf_add_fmt(&t, "\"status\":{\"phase\":\"%s\",\"startTime\":\"%s\"", end >= 0 ? "Succeeded" : "Running",
		    text_s(start));
	if (*ip)
		buf_add_fmt(&t, ",\"podIP\":\"%s\"", ip);
	if (run >= 0 && end < 0)
		buf_add_fmt(&t,
			    ",\"containerStatuses\":[{\"name\":\"app\",\"state\":{\"running\":"
			    "{\"startedAt\":\"%s\"}}}]",
			    text_s(run));
	if (run >= 0 && end >= 0)
		buf_add_fmt(&t,
			    ",\"containerStatuses\":[{\"name\":\"app\",\"state\":{\"terminated\":"
			    "{\"startedAt\":\"%s\",\"finishedAt\":\"%s\"}}}]",
			    text_s(run), text_s(end));
	buf_add_str(&t, "}}");
	return parse(buf_cstr(&t));
}

static const struct register_config usual = {3600 * NS_PER_S, 100};

static const struct census *census(struct kube_register *r, double lost_s, double now_s)
{
	const struct census *c = register_census(r, lost_s < 0 ? 0 : at_s(lost_s), at_s(now_s));

	assert_non_null(c);
	return c;
}

static void expect(const struct census *c, const char *ip, uint16_t port, double s, const char *name,
		   enum identity_certainty certainty)
{
	struct endpoint e = address(ip, port);
	const struct identity *who = census_find(c, &e, at_s(s));

	if (!name) {
		if (who)
			fail_msg("%s at %g: %.*s instead of nobody", ip, s, (int)who->pod.len,
				 (const char *)who->pod.ptr);
		return;
	}
	if (!who)
		fail_msg("%s at %g: nobody instead of %s", ip, s, name);
	if (!span_eq(who->pod, span_str(name)) || who->certainty != certainty)
		fail_msg("%s at %g: %.*s, %s", ip, s, (int)who->pod.len, (const char *)who->pod.ptr,
			 identity_certainty_name(who->certainty));
}

static void a_pod_has_its_address_from_its_start_until_it_is_gone(void **state)
{
	struct kube_register *r = register_new(&usual);
	const struct census *c;

	(void)state;
	assert_int_equal(register_pod(r, pod("a", "10.0.0.1", 100, 102, -1), at_s(103)), 0);
	register_pod_gone(r, SPAN_LIT("uid-a"), at_s(200), at_s(200));
	c = census(r, -1, 201);
	expect(c, "10.0.0.1", 80, 99, NULL, 0);
	expect(c, "10.0.0.1", 80, 101, "a", CERTAINTY_CERTAIN); /* nobody else can be meant */
	expect(c, "10.0.0.1", 80, 150, "a", CERTAINTY_CERTAIN);
	expect(c, "10.0.0.1", 80, 199.9, "a", CERTAINTY_CERTAIN);
	expect(c, "10.0.0.1", 80, 200.1, NULL, 0);
	expect(c, "10.0.0.2", 80, 150, NULL, 0);
	expect(NULL, "10.0.0.1", 80, 150, NULL, 0);
	census_free(c);
	register_free(r);
}

static void the_first_request_of_a_pod_is_named_before_its_containers_are_told(void **state)
{
	struct kube_register *r = register_new(&usual);
	const struct census *c;

	(void)state;
	assert_int_equal(register_pod(r, pod("a", "", 100, -1, -1), at_s(100)), 0);
	assert_int_equal(register_pod(r, pod("a", "10.0.0.1", 100, -1, -1), at_s(103)), 0);
	c = census(r, -1, 103);
	expect(c, "10.0.0.1", 80, 101.5, "a", CERTAINTY_CERTAIN);
	census_free(c);
	register_free(r);
}

/* a: 100 to 200, as was heard; b was accepted at 190 and ran from 195 on */
static void an_address_that_is_used_again_is_the_one_or_the_other_or_says_that_it_may_be_both(void **state)
{
	struct kube_register *r = register_new(&usual);
	const struct census *c;

	(void)state;
	assert_int_equal(register_pod(r, pod("a", "10.0.0.1", 100, 102, -1), at_s(103)), 0);
	assert_int_equal(register_pod(r, pod("a", "10.0.0.1", 100, 102, 180), at_s(199)), 0);
	assert_int_equal(register_pod(r, pod("b", "10.0.0.1", 180, 195, -1), at_s(198)), 0);
	register_pod_gone(r, SPAN_LIT("uid-a"), at_s(200), at_s(200));
	c = census(r, -1, 201);
	expect(c, "10.0.0.1", 80, 170, "a", CERTAINTY_CERTAIN);
	expect(c, "10.0.0.1", 80, 180.5, "", CERTAINTY_AMBIGUOUS); /* within the second in which a ended */
	expect(c, "10.0.0.1", 80, 181.5, "b", CERTAINTY_CERTAIN);
	expect(c, "10.0.0.1", 80, 300, "b", CERTAINTY_CERTAIN);
	census_free(c);
	register_free(r);
}

static void what_is_common_to_all_that_may_be_meant_is_said(void **state)
{
	struct kube_register *r = register_new(&usual);
	struct endpoint e = address("10.0.0.1", 0);
	const struct identity *who;
	const struct census *c;

	(void)state;
	assert_int_equal(register_pod(r, pod("a", "10.0.0.1", 100, -1, -1), at_s(150)), 0);
	assert_int_equal(register_pod(r, pod("b", "10.0.0.1", 110, -1, -1), at_s(160)), 0);
	c = census(r, -1, 201);
	who = census_find(c, &e, at_s(120));
	assert_non_null(who);
	assert_int_equal(who->certainty, CERTAINTY_AMBIGUOUS);
	assert_true(span_eq(who->name_space, SPAN_LIT("shop")));
	assert_int_equal(who->pod.len, 0);
	assert_int_equal(who->pod_uid.len, 0);
	census_free(c);
	register_free(r);
}

static void a_pod_that_has_ended_keeps_its_object_but_not_its_address(void **state)
{
	struct kube_register *r = register_new(&usual);
	const struct census *c;

	(void)state;
	assert_int_equal(register_pod(r, pod("job", "10.0.0.1", 100, 101, 130), at_s(131)), 0);
	c = census(r, -1, 500);
	expect(c, "10.0.0.1", 0, 120, "job", CERTAINTY_CERTAIN);
	expect(c, "10.0.0.1", 0, 140, NULL, 0);
	assert_int_equal(census_count(c), 1);
	census_free(c);
	register_free(r);
}

static void while_the_server_is_away_names_are_inferred(void **state)
{
	struct kube_register *r = register_new(&usual);
	const struct census *c;

	(void)state;
	assert_int_equal(register_pod(r, pod("a", "10.0.0.1", 100, 102, -1), at_s(103)), 0);
	c = census(r, 150, 160);
	expect(c, "10.0.0.1", 0, 149, "a", CERTAINTY_CERTAIN);
	expect(c, "10.0.0.1", 0, 151, "a", CERTAINTY_INFERRED);
	census_free(c);
	/* it comes back with a list that has another pod there: a may have ended at any time since 150 */
	register_list_begin(r, REGISTER_PODS);
	assert_int_equal(register_pod(r, pod("b", "10.0.0.1", 180, 182, -1), at_s(300)), 0);
	register_list_end(r, REGISTER_PODS, at_s(150), at_s(300));
	c = census(r, -1, 300);
	expect(c, "10.0.0.1", 0, 149, "a", CERTAINTY_CERTAIN);
	expect(c, "10.0.0.1", 0, 181, "", CERTAINTY_AMBIGUOUS);
	expect(c, "10.0.0.1", 0, 190, "b", CERTAINTY_CERTAIN);
	census_free(c);
	register_free(r);
}

static void what_is_gone_is_remembered_for_a_while_and_in_a_number(void **state)
{
	const struct register_config config = {60 * NS_PER_S, 3};
	struct kube_register *r = register_new(&config);
	const struct census *c;
	char uid[32], ip[32], name[32];

	(void)state;
	for (int i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof(name), "p%d", i);
		(void)snprintf(uid, sizeof(uid), "uid-p%d", i);
		(void)snprintf(ip, sizeof(ip), "10.0.0.%d", i + 1);
		assert_int_equal(register_pod(r, pod(name, ip, 10, 11, -1), at_s(12)), 0);
		register_pod_gone(r, span_str(uid), at_s(20 + i), at_s(20 + i));
	}
	assert_int_equal(register_gone_count(r), 3);
	c = census(r, -1, 30);
	expect(c, "10.0.0.2", 0, 15, NULL, 0);
	expect(c, "10.0.0.3", 0, 15, "p2", CERTAINTY_CERTAIN);
	census_free(c);
	c = census(r, -1, 83); /* those that ended at 22 are too old by now */
	expect(c, "10.0.0.3", 0, 15, NULL, 0);
	expect(c, "10.0.0.4", 0, 15, "p3", CERTAINTY_CERTAIN);
	assert_non_null(census_find_uid(c, SPAN_LIT("uid-p4")));
	assert_int_equal(census_count(c), 0);
	census_free(c);
	register_free(r);
}

#define WEB                                                                                        \
	"{\"metadata\":{\"name\":\"web-5d4f-x\",\"namespace\":\"shop\",\"uid\":\"u-web\",\"labels\":{\"app\":\"web\","   \
	"\"pod-template-hash\":\"5d4f\"},\"annotations\":{\"a.b/c\":\"1\",\"whole\":\"2\",\"wholesale\":\"3\"},"    \
	"\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"web-5d4f\",\"uid\":\"u-rs\",\"controller\":true}]}," \
	"\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"app\",\"ports\":[{\"name\":\"http\","             \
	"\"containerPort\":8080},{\"containerPort\":53,\"protocol\":\"UDP\"}]},{\"name\":\"side\",\"ports\":["     \
	"{\"containerPort\":9090,\"hostPort\":9091}]}]},\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.9\"," \
	"\"podIPs\":[{\"ip\":\"10.0.0.9\"},{\"ip\":\"fd00::9\"}],\"hostIP\":\"192.0.2.1\","                       \
	"\"startTime\":\"2025-11-25T12:00:00Z\",\"containerStatuses\":[{\"name\":\"app\",\"containerID\":"         \
	"\"containerd://abc\",\"state\":{\"running\":{\"startedAt\":\"2025-11-25T12:00:01Z\"}}}]}}"

static struct kube_service *service(const char *text)
{
	struct kube_service *s = NULL;
	json_t *object = json_loads(text, 0, NULL);

	assert_int_equal(kube_service_parse(object, &s, NULL), 0);
	json_decref(object);
	return s;
}

static const struct identity *find(const struct census *c, const char *ip, uint16_t port)
{
	struct endpoint e = address(ip, port);

	return census_find(c, &e, at_s(60));
}

static void ports_tell_containers_and_services_and_the_hosts_pods_apart(void **state)
{
	static const struct {
		const char *ip;
		uint16_t port;
		const char *pod, *service, *container;
		enum identity_certainty certainty;
	} cases[] = {
		{"10.0.0.9", 8080, "web-5d4f-x", "web", "app", CERTAINTY_CERTAIN},
		{"10.0.0.9", 9090, "web-5d4f-x", "metrics", "side", CERTAINTY_CERTAIN},
		{"fd00::9", 8080, "web-5d4f-x", "web", "app", CERTAINTY_CERTAIN},
		{"10.0.0.9", 4711, "web-5d4f-x", "web", "", CERTAINTY_CERTAIN},
		{"10.96.0.1", 80, "", "web", "", CERTAINTY_CERTAIN},
		{"192.0.2.1", 9091, "web-5d4f-x", "metrics", "side", CERTAINTY_INFERRED},
		{"192.0.2.1", 22, "", "", "", CERTAINTY_CERTAIN},
	};
	struct kube_register *r = register_new(&usual);
	const struct census *c;

	(void)state;
	assert_int_equal(register_pod(r, parse(WEB), at_s(5)), 0);
	assert_int_equal(register_service(r, service("{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"uid\":\"s1\"},"
						     "\"spec\":{\"clusterIP\":\"10.96.0.1\",\"selector\":{\"app\":\"web\"},"
						     "\"ports\":[{\"port\":80,\"targetPort\":\"http\"}]}}")),
			 0);
	assert_int_equal(register_service(r, service("{\"metadata\":{\"name\":\"metrics\",\"namespace\":\"shop\",\"uid\":\"s2\"},"
						     "\"spec\":{\"clusterIP\":\"None\",\"selector\":{\"app\":\"web\"},"
						     "\"ports\":[{\"port\":9090}]}}")),
			 0);
	assert_int_equal(register_service(r, service("{\"metadata\":{\"name\":\"aaa\",\"namespace\":\"other\",\"uid\":\"s3\"},"
						     "\"spec\":{\"selector\":{\"app\":\"web\"},\"ports\":[{\"port\":8080}]}}")),
			 0);
	c = census(r, -1, 70);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct identity *who = find(c, cases[i].ip, cases[i].port);

		assert_non_null(who);
		if (!span_eq(who->pod, span_str(cases[i].pod)) || !span_eq(who->service, span_str(cases[i].service)) ||
		    !span_eq(who->container, span_str(cases[i].container)) || who->certainty != cases[i].certainty)
			fail_msg("%s:%u: %.*s %.*s %.*s %s", cases[i].ip, cases[i].port, (int)who->pod.len,
				 (const char *)who->pod.ptr, (int)who->service.len, (const char *)who->service.ptr,
				 (int)who->container.len, (const char *)who->container.ptr,
				 identity_certainty_name(who->certainty));
	}
	assert_true(span_eq(find(c, "192.0.2.1", 22)->node, SPAN_LIT("n1")));
	census_free(c);
	register_free(r);
}

static void the_workload_is_the_topmost_owner(void **state)
{
	struct kube_register *r = register_new(&usual);
	const struct identity *who;
	const struct census *c;

	(void)state;
	assert_int_equal(register_pod(r, parse(WEB), at_s(5)), 0);
	assert_int_equal(register_pod(r, parse("{\"metadata\":{\"name\":\"nightly-28-x\",\"namespace\":\"shop\",\"uid\":\"u-n\","
					       "\"ownerReferences\":[{\"kind\":\"Job\",\"name\":\"nightly-28\",\"uid\":\"u-job\","
					       "\"controller\":true}]},\"status\":{\"podIP\":\"10.0.0.3\"}}"),
				      at_s(5)),
			 0);
	assert_int_equal(register_owner(r, SPAN_LIT("u-job"), SPAN_LIT("CronJob"), SPAN_LIT("nightly")), 0);
	register_owner_gone(r, SPAN_LIT("u-job")); /* the Job is gone before its pod is forgotten */
	c = census(r, -1, 70);
	who = census_find_uid(c, SPAN_LIT("u-web"));
	assert_true(span_eq(who->workload, SPAN_LIT("web")));
	assert_true(span_eq(who->workload_kind, SPAN_LIT("Deployment")));
	assert_true(span_eq(who->annotations, SPAN_LIT("{\"a.b/c\":\"1\",\"whole\":\"2\"}")));
	who = find(c, "10.0.0.3", 1);
	assert_true(span_eq(who->workload, SPAN_LIT("nightly")));
	assert_true(span_eq(who->workload_kind, SPAN_LIT("CronJob")));
	census_free(c);
	register_free(r);
}

/* as those of a CronJob: one a minute, each remembered for an hour */
static void a_job_is_forgotten_with_the_last_of_its_pods(void **state)
{
	static const char job_pod[] =
		"{\"metadata\":{\"name\":\"nightly-28-%s\",\"namespace\":\"shop\",\"uid\":\"u-%s\",\"ownerReferences\":"
		"[{\"kind\":\"Job\",\"name\":\"nightly-28\",\"uid\":\"u-job\",\"controller\":true}]},"
		"\"status\":{\"podIP\":\"10.0.0.3\"}}";
	struct kube_register *r = register_new(&usual);
	const struct census *c;
	char text[400];

	(void)state;
	(void)snprintf(text, sizeof(text), job_pod, "x", "x");
	assert_int_equal(register_pod(r, parse(text), at_s(5)), 0);
	assert_int_equal(register_owner(r, SPAN_LIT("u-job"), SPAN_LIT("CronJob"), SPAN_LIT("nightly")), 0);
	register_owner_gone(r, SPAN_LIT("u-job"));
	register_pod_gone(r, SPAN_LIT("u-x"), at_s(10), at_s(10));
	census_free(census(r, -1, 10 + 3601));
	(void)snprintf(text, sizeof(text), job_pod, "y", "y");
	assert_int_equal(register_pod(r, parse(text), at_s(4000)), 0);
	c = census(r, -1, 4001);
	assert_true(span_eq(census_find_uid(c, SPAN_LIT("u-y"))->workload, SPAN_LIT("nightly-28")));
	census_free(c);
	register_free(r);
}

static void what_is_no_pod_is_refused(void **state)
{
	static const char *const texts[] = {"{}", "[]", "{\"metadata\":7}", "{\"metadata\":{\"name\":\"a\"}}",
					    "{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\",\"uid\":3}}"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		json_t *object = json_loads(texts[i], 0, NULL);
		const struct kube_pod *p = NULL;
		struct kube_service *s = NULL;

		assert_int_equal(kube_pod_parse(object, NULL, &p, NULL), -EINVAL);
		assert_int_equal(kube_service_parse(object, &s, NULL), -EINVAL);
		assert_null(p);
		json_decref(object);
	}
}

/* A service that its selector does not tell: of pods that somebody chose, of the host's network, of no pod at all. */
#define SLICE(name, endpoints, ports)                                                                     \
	"{\"metadata\":{\"name\":\"" name "-x\",\"namespace\":\"shop\",\"uid\":\"uid-" name "\",\"labels\":{" \
	"\"kubernetes.io/service-name\":\"" name "\"}},\"addressType\":\"IPv4\",\"endpoints\":[" endpoints        \
	"],\"ports\":[" ports "]}"
#define ENDPOINT(ip, more) "{\"addresses\":[\"" ip "\"]" more "}"
#define OF_POD(uid)	   ",\"targetRef\":{\"kind\":\"Pod\",\"uid\":\"" uid "\"}"
#define ENDPOINTS                                                                                         \
	"{\"metadata\":{\"name\":\"old\",\"namespace\":\"shop\",\"uid\":\"uid-old\"},\"subsets\":[{"              \
	"\"addresses\":[{\"ip\":\"10.0.0.9\",\"targetRef\":{\"kind\":\"Pod\",\"uid\":\"uid-a\"}}],"             \
	"\"notReadyAddresses\":[{\"ip\":\"198.51.100.9\"}],\"ports\":[{\"port\":7000}]}]}"

static void slice(struct kube_register *r, const char *text)
{
	struct kube_slice *s = NULL;
	json_t *object = json_loads(text, 0, NULL);

	assert_non_null(object);
	assert_int_equal(kube_slice_parse(object, &s, NULL), 0);
	assert_int_equal(register_slice(r, s), 0);
	json_decref(object);
}

static void endpoints_tell_what_no_selector_does(void **state)
{
	static const struct {
		const char *ip;
		uint16_t port;
		const char *pod, *service;
	} cases[] = {
		{"10.0.0.9", 5000, "a", "manual"},	/* by the pod's UID */
		{"10.0.0.9", 5001, "a", "by-address"},	/* nobody said whose address it is */
		{"10.0.0.9", 7000, "a", "old"},		/* Endpoints */
		{"198.51.100.7", 5432, "", "database"}, /* outside of the cluster */
		{"198.51.100.9", 7000, "", "old"},	/* not ready, and asked all the same */
		{"192.0.2.1", 9100, "host", "metrics"}, /* the port is not declared */
		{"192.0.2.1", 22, "", ""},
	};
	struct kube_register *r = register_new(&usual);
	const struct census *c;

	(void)state;
	assert_int_equal(register_pod(r, pod("a", "10.0.0.9", 1, 2, -1), at_s(3)), 0);
	assert_int_equal(register_pod(r, parse("{\"metadata\":{\"name\":\"host\",\"namespace\":\"shop\",\"uid\":"
					       "\"uid-host\"},\"spec\":{\"nodeName\":\"n1\",\"hostNetwork\":true,"
					       "\"containers\":[{\"name\":\"app\"}]},\"status\":{\"phase\":\"Running\","
					       "\"podIP\":\"192.0.2.1\",\"hostIP\":\"192.0.2.1\",\"startTime\":"
					       "\"2025-11-25T12:00:00Z\"}}"),
				      at_s(3)),
			 0);
	slice(r, SLICE("manual", ENDPOINT("10.0.0.9", OF_POD("uid-a")), "{\"port\":5000,\"protocol\":\"TCP\"}"));
	slice(r, SLICE("manual2", ENDPOINT("10.0.0.9", OF_POD("uid-a")), "{\"port\":5000}"));
	slice(r, SLICE("by-address", ENDPOINT("10.0.0.9", ""), "{\"port\":5001},{\"port\":53,\"protocol\":\"UDP\"}"));
	slice(r, SLICE("database", ENDPOINT("198.51.100.7", ""), "{\"port\":5432}"));
	slice(r, SLICE("metrics", ENDPOINT("192.0.2.1", OF_POD("uid-host")), "{\"port\":9100}"));
	slice(r, ENDPOINTS);
	c = register_census(r, 0, at_s(100));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct identity *who = find(c, cases[i].ip, cases[i].port);

		if (!who)
			fail_msg("%s:%u is nobody", cases[i].ip, cases[i].port);
		if (!span_eq(who->service, span_str(cases[i].service)) ||
		    !span_eq(who->pod, span_str(cases[i].pod)) || who->certainty != CERTAINTY_CERTAIN)
			fail_msg("%s:%u is %.*s of %.*s, %s", cases[i].ip, cases[i].port,
				 (int)who->pod.len, (const char *)who->pod.ptr, (int)who->service.len,
				 (const char *)who->service.ptr, identity_certainty_name(who->certainty));
	}
	census_free(c);
	register_slice_gone(r, SPAN_LIT("uid-database"));
	c = register_census(r, 0, at_s(100));
	assert_null(find(c, "198.51.100.7", 5432));
	census_free(c);
	register_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_has_its_address_from_its_start_until_it_is_gone),
		cmocka_unit_test(the_first_request_of_a_pod_is_named_before_its_containers_are_told),
		cmocka_unit_test(an_address_that_is_used_again_is_the_one_or_the_other_or_says_that_it_may_be_both),
		cmocka_unit_test(what_is_common_to_all_that_may_be_meant_is_said),
		cmocka_unit_test(a_pod_that_has_ended_keeps_its_object_but_not_its_address),
		cmocka_unit_test(while_the_server_is_away_names_are_inferred),
		cmocka_unit_test(what_is_gone_is_remembered_for_a_while_and_in_a_number),
		cmocka_unit_test(ports_tell_containers_and_services_and_the_hosts_pods_apart),
		cmocka_unit_test(endpoints_tell_what_no_selector_does),
		cmocka_unit_test(the_workload_is_the_topmost_owner),
		cmocka_unit_test(a_job_is_forgotten_with_the_last_of_its_pods),
		cmocka_unit_test(what_is_no_pod_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
