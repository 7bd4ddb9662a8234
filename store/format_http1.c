// SPDX-License-Identifier: Apache-2.0
#include "store/format_http1.h"

#include "schema/message.h"

/*
 * Theory of operation. RFC 9113 8.3 and 8.8 say how the two versions correspond. The start line of
 * a recorded head of HTTP/2 reads like one of HTTP/1 (wire/http2_head.h) but for the version at its
 * end or beginning. Cookie fields that HTTP/2 cuts for its compression are one again (8.2.3).
 */
#define VERSION2 " HTTP/2"

static void put_start_line(struct span line, bool is_request, struct buf *out)
{
	if (is_request) {
		buf_add(out, line.ptr, line.len - MIN(line.len, sizeof(VERSION2) - 1));
		buf_add_str(out, " HTTP/1.1\r\n");
		return;
	}
	buf_add_str(out, "HTTP/1.1");
	buf_add_span(out, span_from(line, sizeof(VERSION2) - 2));
	buf_add_str(out, " \r\n");
}

static void put_line(struct buf *out, struct span name, struct span value)
{
	buf_add_span(out, name);
	buf_add_str(out, ": ");
	buf_add_span(out, value);
	buf_add_str(out, "\r\n");
}

static void put_host(const struct message *m, struct buf *out)
{
	struct span authority = message_header(m, ":authority");

	if (authority.ptr && !message_header(m, "host").ptr)
		put_line(out, SPAN_LIT("Host"), authority);
}

static bool is_cookie(struct span name)
{
	return span_ieq(name, SPAN_LIT("cookie"));
}

static void put_cookies(const struct message *m, struct buf *out)
{
	struct header_iter it = {.rest = m->head, .is_http2 = true};
	const char *before = "cookie: ";

	while (header_next(&it)) {
		if (!is_cookie(it.name))
			continue;
		buf_add_str(out, before);
		buf_add_span(out, it.value);
		before = "; ";
	}
	if (before[0] == ';')
		buf_add_str(out, "\r\n");
}

static void put_fields(const struct message *m, struct buf *out)
{
	struct header_iter it = {.rest = m->head, .is_http2 = true};

	while (header_next(&it))
		if (it.name.len && it.name.ptr[0] != ':' && !is_cookie(it.name))
			put_line(out, it.name, it.value);
	put_cookies(m, out);
}

static bool needs_chunks(const struct message *m)
{
	return m->trailers.len || (m->body.len && !message_header(m, "content-length").ptr);
}

static void write_http2(const struct message *m, bool is_request, struct buf *out)
{
	struct message body = *m;

	put_start_line(message_start_line(m), is_request, out);
	if (is_request)
		put_host(m, out);
	put_fields(m, out);
	body.head = (struct span){0};
	if (needs_chunks(m)) {
		buf_add_str(out, "Transfer-Encoding: chunked\r\n");
		body.flags |= MESSAGE_CHUNKED;
	}
	buf_add_str(out, "\r\n");
	(void)message_write(&body, out);
}

void format_http1_write(const struct message *m, bool is_request, struct buf *out)
{
	if (m->version == 20)
		write_http2(m, is_request, out);
	else
		(void)message_write(m, out);
}
