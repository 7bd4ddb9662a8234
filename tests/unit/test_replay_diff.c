// SPDX-License-Identifier: Apache-2.0
#include "replay/diff.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define H(lines)  "HTTP/1.1 200 OK\r\n" lines "\r\n"
#define JSON_TYPE "Content-Type: application/json\r\n"

struct side {
	unsigned status;
	const char *head, *body;
	uint32_t flags;   /* more than PRESENT and COMPLETE; or all of them, with PRESENT among them */
	uint64_t bytes;   /* 0: those of body */
};

struct diff_case {
	const char *name;
	struct side was, now;
	const char *ignore[4];
	const char *want; /* "kind change where|recorded|now" lines; "" for equal */
	uint32_t notes;
	const char *method;
};

static struct message message_of(const struct side *s)
{
	uint32_t flags = s->flags & MESSAGE_PRESENT
				 ? s->flags
				 : s->flags | MESSAGE_PRESENT | MESSAGE_COMPLETE;
	struct message m = {
		.head = span_str(s->head ? s->head : H("")),
		.body = span_str(s->body),
		.flags = flags,
		.version = 11,
	};

	m.body_bytes = s->bytes ? s->bytes : m.body.len;
	m.content_type = message_header(&m, "content-type");
	return m;
}

static void add_side(struct buf *out, const struct diff *d, struct diff_at at)
{
	buf_add_char(out, '|');
	buf_add_span(out, diff_text(d, at));
}

static const char *text_of(const struct diff *d, struct buf *out)
{
	buf_clear(out);
	for (unsigned i = 0; i < d->kept; i++) {
		const struct diff_item *it = &d->items[i];

		buf_add_fmt(out, "%s%s %s ", i ? "\n" : "", diff_kind_name(it->kind),
			    diff_change_name(it->change));
		buf_add_span(out, diff_text(d, it->where));
		add_side(out, d, it->recorded);
		add_side(out, d, it->now);
	}
	return buf_cstr(out);
}

