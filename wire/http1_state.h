// SPDX-License-Identifier: Apache-2.0
/*
 * http1_state.h - the states of struct http1, and the function of each; between wire/http1*.c
 *
 * http1.c drives them, http1_walk.c reads heads that come in parts and finds the next one after nonsense,
 * http1_body.c reads what follows a head. Thread: any.
 */
#pragma once

#include "wire/http1.h"
#include "wire/http1_start.h"

enum http1_state {
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
	STATE_END,    /* to be said */
	STATE_BROKEN, /* to be said */
	STATE_SKIP_LINE,
	STATE_SEARCH,
	STATE_TUNNEL,
	STATE_COUNT
};

enum http1_line { LINE_BEGIN, LINE_BEGIN_CR, LINE_INSIDE };

enum http1_start_phase { PHASE_METHOD, PHASE_REST, PHASE_STATUS };
enum http1_chunk_phase { PHASE_BEFORE, PHASE_DIGITS, PHASE_AFTER, PHASE_CR };

/* http1_take_*() - take bytes off the front of @in and maybe fill in @step. Return: how many were taken. */
typedef size_t http1_take_fn(struct http1 *p, struct span in, struct http1_step *step);
http1_take_fn http1_take_start_line;
http1_take_fn http1_take_head;
http1_take_fn http1_take_length;
http1_take_fn http1_take_close;
http1_take_fn http1_take_chunk_size;
http1_take_fn http1_take_chunk_data;
http1_take_fn http1_take_chunk_end;
http1_take_fn http1_take_trailers;
http1_take_fn http1_take_end;
http1_take_fn http1_take_tunnel;
http1_take_fn http1_take_broken;
http1_take_fn http1_take_skip_line;
http1_take_fn http1_take_search;

static inline size_t http1_say(struct http1_step *step, enum http1_step_kind kind, struct span in,
			       size_t n)
{
	step->kind = kind;
	step->bytes = (struct span){in.ptr, n};
	return n;
}

/* http1_say_head() - a part of the head, @n bytes of @in */
static inline size_t http1_say_head(struct http1 *p, struct http1_step *step,
				    enum http1_step_kind kind, struct span in, size_t n)
{
	step->is_begin = p->head_bytes == 0;
	step->is_resynced = p->skipped > 0;
	p->head_bytes = n > UINT32_MAX - p->head_bytes ? UINT32_MAX : p->head_bytes + (uint32_t)n;
	return http1_say(step, kind, in, n);
}

/* http1_begin_start() - a message may begin with the next byte */
static inline void http1_begin_start(struct http1 *p)
{
	p->state = STATE_START;
	p->is_strict = false;
	p->skipped = 0;
	p->head_bytes = 0;
}

/* http1_walk_lines() - walk lines until the empty one. Return: how many bytes; *@is_end_out when it was found */
size_t http1_walk_lines(uint8_t *line, struct span in, bool *is_end_out);
