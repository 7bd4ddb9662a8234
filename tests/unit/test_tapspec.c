// SPDX-License-Identifier: Apache-2.0
/* Specs of TapConfigs, whoever wrote them: what is accepted, what is refused at which field; label selectors; retention. */
#include "kube/tapspec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

static json_t *json(const char *text)
{
	json_error_t why;
	json_t *v = json_loads(text, JSON_DECODE_ANY, &why);

	if (!v)
		fail_msg("%s: %s", text, why.text);
	return v;
}

static int parse(const char *text, struct tapspec **out, struct fault *f)
{
	json_t *v = json(text);
	int r = tapspec_parse(v, out, f);

	json_decref(v); /* the spec keeps what it needs */
	return r;
}

static void a_spec_that_makes_sense_is_read(void **state)
{
	static const struct {
		const char *text;
		size_t match_count;
		uint64_t one_in, rate_max, first;
		bool is_asking, masks;
	} cases[] = {
		{"{}", 0, 1, 0, 0, true, false},
		{"{\"match\":[\"failed()\",\"5xx\"]}", 2, 1, 0, 0, true, false},
		{"{\"sample\":{\"oneIn\":10,\"ratePerSecond\":5,\"firstPerMinute\":2}}", 0, 10, 5, 2, true, false},
		{"{\"sample\":{}}", 0, 1, 0, 0, true, false},
		{"{\"redact\":{\"headers\":[\"X-Account\"]}}", 0, 1, 0, 0, false, true},
		{"{\"redact\":{\"params\":[\"iban\"]},\"select\":{}}", 0, 1, 0, 0, false, true},
		{"{\"redact\":{\"params\":[\"iban\"]},\"match\":[\"cart\"]}", 1, 1, 0, 0, true, true},
		{"{\"redact\":{\"headers\":[],\"params\":[]}}", 0, 1, 0, 0, true, false},
		{"{\"keep\":{\"maxAge\":\"7d\",\"minAge\":\"1h\"}}", 0, 1, 0, 0, true, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO(tapspec) s = NULL;
		struct fault f = {0};

		if (parse(cases[i].text, &s, &f) < 0)
			fail_msg("%s: %s: %s", cases[i].text, f.field, f.err.why);
		assert_int_equal(s->match_count, cases[i].match_count);
		assert_int_equal(s->one_in, cases[i].one_in);
		assert_int_equal(s->rate_max, cases[i].rate_max);
		assert_int_equal(s->first, cases[i].first);
		assert_int_equal(s->is_asking, cases[i].is_asking);
		assert_int_equal(tapspec_masks(s), cases[i].masks);
	}
}

static void one_that_makes_none_is_refused_at_its_field(void **state)
{
	static const struct {
		const char *text, *field, *reason;
	} cases[] = {
		{"7", "spec", "InvalidSpec"},
		{"[]", "spec", "InvalidSpec"},
		{"{\"matches\":[\"failed()\"]}", "spec.matches", "UnknownField"},
		{"{\"redact\":{\"header\":[\"x\"]}}", "spec.redact.header", "UnknownField"},
		{"{\"keep\":{\"share\":\"20%\"}}", "spec.keep.share", "NotApplicable"},
		{"{\"keep\":{\"maxAge\":\"soon\"}}", "spec.keep.maxAge", "InvalidSpec"},
		{"{\"keep\":{\"minAge\":\"0s\"}}", "spec.keep.minAge", "InvalidSpec"},
		{"{\"keep\":{\"minAge\":5}}", "spec.keep.minAge", "InvalidSpec"},
		{"{\"match\":\"failed()\"}", "spec.match", "InvalidSpec"},
		{"{\"match\":[]}", "spec.match", "InvalidSpec"},
		{"{\"match\":[\"failed()\",\"\"]}", "spec.match[1]", "InvalidSpec"},
		{"{\"match\":[\"failed()\",null]}", "spec.match[1]", "InvalidSpec"},
		{"{\"sample\":{\"oneIn\":0}}", "spec.sample.oneIn", "InvalidSpec"},
		{"{\"sample\":{\"oneIn\":1000001}}", "spec.sample.oneIn", "InvalidSpec"},
		{"{\"sample\":{\"oneIn\":1.5}}", "spec.sample.oneIn", "InvalidSpec"},
		{"{\"sample\":{\"ratePerSecond\":-3}}", "spec.sample.ratePerSecond", "InvalidSpec"},
		{"{\"sample\":{\"firstPerMinute\":3}}", "spec.sample", "InvalidSpec"},
		{"{\"redact\":{\"headers\":\"x\"}}", "spec.redact.headers", "InvalidSpec"},
		{"{\"redact\":{\"headers\":[\"ok\",\"a b\"]}}", "spec.redact.headers[1]", "InvalidSpec"},
		{"{\"redact\":{\"headers\":[\":path\"]}}", "spec.redact.headers[0]", "InvalidSpec"},
		{"{\"redact\":{\"headers\":[\"\"]}}", "spec.redact.headers[0]", "InvalidSpec"},
		{"{\"redact\":{\"params\":[\"a=b\"]}}", "spec.redact.params[0]", "InvalidSpec"},
		{"{\"redact\":{\"params\":[{}]}}", "spec.redact.params[0]", "InvalidSpec"},
		{"{\"select\":{\"app\":\"cart\"}}", "spec.select", "InvalidSpec"},
		{"{\"select\":{\"matchLabels\":[]}}", "spec.select.matchLabels", "InvalidSpec"},
		{"{\"select\":{\"matchLabels\":{\"app\":7}}}", "spec.select.matchLabels", "InvalidSpec"},
		{"{\"select\":{\"matchLabels\":{\"app\":\"a\\\"b\"}}}", "spec.select.matchLabels", "InvalidSpec"},
		{"{\"select\":{\"matchLabels\":{\"\":\"a\"}}}", "spec.select.matchLabels", "InvalidSpec"},
		{"{\"select\":{\"matchExpressions\":[7]}}", "spec.select.matchExpressions[0]", "InvalidSpec"},
		{"{\"select\":{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Is\"}]}}", "spec.select.matchExpressions[0].operator", "InvalidSpec"},
		{"{\"select\":{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\"}]}}", "spec.select.matchExpressions[0].values", "InvalidSpec"},
		{"{\"select\":{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\",\"values\":[\"x\"]}]}}", "spec.select.matchExpressions[0].values", "InvalidSpec"},
		{"{\"select\":{\"matchExpressions\":[{\"operator\":\"Exists\"}]}}", "spec.select.matchExpressions[0].key", "InvalidSpec"},
		{"{\"select\":{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\",\"more\":1}]}}", "spec.select.matchExpressions[0]", "InvalidSpec"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO(tapspec) s = NULL;
		struct fault f = {0};

		if (parse(cases[i].text, &s, &f) != -EINVAL)
			fail_msg("%s: accepted", cases[i].text);
		assert_string_equal(f.field, cases[i].field);
		assert_string_equal(f.reason, cases[i].reason);
		assert_true(*f.err.why);
		assert_null(s);
	}
}

/* @count items of @item in a list */
static json_t *many(size_t count, const char *item)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(item));
	return list;
}

