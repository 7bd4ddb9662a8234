// SPDX-License-Identifier: Apache-2.0
/* WebSockets: the handshake that is checked, messages written and read, and servers that break the rules */
#include "replay/ws_reader.h"
#include "replay/ws_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "replay_kit.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455 1.3 */
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
#define DEFLATE "Sec-WebSocket-Extensions: permessage-deflate"

struct handshake {
	const char *asked, *answered; /* lines besides the key */
	const char *wrong;            /* a part of it; NULL: it is right */
	struct ws_agreement agreed;
};

static const struct handshake handshakes[] = {
	{"", UPGRADE ACCEPT, NULL, {false, false, 15}},
	{"", "upgrade: WebSocket\r\nconnection: UPGRADE\r\n" ACCEPT, NULL, {false, false, 15}},
	{"", "Connection: Upgrade\r\n" ACCEPT, "does not upgrade", {0}},
	{"", "Upgrade: websocket\r\n" ACCEPT, "does not upgrade", {0}},
	{"", UPGRADE, "does not answer the key", {0}},
	{"", UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOa=\r\n", "does not answer the key", {0}},
	{"Sec-WebSocket-Protocol: a, b\r\n", UPGRADE ACCEPT "Sec-WebSocket-Protocol: b\r\n", NULL, {false, false, 15}},
	{"Sec-WebSocket-Protocol: a, b\r\n", UPGRADE ACCEPT "Sec-WebSocket-Protocol: c\r\n", "not asked for", {0}},
	{"", UPGRADE ACCEPT "Sec-WebSocket-Protocol: a\r\n", "not asked for", {0}},
	{DEFLATE "\r\n", UPGRADE ACCEPT DEFLATE "\r\n", NULL, {true, false, 15}},
	{DEFLATE "\r\n", UPGRADE ACCEPT DEFLATE "; client_max_window_bits=10; server_no_context_takeover; client_no_context_takeover\r\n",
	 NULL, {true, true, 10}},
	{DEFLATE "\r\n", UPGRADE ACCEPT DEFLATE "; server_max_window_bits=\"12\"\r\n", NULL, {true, false, 15}},
	{DEFLATE "\r\n", UPGRADE ACCEPT DEFLATE "; client_max_window_bits=7\r\n", "nobody knows", {0}},
	{DEFLATE "\r\n", UPGRADE ACCEPT DEFLATE "; faster\r\n", "nobody knows", {0}},
	{DEFLATE "\r\n", UPGRADE ACCEPT DEFLATE ", permessage-deflate\r\n", "not offered", {0}},
	{DEFLATE "\r\n", UPGRADE ACCEPT "Sec-WebSocket-Extensions: x-else\r\n", "not offered", {0}},
	{"", UPGRADE ACCEPT DEFLATE "\r\n", "not offered", {0}},
};

static void a_handshake_is_checked_before_a_word_is_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(handshakes); i++) {
		const struct handshake *h = &handshakes[i];
		struct buf asked = {0}, answered = {0};
		struct ws_agreement agreed;
		struct message answer;
		const char *wrong;

		buf_add_fmt(&asked, "GET / HTTP/1.1\r\nSec-WebSocket-Key: " KEY "\r\n%s\r\n", h->asked);
		buf_add_fmt(&answered, "HTTP/1.1 101 Yes\r\n%s\r\n", h->answered);
		answer = (struct message){.head = buf_span(&answered)};
		wrong = ws_check(buf_span(&asked), &answer, &agreed);
		if (!h->wrong != !wrong || (wrong && !strstr(wrong, h->wrong)))
			fail_msg("%s: %s", h->answered, wrong ? wrong : "right");
		if (!wrong && (agreed.deflates != h->agreed.deflates || agreed.client_bits != h->agreed.client_bits ||
			       agreed.takes_no_context != h->agreed.takes_no_context))
			fail_msg("%s: %d %d %u", h->answered, agreed.deflates, agreed.takes_no_context, agreed.client_bits);
		buf_fini(&asked);
		buf_fini(&answered);
	}
}

