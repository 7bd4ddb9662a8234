// SPDX-License-Identifier: Apache-2.0
#include "replay/diff_add.h"
#include "wire/sse.h"

/*
 * A text/event-stream (HTML Living Standard 9.2) is compared as its reader has it: event by event, each by its type, its
 * id, and its data, JSON by structure. Comments, which keep connections alive, and the time to wait before a new try
 * are not part of it; neither is an event whose empty line has not come.
 */

struct event {
	struct span type, id;
	struct buf data;
	bool is_heard; /* it has data: a reader is told of it */
};

struct stream {
	struct span rest;
	struct event event;
};

static struct span line_of(struct span *rest)
{
	size_t n = 0;
	struct span line;

	while (n < rest->len && rest->ptr[n] != '\n' && rest->ptr[n] != '\r')
		n++;
	line = span_of(rest->ptr, n);
	n += n + 1 < rest->len && rest->ptr[n] == '\r' && rest->ptr[n + 1] == '\n' ? 2 : 1;
	*rest = span_from(*rest, n);
	return line;
}

static void take_line(struct event *e, struct span line)
{
	const uint8_t *colon = span_chr(line, ':');
	struct span name = colon ? span_of(line.ptr, (size_t)(colon - line.ptr)) : line;
	struct span value = colon ? span_from(line, name.len + 1) : (struct span){0};

	if (value.len && value.ptr[0] == ' ')
		value = span_from(value, 1);
	if (span_eq(name, SPAN_LIT("event"))) {
		e->type = value;
	} else if (span_eq(name, SPAN_LIT("id"))) {
		e->id = value;
	} else if (span_eq(name, SPAN_LIT("data"))) {
		if (e->is_heard)
			buf_add_char(&e->data, '\n');
		buf_add_span(&e->data, value);
		e->is_heard = true;
	}
}

static void read_event(struct event *e, struct span lines)
{
	buf_clear(&e->data);
	e->type = e->id = (struct span){0};
	e->is_heard = false;
	while (lines.len)
		take_line(e, line_of(&lines));
}

/* the next event that a reader is told of. Return: false at the end */
static bool next_event(struct stream *s)
{
	struct sse_walker walker = {0};
	struct span piece;

	while (s->rest.len && sse_walk(&walker, &s->rest, &piece)) {
		read_event(&s->event, piece);
		if (s->event.is_heard)
			return true;
	}
	return false;
}

static void diff_field(struct diff *d, const char *name, struct span a, struct span b)
{
	enum diff_change change = !a.len ? DIFF_ADDED : !b.len ? DIFF_REMOVED : DIFF_CHANGED;

	if (!span_eq(a, b))
		diff_add(d, DIFF_MESSAGE, change, span_str(name), a, b);
}

static void diff_event(struct diff *d, const struct ignore *rules, const struct event *a,
		       const struct event *b)
{
	diff_field(d, "event", a->type, b->type);
	if (!ignore_event_id(rules))
		diff_field(d, "id", a->id, b->id);
	diff_texts(d, rules, buf_span(&a->data), buf_span(&b->data), true);
}

static bool is_whole(const struct message *m)
{
	return (m->flags & MESSAGE_COMPLETE) && !(m->flags & (MESSAGE_BODY_CUT | MESSAGE_HAS_GAP));
}

static void diff_streams(struct diff *d, const struct ignore *rules, struct stream *a,
			 struct stream *b, bool a_is_whole, bool b_is_whole)
{
	struct span none = {0};

	for (d->message = 1;; d->message++) {
		bool has_a = next_event(a), has_b = next_event(b);

		if (has_a && has_b)
			diff_event(d, rules, &a->event, &b->event);
		else if (has_a && b_is_whole)
			diff_add(d, DIFF_MESSAGE, DIFF_REMOVED, SPAN_LIT("message"),
				 buf_span(&a->event.data), none);
		else if (has_b && a_is_whole)
			diff_add(d, DIFF_MESSAGE, DIFF_ADDED, SPAN_LIT("message"), none,
				 buf_span(&b->event.data));
		else if (!has_a && !has_b)
			break;
	}
	d->message = 0;
	if (!a_is_whole || !b_is_whole)
		d->notes |= DIFF_NOTE_PREFIX;
}

void diff_events(struct diff *d, const struct ignore *rules, const struct message *recorded,
		 const struct message *now)
{
	struct stream a = {.rest = recorded->body}, b = {.rest = now->body};

	diff_streams(d, rules, &a, &b, is_whole(recorded), is_whole(now));
	buf_fini(&a.event.data);
	buf_fini(&b.event.data);
}