static void what_would_grow_without_end_is_refused(void **state)
{
	AUTO_BUF longest = {0};
	json_t *specs[] = {
		json_pack("{s:o}", "match", many(TAPSPEC_MATCH_MAX + 1, "cart")),
		json_pack("{s:{s:o}}", "redact", "headers", many(TAPSPEC_NAMES_MAX + 1, "a")),
		json_pack("{s:{s:[{s:s,s:s,s:o}]}}", "select", "matchExpressions", "key", "a", "operator", "In", "values",
			  many(SELECTOR_VALUES_MAX + 1, "a")),
		NULL,
	};

	(void)state;
	for (size_t i = 0; i < TAPSPEC_MATCH_BYTES; i++)
		buf_add_char(&longest, ' ');
	specs[3] = json_pack("{s:[s,s]}", "match", buf_cstr(&longest), "x");
	for (size_t i = 0; i < COUNT_OF(specs); i++) {
		AUTO(tapspec) s = NULL;

		assert_int_equal(tapspec_parse(specs[i], &s, NULL), -EINVAL);
		json_decref(specs[i]);
	}
}

static void labels_are_selected_as_kubernetes_selects_them(void **state)
{
	static const struct {
		const char *select, *labels;
		bool holds;
	} cases[] = {
		{"{}", "", true},
		{"{\"matchLabels\":{\"app\":\"cart\"}}", "{\"app\":\"cart\",\"tier\":\"a\"}", true},
		{"{\"matchLabels\":{\"app\":\"cart\"}}", "{\"app\":\"cart2\"}", false},
		{"{\"matchLabels\":{\"app\":\"cart\"}}", "", false},
		{"{\"matchLabels\":{\"app\":\"cart\",\"a.b/c\":\"\"}}", "{\"a.b/c\":\"\",\"app\":\"cart\"}", true},
		{"{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"In\",\"values\":[\"a\",\"b\"]}]}", "{\"app\":\"b\"}", true},
		{"{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"NotIn\",\"values\":[\"a\",\"b\"]}]}", "{\"app\":\"b\"}", false},
		{"{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"NotIn\",\"values\":[\"a\"]}]}", "", true},
		{"{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\"}]}", "{\"app\":\"\"}", true},
		{"{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\"}]}", "{\"apps\":\"\"}", false},
		{"{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"DoesNotExist\"}]}", "{\"apps\":\"\"}", true},
		{"{\"matchLabels\":{\"app\":\"a\"},\"matchExpressions\":[{\"key\":\"x\",\"operator\":\"Exists\"}]}", "{\"app\":\"a\"}", false},
		{"{\"matchLabels\":{\"app\":\"a\"}}", "no labels at all", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO(selector) s = NULL;
		json_t *v = json(cases[i].select);

		assert_int_equal(selector_parse(v, "spec.select", &s, NULL), 0);
		if (selector_holds(s, span_str(cases[i].labels)) != cases[i].holds)
			fail_msg("%s of %s", cases[i].select, cases[i].labels);
		json_decref(v);
	}
}

#define DAY (86400 * NS_PER_S)

static void a_wish_for_how_long_is_granted_where_it_is_so_already(void **state)
{
	static const struct {
		const char *keep, *field; /* NULL: granted */
		struct tapspec_retention node;
	} cases[] = {
		{"{}", NULL, {0, 0, 1}},
		{"{\"maxAge\":\"7d\"}", "spec.keep.maxAge", {0, 0, 0}},
		{"{\"maxAge\":\"7d\"}", "spec.keep.maxAge", {7 * DAY, 0, 0}},
		{"{\"maxAge\":\"7d\"}", "spec.keep.maxAge", {7 * DAY, 8 * DAY, 0}},
		{"{\"maxAge\":\"7d\"}", NULL, {7 * DAY, 5 * DAY, 1}},
		{"{\"minAge\":\"7d\"}", NULL, {0, 0, 0}},
		{"{\"minAge\":\"7d\"}", NULL, {7 * DAY, 0, 0}},
		{"{\"minAge\":\"7d\"}", "spec.keep.minAge", {0, 0, 1 << 20}},
		{"{\"minAge\":\"7d\"}", "spec.keep.minAge", {6 * DAY, 0, 0}},
		{"{\"minAge\":\"7d\",\"maxAge\":\"7d\"}", NULL, {7 * DAY, 7 * DAY, 0}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO(tapspec) s = NULL;
		AUTO_BUF text = {0};
		struct fault f = {0};
		int r;

		buf_add_fmt(&text, "{\"keep\":%s}", cases[i].keep);
		assert_int_equal(parse(buf_cstr(&text), &s, NULL), 0);
		r = tapspec_check_keep(s, &cases[i].node, &f);
		if ((r == 0) != !cases[i].field)
			fail_msg("case %zu: %s", i, f.err.why);
		if (r < 0) {
			assert_string_equal(f.field, cases[i].field);
			assert_string_equal(f.reason, "NotApplicable");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spec_that_makes_sense_is_read),
		cmocka_unit_test(one_that_makes_none_is_refused_at_its_field),
		cmocka_unit_test(what_would_grow_without_end_is_refused),
		cmocka_unit_test(labels_are_selected_as_kubernetes_selects_them),
		cmocka_unit_test(a_wish_for_how_long_is_granted_where_it_is_so_already),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
