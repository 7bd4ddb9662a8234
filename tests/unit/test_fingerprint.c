// SPDX-License-Identifier: Apache-2.0
#include "schema/fingerprint.h"

#include "lib/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <zlib.h>
#include <cmocka.h>

#define HEAD "HTTP/1.1 500 Internal Server Error\r\n"

static struct exchange failed_with(const char *head, struct span body)
{
	return (struct exchange){
		.status = 500,
		.outcome = OUTCOME_SERVER_ERROR,
		.response = {.head = span_str(head), .body = body, .flags = MESSAGE_PRESENT},
	};
}

static void expect_shape(const struct exchange *x, const char *want)
{
	struct fingerprint_room room = {0};
	struct span got = fingerprint_of(x, &room);

	if (!span_eq(got, span_str(want)))
		fail_msg("want %s, got %.*s", want, (int)got.len, (const char *)got.ptr);
	fingerprint_room_fini(&room);
}

static const struct {
	const char *body, *shape;
} rows[] = {
	{"", ""},
	{"  \r\n", ""},
	{"upstream connect error", "upstream connect error"},
	{"order 17: no stock for 3 items\n", "order {}: no stock for {} items"},
	/* JSON: keys sorted, numbers and what varies masked, the first element for all */
	{"{}", "{}"},
	{"[]", "[]"},
	{"{\"error\":\"internal\",\"detail\":\"price of item 7 is null\"}",
	 "{\"detail\":\"price of item {} is null\",\"error\":\"internal\"}"},
	{"{\"b\":true,\"a\":null,\"c\":-1.5e3}", "{\"a\":null,\"b\":true,\"c\":{}}"},
	{" {\n  \"a\" : [ {\"field\":\"n\"}, {\"field\":\"m\"} ] }", "{\"a\":[{\"field\":\"n\"}]}"},
	{"{\"trace_id\":\"abc\",\"requestId\":7,\"time\":\"now\",\"Timestamp\":1,\"msg\":\"no\"}",
	 "{\"Timestamp\":{},\"msg\":\"no\",\"requestId\":{},\"time\":{},\"trace_id\":{}}"},
	{"{\"valid\":\"x\",\"paid\":\"y\"}", "{\"paid\":\"y\",\"valid\":\"x\"}"},
	{"{\"message\":\"no \\\"cart\\\"\\nfor you\"}", "{\"message\":\"no \"{}\" for you\"}"},
	/* JSON that was cut, or is none */
	{"{\"error\":\"inter", "{\"error\":\"inter\"}"},
	{"{\"error\":", "{\"error\":}"},
	{"{\"a\":1,", "{\"a\":{}}"},
	{"[1,2", "[{}]"},
	{"{error: 7}", "{error: {}}"},
	{"[warn] no item 7", "[warn] no item {}"},
	/* markup: the text */
	{"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad "
	 "Gateway</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n",
	 "{} Bad Gateway {} Bad Gateway nginx/{}"},
	{"<!DOCTYPE html><style>p { color: red }</style><script>let a = 1 < 2;</script><p>Oops",
	 "Oops"},
	{"<!-- 17 --><fault><faultcode>soap:Server</faultcode></fault>", "soap:Server"},
	{"<never closed", ""},
};

static void an_error_has_a_shape(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct exchange x = failed_with(HEAD "\r\n", span_str(rows[i].body));

		expect_shape(&x, rows[i].shape);
	}
}

static void only_failures_have_one(void **state)
{
	struct exchange x = failed_with(HEAD "\r\n", SPAN_LIT("no"));

	(void)state;
	x.outcome = OUTCOME_CLIENT_ERROR;
	expect_shape(&x, "");
	x.outcome = OUTCOME_NO_RESPONSE;
	x.response.flags = 0;
	expect_shape(&x, "");
}