static const struct diff_case cases[] = {
	{.name = "equal answers", .was = {200, H("A: 1\r\n"), "x"}, .now = {200, H("A: 1\r\n"), "x"},
	 .want = ""},
	{.name = "another status of the class", .was = {200, .body = "x"}, .now = {201, .body = "x"},
	 .want = "status changed status|200|201"},
	{.name = "another class tells status and bodies only",
	 .was = {500, H("A: 1\r\n"), "oh"}, .now = {200, H("B: 2\r\n"), "fine"},
	 .want = "status changed status|500|200\nbody changed body|2 bytes: oh|4 bytes: fine"},
	{.name = "an ignored status", .was = {200, .body = "x"}, .now = {500, .body = "x"},
	 .ignore = {"status"}, .want = ""},

	/* headers */
	{.name = "order and case of names do not count",
	 .was = {200, H("A: 1\r\nB: 2\r\n")}, .now = {200, H("b: 2\r\na: 1\r\n")}, .want = ""},
	{.name = "case of values does", .was = {200, H("A: x\r\n")}, .now = {200, H("A: X\r\n")},
	 .want = "header changed A|x|X"},
	{.name = "a header comes, another goes", .was = {200, H("A: 1\r\n")}, .now = {200, H("B: 2\r\n")},
	 .want = "header removed A|1|\nheader added B||2"},
	{.name = "several of one name in another order",
	 .was = {200, H("V: a\r\nV: b\r\n")}, .now = {200, H("V: b\r\nV: a\r\n")}, .want = ""},
	{.name = "one of several is missing",
	 .was = {200, H("V: a\r\nV: b\r\n")}, .now = {200, H("V: b\r\n")},
	 .want = "header removed V|a|"},
	{.name = "defaults: Date by presence", .was = {200, H("Date: x\r\n")}, .now = {200, H("Date: y\r\n")},
	 .want = ""},
	{.name = "defaults: a Date that is gone", .was = {200, H("Date: x\r\n")}, .now = {200, H("")},
	 .want = "header removed Date|x|"},
	{.name = "defaults: a trace id may come and go",
	 .was = {200, H("X-B3-TraceId: 1\r\n")}, .now = {200, H("traceparent: 00-1\r\n")}, .want = ""},
	{.name = "defaults: a cookie's value and times",
	 .was = {200, H("Set-Cookie: sid=1; Path=/; Max-Age=5\r\n")},
	 .now = {200, H("Set-Cookie: sid=2; path=/; Max-Age=9\r\n")}, .want = ""},
	{.name = "defaults: a cookie's attributes count",
	 .was = {200, H("Set-Cookie: sid=1; HttpOnly\r\n")}, .now = {200, H("Set-Cookie: sid=2\r\n")},
	 .want = "header changed Set-Cookie|sid=1; HttpOnly|sid=2"},
	{.name = "defaults: another cookie",
	 .was = {200, H("Set-Cookie: a=1\r\n")}, .now = {200, H("Set-Cookie: b=1\r\n")},
	 .want = "header changed Set-Cookie|a=1|b=1"},
	{.name = "chunks or a length are the same answer",
	 .was = {200, H("Content-Length: 1\r\n"), "x"}, .now = {200, H("Transfer-Encoding: chunked\r\n"), "x"},
	 .want = ""},
	{.name = "the length of a HEAD answer counts", .method = "HEAD",
	 .was = {200, H("Content-Length: 1\r\n")}, .now = {200, H("Content-Length: 2\r\n")},
	 .want = "header changed Content-Length|1|2"},
	{.name = "an ignored header", .was = {200, H("Server: a\r\n")}, .now = {200, H("X: 1\r\n")},
	 .ignore = {"header:server", "header:X"}, .want = ""},
	{.name = "all headers ignored", .was = {200, H("Server: a\r\n")}, .now = {200, H("X: 1\r\n")},
	 .ignore = {"headers"}, .want = ""},

	{.name = "a tag equals any secret", .was = {200, H("X-Token: [tl:ABCD2345]\r\n")},
	 .now = {200, H("X-Token: s3cr3t\r\n")}, .want = ""},
	{.name = "what stands around a tag counts",
	 .was = {200, H("Location: /a?token=[tl:ABCD2345]&x=1\r\nX: u=[tl:ABCD2345],p=[tl:ABCD2346]\r\n")},
	 .now = {200, H("Location: /a?token=zzz&x=2\r\nX: u=1,p=\r\n")},
	 .want = "header changed Location|/a?token=[tl:ABCD2345]&x=1|/a?token=zzz&x=2"},
	{.name = "what looks like a tag but is none", .was = {200, H("X: [tl:ABCD]\r\n")},
	 .now = {200, H("X: 1\r\n")}, .want = "header changed X|[tl:ABCD]|1"},

	/* bodies */
	{.name = "text by its first difference", .was = {200, .body = "hello world"},
	 .now = {200, .body = "hello World"}, .want = "body changed body|11 bytes: hello world|11 bytes: hello World"},
	{.name = "an ignored body", .was = {200, .body = "a"}, .now = {200, .body = "b"},
	 .ignore = {"body"}, .want = ""},
	{.name = "a cut body is compared as far as it was kept",
	 .was = {200, .body = "abc", .flags = MESSAGE_BODY_CUT, .bytes = 100},
	 .now = {200, .body = "abcdef", .bytes = 100}, .want = "", .notes = DIFF_NOTE_PREFIX},
	{.name = "a cut body and another size",
	 .was = {200, .body = "abc", .flags = MESSAGE_BODY_CUT, .bytes = 100}, .now = {200, .body = "abcdef"},
	 .want = "body changed body|100 bytes: abc|6 bytes: abcdef", .notes = DIFF_NOTE_PREFIX},
	{.name = "a body with a hole and no known size",
	 .was = {200, .body = "abc", .flags = MESSAGE_PRESENT | MESSAGE_HAS_GAP, .bytes = 7},
	 .now = {200, .body = "abcdef"}, .want = "", .notes = DIFF_NOTE_PREFIX},
	{.name = "no recorded head", .was = {200, .head = ""}, .now = {200, .body = "x"}, .want = "",
	 .notes = DIFF_NOTE_NO_RECORD},

	/* JSON */
	{.name = "members in another order, other blanks",
	 .was = {200, .body = "{\"a\":1,\"b\":[1,2]}"}, .now = {200, .body = "{ \"b\": [1, 2], \"a\": 1.0 }"},
	 .want = ""},
	{.name = "a changed value", .was = {200, .body = "{\"a\":{\"b\":[1,2]}}"},
	 .now = {200, .body = "{\"a\":{\"b\":[1,3]}}"}, .want = "json changed $.a.b[1]|2|3"},
	{.name = "members come and go", .was = {200, .body = "{\"a\":1,\"b\":2}"},
	 .now = {200, .body = "{\"b\":2,\"c\":3}"}, .want = "json removed $.a|1|\njson added $.c||3"},
	{.name = "a member behind the last", .was = {200, .body = "{\"a\":1}"},
	 .now = {200, .body = "{\"a\":1,\"c\":3}"}, .want = "json added $.c||3"},
	{.name = "a longer array", .was = {200, .body = "[1]"}, .now = {200, .body = "[1,{\"x\":2},3]"},
	 .want = "json added $[1]||{\"x\":2}\njson added $[2]||3"},
	{.name = "another type", .was = {200, .body = "{\"a\":\"1\"}"}, .now = {200, .body = "{\"a\":1}"},
	 .want = "json changed $.a|\"1\"|1"},
	{.name = "null is not absent", .was = {200, .body = "{\"a\":null}"}, .now = {200, .body = "{}"},
	 .want = "json removed $.a|null|"},
	{.name = "names that need quotes", .was = {200, .body = "{\"a b\":{\"c.d\":1}}"},
	 .now = {200, .body = "{\"a b\":{\"c.d\":2}}"}, .want = "json changed $[\"a b\"][\"c.d\"]|1|2"},
	{.name = "escapes are the letters they stand for", .was = {200, .body = "{\"\\u0061\":\"\\u0062\"}"},
	 .now = {200, .body = "{\"a\":\"b\"}"}, .want = ""},
	{.name = "an ignored path", .was = {200, .body = "{\"id\":1,\"n\":5}"},
	 .now = {200, .body = "{\"id\":2,\"n\":5}"}, .ignore = {"$.id"}, .want = ""},
	{.name = "what lies below an ignored path", .was = {200, .body = "{\"m\":{\"x\":[1]}}"},
	 .now = {200, .body = "{\"m\":{\"x\":[2]}}"}, .ignore = {"$.m"}, .want = ""},
	{.name = "a wildcard for elements", .was = {200, .body = "{\"i\":[{\"id\":1,\"p\":1},{\"id\":2,\"p\":1}]}"},
	 .now = {200, .body = "{\"i\":[{\"id\":3,\"p\":1},{\"id\":4,\"p\":2}]}"}, .ignore = {"$.i[*].id"},
	 .want = "json changed $.i[1].p|1|2"},
	{.name = "an index", .was = {200, .body = "[1,1]"}, .now = {200, .body = "[2,2]"},
	 .ignore = {"$[0]"}, .want = "json changed $[1]|1|2"},
	{.name = "at any depth", .was = {200, .body = "{\"a\":{\"at\":1},\"b\":[{\"at\":1}],\"at\":1}"},
	 .now = {200, .body = "{\"a\":{\"at\":2},\"b\":[{\"at\":2}],\"at\":2}"}, .ignore = {"$..at"}, .want = ""},
	{.name = "a wildcard for members", .was = {200, .body = "{\"a\":{\"x\":1},\"b\":{\"x\":1,\"y\":1}}"},
	 .now = {200, .body = "{\"a\":{\"x\":2},\"b\":{\"x\":2,\"y\":2}}"}, .ignore = {"$.*.x"},
	 .want = "json changed $.b.y|1|2"},
	{.name = "an ignored member that is new", .was = {200, .body = "{}"}, .now = {200, .body = "{\"t\":1}"},
	 .ignore = {"$['t']"}, .want = ""},
	{.name = "said to be JSON but is not", .was = {200, H(JSON_TYPE), "{oops"},
	 .now = {200, H(JSON_TYPE), "{\"a\":1}"}, .want = "body changed body|5 bytes: {oops|7 bytes: {\"a\":1}",
	 .notes = DIFF_NOTE_NOT_JSON},
	{.name = "JSON instead of text is told by bytes", .was = {200, .body = "text"},
	 .now = {200, .body = "[1]"}, .want = "body changed body|4 bytes: text|3 bytes: [1]"},
};

