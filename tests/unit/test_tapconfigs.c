// SPDX-License-Identifier: Apache-2.0
/* What TapConfigs of several namespaces make of an exchange: recorded or not, masked, counted; and never another's. */
#include "record/tapconfigs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

static const uint8_t key[32] = {7};
#define MUTE NULL

/* One TapConfig; @spec MUTE: no version of it was good. */
struct given {
	const char *name_space, *spec;
};
#define GIVEN_MAX 40

static struct tapconfig *make(const struct given *g, struct tapconfig_counts *counts)
{
	json_t *spec = g->spec ? json_loads(g->spec, 0, NULL) : NULL;
	struct tapspec *s = NULL;
	struct tapconfig *c = NULL;
	struct fault f = {0};

	if (!g->spec)
		return tapconfig_new_mute(g->name_space, counts);
	if (tapspec_parse(spec, &s, &f) < 0 || tapconfig_new(s, g->name_space, counts, &c, &f) < 0)
		fail_msg("%s: %s %s", g->spec, f.field, f.err.why);
	json_decref(spec);
	return c;
}

/* @counts: of each, may be NULL */
static struct tapconfigs *all_of(const struct given *given, size_t count, struct tapconfig_counts **counts)
{
	struct tapconfig *configs[GIVEN_MAX] = {0};
	struct tapconfigs *t;

	for (size_t i = 0; i < count; i++) {
		struct tapconfig_counts *c = tapconfig_counts_new();

		configs[i] = make(&given[i], c);
		if (counts)
			counts[i] = tapconfig_counts_ref(c);
		tapconfig_counts_unref(c);
	}
	t = tapconfigs_new(configs, count, key);
	assert_non_null(t);
	for (size_t i = 0; i < count; i++)
		tapconfig_unref(configs[i]);
	return t;
}

static struct identity who(const char *name_space, const char *pod, const char *labels)
{
	return (struct identity){.name_space = span_str(name_space), .pod = span_str(pod), .labels = span_str(labels),
				 .source = *name_space ? IDENTITY_API : 0};
}

static struct exchange between(struct identity src, struct identity dst, uint16_t status)
{
	return (struct exchange){.src.who = src, .dst.who = dst, .status = status, .method = SPAN_LIT("GET"), .path = SPAN_LIT("/cart"),
				 .outcome = (uint8_t)outcome_of_status(status), .start_ns = 1};
}

static enum tapconfigs_answer judge(struct tapconfigs *t, const struct exchange *x)
{
	AUTO(filter_scratch) s = filter_scratch_new();
	uint32_t weight;

	return tapconfigs_judge(t, s, x, NS_PER_S, &weight);
}

#define CART "{\"app\":\"cart\"}"
#define FAILURES_OF_CART "{\"select\":{\"matchLabels\":{\"app\":\"cart\"}},\"match\":[\"failed()\"]}"

