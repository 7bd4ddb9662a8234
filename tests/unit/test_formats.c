// SPDX-License-Identifier: Apache-2.0
/* Files of exchanges, read whole and byte by byte; whole recordings go there and back in tests/e2e/test_formats.py. */
#include "store/format_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <cmocka.h>

#include "store/format_gor.h"
#include "tests/unit/some_exchange.h"
#include "wire/adopt.h"

#define S GOR_SEPARATOR
#define T "1764000000000000000"

/* what a reader of the test needs to see of an exchange, one line each */
struct seen {
	struct adopter *adopter;
	struct buf text;
};

static void put_octets(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		buf_add_fmt(out, s.ptr[i] >= ' ' && s.ptr[i] < 0x7f ? "%c" : "\\x%02x", s.ptr[i]);
}

static void put_message(struct buf *out, char sign, const struct message *m)
{
	struct header_iter it = {.rest = m->head};

	if (!(m->flags & MESSAGE_PRESENT))
		return;
	buf_add_fmt(out, " %c ", sign);
	put_octets(out, message_start_line(m));
	while (header_next(&it)) {
		buf_add_str(out, " | ");
		put_octets(out, it.name);
		buf_add_char(out, '=');
		put_octets(out, it.value);
	}
	buf_add_str(out, " [");
	put_octets(out, m->body);
	buf_add_fmt(out, "]%s%s%s +%llu+%llu", m->flags & MESSAGE_COMPLETE ? "" : " incomplete",
		    m->flags & MESSAGE_CHUNKED ? " chunked" : "", m->flags & MESSAGE_BODY_CUT ? " cut" : "",
		    (unsigned long long)(m->first_ns % 1000000000), (unsigned long long)(m->last_ns % 1000000000));
}

static int see(void *ctx, const struct foreign *f)
{
	struct seen *s = ctx;
	struct adopted a;

	if (adopt(s->adopter, f, &a) < 0) {
		buf_add_str(&s->text, "nothing\n");
		return 0;
	}
	buf_add_fmt(&s->text, "%s %u %s", protocol_name(a.x.protocol), a.x.status, outcome_name(a.x.outcome));
	put_message(&s->text, '>', &a.x.request);
	put_message(&s->text, '<', &a.x.response);
	if (a.left_over)
		buf_add_fmt(&s->text, " left %zu", a.left_over);
	buf_add_char(&s->text, '\n');
	return 0;
}

struct read {
	struct seen seen;
	int result;
	struct err e;
	uint64_t flaws[FORMAT_FLAW_COUNT];
};

static void read_text(struct read *out, struct span text, size_t piece)
{
	const struct format *format = format_recognise(span_of(text.ptr, MIN(text.len, (size_t)FORMAT_FIRST_BYTES)));
	AUTO(format_reader) r = NULL;
	const char *what;

	*out = (struct read){.seen = {.adopter = adopter_new(NULL, NULL, NULL)}};
	assert_non_null(format);
	r = format_reader_new(format, see, &out->seen);
	while (text.len && out->result == 0) {
		out->result = format_reader_feed(r, span_of(text.ptr, MIN(text.len, piece)), &out->e);
		text = span_from(text, piece);
	}
	if (out->result == 0)
		out->result = format_reader_end(r, &out->e);
	for (int i = 0; i < FORMAT_FLAW_COUNT; i++)
		out->flaws[i] = format_flaw_count(r, (enum format_flaw)i, &what);
	adopter_free(out->seen.adopter);
}

#define HAR(entries) "{\"log\":{\"version\":\"1.2\",\"creator\":{\"entries\":[{}]},\"entries\":[" entries "]}}"
#define ENTRY(request, response)                                                                   \
	"{\"startedDateTime\":\"2025-11-24T16:00:00.000Z\",\"timings\":{\"blocked\":1,\"dns\":-1," \
	"\"send\":0.5,\"wait\":2,\"receive\":0.25},\"request\":{" request "},\"response\":{" response "}}"
#define GET "\"method\":\"GET\",\"url\":\"http://shop/a?b=1#c\",\"httpVersion\":\"HTTP/1.1\",\"headers\":[{\"name\":\"X\",\"value\":\"y\"}]"
#define OK  "\"status\":200,\"statusText\":\"OK\",\"httpVersion\":\"HTTP/1.1\",\"headers\":[]"

