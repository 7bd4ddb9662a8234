// SPDX-License-Identifier: Apache-2.0
#include "wire/http1_state.h"

#include "wire/http1_search.h"
#include "wire/http1_start.h"

/*
 * Theory of operation
 *
 * A head whose end is not in sight is walked byte range by byte range, and the pieces are handed out to be kept.
 * The newest bytes of the start line stay in the parser: its end is judged by them, the same as
 * wire/http1_start.c judges a line that lies whole.
 *
 * After nonsense the next start line is searched anywhere in what follows: after a hole a message may begin in
 * the middle of a segment. What a search takes for a start line is held to stricter rules (http1_search.h). A
 * first byte that no line begins with spoils its whole line: servers that put a NUL or a blank before the
 * status line are not understood by browsers either.
 */

#define STATUS_MATCHED 12 /* "HTTP/1.1 200": a status line up to its status */

/* keep the newest bytes, whatever the cuts: a start line's end is judged by them */
static void keep_tail(struct http1 *p, struct span s)
{
	size_t keep;

	if (s.len >= HTTP1_TAIL_MAX) {
		memcpy(p->tail, s.ptr + s.len - HTTP1_TAIL_MAX, HTTP1_TAIL_MAX);
		p->tail_len = HTTP1_TAIL_MAX;
		return;
	}
	keep = MIN((size_t)p->tail_len, HTTP1_TAIL_MAX - s.len);
	memmove(p->tail, p->tail + p->tail_len - keep, keep);
	if (s.len)
		memcpy(p->tail + keep, s.ptr, s.len);
	p->tail_len = (uint8_t)(keep + s.len);
}

/* no start line after all: the first @n bytes of @in go with it, what follows is searched */
static size_t give_up_line(struct http1 *p, struct http1_step *step, struct span in, size_t n)
{
	bool is_spoiled = p->wanted == HTTP1_RESPONSE && p->head_bytes == 0 && n == 0 && in.len &&
			  in.ptr[0] <= ' ';

	keep_tail(p, span_of(in.ptr, n));
	p->state = is_spoiled ? STATE_SKIP_LINE : STATE_SEARCH;
	p->head_bytes = 0;
	step->is_resynced = p->skipped > 0;
	p->skipped++;
	return http1_say(step, HTTP1_BROKEN, in, n);
}

/* the method, or the "HTTP" of a status line while either may come; false: neither */
static bool take_method_char(struct http1 *p, uint8_t c)
{
	if (http1_is_blank(c) && p->count) {
		p->phase = PHASE_REST;
		return true;
	}
	if (c == '/' && p->count == 4 && p->http_letters == 4 && p->wanted == HTTP1_ANY) {
		p->kind = HTTP1_RESPONSE;
		p->phase = PHASE_STATUS;
		p->count = 5;
		return true;
	}
	if (p->count < 4 && p->http_letters == p->count && (c | 0x20) == "http"[p->count])
		p->http_letters++;
	return http1_is_method_char(c) && p->count++ < HTTP1_METHOD_MAX;
}

/* "HTTP/d.d", blanks, three digits; false: it is something else */
static bool take_status_char(struct http1 *p, uint8_t c)
{
	static const char form[] = "http/0.0 000";

	if (p->count == 9 && http1_is_blank(c))
		return true;
	switch (form[p->count++]) {
	case '0': return http1_is_digit(c);
	case ' ': return http1_is_blank(c);
	case '/': return c == '/';
	case '.': return c == '.';
	default: return (c | 0x20) == form[p->count - 1];
	}
}

/* Walk the start line until it is decided. Return: how many bytes were good. */
static size_t walk_start_line(struct http1 *p, struct span in)
{
	size_t i = 0;

	for (; i < in.len; i++) {
		bool is_good;

		if (p->phase == PHASE_REST && !p->is_strict)
			return in.len;
		if (p->phase == PHASE_STATUS && p->count == STATUS_MATCHED)
			return in.len;
		is_good = p->is_strict		     ? http1_search_goes_on(&p->count, in.ptr[i])
			  : p->phase == PHASE_METHOD ? take_method_char(p, in.ptr[i])
						     : take_status_char(p, in.ptr[i]);
		if (!is_good)
			break;
	}
	return i;
}

/* the line is over: is it a start line? */
static bool accept_start_line(struct http1 *p)
{
	size_t n = p->tail_len;

	if (p->kind == HTTP1_RESPONSE)
		return p->count == STATUS_MATCHED;
	if (p->phase != PHASE_REST || n == 0)
		return false;
	n--; /* LF */
	if (n && p->tail[n - 1] == '\r')
		n--;
	for (int i = 0; i < HTTP1_BLANKS_MAX && n && http1_is_blank(p->tail[n - 1]); i++)
		n--;
	if (n < 9 || !http1_is_blank(p->tail[n - 9]))
		return false;
	p->start_version = http1_version_at(p->tail + n - 8);
	return p->start_version != 0;
}