static void only_what_is_spoken_here_is_offered(void **state)
{
	static const char *const offers[][2] = {
		{"permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits"},
		{"x-else; a=b, permessage-deflate;x, permessage-deflate", "permessage-deflate;x, permessage-deflate"},
		{"x-webkit-deflate-frame", ""},
		{" , ,", ""},
	};
	char one[WS_KEY_BYTES + 1], other[WS_KEY_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(offers); i++) {
		struct buf out = {0};

		ws_offer(span_str(offers[i][0]), &out);
		assert_string_equal(buf_cstr(&out), offers[i][1]);
		buf_fini(&out);
	}
	assert_true(ws_new_key(one) && ws_new_key(other));
	assert_int_equal(strlen(one), WS_KEY_BYTES);
	assert_string_not_equal(one, other);
}

/* ---- written and read ---- */

static struct message answer_with(const char *extensions, struct buf *head)
{
	buf_clear(head);
	buf_add_fmt(head, "HTTP/1.1 101 Yes\r\n%s\r\n", extensions);
	return (struct message){.head = buf_span(head)};
}

/* what a client wrote, as a server would: without its masks, for ws_reader reads servers */
static void unmask_all(struct buf *frames)
{
	struct buf out = {0};

	for (size_t at = 0; at < frames->len;) {
		uint8_t *p = frames->ptr + at;
		size_t marks = p[1] & 0x7f, extra = marks == 127 ? 8 : marks == 126 ? 2 : 0, len = extra ? 0 : marks;

		assert_true(p[1] & 0x80);
		for (size_t i = 0; i < extra; i++)
			len = len << 8 | p[2 + i];
		buf_add_char(&out, (char)p[0]);
		buf_add_char(&out, (char)marks);
		buf_add(&out, p + 2, extra);
		for (size_t i = 0; i < len; i++)
			buf_add_char(&out, (char)(p[6 + extra + i] ^ p[2 + extra + (i & 3)]));
		at += 6 + extra + len;
	}
	buf_fini(frames);
	*frames = out;
}

static size_t read_all(struct ws_reader *r, struct span in, size_t step, struct buf *out)
{
	size_t count = 0;
	struct child c;

	for (size_t at = 0; at < in.len; at += step) {
		struct span some = span_of(in.ptr + at, MIN(step, in.len - at));

		while (ws_read(r, &some, &c) == WS_READ_MESSAGE) {
			buf_add_fmt(out, "%u:", c.kind);
			buf_add_span(out, c.payload);
			buf_add_char(out, '\n');
			count++;
		}
	}
	return count;
}

static void what_was_written_is_read_in_any_pieces(void **state)
{
	static const char *const ways[] = {"", DEFLATE "\r\n", DEFLATE "; server_no_context_takeover; client_no_context_takeover\r\n"};
	char *big = malloc(70001);
	struct buf want = {0}, head = {0};

	(void)state;
	memset(big, 'x', 70000);
	big[70000] = '\0';
	for (size_t way = 0; way < COUNT_OF(ways); way++) {
		struct ws_agreement agreed = {.deflates = way > 0, .takes_no_context = way == 2, .client_bits = way == 2 ? 9 : 15};
		struct message answer = answer_with(ways[way], &head);
		const char *texts[] = {"hello", "hello hello hello", "", big, "\xff\x00", "ends"};
		struct buf frames = {0};
		struct ws_writer *w = ws_writer_new(&agreed);

		buf_clear(&want);
		for (size_t i = 0; i < COUNT_OF(texts); i++) {
			struct child c = {.kind = i % 2 ? CHILD_WS_BINARY : CHILD_WS_TEXT, .is_compressed = i != 5,
					  .payload = span_str(texts[i])};
			struct child ping = {.kind = CHILD_WS_PING, .payload = SPAN_LIT("are you there"), .is_compressed = true};

			ws_write(w, &c, &frames);
			ws_write(w, &ping, &frames);
			buf_add_fmt(&want, "%u:%s\n9:are you there\n", c.kind, texts[i]);
		}
		assert_false(frames.is_failed);
		assert_true(way == 0 || frames.len < 1000);
		unmask_all(&frames);
		for (size_t step = 1; step < 80000; step = step * 3 + 1) {
			struct ws_reader *r = ws_reader_new(&answer);
			struct buf got = {0};

			assert_int_equal(read_all(r, buf_span(&frames), step, &got), 2 * COUNT_OF(texts));
			assert_string_equal(buf_cstr(&got), buf_cstr(&want));
			buf_fini(&got);
			ws_reader_free(r);
		}
		ws_writer_free(w);
		buf_fini(&frames);
	}
	free(big);
	buf_fini(&want);
	buf_fini(&head);
}

