// SPDX-License-Identifier: Apache-2.0
#include "lib/buf.h"
#include "wire/noted.h"
#include "wire/redact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t key[32] = {1, 2, 3};

/* In the rows, every secret begins with "5ecret" and {} stands for any tag. */
#define SECRET "5ecret"

static const struct {
	const char *in, *out;
} request_rows[] = {
	/* what an exchange carries as fields, among secrets longer and shorter than a tag */
	{"POST /a?token=" SECRET "&b=c HTTP/1.1\r\nCookie: a=" SECRET "\r\nHost: shop\r\nAuthorization: Bearer "
	 SECRET SECRET SECRET "\r\nContent-Type: text/plain\r\nX-Api-Key: " SECRET "\r\nX-Request-Id: 17\r\n"
	 "Tapeloop-Replay: 5\r\n\r\n",
	 "POST /a?token={}&b=c HTTP/1.1\r\nCookie: a={}\r\nHost: shop\r\nAuthorization: Bearer {}\r\n"
	 "Content-Type: text/plain\r\nX-Api-Key: {}\r\nX-Request-Id: 17\r\nTapeloop-Replay: 5\r\n\r\n"},
	{"GET /?a=b HTTP/1.1\r\n\r\n", NULL},
	{"GET /tokens/x?tokens=1&monkey=2 HTTP/1.1\r\n\r\n", NULL},
	{"GET /?token=5ecret HTTP/1.1\r\n\r\n", "GET /?token={} HTTP/1.1\r\n\r\n"},
	{"GET /?token= HTTP/1.1\r\n\r\n", NULL},
	{"GET /?token HTTP/1.1\r\n\r\n", NULL},
	{"GET /?x=1&Access_Token=5ecret&y=2 HTTP/1.1\r\n\r\n", "GET /?x=1&Access_Token={}&y=2 HTTP/1.1\r\n\r\n"},
	{"GET /?api-key=5ecret HTTP/1.1\r\n\r\n", "GET /?api-key={} HTTP/1.1\r\n\r\n"},
	{"GET /?%61pi%5Fkey=5ecret HTTP/1.1\r\n\r\n", "GET /?%61pi%5Fkey={} HTTP/1.1\r\n\r\n"},
	{"GET /?password%3D5ecret HTTP/1.1\r\n\r\n", "GET /?password%3D{} HTTP/1.1\r\n\r\n"},
	{"GET /?user[password]=5ecret&login.pwd=5ecret2 HTTP/1.1\r\n\r\n",
	 "GET /?user[password]={}&login.pwd={} HTTP/1.1\r\n\r\n"},
	{"GET /?user%5Bpassword%5D=5ecret HTTP/1.1\r\n\r\n", "GET /?user%5Bpassword%5D={} HTTP/1.1\r\n\r\n"},
	{"GET /a;jsessionid=5ecret/b?sid=5ecret;code=5ecret#x HTTP/1.1\r\n\r\n",
	 "GET /a;jsessionid={}?sid={};code={}#x HTTP/1.1\r\n\r\n"},
	{"GET /?next=%2Fcb%3Fcode%3D5ecret%26x%3D1&y=2 HTTP/1.1\r\n\r\n",
	 "GET /?next=%2Fcb%3Fcode%3D{}%26x%3D1&y=2 HTTP/1.1\r\n\r\n"},
	{"GET /?token=5ecret%26more HTTP/1.1\r\n\r\n", "GET /?token={} HTTP/1.1\r\n\r\n"},
	{"GET /?token=5ecret with blanks HTTP/1.1\r\n\r\n", "GET /?token={} HTTP/1.1\r\n\r\n"},
	{"GET /?token=5ecret?x=1;y HTTP/1.1\r\n\r\n", "GET /?token={} HTTP/1.1\r\n\r\n"},
	{"GET /?token=5ecret;y&z=1 HTTP/1.1\r\n\r\n", "GET /?token={}&z=1 HTTP/1.1\r\n\r\n"},
	{"GET http://me:5ecret@h/x HTTP/1.1\r\n\r\n", "GET http://{}@h/x HTTP/1.1\r\n\r\n"},
	{"GET http://h/x@y HTTP/1.1\r\n\r\n", NULL},
	{"CONNECT me:5ecret@h:443 HTTP/1.1\r\n\r\n", "CONNECT {}@h:443 HTTP/1.1\r\n\r\n"},
	{"GET / HTTP/1.1\r\nHost: me:5ecret@h\r\n\r\n", "GET / HTTP/1.1\r\nHost: {}@h\r\n\r\n"},
	{"GET / HTTP/1.1\r\nAuthorization: Bearer 5ecret\r\n\r\n", "GET / HTTP/1.1\r\nAuthorization: Bearer {}\r\n\r\n"},
	{"GET / HTTP/1.1\r\nAUTHORIZATION:basic  5ecret==  \r\n\r\n", "GET / HTTP/1.1\r\nAUTHORIZATION:basic  {}  \r\n\r\n"},
	{"GET / HTTP/1.1\r\nAuthorization: 5ecret\r\n\r\n", "GET / HTTP/1.1\r\nAuthorization: {}\r\n\r\n"},
	{"GET / HTTP/1.1\r\nAuthorization: 5ecret of two words\r\n\r\n", "GET / HTTP/1.1\r\nAuthorization: {}\r\n\r\n"},
	{"GET / HTTP/1.1\r\nAuthorization: Digest username=\"5ecret\",\r\n response=\"5ecret2\"\r\nA: b\r\n\r\n",
	 "GET / HTTP/1.1\r\nAuthorization: Digest {}\r\nA: b\r\n\r\n"},
	{"GET / HTTP/1.1\r\n Authorization: Bearer 5ecret\r\n\r\n", "GET / HTTP/1.1\r\n Authorization: Bearer {}\r\n\r\n"},
	{"GET / HTTP/1.1\r\nAuthorization : Bearer 5ecret\r\n\r\n", "GET / HTTP/1.1\r\nAuthorization : Bearer {}\r\n\r\n"},
	{"GET / HTTP/1.1\nX-Api-Key: 5ecret\n\n", "GET / HTTP/1.1\nX-Api-Key: {}\n\n"},
	{"GET / HTTP/1.1\r\nX-Api-Key: 5ecret", "GET / HTTP/1.1\r\nX-Api-Key: {}"},
	{"GET / HTTP/1.1\r\nCookie: a=5ecret; b=\"5ecret2\";c=;5ecret3\r\n\r\n",
	 "GET / HTTP/1.1\r\nCookie: a={}; b={};c=;{}\r\n\r\n"},
	{"GET / HTTP/1.1\r\nReferer: https://h/p?q=1&token=5ecret#access_token=5ecret\r\n\r\n",
	 "GET / HTTP/1.1\r\nReferer: https://h/p?q=1&token={}#access_token={}\r\n\r\n"},
	{"GET / HTTP/1.1\r\nX-Mine: 5ecret\r\nx-other: fine\r\n\r\n", "GET / HTTP/1.1\r\nX-Mine: {}\r\nx-other: fine\r\n\r\n"},
	{"GET /?My-Param=5ecret HTTP/1.1\r\n\r\n", "GET /?My-Param={} HTTP/1.1\r\n\r\n"},
	{"GET / HTTP/1.1\r\nX-Api-Key: [tl:0123ABCD]\r\n\r\n", NULL},
	{"GET / HTTP/1.1\r\nHost:\r\nCookie:\r\nAuthorization: \r\nX-Api-Key: \t\r\nA: b\r\n\r\n", NULL},
	{"GET / HTTP/1.1\r\nCookie:\r\nAuthorization: \r\nReferer:\r\nHost:\r\n\r\n", NULL},
	{"GET / HTTP/1.1\r\n", NULL},
	{"nonsense", NULL},
	{"", NULL},
};