size_t http1_take_start_line(struct http1 *p, struct span in, struct http1_step *step)
{
	const uint8_t *lf = span_chr(in, '\n');
	struct span line = {in.ptr, lf ? (size_t)(lf - in.ptr) + 1 : in.len};
	size_t good = walk_start_line(p, line);

	if (good < line.len)
		return give_up_line(p, step, in, good);
	keep_tail(p, line);
	if (!lf)
		return http1_say_head(p, step, HTTP1_HEAD_PART, in, line.len);
	if (!accept_start_line(p))
		return give_up_line(p, step, in, line.len);
	p->state = STATE_HEAD;
	p->line = LINE_BEGIN;
	return http1_say_head(p, step, HTTP1_HEAD_PART, in, line.len);
}

size_t http1_walk_lines(uint8_t *line, struct span in, bool *is_end_out)
{
	size_t i = 0;

	while (i < in.len) {
		const uint8_t *lf;

		if (*line != LINE_INSIDE && in.ptr[i] == '\n') {
			*is_end_out = true;
			return i + 1;
		}
		if (*line == LINE_BEGIN && in.ptr[i] == '\r') {
			*line = LINE_BEGIN_CR;
			i++;
			continue;
		}
		*line = LINE_INSIDE;
		lf = memchr(in.ptr + i, '\n', in.len - i);
		if (!lf)
			return in.len;
		i = (size_t)(lf - in.ptr) + 1;
		*line = LINE_BEGIN;
	}
	return i;
}

size_t http1_take_head(struct http1 *p, struct span in, struct http1_step *step)
{
	bool is_end = false;
	size_t n;

	if (in.len == 0)
		return 0;
	n = http1_walk_lines(&p->line, in, &is_end);
	if (is_end)
		p->state = STATE_AWAIT;
	return http1_say_head(p, step, is_end ? HTTP1_HEAD : HTTP1_HEAD_PART, in, n);
}

/* --- nonsense --- */

static size_t say_skipped(struct http1 *p, struct http1_step *step, struct span in, size_t n)
{
	p->skipped += n;
	return http1_say(step, HTTP1_SKIPPED, in, n);
}

size_t http1_take_broken(struct http1 *p, struct span in, struct http1_step *step)
{
	http1_search(p);
	p->skipped = 1;
	return http1_say(step, HTTP1_BROKEN, in, 0);
}

size_t http1_take_skip_line(struct http1 *p, struct span in, struct http1_step *step)
{
	const uint8_t *lf = span_chr(in, '\n');
	size_t n = lf ? (size_t)(lf - in.ptr) + 1 : in.len;

	if (n == 0)
		return 0;
	if (lf)
		http1_search(p);
	return say_skipped(p, step, in, n);
}

/* a start line's beginning was found; the walk over it starts anew with the bytes that are passed on */
static void begin_found(struct http1 *p, enum http1_kind kind)
{
	p->kind = (uint8_t)kind;
	p->state = STATE_START_LINE;
	p->is_strict = kind == HTTP1_REQUEST;
	p->phase = kind == HTTP1_REQUEST ? PHASE_REST : PHASE_STATUS;
	p->count = 0;
	p->head_bytes = 0;
}

void http1_join(struct http1 *p)
{
	http1_search(p);
	begin_found(p, HTTP1_REQUEST);
}

size_t http1_take_search(struct http1 *p, struct span in, struct http1_step *step)
{
	struct http1_found f;
	size_t n;

	if (in.len == 0)
		return 0;
	f = http1_search_in((enum http1_kind)p->wanted, span_of(p->tail, p->tail_len), in);
	if (f.behind) {
		struct span begun = span_of(p->tail + p->tail_len - f.behind, f.behind);

		begin_found(p, f.kind);
		p->skipped -= MIN(p->skipped, f.behind); /* they were no nonsense after all */
		(void)walk_start_line(p, begun);
		(void)http1_say_head(p, step, HTTP1_HEAD_PART, begun, begun.len);
		step->behind = (uint32_t)f.behind;
		return 0;
	}
	n = f.is_found ? f.at : in.len;
	if (f.is_found)
		begin_found(p, f.kind);
	keep_tail(p, span_of(in.ptr, n));
	return n ? say_skipped(p, step, in, n) : 0;
}
