// SPDX-License-Identifier: Apache-2.0
#include "store/pack.h"

#include <errno.h>

#include "store/varint.h"

/*
 * Theory of operation. The raw form of an exchange is
 *
 *	request head, framing, trailers | response head, framing, trailers | request body |
 *	response body | children
 *
 * and its prefix tells the lengths apart. Prefixes and raw forms of many exchanges make a block
 * (store/block.c). Nearly always the lengths follow from the row or from the bytes, which is what
 * the bits of the form say, and then the prefix is 3 bytes:
 *
 *	- a head ends at its first empty line
 *	- a body is as long as the row says (not cut)
 *	- the request line's target is the row's: it is not in the raw form at all
 *
 * The times of the messages stand in the row: nothing, where the request begins at start_ns, the
 * response ends latency later, and both came in one instant; two durations where they did not; else
 * all four times.
 *
 * Equal bodies are packed once: a body may lie in the pack of another exchange of the same tape,
 * which the prefix then names by the difference of the ids.
 *
 * Tapes of version 1 have packs of one exchange: form, times, prefix, length of the raw form, and
 * then the raw form, compressed where PACK_ZSTD is set.
 */
enum {
	PACK_ZSTD = 1 << 0, /* version 1 only */
	PACK_REQUEST_ELSEWHERE = 1 << 1,
	PACK_RESPONSE_ELSEWHERE = 1 << 2,
	PACK_TARGET_IN_ROW = 1 << 3,
	PACK_HEADS_END = 1 << 4,     /* otherwise their lengths are given */
	PACK_BODIES_WHOLE = 1 << 5,  /* otherwise their lengths are given */
	PACK_CHILDREN = 1 << 6,	     /* their length is given */
	PACK_TIMES_REGULAR = 1 << 6, /* version 1 only */
	PACK_CHUNKED = 1 << 7,	     /* lengths of framing and trailers are given */
};
#define CHILDREN_REST UINT64_MAX /* version 1 only: as long as what is left */

/* Where the first empty line of @head ends (CR LF CR LF); 0 when there is none. Line by line: heads
 * have few, and memchr() is three times as fast as memmem(). */
static size_t head_end(struct span head)
{
	const uint8_t *at = head.ptr, *end = head.ptr + head.len;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		at++;
		if (end - at >= 2 && at[0] == '\r' && at[1] == '\n' && at - head.ptr >= 2 &&
		    at[-2] == '\r')
			return (size_t)(at - head.ptr) + 2;
	}
	return 0;
}

/* Absent heads end by themselves too: the message's flags say that they are absent. */
static bool head_ends(const struct message *m)
{
	if (!(m->flags & MESSAGE_PRESENT))
		return m->head.len == 0;
	return m->head.len && head_end(m->head) == m->head.len;
}

static bool target_is_in_head(const struct exchange *x)
{
	struct span head = x->request.head, method = x->method, target = x->target;

	return method.len && target.len && head.len > method.len + 1 + target.len &&
	       memcmp(head.ptr, method.ptr, method.len) == 0 && head.ptr[method.len] == ' ' &&
	       memcmp(head.ptr + method.len + 1, target.ptr, target.len) == 0 &&
	       !memchr(head.ptr, '\n', method.len + 1 + target.len);
}

static bool times_are_regular(const struct exchange *x)
{
	uint64_t latency_ns = exchange_latency_ns(x);

	return x->request.first_ns == x->start_ns && latency_ns != 0 && latency_ns <= INT64_MAX;
}

static unsigned form_of(const struct exchange *x, const struct pack_elsewhere *elsewhere)
{
	const struct message *q = &x->request, *s = &x->response;
	unsigned form = 0;

	form |= elsewhere->request ? PACK_REQUEST_ELSEWHERE : 0;
	form |= elsewhere->response ? PACK_RESPONSE_ELSEWHERE : 0;
	form |= target_is_in_head(x) ? PACK_TARGET_IN_ROW : 0;
	form |= head_ends(q) && head_ends(s) ? PACK_HEADS_END : 0;
	form |= q->body.len == q->body_bytes && s->body.len == s->body_bytes ? PACK_BODIES_WHOLE
									     : 0;
	form |= x->children.len ? PACK_CHILDREN : 0;
	form |= q->framing.len || s->framing.len || q->trailers.len || s->trailers.len
			? PACK_CHUNKED
			: 0;
	return form;
}