static void each_pair_differs_as_it_should(void **state)
{
	struct diff d = {0};
	AUTO_BUF text = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct diff_case *c = &cases[i];
		AUTO(ignore) rules = ignore_new(true);
		struct exchange x = {.status = (uint16_t)c->was.status, .response = message_of(&c->was)};
		struct message now = message_of(&c->now);

		x.method = span_str(c->method ? c->method : "GET");
		for (size_t r = 0; r < COUNT_OF(c->ignore) && c->ignore[r]; r++)
			assert_int_equal(ignore_add(rules, c->ignore[r], NULL), 0);
		diff_answers(&d, rules, &x, (uint16_t)c->now.status, &now);
		if (strcmp(text_of(&d, &text), c->want) != 0 || d.notes != c->notes)
			fail_msg("%s:\ngot  %s (notes %u)\nwant %s (notes %u)", c->name,
				 buf_cstr(&text), d.notes, c->want, c->notes);
		assert_int_equal(d.count, d.kept);
	}
	diff_fini(&d);
}

/* {"a":1,"b":2} by gzip, {"b":2,"a":1} by deflate, {"a":1,"b":3} by gzip */
static const char zipped[] =
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x54\xb2\x32\xd4\x51"
	"\x4a\x52\xb2\x32\xaa\x05\x00\x83\xce\x41\xcf\x0d\x00\x00\x00";
