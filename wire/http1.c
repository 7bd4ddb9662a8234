// SPDX-License-Identifier: Apache-2.0
#include "wire/http1_state.h"

#include <assert.h>

/*
 * Theory of operation
 *
 * One function per state takes bytes off the front of what was fed and may report one step:
 *
 *   START -> (START_LINE -> HEAD ->) AWAIT -> LENGTH | CLOSE | CHUNK_SIZE... | TUNNEL -> END -> START
 *      \________________________________________ nonsense: BROKEN, then SEARCH or SKIP_LINE
 *
 * START tries to read a whole head in place, which is nearly always possible: one pass, no copy. Only
 * when its end is not there yet do START_LINE and HEAD walk it byte range by byte range, handing the
 * pieces out to be kept. Both ways accept exactly the same start lines, so that the exchanges do not
 * depend on how TCP cut the stream; the tests feed every case at all cuts to hold this.
 *
 * A message that makes no sense (no start line where one must stand, a chunk size that is none) is
 * BROKEN, and SEARCH looks for the next start line (wire/http1_walk.c). Bodies are wire/http1_body.c.
 */

void http1_search(struct http1 *p)
{
	p->state = STATE_SEARCH;
	p->tail_len = 0;
	p->head_bytes = 0;
	p->skipped = 0;
}

void http1_init(struct http1 *p, enum http1_kind kind, const struct http1_watch *watch)
{
	*p = (struct http1){.wanted = (uint8_t)kind, .kind = (uint8_t)kind, .watch = watch};
	http1_begin_start(p);
}

void http1_expect(struct http1 *p, enum http1_kind kind)
{
	p->wanted = (uint8_t)kind;
	if (p->state == STATE_START || p->state == STATE_SEARCH || p->state == STATE_SKIP_LINE)
		p->kind = (uint8_t)kind;
}

static size_t take_start(struct http1 *p, struct span in, struct http1_step *step)
{
	size_t skip = 0, n;
	struct span rest;

	while (skip < in.len && (in.ptr[skip] == '\r' || in.ptr[skip] == '\n'))
		skip++; /* RFC 9112 2.2 */
	rest = span_from(in, skip);
	if (rest.len == 0)
		return skip;
	p->kind = p->wanted;
	if (p->wanted == HTTP1_ANY)
		p->kind = span_istarts(rest, SPAN_LIT("HTTP/")) ? HTTP1_RESPONSE : HTTP1_REQUEST;
	n = http1_head_parse((enum http1_kind)p->kind, rest, false, p->watch, &p->head);
	if (n) {
		p->state = STATE_AWAIT;
		p->start_version = p->head.version;
		step->is_parsed = true;
		(void)http1_say_head(p, step, HTTP1_HEAD, rest, n);
		step->behind = 0;
		return skip + n;
	}
	p->state = STATE_START_LINE;
	p->phase = p->kind == HTTP1_RESPONSE ? PHASE_STATUS : PHASE_METHOD;
	p->count = 0;
	p->http_letters = 0;
	p->tail_len = 0;
	p->is_strict = false;
	return skip;
}

void http1_parse(struct http1 *p, struct span head, bool is_cut)
{
	size_t n = http1_head_parse((enum http1_kind)p->kind, head, is_cut, p->watch, &p->head);

	if (n == 0) { /* cut so short that not even its beginning can be read */
		p->head = (struct http1_head){.is_cut = true, .anomalies = ANOMALY_BIT(HEAD_CUT)};
		p->head.bytes = (uint32_t)head.len;
	}
	if (!p->head.version)
		p->head.version = p->start_version;
}

bool http1_has_start_line(const struct http1 *p)
{
	return p->state == STATE_HEAD || p->state == STATE_AWAIT;
}

static size_t take_await(struct http1 *p, struct span in, struct http1_step *step)
{
	(void)in;
	(void)step;
	assert(p->state != STATE_AWAIT); /* the caller forgot http1_begin_body() */
	return 0;
}

static http1_take_fn *const takers[STATE_COUNT] = {
	[STATE_START] = take_start,
	[STATE_START_LINE] = http1_take_start_line,
	[STATE_HEAD] = http1_take_head,
	[STATE_AWAIT] = take_await,
	[STATE_LENGTH] = http1_take_length,
	[STATE_CLOSE] = http1_take_close,
	[STATE_CHUNK_SIZE] = http1_take_chunk_size,
	[STATE_CHUNK_DATA] = http1_take_chunk_data,
	[STATE_CHUNK_END] = http1_take_chunk_end,
	[STATE_TRAILERS] = http1_take_trailers,
	[STATE_END] = http1_take_end,
	[STATE_BROKEN] = http1_take_broken,
	[STATE_SKIP_LINE] = http1_take_skip_line,
	[STATE_SEARCH] = http1_take_search,
	[STATE_TUNNEL] = http1_take_tunnel,
};

bool http1_has_more(const struct http1 *p)
{
	return p->state == STATE_END || p->state == STATE_BROKEN;
}

size_t http1_next(struct http1 *p, struct span in, struct http1_step *step)
{
	size_t used = 0;

	*step = (struct http1_step){.kind = HTTP1_NEED_MORE};
	do {
		const uint8_t *at = used ? in.ptr + used : in.ptr; /* nothing may be nowhere */

		used += takers[p->state](p, (struct span){at, in.len - used}, step);
	} while (step->kind == HTTP1_NEED_MORE && (used < in.len || http1_has_more(p)));
	return used;
}

/* --- holes and ends --- */

static enum http1_gap lose(struct http1 *p, enum http1_gap what)
{
	http1_search(p);
	return what;
}

enum http1_gap http1_gap(struct http1 *p, uint64_t len)
{
	switch ((enum http1_state)p->state) {
	case STATE_LENGTH:
		if (len > p->left)
			return lose(p, HTTP1_GAP_END);
		p->left -= len;
		if (p->left)
			return HTTP1_GAP_BODY;
		http1_begin_start(p);
		return HTTP1_GAP_END;
	case STATE_CHUNK_DATA:
		if (len > p->left)
			return lose(p, HTTP1_GAP_LOST);
		p->left -= len;
		if (p->left == 0) {
			p->state = STATE_CHUNK_END;
			p->phase = PHASE_BEFORE;
		}
		return HTTP1_GAP_BODY;
	case STATE_CLOSE: return HTTP1_GAP_BODY;
	case STATE_TUNNEL: return HTTP1_GAP_TUNNEL;
	case STATE_START:
	case STATE_SKIP_LINE:
	case STATE_SEARCH: return lose(p, HTTP1_GAP_BETWEEN);
	case STATE_START_LINE:
	case STATE_HEAD:
	case STATE_AWAIT:
	case STATE_CHUNK_SIZE:
	case STATE_CHUNK_END:
	case STATE_TRAILERS:
	case STATE_END:
	case STATE_BROKEN:
	case STATE_COUNT: break;
	}
	return lose(p, HTTP1_GAP_LOST);
}

bool http1_is_inside(const struct http1 *p)
{
	return p->state >= STATE_HEAD && p->state <= STATE_END;
}

bool http1_close(struct http1 *p)
{
	bool is_end = p->state == STATE_CLOSE;

	if (is_end)
		http1_begin_start(p);
	return is_end;
}
