// SPDX-License-Identifier: Apache-2.0
/* what the words mean to a shell and to curl is tested end to end: tests/e2e/test_cli.py */
#include "store/format_curl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct exchange exchange_of(const char *head, struct span body)
{
	struct exchange x = {
		.dst = {.is_ipv4 = true, .port = 8080, .address = {[10] = 255, 255, 10, 0, 0, 2}},
	};
	size_t method = strcspn(head, " "), target = strcspn(head + method + 1, " ");

	x.method = span_of(head, method);
	x.target = span_of(head + method + 1, target);
	x.request = (struct message){
		.head = span_str(head), .body = body, .body_bytes = body.len,
		.version = strstr(head, " HTTP/2\r\n") ? 20 : 11};
	x.request.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE;
	return x;
}

#define OWN	  "Host: h\r\nUser-Agent: u\r\nAccept: a\r\n"
#define OWN_WORDS " \\\n  -H 'Host: h' \\\n  -H 'User-Agent: u' \\\n  -H 'Accept: a'"

static const struct {
	const char *name, *head, *body, *want;
} cases[] = {
	{"a plain GET", "GET /a?b=1 HTTP/1.1\r\n" OWN "\r\n", "",
	 "curl 'http://10.0.0.2:8080/a?b=1'" OWN_WORDS "\n"},
	{"a HEAD waits for no body", "HEAD / HTTP/1.1\r\n" OWN "\r\n", "",
	 "curl --head 'http://10.0.0.2:8080/'" OWN_WORDS "\n"},
	{"a method of its own", "X'Y /a HTTP/1.1\r\n" OWN "\r\n", "",
	 "curl \\\n  -X 'X'\\''Y' 'http://10.0.0.2:8080/a'" OWN_WORDS "\n"},
	{"what curl would rewrite", "GET /a#c HTTP/1.1\r\n" OWN "\r\n", "",
	 "curl 'http://10.0.0.2:8080/' \\\n  --request-target '/a#c'" OWN_WORDS "\n"},
	{"dots stay", "GET /a/../b HTTP/1.1\r\n" OWN "\r\n", "",
	 "curl 'http://10.0.0.2:8080/a/../b' \\\n  --path-as-is" OWN_WORDS "\n"},
	{"curl's own headers are switched off", "GET / HTTP/1.1\r\n\r\n", "",
	 "curl 'http://10.0.0.2:8080/' \\\n  -H 'Host:' \\\n  -H 'User-Agent:' \\\n  -H "
	 "'Accept:'\n"},
	{"an empty header stays", "GET / HTTP/1.1\r\n" OWN "X-Empty:\r\n\r\n", "",
	 "curl 'http://10.0.0.2:8080/'" OWN_WORDS " \\\n  -H 'X-Empty;'\n"},
	{"quotes cannot be left", "GET / HTTP/1.1\r\n" OWN "X: '; rm -rf / #\r\n\r\n", "",
	 "curl 'http://10.0.0.2:8080/'" OWN_WORDS " \\\n  -H 'X: '\\''; rm -rf / #'\n"},
	{"controls are named, not sent to the terminal",
	 "GET / HTTP/1.1\r\n" OWN "X: a\0337\xff\r\n\r\n", "",
	 "# for bash, zsh or ksh\ncurl 'http://10.0.0.2:8080/'" OWN_WORDS
	 " \\\n  -H $'X: a\\0337\\377'\n"},
	{"a header that curl takes for a file", "GET / HTTP/1.1\r\n" OWN "@/etc/passwd: x\r\n\r\n",
	 "",
	 "# a header line that curl cannot send is left out: '@/etc/passwd: x'\n"
	 "curl 'http://10.0.0.2:8080/'" OWN_WORDS "\n"},
	{"HTTP/2 says it its own way",
	 "GET /a HTTP/2\r\n:scheme: http\r\n:authority: h\r\nuser-agent: u\r\naccept: a\r\n\r\n", "",
	 "curl \\\n  --http2-prior-knowledge 'http://10.0.0.2:8080/a'" " \\\n  -H 'Host: h'"
	 " \\\n  -H 'user-agent: u' \\\n  -H 'accept: a'\n"},
	{"a field that the recorder could not read",
	 "GET /a HTTP/2\r\n:authority: h\r\nuser-agent: u\r\naccept: a\r\n:unknown: ?\r\n\r\n", "",
	 "# a header line that the recorder could not read is left out\n"
	 "curl \\\n  --http2-prior-knowledge 'http://10.0.0.2:8080/a'" " \\\n  -H 'Host: h'"
	 " \\\n  -H 'user-agent: u' \\\n  -H 'accept: a'\n"},
	{"a body in words",
	 "POST / HTTP/1.1\r\n" OWN "Content-Type: t\r\nContent-Length: 5\r\n\r\n", "@a'b\n",
	 "curl 'http://10.0.0.2:8080/'" OWN_WORDS " \\\n  -H 'Content-Type: t' \\\n"
	 "  -H 'Content-Length: 5' \\\n  -H 'Expect:' \\\n  --data-raw '@a'\\''b\n'\n"},
	{"a body in bytes", "PUT / HTTP/1.1\r\n" OWN "Content-Length: 2\r\n\r\n", "\033\xff",
	 "base64 -d <<'EOF' | curl \\\n  -X 'PUT' 'http://10.0.0.2:8080/'" OWN_WORDS
	 " \\\n  -H 'Content-Length: 2' \\\n  -H 'Content-Type:' \\\n  -H 'Expect:' \\\n"
	 "  --data-binary @-\nG/8=\nEOF\n"},
};

static void a_request_becomes_a_command(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct exchange x = exchange_of(cases[i].head, span_str(cases[i].body));
		AUTO_BUF out = {0};

		format_curl(&x, NULL, &out);
		if (strcmp(buf_cstr(&out), cases[i].want) != 0)
			fail_msg("%s:\n%s\nnot\n%s", cases[i].name, buf_cstr(&out), cases[i].want);
	}
}

static void it_goes_where_it_is_sent(void **state)
{
	struct exchange x = exchange_of("GET /a HTTP/1.1\r\n" OWN "\r\n", (struct span){0});
	AUTO_BUF out = {0};

	(void)state;
	format_curl(&x, "http://localhost:8080/", &out);
	assert_string_equal(buf_cstr(&out), "curl 'http://localhost:8080/a'" OWN_WORDS "\n");
}

static void the_reader_is_told_what_is_missing(void **state)
{
	struct exchange x = exchange_of("POST /?token=[tl:ABCDEFGH] HTTP/1.1\r\n" OWN
					"Cookie: a=[tl:ABCDEFGH]\r\nContent-Length: 9\r\n\r\n",
					SPAN_LIT("abc"));
	AUTO_BUF out = {0};

	(void)state;
	x.request.flags |= MESSAGE_BODY_CUT;
	x.request.body_bytes = 9;
	x.anomalies = ANOMALY_BIT(REDACTED);
	format_curl(&x, NULL, &out);
	assert_non_null(
		strstr(buf_cstr(&out), "# of a body of 9 bytes only the first 3 were kept\n"));
	assert_non_null(strstr(buf_cstr(&out),
			       "# masked when recorded, put your own in its place: a value in "
			       "the target, Cookie\n"));
	assert_null(strstr(buf_cstr(&out), "Content-Length"));
	buf_clear(&out);
	x.request.flags = 0;
	format_curl(&x, NULL, &out);
	assert_string_equal(buf_cstr(&out), "# no request was seen: nothing to send\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_becomes_a_command),
		cmocka_unit_test(it_goes_where_it_is_sent),
		cmocka_unit_test(the_reader_is_told_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