static void an_exchange_is_its_servers_namespaces(void **state)
{
	static const struct {
		struct given given[4];
		const char *src, *dst, *pod, *labels; /* namespaces; the server's pod and labels */
		uint16_t status;
		enum tapconfigs_answer answer;
	} cases[] = {
		{{{"shop", FAILURES_OF_CART}}, "web", "shop", "cart-0", CART, 500, TAPCONFIGS_WANTED},
		{{{"shop", FAILURES_OF_CART}}, "web", "shop", "cart-0", CART, 200, TAPCONFIGS_UNWANTED},
		{{{"shop", FAILURES_OF_CART}}, "web", "shop", "pay-0", "{\"app\":\"pay\"}", 500, TAPCONFIGS_UNWANTED},
		{{{"shop", FAILURES_OF_CART}}, "web", "shop", "", "", 500, TAPCONFIGS_UNWANTED}, /* a service: no pod is known */
		{{{"shop", "{}"}}, "web", "shop", "", "", 200, TAPCONFIGS_WANTED},
		{{{"shop", FAILURES_OF_CART}}, "shop", "bank", "till-0", CART, 200, TAPCONFIGS_SILENT},
		{{{"bank", "{\"match\":[\"true\"]}"}, {"shop", FAILURES_OF_CART}}, "bank", "shop", "cart-0", CART, 200, TAPCONFIGS_UNWANTED},
		{{{"bank", "{\"match\":[\"false\"]}"}}, "bank", "shop", "cart-0", CART, 200, TAPCONFIGS_SILENT},
		{{{"shop", "{\"match\":[\"5xx\"]}"}}, "shop", "", "", "", 200, TAPCONFIGS_UNWANTED}, /* it leaves the cluster */
		{{{"shop", "{\"match\":[\"5xx\"]}"}}, "shop", "", "", "", 503, TAPCONFIGS_WANTED},
		{{{"shop", "{}"}}, "", "", "", "", 200, TAPCONFIGS_SILENT},
		{{{"shop", "{}"}}, "", "shopping", "", "", 200, TAPCONFIGS_SILENT},
		/* several: any of them */
		{{{"shop", "{\"match\":[\"5xx\"]}"}, {"shop", "{\"match\":[\"/cart*\"]}"}}, "", "shop", "a", "", 200, TAPCONFIGS_WANTED},
		{{{"shop", "{\"match\":[\"5xx\"]}"}, {"shop", "{\"match\":[\"404\",\"500\"]}"}}, "", "shop", "a", "", 200, TAPCONFIGS_UNWANTED},
		/* one that masks asks for nothing, and stands in nobody's way */
		{{{"shop", "{\"redact\":{\"headers\":[\"a\"]}}"}}, "", "shop", "a", "", 200, TAPCONFIGS_SILENT},
		{{{"shop", "{\"redact\":{\"headers\":[\"a\"]}}"}, {"shop", "{\"match\":[\"5xx\"]}"}}, "", "shop", "a", "", 200, TAPCONFIGS_UNWANTED},
		/* one that never was good records nothing, and leaves the others alone */
		{{{"shop", MUTE}}, "", "shop", "a", "", 200, TAPCONFIGS_UNWANTED},
		{{{"shop", MUTE}, {"shop", "{}"}}, "", "shop", "a", "", 200, TAPCONFIGS_WANTED},
		/* Loop's own form */
		{{{"shop", "{\"match\":[\"responseHeaders[\\\":status\\\"] == prefix(\\\"5\\\")\"]}"}}, "", "shop", "a", "", 502, TAPCONFIGS_WANTED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct exchange x = between(who(cases[i].src, "web-0", ""), who(cases[i].dst, cases[i].pod, cases[i].labels), cases[i].status);
		size_t count = 0;
		struct tapconfigs *t;

		while (count < COUNT_OF(cases[i].given) && cases[i].given[count].name_space)
			count++;
		t = all_of(cases[i].given, count, NULL);
		if (judge(t, &x) != cases[i].answer)
			fail_msg("case %zu: %d", i, judge(t, &x));
		tapconfigs_free(t);
	}
}

static void those_who_asked_count_what_is_recorded(void **state)
{
	static const struct given given[] = {
		{"shop", "{\"match\":[\"5xx\"]}"}, {"shop", "{}"}, {"bank", "{}"}, {"shop", "{\"match\":[\"404\"]}"}};
	static const uint64_t wanted[] = {1, 2, 0, 0};
	struct tapconfig_counts *counts[COUNT_OF(given)];
	struct tapconfigs *t = all_of(given, COUNT_OF(given), counts);
	struct exchange bad = between(who("", "", ""), who("shop", "a", ""), 500), good = between(who("", "", ""), who("shop", "a", ""), 200);
	struct exchange others = between(who("", "", ""), who("none", "a", ""), 200);

	(void)state;
	(void)judge(t, &bad);
	tapconfigs_recorded(t);
	(void)judge(t, &good);
	tapconfigs_recorded(t);
	(void)judge(t, &others); /* nobody's: nobody counts it */
	tapconfigs_recorded(t);
	tapconfigs_free(t);
	for (size_t i = 0; i < COUNT_OF(given); i++) {
		assert_int_equal(atomic_load(&counts[i]->recorded), wanted[i]); /* they outlive the snapshot */
		tapconfig_counts_unref(counts[i]);
	}
	tapconfigs_recorded(NULL);
	assert_int_equal(judge(NULL, &bad), TAPCONFIGS_SILENT);
}

static void of_several_shares_the_largest_counts_and_failures_are_all_kept(void **state)
{
	static const struct given given[] = {{"shop", "{\"sample\":{\"oneIn\":100}}"}, {"shop", "{\"sample\":{\"oneIn\":10}}"}};
	AUTO(filter_scratch) s = filter_scratch_new();
	struct tapconfigs *t = all_of(given, COUNT_OF(given), NULL);
	struct exchange x = between(who("", "", ""), who("shop", "a", ""), 200);
	uint64_t kept = 0, stands_for = 0;
	uint32_t weight;

	(void)state;
	for (uint64_t i = 0; i < 20000; i++) {
		char trace[33];

		(void)snprintf(trace, sizeof(trace), "%016llx%016llx", (unsigned long long)i, (unsigned long long)(i * UINT64_C(0x9e3779b97f4a7c15)));
		x.trace_id = span_str(trace);
		if (tapconfigs_judge(t, s, &x, i, &weight) == TAPCONFIGS_WANTED) {
			kept++;
			stands_for += weight;
			assert_int_equal(weight, 10);
		}
	}
	assert_in_range(kept, 1700, 2300);
	assert_in_range(stands_for, 17000, 23000);
	x.status = 500;
	x.outcome = OUTCOME_SERVER_ERROR;
	assert_int_equal(tapconfigs_judge(t, s, &x, 1, &weight), TAPCONFIGS_WANTED);
	assert_int_equal(weight, 1);
	x.weight = 7; /* it was judged before: not thrown again */
	x.outcome = OUTCOME_OK;
	for (int i = 0; i < 100; i++)
		assert_int_equal(tapconfigs_judge(t, s, &x, 1, &weight), TAPCONFIGS_WANTED);
	tapconfigs_free(t);
}

#define HEAD "GET /cart?voucher=secret-one&page=2 HTTP/1.1\r\nHost: cart.shop\r\nX-Account: secret-two\r\nAuthorization: [tl:ABCDEFGH]\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Account: secret-two\r\n\r\n"

static struct exchange talk(struct identity src, struct identity dst)
{
	struct exchange x = between(src, dst, 200);

	x.request = (struct message){.head = SPAN_LIT(HEAD), .flags = MESSAGE_PRESENT | MESSAGE_COMPLETE, .version = 11};
	x.response = (struct message){.head = SPAN_LIT(ANSWER), .flags = MESSAGE_PRESENT | MESSAGE_COMPLETE, .version = 11};
	x.response.content_type = span_of(x.response.head.ptr + 31, 10);
	x.host = span_of(x.request.head.ptr + 52, 9);
	x.target = span_of(x.request.head.ptr + 4, 31);
	x.route = SPAN_LIT("/cart");
	return x;
}

static bool holds(struct span s, const char *what)
{
	return memmem(s.ptr, s.len, what, strlen(what)) != NULL;
}

static void what_either_ends_namespace_names_is_masked_and_no_more(void **state)
{
	static const struct given given[] = {{"shop", "{\"redact\":{\"headers\":[\"x-account\"]},\"match\":[\"true\"]}"},
					     {"front", "{\"redact\":{\"params\":[\"voucher\"]}}"},
					     {"bank", "{}"}};
	static const struct {
		const char *src, *dst;
		size_t secrets;
	} cases[] = {
		{"front", "shop", 3}, {"shop", "front", 3}, {"other", "shop", 2}, {"shop", "shop", 2}, {"front", "bank", 1},
		{"bank", "other", 0}, {"", "shop", 2},	    {"", "bank", 0},	  {"", "", 3}, /* whose it is, nobody knows */
	};
	struct tapconfigs *t = all_of(given, COUNT_OF(given), NULL);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct exchange x = talk(who(cases[i].src, "a", ""), who(cases[i].dst, "b", "")), *masked;
		size_t secrets;

		masked = tapconfigs_redact(t, &x, &secrets);
		assert_non_null(masked);
		if (secrets != cases[i].secrets)
			fail_msg("%s -> %s: %zu", cases[i].src, cases[i].dst, secrets);
		assert_true((masked == &x) == (secrets == 0));
		assert_int_equal(holds(masked->request.head, "secret-two") + holds(masked->request.head, "secret-one") +
					 holds(masked->response.head, "secret-two"),
				 3 - secrets);
		assert_true(span_eq(masked->host, SPAN_LIT("cart.shop")));
		assert_true(span_eq(masked->response.content_type, SPAN_LIT("text/plain")));
		assert_true(span_eq(masked->route, SPAN_LIT("/cart")));
		assert_int_equal(masked->target.len, secrets & 1 ? 34 : 31);
		assert_true(holds(masked->request.head, "[tl:ABCDEFGH]"));
		assert_int_equal(!!(masked->anomalies & ANOMALY_BIT(REDACTED)), secrets != 0);
		assert_true(holds(x.request.head, "secret-two")); /* the offered one is as it was: it may be offered again */
	}
	tapconfigs_free(t);
}

