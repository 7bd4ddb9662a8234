// SPDX-License-Identifier: Apache-2.0
#include "lib/protobuf.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define PROTO "tests/unit/shop.proto"

/* What a shell command prints. */
static void run(const char *command, struct buf *out)
{
	FILE *f = popen(command, "re");
	size_t n = 1;

	assert_non_null(f);
	while (n && buf_reserve(out, 4096)) {
		n = fread(out->ptr + out->len, 1, 4096, f);
		out->len += n;
	}
	assert_int_equal(pclose(f), 0);
}

static struct proto_set *shop_set(void)
{
	AUTO_BUF bytes = {0};
	struct proto_set *s = NULL;
	struct err e = {0};

	run("protoc --include_imports -o /dev/stdout " PROTO, &bytes);
	assert_int_equal(proto_set_read(buf_span(&bytes), PROTO, &s, &e), 0);
	return s;
}

struct json_case {
	const char *text; /* protobuf's text format, for protoc to encode */
	const char *json;
};

static const struct json_case json_cases[] = {
	{"", "{}"},
	{"id: 9007199254740993", "{\"id\":\"9007199254740993\"}"},
	{"id: -1 big: 18446744073709551615", "{\"id\":\"-1\",\"big\":\"18446744073709551615\"}"},
	{"lines {item {sku: \"a\" count: -2} price: 0.1} lines {price: 2}",
	 "{\"lines\":[{\"item\":{\"sku\":\"a\",\"count\":-2},\"price\":0.1},{\"price\":2}]}"},
	{"stock {key: \"x\" value: 3} stock {key: \"y\" value: 0}", "{\"stock\":{\"x\":3,\"y\":0}}"},
	{"by_number {key: 7 value {sku: \"b\"}}", "{\"byNumber\":{\"7\":{\"sku\":\"b\"}}}"},
	{"deltas: [1, -1, 300, -70000]", "{\"deltas\":[1,-1,300,-70000]}"},
	{"blob: \"\\x00\\xff\\x10\"", "{\"blob\":\"AP8Q\"}"},
	{"size: LARGE is_paid: true sizes: [SMALL, LARGE]",
	 "{\"size\":\"LARGE\",\"isPaid\":true,\"sizes\":[\"SMALL\",\"LARGE\"]}"},
	{"weight: 1.5 voucher: 12", "{\"weight\":1.5,\"voucher\":12}"},
	{"lines {item {parts {parts {sku: \"deep\"}}}}",
	 "{\"lines\":[{\"item\":{\"parts\":[{\"parts\":[{\"sku\":\"deep\"}]}]}}]}"},
};

static void encode(const char *text, struct buf *out)
{
	AUTO_BUF command = {0};

	buf_add_fmt(&command, "printf '%%s' '%s' | protoc --encode=shop.v1.Order " PROTO, text);
	run(buf_cstr(&command), out);
}

static void a_message_becomes_json(void **state)
{
	AUTO(proto_set) s = shop_set();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(json_cases); i++) {
		AUTO_BUF wire = {0};
		AUTO_BUF out = {0};
		struct json j = json_to(&out);
		json_t *got, *want = json_loads(json_cases[i].json, 0, NULL);

		encode(json_cases[i].text, &wire);
		assert_int_equal(proto_json(s, SPAN_LIT("shop.v1.Order"), &j, buf_span(&wire)), 0);
		got = json_loads(buf_cstr(&out), 0, NULL);
		assert_non_null(got);
		if (!json_equal(got, want))
			fail_msg("%s: got %s, want %s", json_cases[i].text, buf_cstr(&out),
				 json_cases[i].json);
		json_decref(got);
		json_decref(want);
	}
}

static void methods_tell_their_types(void **state)
{
	AUTO(proto_set) s = shop_set();

	(void)state;
	assert_true(span_eq(proto_method_type(s, SPAN_LIT("shop.v1.Cart"), SPAN_LIT("Add"), false),
			    SPAN_LIT("shop.v1.Item")));
	assert_true(span_eq(proto_method_type(s, SPAN_LIT("shop.v1.Cart"), SPAN_LIT("Watch"), true),
			    SPAN_LIT("shop.v1.Order")));
	assert_null(proto_method_type(s, SPAN_LIT("shop.v1.Cart"), SPAN_LIT("Del"), true).ptr);
	assert_null(proto_method_type(s, SPAN_LIT("shop.v2.Cart"), SPAN_LIT("Add"), true).ptr);
}

static void unknown_fields_come_by_number(void **state)
{
	AUTO(proto_set) s = shop_set();
	AUTO_BUF out = {0};
	struct json j = json_to(&out);

	(void)state;
	assert_int_equal(proto_json(s, SPAN_LIT("shop.v1.Item"), &j,
				    SPAN_LIT("\x10\x05\xfa\x01\x02hi\xf8\x01\x01")),
			 0);
	assert_string_equal(buf_cstr(&out),
			    "{\"count\":5,\"@unknown\":[[{\"31\":\"hi\"}],[{\"31\":1}]]}");
}

struct raw_case {
	struct span bytes;
	int r;
	const char *json;
};
#define BYTES(s) {(const uint8_t *)(s), sizeof(s) - 1}