static void add_request_head(struct buf *raw, const struct exchange *x, unsigned form)
{
	struct span head = x->request.head;

	if (!(form & PACK_TARGET_IN_ROW)) {
		buf_add_span(raw, head);
		return;
	}
	buf_add(raw, head.ptr, x->method.len + 1);
	buf_add_span(raw, span_from(head, x->method.len + 1 + x->target.len));
}

static void add_raw(struct buf *raw, const struct exchange *x,
		    const struct pack_elsewhere *elsewhere, unsigned form)
{
	add_request_head(raw, x, form);
	buf_add_span(raw, x->request.framing);
	buf_add_span(raw, x->request.trailers);
	buf_add_span(raw, x->response.head);
	buf_add_span(raw, x->response.framing);
	buf_add_span(raw, x->response.trailers);
	if (!elsewhere->request)
		buf_add_span(raw, x->request.body);
	if (!elsewhere->response)
		buf_add_span(raw, x->response.body);
	buf_add_span(raw, x->children);
}

/* each less the one of the client's end: what the way between them took */
static void add_server_times(struct buf *out, const struct exchange *x)
{
	const struct message *sides[] = {&x->request, &x->response};

	for (size_t i = 0; i < COUNT_OF(sides); i++) {
		varint_add_difference(out, sides[i]->server_first_ns, sides[i]->first_ns);
		varint_add_difference(out, sides[i]->server_last_ns, sides[i]->last_ns);
	}
}

void pack_add_times(struct buf *out, const struct exchange *x)
{
	const struct message *q = &x->request, *s = &x->response;
	bool is_regular = times_are_regular(x), is_seen_twice = exchange_is_seen_twice(x);

	if (is_regular && !is_seen_twice && q->last_ns == q->first_ns && s->last_ns == s->first_ns)
		return;
	if (is_regular) {
		varint_add_difference(out, q->last_ns, q->first_ns);
		varint_add_difference(out, s->last_ns, s->first_ns);
	} else {
		varint_add_difference(out, q->first_ns, x->start_ns);
		varint_add_difference(out, q->last_ns, q->first_ns);
		varint_add_difference(out, s->first_ns, q->last_ns);
		varint_add_difference(out, s->last_ns, s->first_ns);
	}
	if (is_seen_twice)
		add_server_times(out, x);
}

static void add_lengths(struct buf *out, const struct exchange *x, unsigned form)
{
	const struct message *q = &x->request, *s = &x->response;

	if (!(form & PACK_HEADS_END)) {
		varint_add(out, q->head.len);
		varint_add(out, s->head.len);
	}
	if (!(form & PACK_BODIES_WHOLE)) {
		varint_add(out, q->body.len);
		varint_add(out, s->body.len);
	}
	if (form & PACK_CHUNKED) {
		varint_add(out, q->framing.len);
		varint_add(out, q->trailers.len);
		varint_add(out, s->framing.len);
		varint_add(out, s->trailers.len);
	}
	if (form & PACK_CHILDREN)
		varint_add(out, x->children.len);
}

static size_t message_bytes(const struct message *m)
{
	return m->head.len + m->framing.len + m->trailers.len + m->body.len;
}

int pack_add(const struct exchange *x, const struct pack_elsewhere *elsewhere, struct buf *prefixes,
	     struct buf *raw, struct err *e)
{
	size_t bytes = message_bytes(&x->request) + message_bytes(&x->response) + x->children.len;
	size_t was = raw->len, prefixes_was = prefixes->len;
	unsigned form = form_of(x, elsewhere);

	if (bytes > PACK_RAW_MAX)
		return err_set(e, -E2BIG, "pack: an exchange of %zu bytes, %u are allowed", bytes,
			       PACK_RAW_MAX);
	if (buf_reserve(raw, bytes) && buf_reserve(prefixes, PACK_PREFIX_MAX)) {
		add_raw(raw, x, elsewhere, form);
		buf_add_char(prefixes, (char)form);
		varint_add(prefixes, raw->len - was);
		if (form & PACK_REQUEST_ELSEWHERE)
			varint_add_difference(prefixes, elsewhere->request, x->id);
		if (form & PACK_RESPONSE_ELSEWHERE)
			varint_add_difference(prefixes, elsewhere->response, x->id);
		add_lengths(prefixes, x, form);
	}
	if (!raw->is_failed && !prefixes->is_failed)
		return 0;
	raw->is_failed = prefixes->is_failed = false;
	raw->len = was;
	prefixes->len = prefixes_was;
	return err_set(e, -ENOMEM, "pack: no memory for the messages of an exchange");
}

