// SPDX-License-Identifier: Apache-2.0
#include "schema/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define WHOLE (MESSAGE_PRESENT | MESSAGE_COMPLETE)
#define HEAD  "HTTP/1.1 200 OK\r\n\r\n"

static const struct {
	const char *name, *body, *framing, *trailers, *want;
	uint32_t flags;
	bool is_whole;
} cases[] = {
	{"a plain body follows its head", "abc", "", "", HEAD "abc", WHOLE, true},
	{"chunks come back with their lines", "hello world", "5;x=1\r\n006\r\n0\r\n", "",
	 HEAD "5;x=1\r\nhello\r\n006\r\n world\r\n0\r\n\r\n", WHOLE | MESSAGE_CHUNKED, true},
	{"trailers stand behind the last chunk", "a", "1\r\n0\r\n", "X: y\r\n",
	 HEAD "1\r\na\r\n0\r\nX: y\r\n\r\n", WHOLE | MESSAGE_CHUNKED, true},
	{"an empty chunked body", "", "0\r\n", "", HEAD "0\r\n\r\n", WHOLE | MESSAGE_CHUNKED, true},
	{"a cut body ends where the record ends", "abc", "8\r\n0\r\n", "", HEAD "8\r\nabc",
	 WHOLE | MESSAGE_CHUNKED | MESSAGE_BODY_CUT, false},
	{"a chunk that never came whole", "abc", "8\r\n", "", HEAD "8\r\nabc",
	 MESSAGE_PRESENT | MESSAGE_CHUNKED, false},
	{"the last chunk never came", "abc", "3\r\n", "", HEAD "3\r\nabc\r\n",
	 MESSAGE_PRESENT | MESSAGE_CHUNKED, false},
	{"a size beyond all bounds", "abc", "fffffffffffffffffffff\r\n", "",
	 HEAD "fffffffffffffffffffff\r\nabc", MESSAGE_PRESENT | MESSAGE_CHUNKED, false},
	{"without its lines it is one chunk", "hello", "", "", HEAD "5\r\nhello\r\n0\r\n\r\n",
	 WHOLE | MESSAGE_CHUNKED, true},
};

static void a_message_is_written_as_it_was(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct message m = {
			.head = SPAN_LIT(HEAD),
			.body = span_str(cases[i].body),
			.framing = span_str(cases[i].framing),
			.trailers = span_str(cases[i].trailers),
			.flags = cases[i].flags,
		};
		AUTO_BUF out = {0};
		bool is_whole = message_write(&m, &out);

		if (!span_eq(buf_span(&out), span_str(cases[i].want)))
			fail_msg("%s: %s", cases[i].name, buf_cstr(&out));
		assert_int_equal(is_whole, cases[i].is_whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_written_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
