// SPDX-License-Identifier: Apache-2.0
#include "talk.h"
#include "wire/http1.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* One direction as text: what each step said. The caller answers with what was asked. */
struct reading {
	struct buf steps;          /* H head, B body, F chunk line, T trailer, E end, X broken, U tunnel */
	struct buf head;
	struct http1_head info[8]; /* of the heads, in order */
	uint64_t body_bytes[8];
	size_t heads, ends;
	bool is_end;               /* the last message was whole */
};

static void add_step(struct reading *r, char letter)
{
	/* one letter for a run of the same kind: runs depend on the cuts */
	if (r->steps.len == 0 || r->steps.ptr[r->steps.len - 1] != letter || letter == 'E' || letter == 'H')
		buf_add_char(&r->steps, letter);
}

static void end_head(struct reading *r, struct http1 *p, const struct http1_step *step, struct http1_asked asked)
{
	if (!step->is_parsed)
		http1_parse(p, buf_span(&r->head), false);
	assert_int_equal(p->head.bytes, r->head.len);
	if (r->heads < COUNT_OF(r->info)) {
		r->info[r->heads] = p->head;
		r->body_bytes[r->heads] = 0;
	}
	r->heads++;
	r->is_end = false;
	add_step(r, 'H');
	(void)http1_begin_body(p, asked);
}

static void take(struct reading *r, struct http1 *p, const struct http1_step *s, struct http1_asked asked)
{
	static const char letters[] = {[HTTP1_BODY] = 'B',    [HTTP1_FRAMING] = 'F', [HTTP1_TRAILER] = 'T',
				       [HTTP1_END] = 'E',     [HTTP1_BROKEN] = 'X',  [HTTP1_TUNNEL] = 'U'};

	/* what is skipped before a start line that is found across cuts was skipped byte by byte */
	if (s->kind == HTTP1_NEED_MORE || s->kind == HTTP1_SKIPPED)
		return;
	if (s->kind == HTTP1_HEAD_PART || s->kind == HTTP1_HEAD) {
		if (s->is_begin)
			buf_clear(&r->head);
		buf_add_span(&r->head, s->bytes);
		if (s->kind == HTTP1_HEAD)
			end_head(r, p, s, asked);
		return;
	}
	add_step(r, letters[s->kind]);
	if (s->kind == HTTP1_BODY && r->heads && r->heads <= COUNT_OF(r->info))
		r->body_bytes[r->heads - 1] += s->bytes.len;
	r->ends += s->kind == HTTP1_END;
	r->is_end |= s->kind == HTTP1_END;
}

/* @in through @p in pieces, each against an unreadable page */
static void feed(struct reading *r, struct http1 *p, struct span in, uint64_t how, struct http1_asked asked)
{
	struct guard g = guard_new(in.len + 1);
	uint64_t seed = how;

	while (in.len) {
		size_t n = talk_cut(&seed, how, in.len);
		struct span piece = guard_put(&g, span_of(in.ptr, n));

		while (piece.len || http1_has_more(p)) {
			struct http1_step step;

			piece = span_from(piece, http1_next(p, piece, &step));
			take(r, p, &step, asked);
		}
		in = span_from(in, n);
	}
	guard_free(&g);
}

static void reading_fini(struct reading *r)
{
	buf_fini(&r->steps);
	buf_fini(&r->head);
}

#define CRLF2 "\r\n\r\n"