static void tags_that_are_longer_than_their_secrets_find_room(void **state)
{
	static const struct given given[] = {{"shop", "{\"redact\":{\"headers\":[\"x-account\"]}}"}};
	struct tapconfigs *t = all_of(given, 1, NULL);

	(void)state;
	for (size_t lines = 0; lines < 64; lines++) {
		struct exchange x = talk(who("", "", ""), who("shop", "b", "")), *masked;
		AUTO_BUF head = {0};
		size_t secrets;

		buf_add_str(&head, "GET / HTTP/1.1\r\n");
		for (size_t i = 0; i < lines; i++)
			buf_add_str(&head, "X-Account: a\r\n");
		buf_add_str(&head, "\r\n");
		x.request.head = buf_span(&head);
		masked = tapconfigs_redact(t, &x, &secrets);
		assert_int_equal(secrets, lines + 1); /* and the answer's */
		assert_int_equal(masked->request.head.len, head.len + 12 * lines);
		assert_int_equal(masked->method.len, 3);
	}
	tapconfigs_free(t);
}

static void many_namespaces_mask_with_few_redactors(void **state)
{
	struct given given[GIVEN_MAX];
	char names[GIVEN_MAX][16];
	struct tapconfigs *t;

	(void)state;
	for (size_t i = 0; i < GIVEN_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "ns-%zu", i);
		given[i] = (struct given){names[i], "{\"redact\":{\"headers\":[\"x-account\"]}}"};
	}
	t = all_of(given, GIVEN_MAX, NULL);
	for (size_t i = 0; i < 3 * GIVEN_MAX; i++) {
		struct exchange x = talk(who(names[i % GIVEN_MAX], "a", ""), who(names[i * 7 % GIVEN_MAX], "b", ""));
		size_t secrets;

		assert_false(holds(tapconfigs_redact(t, &x, &secrets)->request.head, "secret-two"));
		assert_int_equal(secrets, 2);
	}
	tapconfigs_free(t);
}