static void a_server_that_breaks_the_rules_is_told_which(void **state)
{
	const struct {
		struct span bytes;
		const char *why;
	} cases[] = {
		{SPAN_LIT("\x81\x81\1\2\3\4x"), "masked"},
		{SPAN_LIT("\x80\x01x"), "a continuation of nothing"},
		{SPAN_LIT("\x01\x01x\x81\x01y"), "a message within a message"},
		{SPAN_LIT("\x01\x01x\xc0\x01y"), "marked as compressed"},
		{SPAN_LIT("\xc1\x01x"), "cannot be read"},
		{SPAN_LIT("\xa1\x01x"), "no frame"},
		{SPAN_LIT("\x83\x01x"), "no frame"},
		{SPAN_LIT("\x09\x01x"), "no frame"},
		{SPAN_LIT("HTTP/1.1 400 Bad\r\n"), "no frame"},
	};
	struct buf head = {0};
	struct message answer = answer_with("", &head);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ws_reader *r = ws_reader_new(&answer);
		struct span in = cases[i].bytes;
		struct child c;

		assert_int_equal(ws_read(r, &in, &c), WS_READ_BROKEN);
		if (!strstr(ws_reader_why(r), cases[i].why))
			fail_msg("%zu: %s, not %s", i, ws_reader_why(r), cases[i].why);
		in = SPAN_LIT("\x81\x01x");
		assert_int_equal(ws_read(r, &in, &c), WS_READ_BROKEN); /* once and for good */
		ws_reader_free(r);
	}
	buf_fini(&head);
}

/* ---- a whole conversation with the kit's server ---- */

static void add_word(struct buf *row, bool is_from_server, uint8_t kind, const char *text, size_t len)
{
	struct child c = {.kind = kind, .is_from_server = is_from_server, .payload = span_of(text, len), .bytes = len};
	uint8_t head[CHILD_HEAD_BYTES];

	child_encode_head(&c, head);
	buf_add(row, head, sizeof(head));
	buf_add_span(row, c.payload);
}

/* answers the handshake; what follows stands in the path, as the server's frames */
static bool shake_and_say(struct kit_server *s, int fd, char *request, unsigned nth)
{
	struct message m = {.head = span_str(request)};
	struct buf out = {0};
	char rest[64];

	(void)nth;
	buf_add_str(&out, "HTTP/1.1 101 Yes\r\n" UPGRADE "Sec-WebSocket-Accept: ");
	if (strstr(request, "/wrong"))
		buf_add_str(&out, "nonsense");
	else
		ws_accept_of(message_header(&m, "Sec-WebSocket-Key"), &out);
	buf_add_str(&out, "\r\n\r\n\x81\x03one");
	if (strstr(request, "/masked"))
		buf_add(&out, "\x81\x81\1\2\3\4x", 7);
	if (strstr(request, "/pinged"))
		buf_add(&out, "\x89\x02hi\x01\x01t\x89\x01!\x80\x02wo", 14);
	kit_begin_answer(s);
	(void)!send(fd, out.ptr, out.len, MSG_NOSIGNAL);
	buf_fini(&out);
	if (strstr(request, "/leaves"))
		return false;
	/* until the client has closed; a close frame is answered by closing */
	while (recv(fd, rest, sizeof(rest), 0) > 0)
		;
	return false;
}

struct talk {
	const char *path;
	unsigned verdict, miss, close_code;
	uint64_t differences;
	const char *where;
};