static const struct {
	enum http1_kind kind;
	const char *in, *steps;
	char asked; /* H: the answer to HEAD; C: to CONNECT */
} rows[] = {
	{HTTP1_REQUEST, "GET / HTTP/1.1" CRLF2, "HE", 0},
	{HTTP1_REQUEST, "GET / HTTP/1.1\n\n", "HE", 0},
	{HTTP1_REQUEST, "GET  /a b  HTTP/1.1 \r\nA: b" CRLF2, "HE", 0},
	{HTTP1_REQUEST, "\r\n\r\nGET / HTTP/1.1" CRLF2 "\r\nGET / HTTP/1.1" CRLF2, "HEHE", 0},
	{HTTP1_REQUEST, "POST / HTTP/1.1\r\nContent-Length: 3" CRLF2 "abcGET / HTTP/1.0" CRLF2, "HBEHE", 0},
	{HTTP1_REQUEST, "POST / HTTP/1.1\r\nContent-Length: 0" CRLF2, "HE", 0},
	{HTTP1_REQUEST, "POST / HTTP/1.1\r\nContent-Length : 3" CRLF2 "abc", "HBE", 0},
	{HTTP1_REQUEST, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked" CRLF2 "1\r\na\r\n0" CRLF2, "HFBFE", 0},
	{HTTP1_REQUEST, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked" CRLF2 "1\na\n0\nX: y\n\n", "HFBFTE", 0},
	{HTTP1_REQUEST, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked" CRLF2 "0\r\nX: y\r\n\rZ: z\r\n\r\n", "HFTE", 0},
	{HTTP1_REQUEST, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked" CRLF2 "1\r\naXGET / HTTP/1.1" CRLF2, "HFBXHE", 0},
	{HTTP1_REQUEST, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked" CRLF2 ";x\r\nGET / HTTP/1.1" CRLF2, "HXHE", 0},
	{HTTP1_REQUEST, "POST / HTTP/1.1\r\nContent-Length: x" CRLF2 "GET / HTTP/1.1" CRLF2, "HHE", 0},
	{HTTP1_REQUEST, "no request\r\nGET / HTTP/1.1" CRLF2, "XHE", 0},
	{HTTP1_REQUEST, "}GET / HTTP/1.1" CRLF2, "XHE", 0},
	{HTTP1_REQUEST, "}UNLOCK /a?b HTTP/1.1" CRLF2, "XHE", 0},
	{HTTP1_REQUEST, "} GET / HTTP/1.1" CRLF2, "X", 0},
	{HTTP1_REQUEST, "}POST /a is what GET /x HTTP/1.1" CRLF2, "X", 0},
	{HTTP1_REQUEST, "}POST /aGET /x HTTP/1.1" CRLF2, "XHE", 0},
	{HTTP1_REQUEST, "}GET / HTTP/2.0" CRLF2 "PUT http://h/ HTTP/1.0" CRLF2, "XHE", 0},
	{HTTP1_REQUEST, "HTTP/1.1 200 OK" CRLF2 "GET / HTTP/1.1" CRLF2, "XHE", 0},
	{HTTP1_RESPONSE, "HTTP/1.1 200 OK\r\nContent-Length: 2" CRLF2 "okHTTP/1.1 204" CRLF2, "HBEHE", 0},
	{HTTP1_RESPONSE, "http/1.0\t200\r\ncontent-length: 1\r\n\r\na", "HBE", 0},
	{HTTP1_RESPONSE, "HTTP/1.1 200 OK" CRLF2 "until closed", "HB", 0},
	{HTTP1_RESPONSE, "HTTP/1.1 200 OK\r\nContent-Length: 2" CRLF2 "HTTP/1.1 200 OK\r\nContent-Length: 9" CRLF2, "HEHE", 'H'},
	{HTTP1_RESPONSE, "HTTP/1.1 100 Go on" CRLF2 "HTTP/1.1 201 C\r\nContent-Length: 0" CRLF2, "HHE", 0},
	{HTTP1_RESPONSE, "HTTP/1.1 101 S" CRLF2 "\x81\x02hi", "HU", 0},
	{HTTP1_RESPONSE, "HTTP/1.1 200 C\r\nContent-Length: 5" CRLF2 "hi", "HU", 'C'},
	{HTTP1_RESPONSE, "HTTP/1.1 407 P\r\nContent-Length: 2" CRLF2 "hi", "HBE", 'C'},
	{HTTP1_RESPONSE, "HTTP/1.1 304 N\r\nContent-Length: 5" CRLF2 "HTTP/1.1 204 N\r\nTransfer-Encoding: chunked" CRLF2, "HEHE", 0},
	{HTTP1_RESPONSE, "HTTP/1.1 200 O\r\nTransfer-Encoding: chunked, identity" CRLF2 "1\r\na\r\n0" CRLF2, "HFBFE", 0},
	{HTTP1_RESPONSE, "HTTP/1.1 200 O\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x" CRLF2 "abc", "HB", 0},
	{HTTP1_RESPONSE, "\x01HTTP/1.1 200 O" CRLF2 "HTTP/1.1 204 N" CRLF2, "XHE", 0},
	{HTTP1_RESPONSE, "xHTTP/1.1 204 O" CRLF2, "XHE", 0},
	{HTTP1_RESPONSE, "HTTHTTP/1.1 204 O" CRLF2, "XHE", 0},
	{HTTP1_RESPONSE, "HTTP/1.1 2x4 O\r\nHTTP/1.1 204 O" CRLF2, "XHE", 0},
	{HTTP1_RESPONSE, "x HTTP/1.1 204 O" CRLF2, "X", 0},
	{HTTP1_ANY, "HTTP/1.1 204 O" CRLF2, "HE", 0},
	{HTTP1_ANY, "HTTPX / HTTP/1.1" CRLF2, "HE", 0},
	{HTTP1_ANY, "OPTIONS * HTTP/1.1" CRLF2, "HE", 0},
	{HTTP1_ANY, "xyHTTP/1.1 204 O" CRLF2, "XHE", 0},
};

static void a_direction_gives_its_steps_at_all_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (uint64_t how = 0; how < 40; how++) {
			struct http1_asked asked = {rows[i].asked == 'H', rows[i].asked == 'C'};
			struct reading r = {0};
			struct http1 p;

			http1_init(&p, rows[i].kind, NULL);
			feed(&r, &p, span_str(rows[i].in), how, asked);
			if (strcmp(buf_cstr(&r.steps), rows[i].steps) != 0)
				fail_msg("%s\ncut %d: want %s, got %s", rows[i].in, (int)how, rows[i].steps,
					 buf_cstr(&r.steps));
			reading_fini(&r);
		}
	}
}

static void a_head_of_many_headers_is_read_whole(void **state)
{
	AUTO_BUF in = {0};
	struct http1_head h;

	(void)state;
	buf_add_str(&in, "GET /x HTTP/1.1\r\n");
	for (int i = 0; i < 300; i++)
		buf_add_fmt(&in, "X-Header-%d: value %d\r\n", i, i);
	buf_add_str(&in, "hOST:\tlast \r\n\r\nnext");
	assert_int_equal(http1_head_parse(HTTP1_REQUEST, buf_span(&in), false, NULL, &h), in.len - 4);
	assert_true(span_eq(http1_span(buf_span(&in), h.host), SPAN_LIT("last")));
	assert_true(span_eq(http1_span(buf_span(&in), h.target), SPAN_LIT("/x")));
}

static void a_gap_is_told_by_what_it_hits(void **state)
{
	static const struct {
		const char *before;
		uint64_t len;
		enum http1_gap gap;
		const char *after, *steps;
	} gaps[] = {
		{"", 5, HTTP1_GAP_BETWEEN, "x\r\nHTTP/1.1 204 N" CRLF2, "HE"},
		{"HTTP/1.1 2", 5, HTTP1_GAP_LOST, "HTTP/1.1 204 N" CRLF2, "HE"},
		{"HTTP/1.1 200 O\r\nContent-Length: 9" CRLF2 "ab", 3, HTTP1_GAP_BODY, "5678HTTP/1.1 204 N" CRLF2, "HBEHE"},
		{"HTTP/1.1 200 O\r\nContent-Length: 9" CRLF2 "ab", 7, HTTP1_GAP_END, "HTTP/1.1 204 N" CRLF2, "HBHE"},
		{"HTTP/1.1 200 O\r\nContent-Length: 9" CRLF2 "ab", 8, HTTP1_GAP_END, "TP/HTTP/1.1 204 N" CRLF2, "HBHE"},
		{"HTTP/1.1 200 O" CRLF2 "ab", 8, HTTP1_GAP_BODY, "cd", "HB"},
		{"HTTP/1.1 200 O\r\nTransfer-Encoding: chunked" CRLF2 "4\r\na", 3, HTTP1_GAP_BODY, "\r\n0" CRLF2, "HFBFE"},
		{"HTTP/1.1 200 O\r\nTransfer-Encoding: chunked" CRLF2 "4\r\na", 4, HTTP1_GAP_LOST, "HTTP/1.0 204 N" CRLF2, "HFBHE"},
		{"HTTP/1.1 200 O\r\nTransfer-Encoding: chunked" CRLF2 "4", 2, HTTP1_GAP_LOST, "", "HF"},
		{"HTTP/1.1 101 S" CRLF2, 9, HTTP1_GAP_TUNNEL, "x", "HU"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(gaps); i++) {
		for (uint64_t how = 0; how < 20; how++) {
			struct reading r = {0};
			struct http1 p;

			http1_init(&p, HTTP1_RESPONSE, NULL);
			feed(&r, &p, span_str(gaps[i].before), how, (struct http1_asked){0});
			assert_int_equal(http1_gap(&p, gaps[i].len), gaps[i].gap);
			feed(&r, &p, span_str(gaps[i].after), how, (struct http1_asked){0});
			if (strcmp(buf_cstr(&r.steps), gaps[i].steps) != 0)
				fail_msg("gap %zu cut %d: want %s, got %s", i, (int)how, gaps[i].steps, buf_cstr(&r.steps));
			reading_fini(&r);
		}
	}
}

static void only_a_body_without_length_ends_with_the_connection(void **state)
{
	static const struct {
		const char *in;
		bool is_end, is_inside;
	} ends[] = {
		{"", false, false},
		{"HTTP/1.1 200 O" CRLF2 "ab", true, false},
		{"HTTP/1.1 200 O\r\nContent-Length: 5" CRLF2 "ab", false, true},
		{"HTTP/1.1 200 O\r\nContent-Length: 2" CRLF2 "ab", false, false},
		{"HTTP/1.1 200 O\r\nA: b", false, true},
		{"HTTP/1.1 20", false, false},
		{"HTTP/1.1 200 O\r\nTransfer-Encoding: chunked" CRLF2 "0\r\n", false, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		struct reading r = {0};
		struct http1 p;

		http1_init(&p, HTTP1_RESPONSE, NULL);
		feed(&r, &p, span_str(ends[i].in), 3, (struct http1_asked){0});
		assert_int_equal(http1_close(&p), ends[i].is_end);
		assert_int_equal(http1_is_inside(&p), ends[i].is_inside);
		reading_fini(&r);
	}
}

/* --- llhttp's own cases as an oracle --- */

static struct span text_of(const json_t *j)
{
	return json_is_string(j) ? span_of(json_string_value(j), json_string_length(j)) : (struct span){0};
}

static size_t decode_base64(const char *in, uint8_t *out)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, have = 0;
	size_t n = 0;

	for (; *in && *in != '='; in++) {
		bits = bits << 6 | (unsigned)(strchr(letters, *in) - letters);
		have += 6;
		if (have >= 8)
			out[n++] = (uint8_t)(bits >> (have -= 8));
	}
	return n;
}

/*
 * llhttp is an endpoint: it refuses what a reader of other people's traffic must take. Where it takes a
 * message whole and without leniency, ours must be the same message.
 */
static bool applies(const json_t *c)
{
	const char *mode = json_string_value(json_object_get(c, "mode"));
	const char *name = json_string_value(json_object_get(c, "name"));

	/* its one chunk holds a line feed, which the list took for none; a body its reader was told to skip */
	if (strstr(name, "amazon.com") || strstr(name, "reset when no body is received"))
		return false;
	/* other protocols that llhttp reads as well */
	if (strstr(name, "RTSP") || strstr(name, "ICE") || strstr(name, "PRI request"))
		return false;
	return json_is_null(json_object_get(c, "error")) &&
	       (strcmp(mode, "request") == 0 || strcmp(mode, "response") == 0);
}

static void check_message(const char *name, const json_t *m, const struct reading *r, size_t i)
{
	const struct http1_head *h = &r->info[i];
	struct span target = text_of(json_object_get(m, "target"));
	const json_t *status = json_object_get(m, "status"), *length = json_object_get(m, "body_len");

	if (i >= r->heads && json_is_true(json_object_get(m, "complete")))
		fail_msg("%s: %zu heads, no message %zu; steps %s", name, r->heads, i, (char *)r->steps.ptr);
	if (i >= r->heads)
		return;
	if (json_is_integer(status) && h->status != json_integer_value(status))
		fail_msg("%s: status %d", name, h->status);
	if (target.ptr && h->target.len != target.len)
		fail_msg("%s: target of %u bytes, want %zu", name, h->target.len, target.len);
	if (json_is_true(json_object_get(m, "complete")) && json_is_integer(length) &&
	    r->body_bytes[i] != (uint64_t)json_integer_value(length))
		fail_msg("%s: message %zu has %llu octets, want %lld", name, i, (unsigned long long)r->body_bytes[i],
			 (long long)json_integer_value(length));
}

static void check_case(const json_t *c, size_t *checked)
{
	const char *name = json_string_value(json_object_get(c, "name"));
	const json_t *messages = json_object_get(c, "messages");
	bool is_request = strcmp(json_string_value(json_object_get(c, "kind")), "request") == 0;
	static uint8_t raw[1 << 16];
	size_t n = decode_base64(json_string_value(json_object_get(c, "raw_b64")), raw);

	for (uint64_t how = 0; how < 12; how++) {
		struct reading r = {0};
		struct http1 p;

		http1_init(&p, is_request ? HTTP1_REQUEST : HTTP1_RESPONSE, NULL);
		feed(&r, &p, span_of(raw, n), how, (struct http1_asked){0});
		for (size_t i = 0; i < json_array_size(messages) && i < COUNT_OF(r.info); i++)
			check_message(name, json_array_get(messages, i), &r, i);
		reading_fini(&r);
	}
	++*checked;
}

static void llhttp_sees_the_same_messages(void **state)
{
	static const char *const files[] = {"../shared/corpora/parse/llhttp-request.jsonl",
					    "../shared/corpora/parse/llhttp-response.jsonl"};
	size_t checked = 0;
	char *line = NULL;
	size_t room = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		FILE *f = fopen(files[i], "r");

		if (!f) {
			print_message("%s is not here: skipped\n", files[i]);
			skip();
		}
		while (getline(&line, &room, f) > 0) {
			json_t *c = json_loads(line, 0, NULL);

			assert_non_null(c);
			if (applies(c))
				check_case(c, &checked);
			json_decref(c);
		}
		(void)fclose(f);
	}
	free(line);
	print_message("%zu cases of llhttp agree\n", checked);
	assert_true(checked > 40);
}

static void nothing_at_no_address_is_nothing(void **state)
{
	struct http1_step step;
	struct http1 p;

	(void)state;
	http1_init(&p, HTTP1_ANY, NULL);
	assert_int_equal(http1_next(&p, (struct span){0}, &step), 0);
	assert_int_equal(step.kind, HTTP1_NEED_MORE);
	http1_search(&p);
	assert_int_equal(http1_next(&p, (struct span){0}, &step), 0);
	assert_int_equal(step.kind, HTTP1_NEED_MORE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_at_no_address_is_nothing),
		cmocka_unit_test(a_direction_gives_its_steps_at_all_cuts),
		cmocka_unit_test(a_head_of_many_headers_is_read_whole),
		cmocka_unit_test(a_gap_is_told_by_what_it_hits),
		cmocka_unit_test(only_a_body_without_length_ends_with_the_connection),
		cmocka_unit_test(llhttp_sees_the_same_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
