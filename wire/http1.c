// SPDX-License-Identifier: Apache-2.0
#include "wire/http1.h"

#include "wire/http1_search.h"
#include "wire/http1_start.h"

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
 * BROKEN, and SEARCH looks for the next start line anywhere in what follows: after a hole a message
 * may begin in the middle of a segment. What a search takes for a start line is held to stricter
 * rules (http1_search.h). A first byte that no line begins with spoils its whole line: servers that
 * put a NUL or a blank before the status line are not understood by browsers either.
 *
 * Framing: RFC 9112 6.3 for messages, 7.1 for chunks. Blanks around a chunk size are accepted, as
 * most readers do; a size that is no number or over 2^60 is not.
 */

enum state {
	STATE_START,
	STATE_START_LINE,
	STATE_HEAD,
	STATE_AWAIT, /* http1_begin_body() must be called */
	STATE_LENGTH,
	STATE_CLOSE,
	STATE_CHUNK_SIZE,
	STATE_CHUNK_DATA,
	STATE_CHUNK_END,
	STATE_TRAILERS,
	STATE_END,       /* to be said */
	STATE_BROKEN,    /* to be said */
	STATE_SKIP_LINE,
	STATE_SEARCH,
	STATE_TUNNEL,
	STATE_COUNT
};

enum line { LINE_BEGIN, LINE_BEGIN_CR, LINE_INSIDE };

enum start_phase { PHASE_METHOD, PHASE_REST, PHASE_STATUS };
enum chunk_phase { PHASE_BEFORE, PHASE_DIGITS, PHASE_AFTER, PHASE_CR };

#define CHUNK_BYTES_MAX (UINT64_C(1) << 60)
#define STATUS_MATCHED  12 /* "HTTP/1.1 200": a status line up to its status */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static size_t say(struct http1_step *step, enum http1_step_kind kind, struct span in, size_t n)
{
	step->kind = kind;
	step->bytes = (struct span){in.ptr, n};
	return n;
}

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

static void begin_start(struct http1 *p)
{
	p->state = STATE_START;
	p->is_strict = false;
	p->skipped = 0;
	p->head_bytes = 0;
}

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
	begin_start(p);
}

void http1_expect(struct http1 *p, enum http1_kind kind)
{
	p->wanted = (uint8_t)kind;
	if (p->state == STATE_START || p->state == STATE_SEARCH || p->state == STATE_SKIP_LINE)
		p->kind = (uint8_t)kind;
}

/* --- heads --- */