static void the_grpc_message_stands_for_a_call(void **state)
{
	struct exchange x = failed_with("HTTP/2 200\r\ncontent-type: application/grpc\r\n\r\n",
					SPAN_LIT("\0\0\0\0\0"));

	(void)state;
	x.status = 200;
	x.outcome = OUTCOME_GRPC_ERROR;
	x.has_grpc_status = true;
	x.grpc_status = 9;
	x.response.version = 20;
	x.response.trailers = SPAN_LIT("grpc-status: 9\r\ngrpc-message: item%207 is%20sold\r\n");
	expect_shape(&x, "item {} is sold");
	x.response.trailers = (struct span){0};
	expect_shape(&x, "");
	x.response.head = SPAN_LIT("HTTP/2 200\r\ngrpc-message: not me\r\n\r\n");
	expect_shape(&x, "not me");
}

static void content_codings_are_undone(void **state)
{
	static const char text[] = "{\"error\":\"no item 7\"}";
	uint8_t packed[200];
	z_stream z = {.next_in = (Bytef *)(uintptr_t)text,
		      .avail_in = sizeof(text) - 1,
		      .next_out = packed,
		      .avail_out = sizeof(packed)};
	struct exchange x;

	(void)state;
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	x = failed_with(HEAD "Content-Encoding: gzip\r\n\r\n", span_of(packed, z.total_out));
	expect_shape(&x, "{\"error\":\"no item {}\"}");
	x.response.body.len -= 8; /* cut: as far as it goes */
	expect_shape(&x, "{\"error\":\"no item {}\"}");
	x = failed_with(HEAD "Content-Encoding: rot13\r\n\r\n", SPAN_LIT("reebe"));
	expect_shape(&x, "");
	(void)deflateEnd(&z);
}

static void octets_that_are_no_text_are_binary(void **state)
{
	static const struct {
		const char *body;
		size_t len;
	} bad[] = {{"\0", 1}, {"ab\xff", 3}, {"{\"a\":\"\xc3\"}", 8}, {"a\x01", 2}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct exchange x = failed_with(HEAD "\r\n", span_of(bad[i].body, bad[i].len));

		expect_shape(&x, "(binary)");
	}
}

/* Bodies that are made to be long, deep or wide: bounded, UTF-8, and the same each time. */
static void hostile_bodies_stay_small(void **state)
{
	static const char *const patterns[] = {
		"[",
		"{\"a\":",
		"{\"a\":1,",
		"\"",
		"'",
		"<",
		"<a>",
		"<!--",
		"\\",
		"{\"\\u0000\":[",
		"1 ",
		"a1b2",
		"@a",
		"a@b.",
		"\xe2\x82\xac",
		"{\"K\xc3\xa4se\":\"\xe2\x82\xac",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(patterns); i++) {
		struct fingerprint_room room = {0}, again = {0};
		AUTO_BUF body = {0};
		struct exchange x;
		struct span a, b;

		for (size_t n = 0; n < 20000; n++)
			buf_add_str(&body, patterns[i]);
		x = failed_with(HEAD "\r\n", buf_span(&body));
		a = fingerprint_of(&x, &room);
		b = fingerprint_of(&x, &again);
		assert_true(a.len <= FINGERPRINT_BYTES_MAX);
		assert_true(utf8_is_valid(a));
		assert_true(span_eq(a, b));
		fingerprint_room_fini(&room);
		fingerprint_room_fini(&again);
	}
}

static void what_is_too_long_ends_with_dots(void **state)
{
	struct fingerprint_room room = {0};
	AUTO_BUF body = {0};
	struct exchange x;
	struct span shape;

	(void)state;
	for (size_t n = 0; n < 100; n++)
		buf_add_str(&body, "again and ");
	x = failed_with(HEAD "\r\n", buf_span(&body));
	shape = fingerprint_of(&x, &room);
	assert_in_range(shape.len, FINGERPRINT_BYTES_MAX - 10, FINGERPRINT_BYTES_MAX);
	assert_memory_equal(shape.ptr + shape.len - 3, "...", 3);
	fingerprint_room_fini(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_has_a_shape),
		cmocka_unit_test(only_failures_have_one),
		cmocka_unit_test(the_grpc_message_stands_for_a_call),
		cmocka_unit_test(content_codings_are_undone),
		cmocka_unit_test(octets_that_are_no_text_are_binary),
		cmocka_unit_test(hostile_bodies_stay_small),
		cmocka_unit_test(what_is_too_long_ends_with_dots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