static const struct {
	const char *in, *out;
} response_rows[] = {
	{"HTTP/1.1 200 token=x\r\nServer: a\r\n\r\n", NULL},
	{"HTTP/1.1 200 OK\r\nSet-Cookie: a=5ecret; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=1\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nSet-Cookie: a={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=1\r\n\r\n"},
	{"HTTP/1.1 200 OK\r\nSet-Cookie: a=5ecret; Expires=Wed, 09 Jun 2021 10:18:14 GMT\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nSet-Cookie: a={}; Expires=Wed, 09 Jun 2021 10:18:14 GMT\r\n\r\n"},
	{"HTTP/1.1 200 OK\r\nSet-Cookie: a=5ecret; Path=/, b=5ecret2; My=5ecret3\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nSet-Cookie: a={}; Path={}; My={}\r\n\r\n"},
	{"HTTP/1.1 302 F\r\nLocation: https://u:5ecret@h/cb?code=5ecret&state=s\r\n\r\n",
	 "HTTP/1.1 302 F\r\nLocation: https://{}@h/cb?code={}&state=s\r\n\r\n"},
	{"HTTP/1.1 200 OK\r\nLink: <https://h/?api_key=5ecret>; rel=\"next\", </b?sig=5ecret>\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nLink: <https://h/?api_key={}>; rel=\"next\", </b?sig={}>\r\n\r\n"},
	{"HTTP/1.1 200 OK\r\nRefresh: 0; url=/x?token=5ecret\r\n\r\n", "HTTP/1.1 200 OK\r\nRefresh: 0; url=/x?token={}\r\n\r\n"},
};

