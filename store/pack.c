// SPDX-License-Identifier: Apache-2.0
#include "store/pack.h"

#include <errno.h>
#include <stdlib.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "store/varint.h"

/*
 * Theory of operation. The raw form of an exchange is
 *
 *	request head, framing, trailers | response head, framing, trailers | request body |
 *	response body | children
 *
 * and its pack is a prefix followed by the raw form, compressed as one zstd frame where that makes
 * it smaller. A frame of its own means that any exchange can be read alone. The frame has no magic
 * number, no checksum and no dictionary id: 4 to 12 bytes that the row says already.
 *
 * The prefix tells the lengths apart and gives the times. Nearly always they follow from the row
 * or from the bytes, which is what the bits of the form say, and then the prefix is 3 to 5 bytes:
 *
 *	- a head ends at its first empty line
 *	- a body is as long as the row says (not cut)
 *	- the request begins at start_ns, and the response ends latency later
 *	- the request line's target is the row's: it is not in the raw form at all
 *
 * Equal bodies are packed once: a body may lie in the pack of another exchange of the same tape,
 * which the prefix then names by the difference of the ids.
 */
enum {
	PACK_ZSTD = 1 << 0,
	PACK_REQUEST_ELSEWHERE = 1 << 1,
	PACK_RESPONSE_ELSEWHERE = 1 << 2,
	PACK_TARGET_IN_ROW = 1 << 3,
	PACK_HEADS_END = 1 << 4,    /* otherwise their lengths are given */
	PACK_BODIES_WHOLE = 1 << 5, /* otherwise their lengths are given */
	PACK_TIMES_REGULAR = 1 << 6,
	PACK_CHUNKED = 1 << 7, /* lengths of framing and trailers are given */
};
#define PACK_TINY 40 /* not worth a compressor's call [bytes] */

struct packer {
	ZSTD_CCtx *zstd;
	struct buf raw;
};

struct packer *packer_new(int level)
{
	struct packer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->zstd = ZSTD_createCCtx();
	if (!p->zstd) {
		free(p);
		return NULL;
	}
	(void)ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_format, ZSTD_f_zstd1_magicless);
	(void)ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_contentSizeFlag, 0);
	(void)ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_checksumFlag, 0);
	(void)ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_dictIDFlag, 0);
	packer_set_level(p, level);
	return p;
}

void packer_free(struct packer *p)
{
	if (!p)
		return;
	(void)ZSTD_freeCCtx(p->zstd);
	buf_fini(&p->raw);
	free(p);
}

void packer_set_level(struct packer *p, int level)
{
	(void)ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, level);
}

struct span packer_raw(const struct packer *p)
{
	return buf_span(&p->raw);
}