static const char deflated[] =
	"\x78\x9c\xab\x56\x4a\x52\xb2\x32\xd2\x51\x4a\x54\xb2\x32\xac\x05\x00\x17"
	"\x02\x03\x47";
static const char zipped_other[] =
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x54\xb2\x32\xd4\x51"
	"\x4a\x52\xb2\x32\xae\x05\x00\xc2\xff\x5a\xd6\x0d\x00\x00\x00";

#define GZIP	H("Content-Encoding: gzip\r\nContent-Type: application/json\r\n")
#define ROT13	H("Content-Encoding: rot13\r\nContent-Type: application/json\r\n")
#define BYTES(a) (a), sizeof(a) - 1

static const struct {
	const char *name, *was_head, *was;
	size_t was_len;
	const char *now_head, *now;
	size_t now_len;
	const char *ignore, *want;
	uint32_t notes;
	bool is_cut;
} coded[] = {
	{"another coding of the same", GZIP, BYTES(zipped),
	 H("Content-Encoding: deflate\r\nContent-Type: application/json\r\n"), BYTES(deflated),
	 "header:Content-Encoding", "", 0, false},
	{"no coding any more", GZIP, BYTES(zipped), H(JSON_TYPE), BYTES("{\"a\":1,\"b\":2}"),
	 "header:Content-Encoding", "", 0, false},
	{"what differs is told by its path", GZIP, BYTES(zipped), GZIP, BYTES(zipped_other), "$.c",
	 "json changed $.b|2|3", 0, false},
	{"a coding that is not known", ROT13, BYTES("a"), ROT13, BYTES("a"), "$.c", "", 0, false},
	{"a coding that is not known, and other bytes", ROT13, BYTES("a"), ROT13, BYTES("b"), "$.c",
	 "body changed body|1 bytes: a|1 bytes: b", DIFF_NOTE_NOT_DECODED | DIFF_NOTE_NOT_JSON, false},
	{"a damaged one is compared as on the wire", GZIP, BYTES("abc"), GZIP, BYTES("abd"), "$.c",
	 "body changed body|3 bytes: abc|3 bytes: abd", DIFF_NOTE_NOT_DECODED | DIFF_NOTE_NOT_JSON, false},
	{"a cut one by its beginning", GZIP, zipped, 20, GZIP, BYTES(zipped), "$.c", "",
	 DIFF_NOTE_PREFIX, true},
};

static struct message coded_message(const char *head, const char *body, size_t len, bool is_cut)
{
	struct message m = {
		.head = span_str(head),
		.body = span_of(body, len),
		.body_bytes = is_cut ? sizeof(zipped) - 1 : len,
		.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE | (is_cut ? MESSAGE_BODY_CUT : 0),
	};

	m.content_type = message_header(&m, "content-type");
	return m;
}

