// SPDX-License-Identifier: Apache-2.0
#include "replay/http2_answer.h"

#include <stdio.h>

/*
 * The same text that wire/http2_head.h makes of a recorded response, so that both can be laid side
 * by side: `HTTP/2 200`, a line for each field in its order, an empty line; trailers are lines
 * without one. libnghttp2 has refused fields with CR, LF or NUL (RFC 9113 8.2.1).
 *
 * 1xx answers (RFC 9113 8.1) are passed over: the next block begins the head anew.
 */

#define HEAD_MAX (256 * 1024)

void http2_answer_begin(struct http2_answer *a, size_t body_max)
{
	*a = (struct http2_answer){.base = {.is_begun = true, .body_max = body_max}};
}

void http2_answer_fini(struct http2_answer *a)
{
	answer_fini(&a->base);
	buf_fini(&a->trailers);
}

void http2_answer_begin_block(struct http2_answer *a)
{
	a->is_in_trailers = a->base.status >= 200;
	if (a->is_in_trailers)
		return;
	buf_clear(&a->base.head_kept);
	a->base.status = 0;
}

/* three digits: libnghttp2 has seen to that */
static void add_status(struct http2_answer *a, struct span value)
{
	a->base.status = 0;
	for (size_t i = 0; i < value.len && i < 3; i++)
		a->base.status = (uint16_t)(a->base.status * 10 + (value.ptr[i] - '0'));
	buf_add_fmt(&a->base.head_kept, "HTTP/2 %03u\r\n", a->base.status);
}

bool http2_answer_field(struct http2_answer *a, struct span name, struct span value)
{
	struct buf *to = a->is_in_trailers ? &a->trailers : &a->base.head_kept;

	a->base.bytes += name.len + value.len;
	if (to->len + name.len + value.len > HEAD_MAX)
		return false;
	if (!a->is_in_trailers && span_eq(name, SPAN_LIT(":status"))) {
		add_status(a, value);
		return !to->is_failed;
	}
	buf_add_span(to, name);
	buf_add_str(to, ": ");
	buf_add_span(to, value);
	buf_add_str(to, "\r\n");
	return !to->is_failed;
}

void http2_answer_end_block(struct http2_answer *a)
{
	if (!a->is_in_trailers)
		buf_add_str(&a->base.head_kept, "\r\n");
}

void http2_answer_data(struct http2_answer *a, struct span bytes)
{
	size_t room = a->base.body_max - MIN(a->base.body_max, a->base.body_kept.len);

	a->base.bytes += bytes.len;
	a->base.message.body_bytes += bytes.len;
	a->base.is_cut |= bytes.len > room;
	buf_add(&a->base.body_kept, bytes.ptr, MIN(bytes.len, room));
	a->base.is_cut |= a->base.body_kept.is_failed;
}

void http2_answer_end(struct http2_answer *a)
{
	struct message *m = &a->base.message;

	a->is_whole = true;
	m->head = buf_span(&a->base.head_kept);
	m->body = buf_span(&a->base.body_kept);
	m->trailers = buf_span(&a->trailers);
	m->version = 20;
	m->flags = MESSAGE_PRESENT | MESSAGE_COMPLETE | (a->base.is_cut ? MESSAGE_BODY_CUT : 0);
	m->content_type = message_header(m, "content-type");
}

void http2_answer_leave(struct http2_answer *a, bool is_all)
{
	http2_answer_end(a);
	a->base.is_left = true;
	if (!is_all)
		a->base.message.flags &= ~(uint32_t)MESSAGE_COMPLETE;
	if (a->base.status == 0)
		a->base.message.flags = 0;
}

static struct span trailer(const struct message *m, const char *name)
{
	struct header_iter it = {.rest = m->trailers, .is_trailers = true};
	struct span want = span_str(name);

	while (header_next(&it))
		if (span_ieq(it.name, want))
			return it.value;
	return (struct span){0};
}

int grpc_status_of(const struct message *m)
{
	struct span value = trailer(m, "grpc-status");
	int n = 0;

	if (!value.ptr)
		value = message_header(m, "grpc-status");
	if (value.len == 0 || value.len > 4)
		return -1;
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return -1;
		n = n * 10 + (value.ptr[i] - '0');
	}
	return n;
}