/* --- reading: every length is doubted --- */

/* the two durations of regular times */
static bool take_durations(struct span *in, struct exchange *x, uint64_t latency_ns)
{
	uint64_t length;

	x->request.first_ns = x->start_ns;
	x->response.last_ns = x->start_ns + latency_ns;
	if (!varint_take_difference(in, x->request.first_ns, &x->request.last_ns) ||
	    !varint_take_difference(in, 0, &length))
		return false;
	x->response.first_ns = x->response.last_ns - length;
	return true;
}

static bool take_times(struct span *in, struct exchange *x)
{
	struct message *q = &x->request, *s = &x->response;

	return varint_take_difference(in, x->start_ns, &q->first_ns) &&
	       varint_take_difference(in, q->first_ns, &q->last_ns) &&
	       varint_take_difference(in, q->last_ns, &s->first_ns) &&
	       varint_take_difference(in, s->first_ns, &s->last_ns);
}

static bool take_server_times(struct span *in, struct exchange *x)
{
	struct message *sides[] = {&x->request, &x->response};

	for (size_t i = 0; i < COUNT_OF(sides); i++)
		if (!varint_take_difference(in, sides[i]->first_ns, &sides[i]->server_first_ns) ||
		    !varint_take_difference(in, sides[i]->last_ns, &sides[i]->server_last_ns))
			return false;
	return true;
}

int pack_take_times(struct span times, struct exchange *x, uint64_t latency_ns)
{
	static const uint8_t none[2];
	struct span in = times.len ? times : span_of(none, sizeof(none));
	size_t numbers = 0;
	bool is_regular;

	for (size_t i = 0; i < in.len; i++)
		numbers += in.ptr[i] < 0x80;
	if (numbers % 2 || numbers < 2 || numbers > 8)
		return -EBADMSG;
	is_regular = numbers % 4 == 2;
	return (is_regular ? take_durations(&in, x, latency_ns) : take_times(&in, x)) &&
			       (numbers < 6 || take_server_times(&in, x)) && in.len == 0
		       ? 0
		       : -EBADMSG;
}

static bool take_elsewhere(struct span *in, struct pack *p)
{
	return (!(p->form & PACK_REQUEST_ELSEWHERE) ||
		varint_take_difference(in, 0, &p->elsewhere.request)) &&
	       (!(p->form & PACK_RESPONSE_ELSEWHERE) ||
		varint_take_difference(in, 0, &p->elsewhere.response));
}

static bool take_lengths(struct span *in, bool has_children, struct pack *p)
{
	if (!(p->form & PACK_HEADS_END) &&
	    !(varint_take(in, &p->request_head) && varint_take(in, &p->response_head)))
		return false;
	if (!(p->form & PACK_BODIES_WHOLE) &&
	    !(varint_take(in, &p->request_body) && varint_take(in, &p->response_body)))
		return false;
	if ((p->form & PACK_CHUNKED) &&
	    !(varint_take(in, &p->request_framing) && varint_take(in, &p->request_trailers) &&
	      varint_take(in, &p->response_framing) && varint_take(in, &p->response_trailers)))
		return false;
	return !has_children || varint_take(in, &p->children);
}

int pack_take(struct span *prefixes, struct pack *p_out)
{
	struct span in = span_from(*prefixes, 1);
	struct pack p = {0};

	if (prefixes->len == 0)
		return -EBADMSG;
	p.form = prefixes->ptr[0];
	if (!varint_take(&in, &p.raw_bytes) || p.raw_bytes > PACK_RAW_MAX ||
	    !take_elsewhere(&in, &p) || !take_lengths(&in, p.form & PACK_CHILDREN, &p))
		return -EBADMSG;
	*prefixes = in;
	*p_out = p;
	return 0;
}