static const struct raw_case raw_cases[] = {
	{BYTES(""), 0, "[]"},
	{BYTES("\x08\x96\x01"), 0, "[{\"1\":150}]"},
	{BYTES("\x12\x07testing\x08\x01"), 0, "[{\"2\":\"testing\"},{\"1\":1}]"},
	{BYTES("\x1a\x03\x08\x96\x01"), 0, "[{\"3\":[{\"1\":150}]}]"},
	{BYTES("\x12\x02\xff\xfe"), 0, "[{\"2\":\"//4=\"}]"},
	{BYTES("\x0d\1\0\0\0\x11\2\0\0\0\0\0\0\0"), 0, "[{\"1\":1},{\"2\":2}]"},
	{BYTES("\x0b\x10\x01\x0c"), 0, "[{\"1\":[{\"2\":1}]}]"},
	{BYTES("\x08\x01\x12\x09short"), -EBADMSG, "[{\"1\":1}]"},
	{BYTES("\x0b\x10\x01"), -EBADMSG, "[]"},
	{BYTES("\x0c"), -EBADMSG, "[]"},
	{BYTES("\x00\x01"), -EBADMSG, "[]"},
	{BYTES("\x0f\x01"), -EBADMSG, "[]"},
	{BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), -EBADMSG, "[]"},
};

static void raw_fields_are_shown_by_number(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(raw_cases); i++) {
		AUTO_BUF out = {0};
		struct json j = json_to(&out);

		assert_int_equal(proto_json_raw(&j, raw_cases[i].bytes), raw_cases[i].r);
		assert_string_equal(buf_cstr(&out), raw_cases[i].json);
	}
}

/* the order of fields, which means nothing, does not show; those of one number keep theirs */
static void fields_come_together_by_number(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *json;
		int r;
	} cases[] = {
		{"\x10\x07\x08\x01", 4, "{\"1\":1,\"2\":7}", 0},
		{"\x08\x01\x10\x07", 4, "{\"1\":1,\"2\":7}", 0},
		{"\x12\x01" "b\x08\x02\x12\x01" "a", 8, "{\"1\":2,\"2\":[\"b\",\"a\"]}", 0},
		{"\x0a\x04\x10\x02\x08\x01", 6, "{\"1\":{\"1\":1,\"2\":2}}", 0},
		{"\x08\x01\xff", 3, "{\"1\":1}", -EBADMSG},
		{"", 0, "{}", 0},
	};
	AUTO_BUF many = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_BUF out = {0};
		struct json j = json_to(&out);

		assert_int_equal(proto_json_by_number(&j, span_of(cases[i].bytes, cases[i].len)), cases[i].r);
		assert_string_equal(buf_cstr(&out), cases[i].json);
	}
	for (size_t i = 0; i <= PROTO_FIELDS_MAX; i++)
		buf_add(&many, "\x08\x01", 2);
	{
		AUTO_BUF out = {0};
		struct json j = json_to(&out);

		assert_int_equal(proto_json_by_number(&j, buf_span(&many)), -E2BIG);
		assert_int_equal(out.len, 0);
	}
}

static void deep_groups_end_in_an_error(void **state)
{
	uint8_t groups[1000];
	AUTO_BUF out = {0};
	struct json j = json_to(&out);

	(void)state;
	memset(groups, 0x0b, sizeof(groups));
	assert_int_equal(proto_json_raw(&j, span_of(groups, sizeof(groups))), -EBADMSG);
}

static void noise_gives_valid_json_or_an_error(void **state)
{
	AUTO(proto_set) s = shop_set();

	(void)state;
	srandom(5);
	for (int i = 0; i < 3000; i++) {
		uint8_t noise[64];
		size_t n = (size_t)random() % sizeof(noise);
		AUTO_BUF out = {0};
		struct json j = json_to(&out);
		json_t *got;

		for (size_t k = 0; k < n; k++)
			noise[k] = (uint8_t)random() & (random() & 1 ? 0x3f : 0xff);
		(void)proto_json(s, SPAN_LIT("shop.v1.Order"), &j, span_of(noise, n));
		got = json_loads(buf_cstr(&out), JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
		if (!got)
			fail_msg("no JSON: %s", buf_cstr(&out));
		json_decref(got);
	}
}

static void what_is_no_descriptor_set_is_refused(void **state)
{
	struct proto_set *s = NULL;
	struct err e;

	(void)state;
	assert_int_equal(proto_set_load("/nonexistent.desc", &s, &e), -ENOENT);
	assert_int_equal(proto_set_load(PROTO, &s, &e), -EBADMSG);
	assert_non_null(strstr(e.why, PROTO ": no descriptor set"));
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_becomes_json),
		cmocka_unit_test(methods_tell_their_types),
		cmocka_unit_test(unknown_fields_come_by_number),
		cmocka_unit_test(raw_fields_are_shown_by_number),
		cmocka_unit_test(fields_come_together_by_number),
		cmocka_unit_test(deep_groups_end_in_an_error),
		cmocka_unit_test(noise_gives_valid_json_or_an_error),
		cmocka_unit_test(what_is_no_descriptor_set_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
