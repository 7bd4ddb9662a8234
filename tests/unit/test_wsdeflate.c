// SPDX-License-Identifier: Apache-2.0
#include "schema/wsdeflate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <zlib.h>
#include <cmocka.h>

/* A sender of permessage-deflate. */
struct sender {
	z_stream z;
	bool takes_no_context;
};

static void sender_open(struct sender *s, bool takes_no_context)
{
	*s = (struct sender){.takes_no_context = takes_no_context};
	assert_int_equal(deflateInit2(&s->z, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
}

static void sender_put(struct sender *s, const char *text, struct buf *out)
{
	buf_clear(out);
	if (!*text) {
		buf_add_char(out, '\0'); /* RFC 7692 7.2.3.6 */
		return;
	}
	assert_true(buf_reserve(out, 4096));
	s->z.next_in = (z_const Bytef *)(uintptr_t)text;
	s->z.avail_in = (uInt)strlen(text);
	s->z.next_out = out->ptr;
	s->z.avail_out = 4096;
	assert_int_equal(deflate(&s->z, Z_SYNC_FLUSH), Z_OK);
	out->len = 4096 - s->z.avail_out - 4; /* without 00 00 ff ff */
	if (s->takes_no_context)
		(void)deflateReset(&s->z);
}

static struct exchange handshake(const char *extensions, struct buf *head)
{
	struct exchange x = {0};

	buf_add_fmt(head, "HTTP/1.1 101 Switching Protocols\r\n%s\r\n", extensions);
	x.response.head = buf_span(head);
	return x;
}

static const char *const talk[] = {
	"{\"type\":\"hello\",\"who\":\"client\"}",
	"{\"type\":\"hello\",\"who\":\"server\"}",
	"",
	"{\"type\":\"hello\",\"who\":\"everybody else on this very long line of text\"}",
};

static void a_conversation_is_read_in_order(void **state)
{
	static const char *const agreed[] = {
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=15\r\n",
		"sec-websocket-extensions: x-other, permessage-deflate;server_no_context_takeover; "
		"client_no_context_takeover\r\n",
	};

	(void)state;
	for (size_t a = 0; a < COUNT_OF(agreed); a++) {
		AUTO_BUF head = {0};
		AUTO_BUF wire = {0};
		AUTO_BUF room = {0};
		struct exchange x = handshake(agreed[a], &head);
		AUTO(wsdeflate) w = wsdeflate_new(&x);
		struct sender from[2];

		sender_open(&from[0], a == 1);
		sender_open(&from[1], a == 1);
		for (size_t i = 0; i < 3 * COUNT_OF(talk); i++) {
			const char *text = talk[i % COUNT_OF(talk)];
			struct child c = {.kind = CHILD_WS_TEXT, .is_compressed = true};
			struct span got;

			c.is_from_server = i & 1;
			sender_put(&from[i & 1], text, &wire);
			c.payload = buf_span(&wire);
			assert_int_equal(wsdeflate_read(w, &c, 1 << 16, &room, &got, NULL), 0);
			assert_true(span_eq(got, span_str(text)));
		}
		(void)deflateEnd(&from[0].z);
		(void)deflateEnd(&from[1].z);
	}
}

static void a_cut_message_loses_its_direction_alone(void **state)
{
	AUTO_BUF head = {0};
	AUTO_BUF wire = {0};
	AUTO_BUF room = {0};
	struct exchange x = handshake("Sec-WebSocket-Extensions: permessage-deflate\r\n", &head);
	AUTO(wsdeflate) w = wsdeflate_new(&x);
	struct child c = {.kind = CHILD_WS_TEXT, .is_compressed = true};
	struct sender client, server;
	struct span got;
	struct err e;

	(void)state;
	sender_open(&client, false);
	sender_open(&server, false);
	sender_put(&client, talk[0], &wire);
	c.payload = span_of(wire.ptr, wire.len / 2);
	c.is_cut = true;
	assert_int_equal(wsdeflate_read(w, &c, 1 << 16, &room, &got, &e), -ENODATA);
	assert_memory_equal(got.ptr, talk[0], got.len);
	sender_put(&client, talk[1], &wire);
	c = (struct child){.is_compressed = true, .payload = buf_span(&wire)};
	assert_int_equal(wsdeflate_read(w, &c, 1 << 16, &room, &got, &e), -ENODATA);
	sender_put(&server, talk[1], &wire);
	c = (struct child){.is_compressed = true, .is_from_server = true, .payload = buf_span(&wire)};
	assert_int_equal(wsdeflate_read(w, &c, 1 << 16, &room, &got, &e), 0);
	assert_true(span_eq(got, span_str(talk[1])));
	(void)deflateEnd(&client.z);
	(void)deflateEnd(&server.z);
}

static void what_was_not_agreed_is_refused(void **state)
{
	AUTO_BUF head = {0};
	AUTO_BUF room = {0};
	struct exchange x = handshake("", &head);
	AUTO(wsdeflate) w = wsdeflate_new(&x);
	struct child c = {.kind = CHILD_WS_TEXT, .payload = SPAN_LIT("plain")};
	struct span got;

	(void)state;
	assert_int_equal(wsdeflate_read(w, &c, 100, &room, &got, NULL), 0);
	assert_ptr_equal(got.ptr, c.payload.ptr);
	c.is_compressed = true;
	assert_int_equal(wsdeflate_read(w, &c, 100, &room, &got, NULL), -EOPNOTSUPP);
}

static void a_bomb_ends_at_its_limit(void **state)
{
	AUTO_BUF head = {0};
	AUTO_BUF room = {0};
	AUTO_BUF wire = {0};
	static char zeros[60000];
	struct exchange x = handshake("Sec-WebSocket-Extensions: permessage-deflate\r\n", &head);
	AUTO(wsdeflate) w = wsdeflate_new(&x);
	struct child c = {.kind = CHILD_WS_TEXT, .is_compressed = true};
	struct sender client;
	struct span got;

	(void)state;
	memset(zeros, '0', sizeof(zeros) - 1);
	sender_open(&client, false);
	sender_put(&client, zeros, &wire);
	c.payload = buf_span(&wire);
	assert_int_equal(wsdeflate_read(w, &c, 10000, &room, &got, NULL), -E2BIG);
	assert_int_equal(got.len, 10000);
	(void)deflateEnd(&client.z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_conversation_is_read_in_order),
		cmocka_unit_test(a_cut_message_loses_its_direction_alone),
		cmocka_unit_test(what_was_not_agreed_is_refused),
		cmocka_unit_test(a_bomb_ends_at_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