void pack_meet(struct pack *p, const struct exchange *x)
{
	if (p->form & PACK_REQUEST_ELSEWHERE)
		p->elsewhere.request += x->id;
	if (p->form & PACK_RESPONSE_ELSEWHERE)
		p->elsewhere.response += x->id;
	if (p->form & PACK_BODIES_WHOLE) {
		p->request_body = x->request.body_bytes;
		p->response_body = x->response.body_bytes;
	}
}

/* gRPC's messages are its bodies, and what is left behind them says when each came: its length went
 * unsaid */
static bool may_have_children(const struct exchange *x)
{
	return x->protocol != PROTOCOL_GRPC && (x->messages[0] || x->messages[1]);
}

int pack_open_old(struct span blob, struct exchange *x, uint64_t latency_ns, struct pack *p_out,
		  struct span *payload, bool *is_compressed)
{
	struct span in = span_from(blob, 1);
	struct pack p = {0};
	bool is_regular;

	if (blob.len == 0)
		return -EBADMSG;
	p.form = blob.ptr[0];
	is_regular = p.form & PACK_TIMES_REGULAR;
	*is_compressed = p.form & PACK_ZSTD;
	if (!(is_regular ? take_durations(&in, x, latency_ns) : take_times(&in, x)) ||
	    !take_elsewhere(&in, &p) || !take_lengths(&in, may_have_children(x), &p))
		return -EBADMSG;
	p.raw_bytes = in.len;
	if (*is_compressed && !varint_take(&in, &p.raw_bytes))
		return -EBADMSG;
	if (p.raw_bytes > PACK_RAW_MAX)
		return -EBADMSG;
	if (x->protocol == PROTOCOL_GRPC)
		p.children = CHILDREN_REST;
	*payload = in;
	pack_meet(&p, x);
	*p_out = p;
	return 0;
}

/* The raw form with the row's target put back behind the method. */
static int fill_room(const struct exchange *x, const struct pack *p, struct span raw,
		     struct buf *room)
{
	size_t before = x->method.len + 1;

	buf_clear(room);
	if (!buf_reserve(room, raw.len + x->target.len + 1))
		return -ENOMEM;
	if (!(p->form & PACK_TARGET_IN_ROW)) {
		buf_add_span(room, raw);
		return 0;
	}
	if (raw.len < before)
		return -EBADMSG;
	buf_add(room, raw.ptr, before);
	buf_add_span(room, x->target);
	buf_add_span(room, span_from(raw, before));
	return 0;
}

static bool take(struct span *raw, uint64_t n, struct span *out)
{
	if (n > raw->len)
		return false;
	*out = (struct span){raw->ptr, (size_t)n};
	*raw = span_from(*raw, (size_t)n);
	return true;
}

static bool take_head(struct span *raw, const struct pack *p, uint64_t length, struct message *m)
{
	if (p->form & PACK_HEADS_END)
		length = m->flags & MESSAGE_PRESENT ? head_end(*raw) : 0;
	return take(raw, length, &m->head);
}

static bool take_messages(struct span raw, const struct pack *p, struct exchange *x)
{
	struct message *q = &x->request, *s = &x->response;
	uint64_t request_body = p->form & PACK_REQUEST_ELSEWHERE ? 0 : p->request_body;
	uint64_t response_body = p->form & PACK_RESPONSE_ELSEWHERE ? 0 : p->response_body;

	return take_head(&raw, p, p->request_head, q) &&
	       take(&raw, p->request_framing, &q->framing) &&
	       take(&raw, p->request_trailers, &q->trailers) &&
	       take_head(&raw, p, p->response_head, s) &&
	       take(&raw, p->response_framing, &s->framing) &&
	       take(&raw, p->response_trailers, &s->trailers) &&
	       take(&raw, request_body, &q->body) && take(&raw, response_body, &s->body) &&
	       take(&raw, p->children == CHILDREN_REST ? raw.len : p->children, &x->children) &&
	       raw.len == 0;
}

int pack_messages(const struct pack *p, struct span raw, struct exchange *x, struct buf *room)
{
	int r = fill_room(x, p, raw, room);

	return r == 0 && !take_messages(buf_span(room), p, x) ? -EBADMSG : r;
}
