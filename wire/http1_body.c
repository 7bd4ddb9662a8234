// SPDX-License-Identifier: Apache-2.0
#include "wire/http1_state.h"

#include <assert.h>

/*
 * Theory of operation. How long a body is, is said by its head and by what was asked (RFC 9112 6.3); chunks say it
 * piece by piece (7.1). Blanks around a chunk size are accepted, as most readers do; a size that is no number or
 * over 2^60 is not: the message is then broken there.
 */

#define CHUNK_BYTES_MAX (UINT64_C(1) << 60)

/* --- what follows a head --- */

static enum http1_follows follow(struct http1 *p, enum http1_state state,
				 enum http1_follows follows)
{
	p->state = (uint8_t)state;
	if (state == STATE_SEARCH)
		http1_search(p);
	if (state == STATE_START)
		http1_begin_start(p);
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
	case HTTP1_LENGTH: return follow_length(p, p->head.content_length);
	case HTTP1_CHUNKED: return follow_chunks(p);
	case HTTP1_UNFRAMED:
		if (!p->head.is_cut)
			return follow(p, STATE_END, HTTP1_FOLLOWS_NOTHING);
		break;
	case HTTP1_UNKNOWN_TE:
	case HTTP1_BAD_LENGTH: break;
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

size_t http1_take_length(struct http1 *p, struct span in, struct http1_step *step)
{
	size_t n = (size_t)MIN((uint64_t)in.len, p->left);

	if (n == 0)
		return 0;
	p->left -= n;
	if (p->left == 0)
		p->state = STATE_END;
	return http1_say(step, HTTP1_BODY, in, n);
}

size_t http1_take_close(struct http1 *p, struct span in, struct http1_step *step)
{
	(void)p;
	return in.len ? http1_say(step, HTTP1_BODY, in, in.len) : 0;
}

static int hex_value(uint8_t c)
{
	if (http1_is_digit(c))
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
		return http1_is_blank(c);
	p->phase = PHASE_AFTER;
	return http1_is_blank(c) || c == '\r' || c == ';';
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
	return n ? http1_say(step, HTTP1_FRAMING, in, n) : 0;
}

size_t http1_take_chunk_size(struct http1 *p, struct span in, struct http1_step *step)
{
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.ptr[i];

		if (c == '\n' && p->phase != PHASE_BEFORE) {
			end_size_line(p, p->count == '\r');
			return http1_say(step, HTTP1_FRAMING, in, i + 1);
		}
		if (c == '\n' || !take_size_char(p, c))
			return break_chunk(p, step, in, i);
		p->count = c;
	}
	return in.len ? http1_say(step, HTTP1_FRAMING, in, in.len) : 0;
}

size_t http1_take_chunk_data(struct http1 *p, struct span in, struct http1_step *step)
{
	size_t n = (size_t)MIN((uint64_t)in.len, p->left);

	if (n == 0)
		return 0;
	p->left -= n;
	if (p->left == 0) {
		p->state = STATE_CHUNK_END;
		p->phase = PHASE_BEFORE;
	}
	return http1_say(step, HTTP1_BODY, in, n);
}

/* CRLF, or LF alone, behind the octets of a chunk */
size_t http1_take_chunk_end(struct http1 *p, struct span in, struct http1_step *step)
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

size_t http1_take_trailers(struct http1 *p, struct span in, struct http1_step *step)
{
	static const uint8_t cr = '\r';
	bool is_end = false;
	size_t n, lines;

	if (in.len == 0)
		return 0;
	if (p->line == LINE_BEGIN_CR && in.ptr[0] != '\n') {
		p->line = LINE_INSIDE; /* the CR held back began a line of its own */
		(void)http1_say(step, HTTP1_TRAILER, span_of(&cr, 1), 1);
		return 0;
	}
	n = http1_walk_lines(&p->line, in, &is_end);
	lines = n - is_end;
	if (is_end)
		p->state = STATE_END;
	if (lines && (is_end || p->line == LINE_BEGIN_CR) && in.ptr[lines - 1] == '\r')
		lines--; /* of the final empty line; or it may be */
	if (lines)
		(void)http1_say(step, HTTP1_TRAILER, in, lines);
	return n;
}

size_t http1_take_end(struct http1 *p, struct span in, struct http1_step *step)
{
	http1_begin_start(p);
	return http1_say(step, HTTP1_END, in, 0);
}

size_t http1_take_tunnel(struct http1 *p, struct span in, struct http1_step *step)
{
	(void)p;
	return in.len ? http1_say(step, HTTP1_TUNNEL, in, in.len) : 0;
}