static const struct {
	const char *name, *text, *want;
	int result;
	int flaw; /* the one that is expected, once; -1: none */
} cases[] = {
	{"a request and its response", "1 a " T " 5\nGET / HTTP/1.1\r\nA: b\r\n\r\n" S "2 a " T " 7\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" S,
	 "http1 200 ok > GET / HTTP/1.1 | A=b [] +0+5 < HTTP/1.1 200 OK | Content-Length=2 [hi] +0+7\n", 0, -1},
	{"answers that come in another order",
	 "1 a " T " 0\nGET /a HTTP/1.1\r\n\r\n" S "1 b " T " 0\nGET /b HTTP/1.1\r\n\r\n" S "2 b " T " 0\nHTTP/1.1 201 B\r\nContent-Length: 0\r\n\r\n" S
	 "2 a " T " 0\nHTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n" S,
	 "http1 201 ok > GET /b HTTP/1.1 [] +0+0 < HTTP/1.1 201 B | Content-Length=0 [] +0+0\n"
	 "http1 202 ok > GET /a HTTP/1.1 [] +0+0 < HTTP/1.1 202 A | Content-Length=0 [] +0+0\n", 0, -1},
	{"a request of before 1.3, unanswered", "1 a " T " -1\nGET / HTTP/1.0\r\n\r\n" S,
	 "http1 0 incomplete > GET / HTTP/1.0 [] +0+0\n", 0, FORMAT_FLAW_UNANSWERED},
	{"a payload without a duration", "1 a " T "\nGET / HTTP/1.0\r\n\r\n" S, "http1 0 incomplete > GET / HTTP/1.0 [] +0+0\n", 0,
	 FORMAT_FLAW_UNANSWERED},
	{"a response alone", "2 a " T " 0\nHTTP/1.1 204 N\r\n\r\n" S, "http1 204 ok < HTTP/1.1 204 N [] +0+0\n", 0, FORMAT_FLAW_LONELY},
	{"a replayed response beside the first is left out",
	 "1 a " T " 0\nGET / HTTP/1.1\r\n\r\n" S "2 a " T " 0\nHTTP/1.1 204 N\r\n\r\n" S "3 a " T " 0\nHTTP/1.1 500 N\r\n\r\n" S,
	 "http1 204 ok > GET / HTTP/1.1 [] +0+0 < HTTP/1.1 204 N [] +0+0\n", 0, FORMAT_FLAW_SURPLUS},
	{"a replayed response alone answers", "1 a " T " 0\nGET / HTTP/1.1\r\n\r\n" S "3 a " T " 0\nHTTP/1.1 500 N\r\nContent-Length: 0\r\n\r\n" S,
	 "http1 500 server_error > GET / HTTP/1.1 [] +0+0 < HTTP/1.1 500 N | Content-Length=0 [] +0+0\n", 0, -1},
	{"an answer to HEAD has no body", "1 a " T " 0\nHEAD / HTTP/1.1\r\n\r\n" S "2 a " T " 0\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" S,
	 "http1 200 ok > HEAD / HTTP/1.1 [] +0+0 < HTTP/1.1 200 OK | Content-Length=9 [] +0+0\n", 0, -1},
	{"chunks are taken out, interim answers passed over",
	 "1 a " T " 0\nGET / HTTP/1.1\r\n\r\n" S
	 "2 a " T " 0\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n0\r\n\r\n" S,
	 "http1 200 ok > GET / HTTP/1.1 [] +0+0 < HTTP/1.1 200 OK | Transfer-Encoding=chunked [hi] chunked +0+0\n", 0, -1},
	{"a body that ends with the payload", "1 a " T " 0\nGET / HTTP/1.1\r\n\r\n" S "2 a " T " 0\nHTTP/1.0 200 OK\r\n\r\nall of it\n" S,
	 "http1 200 ok > GET / HTTP/1.1 [] +0+0 < HTTP/1.0 200 OK [all of it\\x0a] +0+0\n", 0, -1},
	{"a body shorter than announced, one longer",
	 "1 a " T " 0\nPOST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc" S "2 a " T " 0\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxyz" S,
	 "http1 200 ok > POST / HTTP/1.1 | Content-Length=9 [abc] incomplete +0+0 < HTTP/1.1 200 OK | Content-Length=1 [x] +0+0 left 2\n", 0, -1},
	{"the separator's beginning in a body", "1 a " T " 0\nPOST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n\n\xf0\x9f\x90\xb5\xf0\x9f\x99\x88" S,
	 "http1 0 incomplete > POST / HTTP/1.1 | Content-Length=9 [\\x0a\\xf0\\x9f\\x90\\xb5\\xf0\\x9f\\x99\\x88] +0+0\n", 0, FORMAT_FLAW_UNANSWERED},
	{"a first line that is none", "1 a " T " 0\nGET / HTTP/1.1\r\n\r\n" S "hello\nworld" S "2 a " T " 0\nHTTP/1.1 204 N\r\n\r\n" S,
	 "http1 204 ok > GET / HTTP/1.1 [] +0+0 < HTTP/1.1 204 N [] +0+0\n", 0, FORMAT_FLAW_UNREADABLE},
	{"a file that ends in a payload", "1 a " T " 0\nGET / HTT", "nothing\n", -ENODATA, FORMAT_FLAW_UNANSWERED},

	{"an entry", HAR(ENTRY(GET, OK ",\"content\":{\"size\":2,\"text\":\"hi\"}")),
	 "http1 200 ok > GET /a?b=1 HTTP/1.1 | Host=shop | X=y [] +1000000+1500000 < HTTP/1.1 200 OK [hi] +3500000+3750000\n", 0, -1},
	{"a blank document", HAR(""), "", 0, -1},
	{"a byte order mark, and blanks", "\xef\xbb\xbf {\n \"log\" : { \"entries\" : [ ] } }\n", "", 0, -1},
	{"a body in base64", HAR(ENTRY(GET, OK ",\"content\":{\"size\":2,\"text\":\"/wA=\",\"encoding\":\"base64\"}")),
	 "http1 200 ok > GET /a?b=1 HTTP/1.1 | Host=shop | X=y [] +1000000+1500000 < HTTP/1.1 200 OK [\\xff\\x00] +3500000+3750000\n", 0, -1},
	{"a body that is not there", HAR(ENTRY(GET, OK ",\"content\":{\"size\":7}")),
	 "http1 200 ok > GET /a?b=1 HTTP/1.1 | Host=shop | X=y [] +1000000+1500000 < HTTP/1.1 200 OK [] cut +3500000+3750000\n", 0, FORMAT_FLAW_NO_BODY},
	{"a body that came compressed",
	 HAR(ENTRY(GET, "\"status\":200,\"statusText\":\"OK\",\"httpVersion\":\"HTTP/1.1\",\"headers\":[{\"name\":\"Content-Encoding\",\"value\":\"gzip\"}],"
			"\"content\":{\"size\":2,\"text\":\"hi\"}")),
	 "http1 200 ok > GET /a?b=1 HTTP/1.1 | Host=shop | X=y [] +1000000+1500000 < HTTP/1.1 200 OK | Content-Length=2 [hi] +3500000+3750000\n", 0,
	 FORMAT_FLAW_DECODED},
	{"a copy out of the cache is no body of a 304", HAR(ENTRY(GET, "\"status\":304,\"statusText\":\"N\",\"httpVersion\":\"1.1\",\"headers\":[],\"content\":{\"size\":2,\"text\":\"hi\"}")),
	 "http1 304 ok > GET /a?b=1 HTTP/1.1 | Host=shop | X=y [] +1000000+1500000 < HTTP/1.1 304 N [] +3500000+3750000\n", 0, FORMAT_FLAW_CACHED},
	{"HTTP/2 as Chromium tells it; several cookies in one value",
	 HAR(ENTRY("\"method\":\"GET\",\"url\":\"https://shop/\",\"httpVersion\":\"h2\",\"headers\":[{\"name\":\":authority\",\"value\":\"shop\"},{\"name\":\":path\",\"value\":\"/\"}]",
		   "\"status\":200,\"statusText\":\"\",\"httpVersion\":\"h2\",\"headers\":[{\"name\":\"set-cookie\",\"value\":\"a=b\\nc=d\"}]")),
	 "http2 200 ok > GET / HTTP/2 | :authority=shop [] +1000000+1500000 < HTTP/2 200 | set-cookie=a=b | set-cookie=c=d [] +3500000+3750000\n", 0, -1},
	{"no answer, and why", HAR(ENTRY(GET, "\"status\":0,\"_error\":\"net::ERR_CONNECTION_RESET\"")),
	 "http1 0 reset > GET /a?b=1 HTTP/1.1 | Host=shop | X=y [] +1000000+1500000\n", 0, -1},
	{"a value cannot begin a line of its own", HAR(ENTRY("\"method\":\"GET\",\"url\":\"http://shop/\",\"headers\":[{\"name\":\"A\\r\\nB\",\"value\":\"c\\rd\"}]", OK)),
	 "http1 200 ok > GET / HTTP/1.1 | Host=shop | A  B=c d [] +1000000+1500000 < HTTP/1.1 200 OK [] +3500000+3750000\n", 0, -1},
	{"an entry without a request", HAR("{\"startedDateTime\":\"2025-11-24T16:00:00Z\"}"), "", 0, FORMAT_FLAW_UNREADABLE},
	{"an entry without a time", HAR("{\"request\":{},\"response\":{}}"), "", 0, FORMAT_FLAW_UNREADABLE},
	{"brackets and quotes in strings", HAR(ENTRY("\"method\":\"GET\",\"url\":\"http://shop/}]\\\"{[\",\"headers\":[]", OK)),
	 "http1 200 ok > GET /}]\"{[ HTTP/1.1 | Host=shop [] +1000000+1500000 < HTTP/1.1 200 OK [] +3500000+3750000\n", 0, -1},
	{"a HAR that ends in the middle", "{\"log\":{\"entries\":[" ENTRY(GET, OK) ",{\"req",
	 "http1 200 ok > GET /a?b=1 HTTP/1.1 | Host=shop | X=y [] +1000000+1500000 < HTTP/1.1 200 OK [] +3500000+3750000\n", -ENODATA, -1},
	{"JSON that is no HAR", "{\"log\":{\"x\":[]}}", "", -EBADMSG, -1},

	{"a line that is no JSON, and a summary", "{\"id\":\"1GYQWMXQJBK8N\"}\n\n{\"\n", "", 0, FORMAT_FLAW_SUMMARY},
	{"the part for people", "{\"method\":\"GET\",\"status\":200,\"protocol\":\"http1\",\"request\":{\"flags\":[\"present\",\"complete\"],\"start_line\":\"GET / HTTP/1.1\","
				"\"headers\":[{\"name\":\"A\",\"value\":\"b\"}],\"body\":\"hi\"}}",
	 "http1 200 ok > GET / HTTP/1.1 | A=b [hi] +0+0\n", 0, -1},
};

