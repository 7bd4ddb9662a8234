// SPDX-License-Identifier: Apache-2.0
#include "wire/sse.h"

/* A line has ended. Return: true when it was empty and so ends an event. */
static bool end_line(struct sse_walker *w)
{
	bool is_end = !w->is_in_line && w->is_in_event;

	if (w->is_in_line && !w->is_comment)
		w->is_in_event = true;
	if (is_end)
		w->is_in_event = false;
	w->is_in_line = w->is_comment = false;
	return is_end;
}

static void take_char(struct sse_walker *w, uint8_t c)
{
	if (!w->is_in_line)
		w->is_comment = c == ':';
	w->is_in_line = true;
}

/* Return: true when @c ends an event. */
static bool take_byte(struct sse_walker *w, uint8_t c)
{
	bool had_cr = w->has_cr;

	w->has_cr = c == '\r';
	if (c == '\n' && had_cr)
		return false; /* the second half of a line end */
	if (c == '\n' || c == '\r')
		return end_line(w);
	take_char(w, c);
	return false;
}

bool sse_walk(struct sse_walker *w, struct span *bytes, struct span *piece_out)
{
	bool is_end = false;
	size_t n = 0;

	while (n < bytes->len && !is_end)
		is_end = take_byte(w, bytes->ptr[n++]);
	*piece_out = (struct span){bytes->ptr, n};
	*bytes = span_from(*bytes, n);
	return is_end;
}