static void bodies_are_compared_without_their_codings(void **state)
{
	struct diff d = {0};
	AUTO_BUF text = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(coded); i++) {
		AUTO(ignore) rules = ignore_new(true);
		struct exchange x = {.status = 200, .method = SPAN_LIT("GET")};
		struct message now = coded_message(coded[i].now_head, coded[i].now, coded[i].now_len, false);

		x.response = coded_message(coded[i].was_head, coded[i].was, coded[i].was_len,
					   coded[i].is_cut);
		assert_int_equal(ignore_add(rules, coded[i].ignore, NULL), 0);
		diff_answers(&d, rules, &x, 200, &now);
		if (strcmp(text_of(&d, &text), coded[i].want) != 0 || d.notes != coded[i].notes)
			fail_msg("%s:\ngot  %s (notes %u)\nwant %s (notes %u)", coded[i].name,
				 buf_cstr(&text), d.notes, coded[i].want, coded[i].notes);
	}
	diff_fini(&d);
}

static void without_defaults_everything_counts(void **state)
{
	AUTO(ignore) rules = ignore_new(false);
	struct side was = {.status = 200, .head = H("Date: x\r\n"), .body = "b"};
	struct side other = {.status = 200, .head = H("Date: y\r\n"), .body = "b"};
	struct exchange x = {.status = 200, .response = message_of(&was)};
	struct message now = message_of(&other);
	struct diff d = {0};

	(void)state;
	diff_answers(&d, rules, &x, 200, &now);
	assert_int_equal(d.count, 1);
	diff_fini(&d);
}

static void more_differences_than_are_kept_are_counted(void **state)
{
	AUTO(ignore) rules = ignore_new(true);
	AUTO_BUF a = {0};
	AUTO_BUF b = {0};
	struct diff d = {0};

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		buf_add_fmt(&a, "%s%u", i ? "," : "[", i);
		buf_add_fmt(&b, "%s%u", i ? "," : "[", i + 1);
	}
	buf_add_char(&a, ']');
	buf_add_char(&b, ']');
	{
		struct side was = {200, .body = buf_cstr(&a)}, other = {200, .body = buf_cstr(&b)};
		struct exchange x = {.status = 200, .response = message_of(&was)};
		struct message now = message_of(&other);

		diff_answers(&d, rules, &x, 200, &now);
	}
	assert_int_equal(d.count, 100);
	assert_int_equal(d.kept, DIFF_ITEMS_MAX);
	diff_fini(&d);
}

/* 20,000 members in opposite orders: 200 million comparisons if nobody stopped it */
static void hostile_objects_end_as_a_difference_of_bytes(void **state)
{
	AUTO(ignore) rules = ignore_new(true);
	AUTO_BUF a = {0};
	AUTO_BUF b = {0};
	struct diff d = {0};

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		buf_add_fmt(&a, "%s\"k%u\":0", i ? "," : "{", i);
		buf_add_fmt(&b, "%s\"k%u\":1", i ? "," : "{", i % 2 ? i : 19998 - i);
	}
	buf_add_char(&a, '}');
	buf_add_char(&b, '}');
	{
		struct side was = {200, .body = buf_cstr(&a)}, other = {200, .body = buf_cstr(&b)};
		struct exchange x = {.status = 200, .response = message_of(&was)};
		struct message now = message_of(&other);

		diff_answers(&d, rules, &x, 200, &now);
	}
	assert_int_equal(d.count, 1);
	assert_int_equal(d.items[0].kind, DIFF_BODY);
	assert_int_equal(d.notes, DIFF_NOTE_NOT_JSON);
	diff_fini(&d);
}

static void a_rule_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = {"", "Date", "header:", "header:a b", "$x", "$.", "$[", "$[x]",
					  "$[]", "$..", "$.a..", "$[99999999999]", "bodies"};
	AUTO(ignore) rules = ignore_new(true);
	struct err e;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		e = (struct err){0};
		assert_int_equal(ignore_add(rules, bad[i], &e), -EINVAL);
		assert_non_null(strstr(e.why, "expected"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_pair_differs_as_it_should),
		cmocka_unit_test(bodies_are_compared_without_their_codings),
		cmocka_unit_test(without_defaults_everything_counts),
		cmocka_unit_test(more_differences_than_are_kept_are_counted),
		cmocka_unit_test(hostile_objects_end_as_a_difference_of_bytes),
		cmocka_unit_test(a_rule_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