static void a_file_is_read_the_same_in_any_pieces(void **state)
{
	static const size_t pieces[] = {SIZE_MAX, 1, 2, 7, 61};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		for (size_t k = 0; k < COUNT_OF(pieces); k++) {
			struct read got;

			read_text(&got, span_str(cases[i].text), pieces[k]);
			if (strcmp(buf_cstr(&got.seen.text), cases[i].want) != 0)
				fail_msg("%s, pieces of %zu:\n want %s\n  got %s", cases[i].name, pieces[k], cases[i].want,
					 buf_cstr(&got.seen.text));
			if (got.result != cases[i].result)
				fail_msg("%s: %d, not %d: %s", cases[i].name, got.result, cases[i].result, got.e.why);
			for (int f = 0; f < FORMAT_FLAW_COUNT; f++)
				if (f == cases[i].flaw && got.flaws[f] != 1)
					fail_msg("%s: flaw %d was not counted", cases[i].name, f);
				else if (cases[i].flaw < 0 && got.flaws[f])
					fail_msg("%s: flaw %d was counted", cases[i].name, f);
			buf_fini(&got.seen.text);
		}
}

static int compare(void *ctx, const struct foreign *f)
{
	struct exchange **want = ctx;

	assert_non_null(*want);
	assert_true(f->is_complete);
	if (!some_same_exchange(*want, &f->x))
		return -EINVAL;
	*want = NULL;
	return 0;
}

