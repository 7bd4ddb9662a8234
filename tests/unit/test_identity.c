// SPDX-License-Identifier: Apache-2.0
#include "record/identity.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static struct endpoint at(const char *address, uint16_t port)
{
	struct endpoint e = {.port = port};

	if (inet_pton(AF_INET, address, e.address + 12) == 1) {
		e.is_ipv4 = true;
		e.address[10] = e.address[11] = 0xff;
	} else {
		assert_int_equal(inet_pton(AF_INET6, address, e.address), 1);
	}
	return e;
}

static int load(const char *yaml, const struct identity_seen *seen, size_t count,
		struct identities **out, struct err *e)
{
	char path[] = "/tmp/tapeloop-identities-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, yaml, strlen(yaml)), strlen(yaml));
	(void)close(fd);
	r = identities_load(path, seen, count, out, e);
	(void)unlink(path);
	return r;
}

#define SHOP                                                                                       \
	"identities:\n"                                                                            \
	"- {address: 10.0.0.1, service: cart, namespace: shop, workload: w, node: n}\n"            \
	"- {address: 10.0.0.1, port: 9090, service: metrics}\n"                                    \
	"- {address: 10.0.0.0/8, service: inside}\n"                                               \
	"- {address: 10.1.0.0/16, service: rack}\n"                                                \
	"- {address: 'fd00::1', service: six}\n"                                                   \
	"- {address: 0.0.0.0/0, service: world}\n"

static void the_strongest_row_answers(void **state)
{
	static const struct {
		const char *address;
		uint16_t port;
		const char *service; /* NULL: nobody */
	} cases[] = {
		{"10.0.0.1", 80, "cart"},   {"10.0.0.1", 9090, "metrics"},
		{"10.0.0.2", 80, "inside"}, {"10.1.2.3", 80, "rack"},
		{"fd00::1", 1, "six"},	    {"fd00::2", 1, NULL},
		{"192.0.2.1", 5, "world"},  {"10.0.0.1", 0, "cart"},
	};
	AUTO(identities) i = NULL;

	(void)state;
	assert_int_equal(load(SHOP, NULL, 0, &i, NULL), 0);
	assert_int_equal(identities_count(i), 6);
	for (size_t n = 0; n < COUNT_OF(cases); n++) {
		struct endpoint e = at(cases[n].address, cases[n].port);
		const struct identity *who = identities_find(i, &e, 0, 0);

		assert_int_equal(who != NULL, cases[n].service != NULL);
		if (who)
			assert_true(span_eq(who->service, span_str(cases[n].service)));
	}
}

static void a_namespace_names_its_addresses_and_the_file_is_stronger(void **state)
{
	struct endpoint one = at("10.0.0.1", 80), two = at("10.9.9.9", 80);
	struct identity_seen seen[] = {{.pod = "cart-0"}, {.pod = "other-0"}};
	const struct identity *who;
	AUTO(identities) i = NULL;

	(void)state;
	memcpy(seen[0].address, one.address, 16);
	memcpy(seen[1].address, two.address, 16);
	assert_int_equal(load(SHOP, seen, 2, &i, NULL), 0);
	who = identities_find(i, &one, 0, 0);
	assert_true(span_eq(who->service, SPAN_LIT("cart")));
	assert_true(span_eq(who->pod, SPAN_LIT("cart-0")));
	who = identities_find(i, &two, 0, 0);
	assert_true(span_eq(who->pod, SPAN_LIT("other-0")));
	assert_int_equal(who->service.len, 0);
}

static void a_row_says_all_that_is_known_of_a_pod(void **state)
{
	struct endpoint e = at("10.0.0.1", 80);
	AUTO(identities) i = NULL;
	const struct identity *who;

	(void)state;
	assert_int_equal(load("identities:\n- {address: 10.0.0.1, pod: cart-0, pod_uid: u-1,\n"
			      "   container: app, workload: cart, workload_kind: StatefulSet,\n"
			      "   labels: {tier: web, app: 'a\"b'}, annotations: {}}\n",
			      NULL, 0, &i, NULL),
			 0);
	who = identities_find(i, &e, 17, 0);
	assert_non_null(who);
	assert_true(span_eq(who->pod_uid, SPAN_LIT("u-1")));
	assert_true(span_eq(who->container, SPAN_LIT("app")));
	assert_true(span_eq(who->workload_kind, SPAN_LIT("StatefulSet")));
	assert_true(span_eq(who->labels, SPAN_LIT("{\"app\":\"a\\\"b\",\"tier\":\"web\"}")));
	assert_int_equal(who->annotations.len, 0);
	assert_int_equal(who->source, IDENTITY_FILE);
	assert_int_equal(who->certainty, CERTAINTY_CERTAIN);
}

static void nobody_is_known_without_a_snapshot(void **state)
{
	struct endpoint e = at("10.0.0.1", 80);
	AUTO(identities) i = NULL;

	(void)state;
	assert_null(identities_find(NULL, &e, 0, 0));
	assert_int_equal(identities_load("", NULL, 0, &i, NULL), 0);
	assert_null(identities_find(i, &e, 0, 0));
}

static void a_wrong_file_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *yaml, *why; /* the end of the message */
	} cases[] = {
		{"identities:\n- {address: 10.0.0.256}\n", ":2:13: expected an address or network"},
		{"identities:\n- {address: 10.0.0.0/33}\n",
		 ":2:13: expected an address or network"},
		{"identities:\n- {service: a}\n", ":2:3: this row has no address"},
		{"identities:\n- {address: 1.2.3.4, port: 0}\n",
		 ":2:28: expected a port, 1 to 65535"},
		{"identities:\n- {address: 1.2.3.4, colour: red}\n",
		 ":2:22: expected address, port, service, namespace, pod, pod_uid, container, workload, "
		 "workload_kind, node, labels or annotations"},
		{"identities:\n- {address: 1.2.3.4, pod: [a]}\n", ":2:27: expected a text"},
		{"identities:\n- {address: 1.2.3.4, labels: a}\n",
		 ":2:30: expected a mapping of texts"},
		{"identities:\n- {address: 1.2.3.4, labels: {a: [b]}}\n",
		 ":2:30: expected a mapping of texts"},
		{"who: []\n", ":1:1: expected one key, `identities`"},
		{"identities: 7\n", ":1:13: expected a list of identities"},
		{"identities: [7]\n", ":1:14: expected a row with an address"},
		{"[]\n", ":1:1: expected one key, `identities`"},
	};

	(void)state;
	for (size_t n = 0; n < COUNT_OF(cases); n++) {
		struct identities *i = NULL;
		struct err e;
		size_t len;

		assert_true(load(cases[n].yaml, NULL, 0, &i, &e) < 0);
		assert_null(i);
		len = strlen(e.why);
		assert_true(len > strlen(cases[n].why));
		assert_string_equal(e.why + len - strlen(cases[n].why), cases[n].why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_strongest_row_answers),
		cmocka_unit_test(a_namespace_names_its_addresses_and_the_file_is_stronger),
		cmocka_unit_test(a_row_says_all_that_is_known_of_a_pod),
		cmocka_unit_test(nobody_is_known_without_a_snapshot),
		cmocka_unit_test(a_wrong_file_is_refused_with_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