static struct redactor *make(const uint8_t k[32])
{
	static const char *const headers[] = {"x-MINE", "My_Own^Key", NULL}, *const params[] = {"my_param", NULL};
	struct redactor *r = redactor_new(k, headers, params);

	assert_non_null(r);
	return r;
}

/* every tag becomes {}: what it says is another test's matter */
static void without_tags(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.len - i >= REDACT_TAG_BYTES && memcmp(s.ptr + i, "[tl:", 4) == 0 &&
		    s.ptr[i + REDACT_TAG_BYTES - 1] == ']') {
			buf_add_str(out, "{}");
			i += REDACT_TAG_BYTES - 1;
		} else {
			buf_add_char(out, (char)s.ptr[i]);
		}
	}
}

/* the copy in @out, which is large enough; @h: what the parser says, or NULL */
static struct redact_job redacted(const struct redactor *r, enum http1_kind kind, struct span head,
				  struct http1_head *h, struct buf *out)
{
	struct redact_job job = {.kind = kind, .head = head, .info = h};
	struct http1_head again = h ? *h : (struct http1_head){0};
	struct redact_job measure = {.kind = kind, .head = head, .info = h ? &again : NULL};
	uint8_t *room;

	job.room = redact_head(r, &measure, NULL);
	room = malloc(job.room + 1);
	assert_non_null(room);
	assert_int_equal(redact_head(r, &job, room), job.room);
	assert_int_equal(job.secrets, measure.secrets);
	assert_int_equal(job.is_moved, measure.is_moved);
	buf_add(out, room, job.room);
	free(room);
	return job;
}

static void same_place(const char *in, const char *what, struct http1_at a, struct http1_at b)
{
	if (a.from != b.from || (a.from && a.len != b.len))
		fail_msg("%s: %s moved to %u+%u, lies at %u+%u", in, what, a.from, a.len, b.from, b.len);
}

/* with the parser's notes the copy is the same, and what they say of the copy is true */
static void check_with_notes(const struct redactor *r, enum http1_kind kind, const char *in, struct span want)
{
	struct http1_head h, fresh;
	AUTO_BUF copy = {0};
	struct redact_job job;

	if (!http1_head_parse(kind, span_str(in), true, redactor_watch(r), &h))
		return;
	job = redacted(r, kind, span_str(in), &h, &copy);
	if (!span_eq(span_of(copy.ptr, copy.len), want))
		fail_msg("%s: with the parser's notes %s", in, buf_cstr(&copy));
	if (!job.is_moved || !http1_head_parse(kind, want, true, NULL, &fresh))
		return;
	same_place(in, "target", h.target, fresh.target);
	same_place(in, "host", h.host, fresh.host);
	same_place(in, "content_type", h.content_type, fresh.content_type);
	same_place(in, "trace_id", h.trace_id, fresh.trace_id);
	same_place(in, "replay_of", h.replay_of, fresh.replay_of);
}