static void an_expression_that_is_none_is_refused_at_its_column(void **state)
{
	static const struct {
		const char *spec, *field;
		size_t line, column;
	} cases[] = {
		{"{\"match\":[\"status >= \"]}", "spec.match[0]", 1, 11},
		{"{\"match\":[\"true\",\"statu == 5\"]}", "spec.match[1]", 1, 1},
		{"{\"match\":[\"failed() &&\\n  nothing() == 1\"]}", "spec.match[0]", 2, 3},
		{"{\"match\":[\"time > now()\"]}", "spec.match[0]", 1, 8},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct tapconfig_counts *counts = tapconfig_counts_new();
		json_t *spec = json_loads(cases[i].spec, 0, NULL);
		struct tapspec *s = NULL;
		struct tapconfig *c = NULL;
		struct fault f = {0};

		assert_int_equal(tapspec_parse(spec, &s, &f), 0);
		assert_int_equal(tapconfig_new(s, "shop", counts, &c, &f), -EINVAL);
		assert_string_equal(f.field, cases[i].field);
		assert_int_equal(f.line, cases[i].line);
		assert_int_equal(f.column, cases[i].column);
		assert_null(strstr(f.err.why, "column"));
		assert_null(strchr(f.err.why, '\n'));
		tapconfig_counts_unref(counts);
		json_decref(spec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_exchange_is_its_servers_namespaces),
		cmocka_unit_test(those_who_asked_count_what_is_recorded),
		cmocka_unit_test(of_several_shares_the_largest_counts_and_failures_are_all_kept),
		cmocka_unit_test(what_either_ends_namespace_names_is_masked_and_no_more),
		cmocka_unit_test(tags_that_are_longer_than_their_secrets_find_room),
		cmocka_unit_test(many_namespaces_mask_with_few_redactors),
		cmocka_unit_test(an_expression_that_is_none_is_refused_at_its_column),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