/* a part of the head, @n bytes of @in */
static size_t say_head(struct http1 *p, struct http1_step *step, enum http1_step_kind kind,
		       struct span in, size_t n)
{
	step->is_begin = p->head_bytes == 0;
	step->is_resynced = p->skipped > 0;
	p->head_bytes = n > UINT32_MAX - p->head_bytes ? UINT32_MAX : p->head_bytes + (uint32_t)n;
	return say(step, kind, in, n);
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
	return say(step, HTTP1_BROKEN, in, n);
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
		(void)say_head(p, step, HTTP1_HEAD, rest, n);
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

/* the method, or the "HTTP" of a status line while either may come; false: neither */
static bool take_method_char(struct http1 *p, uint8_t c)
{
	if (is_blank(c) && p->count) {
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

	if (p->count == 9 && is_blank(c))
		return true;
	switch (form[p->count++]) {
	case '0':
		return is_digit(c);
	case ' ':
		return is_blank(c);
	case '/':
		return c == '/';
	case '.':
		return c == '.';
	default:
		return (c | 0x20) == form[p->count - 1];
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
		is_good = p->is_strict             ? http1_search_goes_on(&p->count, in.ptr[i])
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
	for (int i = 0; i < HTTP1_BLANKS_MAX && n && is_blank(p->tail[n - 1]); i++)
		n--;
	if (n < 9 || !is_blank(p->tail[n - 9]))
		return false;
	p->start_version = http1_version_at(p->tail + n - 8);
	return p->start_version != 0;
}

static size_t take_start_line(struct http1 *p, struct span in, struct http1_step *step)
{
	const uint8_t *lf = in.len ? memchr(in.ptr, '\n', in.len) : NULL;
	struct span line = {in.ptr, lf ? (size_t)(lf - in.ptr) + 1 : in.len};
	size_t good = walk_start_line(p, line);

	if (good < line.len)
		return give_up_line(p, step, in, good);
	keep_tail(p, line);
	if (!lf)
		return say_head(p, step, HTTP1_HEAD_PART, in, line.len);
	if (!accept_start_line(p))
		return give_up_line(p, step, in, line.len);
	p->state = STATE_HEAD;
	p->line = LINE_BEGIN;
	return say_head(p, step, HTTP1_HEAD_PART, in, line.len);
}

/* Walk lines until the empty one. Return: how many bytes; *is_end_out when it was found. */
static size_t walk_lines(uint8_t *line, struct span in, bool *is_end_out)
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

static size_t take_head(struct http1 *p, struct span in, struct http1_step *step)
{
	bool is_end = false;
	size_t n;

	if (in.len == 0)
		return 0;
	n = walk_lines(&p->line, in, &is_end);
	if (is_end)
		p->state = STATE_AWAIT;
	return say_head(p, step, is_end ? HTTP1_HEAD : HTTP1_HEAD_PART, in, n);
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

/* --- what follows a head --- */

static enum http1_follows follow(struct http1 *p, enum state state, enum http1_follows follows)
{
	p->state = (uint8_t)state;
	if (state == STATE_SEARCH)
		http1_search(p);
	if (state == STATE_START)
		begin_start(p);
	return follows;
}

static enum http1_follows follow_length(struct http1 *p, uint64_t bytes)
{
	p->left = bytes;
	return bytes ? follow(p, STATE_LENGTH, HTTP1_FOLLOWS_BODY)
		     : follow(p, STATE_END, HTTP1_FOLLOWS_NOTHING);
}

static enum http1_follows follow_chunks(struct http1 *p)
{
	p->phase = PHASE_BEFORE;
	p->left = 0;
	return follow(p, STATE_CHUNK_SIZE, HTTP1_FOLLOWS_BODY);
}

static enum http1_follows begin_request_body(struct http1 *p)
{
	switch ((enum http1_framing)p->head.framing) {
	case HTTP1_LENGTH:
		return follow_length(p, p->head.content_length);
	case HTTP1_CHUNKED:
		return follow_chunks(p);
	case HTTP1_UNFRAMED:
		if (!p->head.is_cut)
			return follow(p, STATE_END, HTTP1_FOLLOWS_NOTHING);
		break;
	case HTTP1_UNKNOWN_TE:
	case HTTP1_BAD_LENGTH:
		break;
	}
	return follow(p, STATE_SEARCH, HTTP1_FOLLOWS_UNKNOWN);
}

/* a response whose head does not say how long it is: until the connection closes, if it is to close */
static enum http1_follows follow_unframed(struct http1 *p)
{
	bool will_close = p->head.has_close || (p->head.version < 11 && !p->head.has_keep_alive);

	if (p->head.is_cut || (p->head.framing == HTTP1_BAD_LENGTH && !will_close))
		return follow(p, STATE_SEARCH, HTTP1_FOLLOWS_UNKNOWN);
	return follow(p, STATE_CLOSE, HTTP1_FOLLOWS_CLOSE);
}

static enum http1_follows begin_response_body(struct http1 *p, struct http1_asked asked)
{
	unsigned status = p->head.status;

	if (status == 101 || (asked.is_connect && status >= 200 && status < 300))
		return follow(p, STATE_TUNNEL, HTTP1_FOLLOWS_TUNNEL);
	if (status >= 100 && status < 200)
		return follow(p, STATE_START, HTTP1_FOLLOWS_INTERIM);
	if (asked.is_head || status == 204 || status == 304)
		return follow(p, STATE_END, HTTP1_FOLLOWS_NOTHING);
	if (p->head.framing == HTTP1_LENGTH)
		return follow_length(p, p->head.content_length);
	if (p->head.framing == HTTP1_CHUNKED)
		return follow_chunks(p);
	return follow_unframed(p);
}

enum http1_follows http1_begin_body(struct http1 *p, struct http1_asked asked)
{
	assert(p->state == STATE_AWAIT);
	return p->kind == HTTP1_REQUEST ? begin_request_body(p) : begin_response_body(p, asked);
}

/* --- bodies --- */

static size_t take_length(struct http1 *p, struct span in, struct http1_step *step)
{
	size_t n = (size_t)MIN((uint64_t)in.len, p->left);

	if (n == 0)
		return 0;
	p->left -= n;
	if (p->left == 0)
		p->state = STATE_END;
	return say(step, HTTP1_BODY, in, n);
}

static size_t take_close(struct http1 *p, struct span in, struct http1_step *step)
{
	(void)p;
	return in.len ? say(step, HTTP1_BODY, in, in.len) : 0;
}

static int hex_value(uint8_t c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* one byte of a chunk-size line (RFC 9112 7.1) before its LF; false: it is none */
static bool take_size_char(struct http1 *p, uint8_t c)
{
	int digit = hex_value(c);

	if (p->phase == PHASE_AFTER)
		return true; /* an extension, or the CR */
	if (digit >= 0) {
		p->phase = PHASE_DIGITS;
		if (p->left > CHUNK_BYTES_MAX / 16)
			return false;
		p->left = p->left * 16 + (unsigned)digit;
		return true;
	}
	if (p->phase == PHASE_BEFORE)
		return is_blank(c);
	p->phase = PHASE_AFTER;
	return is_blank(c) || c == '\r' || c == ';';
}

static void end_size_line(struct http1 *p, bool has_cr)
{
	if (!has_cr)
		p->head.anomalies |= ANOMALY_BIT(BARE_LF);
	p->phase = PHASE_BEFORE;
	p->state = p->left ? STATE_CHUNK_DATA : STATE_TRAILERS;
	p->line = LINE_BEGIN;
}

/* not a chunk: hand out the @n bytes that still were, then say so */
static size_t break_chunk(struct http1 *p, struct http1_step *step, struct span in, size_t n)
{
	p->head.anomalies |= ANOMALY_BIT(BAD_CHUNK);
	p->state = STATE_BROKEN;
	return n ? say(step, HTTP1_FRAMING, in, n) : 0;
}

static size_t take_chunk_size(struct http1 *p, struct span in, struct http1_step *step)
{
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.ptr[i];

		if (c == '\n' && p->phase != PHASE_BEFORE) {
			end_size_line(p, p->count == '\r');
			return say(step, HTTP1_FRAMING, in, i + 1);
		}
		if (c == '\n' || !take_size_char(p, c))
			return break_chunk(p, step, in, i);
		p->count = c;
	}
	return in.len ? say(step, HTTP1_FRAMING, in, in.len) : 0;
}

static size_t take_chunk_data(struct http1 *p, struct span in, struct http1_step *step)
{
	size_t n = (size_t)MIN((uint64_t)in.len, p->left);

	if (n == 0)
		return 0;
	p->left -= n;
	if (p->left == 0) {
		p->state = STATE_CHUNK_END;
		p->phase = PHASE_BEFORE;
	}
	return say(step, HTTP1_BODY, in, n);
}

/* CRLF, or LF alone, behind the octets of a chunk */
static size_t take_chunk_end(struct http1 *p, struct span in, struct http1_step *step)
{
	size_t i = 0;

	if (in.len == 0)
		return 0;
	if (p->phase == PHASE_BEFORE && in.ptr[i] == '\r') {
		p->phase = PHASE_CR;
		i++;
	}
	if (i == in.len)
		return i;
	if (in.ptr[i] != '\n')
		return i + break_chunk(p, step, in, 0);
	if (p->phase != PHASE_CR)
		p->head.anomalies |= ANOMALY_BIT(BARE_LF);
	(void)follow_chunks(p);
	return i + 1;
}

static size_t take_trailers(struct http1 *p, struct span in, struct http1_step *step)
{
	static const uint8_t cr = '\r';
	bool is_end = false;
	size_t n, lines;

	if (in.len == 0)
		return 0;
	if (p->line == LINE_BEGIN_CR && in.ptr[0] != '\n') {
		p->line = LINE_INSIDE; /* the CR held back began a line of its own */
		(void)say(step, HTTP1_TRAILER, span_of(&cr, 1), 1);
		return 0;
	}
	n = walk_lines(&p->line, in, &is_end);
	lines = n - is_end;
	if (is_end)
		p->state = STATE_END;
	if (lines && (is_end || p->line == LINE_BEGIN_CR) && in.ptr[lines - 1] == '\r')
		lines--; /* of the final empty line; or it may be */
	if (lines)
		(void)say(step, HTTP1_TRAILER, in, lines);
	return n;
}

static size_t take_end(struct http1 *p, struct span in, struct http1_step *step)
{
	begin_start(p);
	return say(step, HTTP1_END, in, 0);
}

static size_t take_tunnel(struct http1 *p, struct span in, struct http1_step *step)
{
	(void)p;
	return in.len ? say(step, HTTP1_TUNNEL, in, in.len) : 0;
}

/* --- nonsense --- */

static size_t say_skipped(struct http1 *p, struct http1_step *step, struct span in, size_t n)
{
	p->skipped += n;
	return say(step, HTTP1_SKIPPED, in, n);
}

static size_t take_broken(struct http1 *p, struct span in, struct http1_step *step)
{
	http1_search(p);
	p->skipped = 1;
	return say(step, HTTP1_BROKEN, in, 0);
}

static size_t take_skip_line(struct http1 *p, struct span in, struct http1_step *step)
{
	const uint8_t *lf = in.len ? memchr(in.ptr, '\n', in.len) : NULL;
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

static size_t take_search(struct http1 *p, struct span in, struct http1_step *step)
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
		(void)say_head(p, step, HTTP1_HEAD_PART, begun, begun.len);
		step->behind = (uint32_t)f.behind;
		return 0;
	}
	n = f.is_found ? f.at : in.len;
	if (f.is_found)
		begin_found(p, f.kind);
	keep_tail(p, span_of(in.ptr, n));
	return n ? say_skipped(p, step, in, n) : 0;
}

static size_t take_await(struct http1 *p, struct span in, struct http1_step *step)
{
	(void)in;
	(void)step;
	assert(p->state != STATE_AWAIT); /* the caller forgot http1_begin_body() */
	return 0;
}

typedef size_t take_fn(struct http1 *p, struct span in, struct http1_step *step);

static take_fn *const takers[STATE_COUNT] = {
	[STATE_START] = take_start,
	[STATE_START_LINE] = take_start_line,
	[STATE_HEAD] = take_head,
	[STATE_AWAIT] = take_await,
	[STATE_LENGTH] = take_length,
	[STATE_CLOSE] = take_close,
	[STATE_CHUNK_SIZE] = take_chunk_size,
	[STATE_CHUNK_DATA] = take_chunk_data,
	[STATE_CHUNK_END] = take_chunk_end,
	[STATE_TRAILERS] = take_trailers,
	[STATE_END] = take_end,
	[STATE_BROKEN] = take_broken,
	[STATE_SKIP_LINE] = take_skip_line,
	[STATE_SEARCH] = take_search,
	[STATE_TUNNEL] = take_tunnel,
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
		used += takers[p->state](p, (struct span){in.ptr + used, in.len - used}, step);
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
	switch ((enum state)p->state) {
	case STATE_LENGTH:
		if (len > p->left)
			return lose(p, HTTP1_GAP_END);
		p->left -= len;
		if (p->left)
			return HTTP1_GAP_BODY;
		begin_start(p);
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
	case STATE_CLOSE:
		return HTTP1_GAP_BODY;
	case STATE_TUNNEL:
		return HTTP1_GAP_TUNNEL;
	case STATE_START:
	case STATE_SKIP_LINE:
	case STATE_SEARCH:
		return lose(p, HTTP1_GAP_BETWEEN);
	case STATE_START_LINE:
	case STATE_HEAD:
	case STATE_AWAIT:
	case STATE_CHUNK_SIZE:
	case STATE_CHUNK_END:
	case STATE_TRAILERS:
	case STATE_END:
	case STATE_BROKEN:
	case STATE_COUNT:
		break;
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
		begin_start(p);
	return is_end;
}