static void check(const struct redactor *r, enum http1_kind kind, const char *in, const char *want)
{
	struct span head = span_str(in);
	AUTO_BUF text = {0};
	AUTO_BUF copy = {0};
	struct redact_job job = redacted(r, kind, head, NULL, &copy);

	if (!want) {
		assert_int_equal(job.secrets, 0);
		assert_true(span_eq(span_of(copy.ptr, copy.len), head));
	} else {
		assert_true(job.secrets > 0);
		without_tags(&text, span_of(copy.ptr, copy.len));
		if (strcmp(buf_cstr(&text), want) != 0)
			fail_msg("%s\n want %s\n  got %s", in, want, buf_cstr(&text));
		assert_null(memmem(copy.ptr, copy.len, SECRET, strlen(SECRET)));
	}
	check_with_notes(r, kind, in, span_of(copy.ptr, copy.len));
}

static void credentials_go_and_all_else_stays(void **state)
{
	AUTO(redactor) r = make(key);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(request_rows); i++)
		check(r, HTTP1_REQUEST, request_rows[i].in, request_rows[i].out);
	for (size_t i = 0; i < COUNT_OF(response_rows); i++)
		check(r, HTTP1_RESPONSE, response_rows[i].in, response_rows[i].out);
}

static void trailers_are_header_lines(void **state)
{
	AUTO(redactor) r = make(key);
	uint8_t out[128];
	size_t count, n;

	(void)state;
	n = redact_trailers(r, SPAN_LIT("X-Token: 5ecret\r\nX-Sum: 1\r\n"), out, &count);
	assert_int_equal(count, 1);
	assert_memory_equal(out, "X-Token: [tl:", 13);
	assert_memory_equal(out + n - 13, "]\r\nX-Sum: 1\r\n", 13);
}

static void tag_of(const struct redactor *r, const char *secret, char tag[REDACT_TAG_BYTES + 1])
{
	char head[512];
	AUTO_BUF out = {0};

	(void)snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nToken: %s\r\n\r\n", secret);
	assert_int_equal(redacted(r, HTTP1_REQUEST, span_str(head), NULL, &out).secrets, 1);
	memcpy(tag, out.ptr + out.len - 4 - REDACT_TAG_BYTES, REDACT_TAG_BYTES);
	tag[REDACT_TAG_BYTES] = 0;
}

static void equal_secrets_have_equal_tags_under_one_key_only(void **state)
{
	static const uint8_t other_key[32] = {9};
	AUTO(redactor) r = make(key);
	AUTO(redactor) other = make(other_key);
	char a[REDACT_TAG_BYTES + 1], b[REDACT_TAG_BYTES + 1], c[REDACT_TAG_BYTES + 1], d[REDACT_TAG_BYTES + 1];

	(void)state;
	tag_of(r, "one", a);
	tag_of(r, "one", b);
	tag_of(r, "two", c);
	tag_of(other, "one", d);
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	assert_string_not_equal(a, d);
}

/* secrets that were seen before are looked up; long ones, and those that share their end, are told apart */
static void tags_that_are_remembered_are_those_that_were_made(void **state)
{
	static const char *const secrets[] = {"one-and-the-same-end", "two-and-the-same-end",
		"1-and-the-same-end", "short", "ends"};
	AUTO(redactor) r = make(key);
	char text[400], first[REDACT_TAG_BYTES + 1], again[REDACT_TAG_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < 2 * COUNT_OF(secrets); i++) {
		AUTO(redactor) fresh = make(key);

		tag_of(r, secrets[i % COUNT_OF(secrets)], again);
		tag_of(fresh, secrets[i % COUNT_OF(secrets)], first);
		assert_string_equal(first, again);
	}
	for (size_t len = 150; len < 170; len++) {
		AUTO(redactor) fresh = make(key);

		memset(text, 'x', len);
		text[len] = 0;
		tag_of(r, text, again);
		tag_of(fresh, text, first);
		assert_string_equal(first, again);
		tag_of(r, text, again);
		assert_string_equal(first, again);
	}
}