/* What a recording can be; the random ones have texts that are present and empty, which JSON does not tell from absent. */
static void make_real(struct exchange *x)
{
	struct span *texts[] = {&x->host, &x->request.content_type, &x->response.content_type};
	struct message *m[] = {&x->request, &x->response};

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (texts[i]->len == 0)
			*texts[i] = (struct span){0};
	for (size_t i = 0; i < 2; i++) {
		if (m[i]->head.len == 0 || !(m[i]->flags & MESSAGE_PRESENT))
			*m[i] = (struct message){0};
		if (m[i]->body.len == 0 && m[i]->head.len)
			m[i]->body = (struct span){0};
		m[i]->version = (uint8_t)(m[i]->version % 100);
		m[i]->first_ns = m[i]->first_ns > INT64_MAX ? 1 : m[i]->first_ns;
		m[i]->last_ns = m[i]->last_ns > INT64_MAX ? 1 : m[i]->last_ns;
		if (m[i]->server_first_ns > INT64_MAX || m[i]->server_last_ns > INT64_MAX)
			m[i]->server_first_ns = m[i]->server_last_ns = 0;
	}
	x->anomalies &= (UINT64_C(1) << ANOMALY_COUNT) - 1;
	x->id = x->start_ns;
}

static void there_and_back(const char *name)
{
	const struct format *format = format_find(span_str(name));
	uint8_t *room = malloc(SOME_ROOM);
	uint64_t seed = 17;

	for (int i = 0; i < 2000; i++) {
		struct exchange x = some_exchange(&seed, UINT64_C(1764000000000000000) + (uint64_t)i, room), *want = &x;
		AUTO(format_writer) w = format_writer_new(format, NULL);
		AUTO(format_reader) r = format_reader_new(format, compare, &want);
		AUTO_BUF file = {0};
		struct err e = {0};

		make_real(&x);
		if (!x.request.head.len && !x.response.head.len)
			continue;
		format_add(w, &x, &file);
		format_end(w, &file);
		if (format_reader_feed(r, buf_span(&file), &e) < 0 || format_reader_end(r, &e) < 0 || want)
			fail_msg("%s, exchange %d: %s %s\n%.3000s", name, i, e.why, format_reader_first_error(r), buf_cstr(&file));
	}
	free(room);
}