/* Where the first empty line of @head ends; 0 when there is none. */
static size_t head_end(struct span head)
{
	const uint8_t *end = head.len ? memmem(head.ptr, head.len, "\r\n\r\n", 4) : NULL;

	return end ? (size_t)(end - head.ptr) + 4 : 0;
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

/* gRPC's messages are its bodies, and what is left behind them says when each came: its length goes unsaid */
static bool may_have_children(const struct exchange *x)
{
	return x->protocol != PROTOCOL_GRPC && (x->messages[0] || x->messages[1]);
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
	form |= times_are_regular(x) ? PACK_TIMES_REGULAR : 0;
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

static void fill_raw(struct buf *raw, const struct exchange *x,
		     const struct pack_elsewhere *elsewhere, unsigned form)
{
	buf_clear(raw);
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

static void add_times(struct buf *out, const struct exchange *x, unsigned form)
{
	const struct message *q = &x->request, *s = &x->response;

	if (form & PACK_TIMES_REGULAR) {
		varint_add_difference(out, q->last_ns, q->first_ns);
		varint_add_difference(out, s->last_ns, s->first_ns);
		return;
	}
	varint_add_difference(out, q->first_ns, x->start_ns);
	varint_add_difference(out, q->last_ns, q->first_ns);
	varint_add_difference(out, s->first_ns, q->last_ns);
	varint_add_difference(out, s->last_ns, s->first_ns);
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
	if (may_have_children(x))
		varint_add(out, x->children.len);
}

static void add_prefix(struct buf *out, const struct exchange *x,
		       const struct pack_elsewhere *elsewhere, unsigned form, size_t raw_bytes)
{
	buf_add_char(out, (char)form);
	add_times(out, x, form);
	if (form & PACK_REQUEST_ELSEWHERE)
		varint_add_difference(out, elsewhere->request, x->id);
	if (form & PACK_RESPONSE_ELSEWHERE)
		varint_add_difference(out, elsewhere->response, x->id);
	add_lengths(out, x, form);
	if (form & PACK_ZSTD)
		varint_add(out, raw_bytes);
}

/* Return: bytes of the frame appended, 0 when there is no point in it. */
static size_t add_frame(struct packer *p, const ZSTD_CDict *dictionary, struct buf *out)
{
	size_t n;

	if (p->raw.len < PACK_TINY || !buf_reserve(out, ZSTD_compressBound(p->raw.len)))
		return 0;
	if (ZSTD_isError(ZSTD_CCtx_refCDict(p->zstd, dictionary)))
		return 0;
	n = ZSTD_compress2(p->zstd, out->ptr + out->len, out->cap - out->len, p->raw.ptr,
			   p->raw.len);
	if (ZSTD_isError(n) || n + 2 >= p->raw.len)
		return 0;
	out->len += n;
	return n;
}

int packer_pack(struct packer *p, const struct exchange *x, const struct pack_elsewhere *elsewhere,
		const struct ZSTD_CDict_s *dictionary, struct buf *out, struct err *e)
{
	size_t was = out->len;
	unsigned form = form_of(x, elsewhere);

	fill_raw(&p->raw, x, elsewhere, form);
	if (p->raw.is_failed)
		return err_set(e, -ENOMEM, "pack: no memory for the messages of an exchange");
	if (p->raw.len > PACK_RAW_MAX)
		return err_set(e, -E2BIG, "pack: an exchange of %zu bytes, %u are allowed",
			       p->raw.len, PACK_RAW_MAX);
	add_prefix(out, x, elsewhere, form | PACK_ZSTD, p->raw.len);
	if (add_frame(p, dictionary, out) == 0) {
		out->len = was;
		add_prefix(out, x, elsewhere, form, p->raw.len);
		buf_add_span(out, packer_raw(p));
	}
	if (!out->is_failed)
		return 0;
	out->len = was;
	out->is_failed = false;
	return err_set(e, -ENOMEM, "pack: no memory for a packed exchange");
}

/* --- reading: every length is doubted --- */

static bool take_times(struct span *in, struct exchange *x, uint64_t latency_ns, unsigned form)
{
	struct message *q = &x->request, *s = &x->response;
	uint64_t length;

	if (!(form & PACK_TIMES_REGULAR))
		return varint_take_difference(in, x->start_ns, &q->first_ns) &&
		       varint_take_difference(in, q->first_ns, &q->last_ns) &&
		       varint_take_difference(in, q->last_ns, &s->first_ns) &&
		       varint_take_difference(in, s->first_ns, &s->last_ns);
	q->first_ns = x->start_ns;
	s->last_ns = x->start_ns + latency_ns;
	if (!varint_take_difference(in, q->first_ns, &q->last_ns) ||
	    !varint_take_difference(in, 0, &length))
		return false;
	s->first_ns = s->last_ns - length;
	return true;
}

static bool take_lengths(struct span *in, const struct exchange *x, struct pack *p)
{
	p->request_body = x->request.body_bytes;
	p->response_body = x->response.body_bytes;
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
	return !may_have_children(x) || varint_take(in, &p->children);
}

int pack_open(struct span blob, struct exchange *x, uint64_t latency_ns, struct pack *p_out)
{
	struct pack p = {0};
	struct span in = span_from(blob, 1);

	if (blob.len == 0)
		return -EBADMSG;
	p.form = blob.ptr[0];
	if (!take_times(&in, x, latency_ns, p.form))
		return -EBADMSG;
	if ((p.form & PACK_REQUEST_ELSEWHERE) &&
	    !varint_take_difference(&in, x->id, &p.elsewhere.request))
		return -EBADMSG;
	if ((p.form & PACK_RESPONSE_ELSEWHERE) &&
	    !varint_take_difference(&in, x->id, &p.elsewhere.response))
		return -EBADMSG;
	if (!take_lengths(&in, x, &p))
		return -EBADMSG;
	p.raw_bytes = in.len;
	if ((p.form & PACK_ZSTD) && !varint_take(&in, &p.raw_bytes))
		return -EBADMSG;
	p.payload = in;
	if (p.raw_bytes > PACK_RAW_MAX)
		return -EBADMSG;
	*p_out = p;
	return 0;
}

struct unpacker {
	ZSTD_DCtx *zstd;
};

struct unpacker *unpacker_new(void)
{
	struct unpacker *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->zstd = ZSTD_createDCtx();
	if (!u->zstd) {
		free(u);
		return NULL;
	}
	(void)ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_format, ZSTD_f_zstd1_magicless);
	return u;
}

void unpacker_free(struct unpacker *u)
{
	if (!u)
		return;
	(void)ZSTD_freeDCtx(u->zstd);
	free(u);
}

/* The raw form, behind @gap bytes that are left free at the front of @room. */
static int decompress(struct unpacker *u, const struct pack *p, const ZSTD_DDict *dictionary,
		      size_t gap, struct buf *room)
{
	size_t n;

	buf_clear(room);
	if (!buf_reserve(room, gap + p->raw_bytes + 1))
		return -ENOMEM;
	room->len = gap + p->raw_bytes;
	if (!(p->form & PACK_ZSTD)) {
		if (p->payload.len)
			memcpy(room->ptr + gap, p->payload.ptr, p->payload.len);
		return 0;
	}
	if (ZSTD_isError(ZSTD_DCtx_refDDict(u->zstd, dictionary)))
		return -ENOMEM;
	n = ZSTD_decompressDCtx(u->zstd, room->ptr + gap, p->raw_bytes, p->payload.ptr,
				p->payload.len);
	return ZSTD_isError(n) || n != p->raw_bytes ? -EBADMSG : 0;
}

/* Put the row's target back behind the method: the gap in front is as long as the target. */
static int restore_target(const struct exchange *x, struct buf *room)
{
	size_t before = x->method.len + 1;

	if (room->len - x->target.len < before)
		return -EBADMSG;
	memmove(room->ptr, room->ptr + x->target.len, before);
	if (x->target.len)
		memcpy(room->ptr + before, x->target.ptr, x->target.len);
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
	       take(&raw, x->protocol == PROTOCOL_GRPC ? raw.len : p->children, &x->children) &&
	       raw.len == 0;
}

int unpacker_messages(struct unpacker *u, const struct pack *p,
		      const struct ZSTD_DDict_s *dictionary, struct exchange *x, struct buf *room)
{
	size_t gap = p->form & PACK_TARGET_IN_ROW ? x->target.len : 0;
	int r = decompress(u, p, dictionary, gap, room);

	if (r == 0 && (p->form & PACK_TARGET_IN_ROW))
		r = restore_target(x, room);
	if (r == 0 && !take_messages(buf_span(room), p, x))
		r = -EBADMSG;
	return r;
}