/* what does not fit the room is measured all the same, and nothing is written behind the room */
static void a_room_that_is_too_small_is_not_overrun(void **state)
{
	static const char head[] = "GET /?token=5ecret HTTP/1.1\r\nHost: a\r\nCookie: a=b; c=d\r\n\r\n";
	AUTO(redactor) r = make(key);
	AUTO_BUF whole = {0};

	(void)state;
	(void)redacted(r, HTTP1_REQUEST, span_str(head), NULL, &whole);
	for (size_t room = 0; room <= whole.len; room++) {
		struct redact_job job = {.kind = HTTP1_REQUEST, .head = span_str(head), .room = room};
		uint8_t *out = malloc(room + 1);

		assert_non_null(out);
		out[room] = 0xa5;
		assert_int_equal(redact_head(r, &job, out), whole.len);
		assert_int_equal(job.secrets, 3);
		assert_int_equal(out[room], 0xa5);
		free(out);
	}
}

/* a head that the parser does not mark is one that redaction would leave alone */
static void the_parser_notices_every_header_with_a_rule(void **state)
{
	AUTO(redactor) r = make(key);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(request_rows); i++) {
		struct span head = span_str(request_rows[i].in);
		struct http1_head h;
		struct redact_job job = {.kind = HTTP1_REQUEST, .head = head};

		if (head.len == 0 || !http1_head_parse(HTTP1_REQUEST, head, true, redactor_watch(r), &h))
			continue;
		(void)redact_head(r, &job, NULL);
		if (job.secrets && !h.is_watched && !(h.anomalies & ANOMALY_BIT(OBS_FOLD)) &&
		    !redact_target_may_matter(http1_span(head, h.target)) &&
		    !redact_target_may_matter(http1_span(head, h.host)))
			fail_msg("%s: would pass unredacted", request_rows[i].in);
	}
}

static void common_headers_are_told_from_the_others_by_one_look(void **state)
{
	static const char *const common[] = {"User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Date",
		"Server", "Cache-Control", "ETag", "Vary", "Last-Modified", "Accept-Ranges", "Origin", "Via", "Age",
		"If-None-Match", "If-Modified-Since", "Content-Encoding", "Expires", "Pragma", "X-Forwarded-For",
		"X-Forwarded-Proto", "X-Real-Ip", "X-B3-SpanId", "Upgrade-Insecure-Requests", "Keep-Alive"};
	AUTO(redactor) r = make(key);
	const struct http1_watch *w = redactor_watch(r);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(common); i++)
		assert_int_equal(w->first[http1_watch_slot(span_str(common[i]))], 0);
	assert_true(http1_is_watched(w, span_str("AUTHORIZATION")));
	assert_true(http1_is_watched(w, span_str("X-Mine")));
	assert_true(http1_is_watched(w, span_str("MY_own^key")));
	assert_false(http1_is_watched(w, span_str("MY_own~key")));
	assert_false(http1_is_watched(w, span_str("Content-Type")));
	assert_int_equal(http1_watch_find(w, span_str("Content-Type"))->noted, NOTED_CONTENT_TYPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credentials_go_and_all_else_stays),
		cmocka_unit_test(trailers_are_header_lines),
		cmocka_unit_test(equal_secrets_have_equal_tags_under_one_key_only),
		cmocka_unit_test(tags_that_are_remembered_are_those_that_were_made),
		cmocka_unit_test(a_room_that_is_too_small_is_not_overrun),
		cmocka_unit_test(the_parser_notices_every_header_with_a_rule),
		cmocka_unit_test(common_headers_are_told_from_the_others_by_one_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