static void any_exchange_goes_through_json_lines_and_back(void **state)
{
	(void)state;
	there_and_back("jsonl");
}

static void any_exchange_goes_through_har_and_back(void **state)
{
	(void)state;
	there_and_back("har");
}

/* every record of a pcap file is as long as it says, and the last one ends the file */
static void check_pcap(struct span file)
{
	assert_true(file.len >= 24);
	for (file = span_from(file, 24); file.len;) {
		uint32_t head[4];

		assert_true(file.len >= sizeof(head));
		memcpy(head, file.ptr, sizeof(head));
		assert_true(head[1] < 1000000000 && head[2] == head[3] && head[2] <= 1514);
		assert_true(file.len >= sizeof(head) + head[2]);
		file = span_from(file, sizeof(head) + head[2]);
	}
}

static void any_exchange_can_be_written_in_every_format(void **state)
{
	uint8_t *room = malloc(SOME_ROOM);

	(void)state;
	for (size_t k = 0; format_at(k); k++) {
		AUTO(format_writer) w = format_writer_new(format_at(k), NULL);
		AUTO_BUF file = {0};
		uint64_t seed = 23;

		for (uint64_t i = 0; i < 1500; i++) {
			struct exchange x = some_exchange(&seed, UINT64_C(1764000000000000000) + i * 1000, room);

			/* a few connections, so that they meet again; as HTTP/2, too */
			x.connection = x.connection % 50;
			if (x.connection % 3 == 0 && x.request.flags & MESSAGE_PRESENT)
				x.request.version = x.response.version = 20;
			format_add(w, &x, &file);
		}
		format_end(w, &file);
		assert_false(file.is_failed);
		if (strcmp(format_name(format_at(k)), "pcap") == 0)
			check_pcap(buf_span(&file));
	}
	free(room);
}

static void an_ending_names_its_format(void **state)
{
	static const struct {
		const char *path, *name;
	} rows[] = {{"a.har", "har"}, {"dir.gor/x.GOR.gz", "gor"}, {"a.ndjson", "jsonl"}, {"a.har.zip", NULL}, {".har", NULL}, {"har", NULL}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct format *f = format_of_path(rows[i].path);

		if (rows[i].name)
			assert_string_equal(format_name(f), rows[i].name);
		else
			assert_null(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_read_the_same_in_any_pieces),
		cmocka_unit_test(any_exchange_goes_through_json_lines_and_back),
		cmocka_unit_test(any_exchange_goes_through_har_and_back),
		cmocka_unit_test(any_exchange_can_be_written_in_every_format),
		cmocka_unit_test(an_ending_names_its_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