static void a_conversation_that_goes_wrong_is_told_for_what_it_is(void **state)
{
	static const struct talk talks[] = {
		{"/pinged", VERDICT_SAME, 0, 1006, 0, ""},
		{"/leaves", VERDICT_CHANGED, 0, 1006, 1, "message"},
		{"/silent", VERDICT_CHANGED, 0, 1006, 1, "message"},
		{"/masked", VERDICT_NO_ANSWER, MISS_GARBAGE, 0, 0, ""},
		{"/wrong", VERDICT_NO_ANSWER, MISS_GARBAGE, 0, 0, ""},
	};
	struct kit_server *server = kit_start(shake_and_say);
	struct buf row = {0};

	(void)state;
	add_word(&row, true, CHILD_WS_TEXT, "one", 3);
	add_word(&row, true, CHILD_WS_PING, "hi", 2);
	add_word(&row, true, CHILD_WS_TEXT, "two", 3);
	for (size_t i = 0; i < COUNT_OF(talks); i++) {
		const struct kit_exchange list[] = {
			{.id = 1, .connection = 1, .method = "GET", .target = talks[i].path, .protocol = PROTOCOL_WEBSOCKET,
			 .request_headers = UPGRADE "Sec-WebSocket-Key: " KEY "\r\n", .status = 101, .children = buf_span(&row),
			 .headers = UPGRADE ACCEPT, .close_code = 1006, .reason = REASON_CLIENT_CLOSED},
		};
		struct kit_run *k = kit_run_new(list, 1, server->port);
		const struct kit_result *r;

		k->config.timeout_ns = 200 * NS_PER_MS;
		kit_play(k);
		r = kit_find(k, 1);
		if (!r || r->verdict != talks[i].verdict || r->miss != talks[i].miss || r->close_code != talks[i].close_code ||
		    r->differences != talks[i].differences || strcmp(r->first_where, talks[i].where) != 0)
			fail_msg("%s: %s %s, closed %u, %llu differences, at %s", talks[i].path, verdict_name(r ? r->verdict : 99),
				 miss_name(r ? r->miss : 99), r ? r->close_code : 0,
				 r ? (unsigned long long)r->differences : 0, r ? r->first_where : "");
		kit_run_free(k);
	}
	kit_stop(server);
	buf_fini(&row);
}

/* ---- event streams that have no end ---- */

static bool tell_events(struct kit_server *s, int fd, char *request, unsigned nth)
{
	char rest[64];

	(void)nth;
	kit_say(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
	kit_say(fd, strstr(request, "/other") ? "data: {\"n\":9}\n\n" : "data: {\"n\":1}\n\n");
	kit_say(fd, ": keep-alive\n\nid: 7\ndata: {\"n\":2}\n\ndata: more\n\n");
	kit_begin_answer(s);
	while (recv(fd, rest, sizeof(rest), 0) > 0)
		;
	return false;
}

static void an_event_stream_is_left_where_it_was_left(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 1, .connection = 1, .method = "GET", .target = "/events", .status = 200, .reason = REASON_RESET_CLIENT,
		 .headers = "Content-Type: text/event-stream\r\n", .body = "data: {\"n\": 1}\n\nid: 7\ndata: {\"n\":2}\n\n"},
		{.id = 2, .connection = 2, .method = "GET", .target = "/other", .status = 200, .reason = REASON_RESET_CLIENT,
		 .headers = "Content-Type: text/event-stream\r\n", .body = "data: {\"n\": 1}\n\nid: 8\ndata: {\"n\":2}\n\n"},
	};
	struct kit_server *server = kit_start(tell_events);
	struct kit_run *k = kit_run_new(list, 2, server->port);

	(void)state;
	kit_play(k);
	assert_true(kit_find(k, 1)->is_left && kit_find(k, 1)->verdict == VERDICT_SAME);
	assert_true(kit_find(k, 2)->is_left && kit_find(k, 2)->verdict == VERDICT_CHANGED);
	assert_int_equal(kit_find(k, 2)->differences, 2);
	assert_string_equal(kit_find(k, 2)->first_where, "$.n");
	kit_run_free(k);
	kit_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handshake_is_checked_before_a_word_is_said),
		cmocka_unit_test(only_what_is_spoken_here_is_offered),
		cmocka_unit_test(what_was_written_is_read_in_any_pieces),
		cmocka_unit_test(a_server_that_breaks_the_rules_is_told_which),
		cmocka_unit_test(a_conversation_that_goes_wrong_is_told_for_what_it_is),
		cmocka_unit_test(an_event_stream_is_left_where_it_was_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
