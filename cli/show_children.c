// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * What followed the response, one line each: when after the request, from whom (> client, <
 * server), its kind, its size as its reader had it, and its payload as far as it fits on the line.
 *
 * Compressed WebSocket messages refer to those before them, so all are read in order from the
 * first. Events are not kept a second time: they stand in the response's body, one after another.
 */
#include "cli/show.h"

#include <errno.h>
#include <stdio.h>

#include "cli/plain.h"
#include "cli/view.h"
#include "cli/when.h"
#include "schema/child.h"
#include "schema/wsdeflate.h"

#define CHILDREN_SHOWN_MAX 1000
#define PAYLOAD_COLUMNS	   100
#define PAYLOAD_HEX	   16	     /* bytes of one that is no text */
#define PAYLOAD_BYTES_MAX  (1 << 20) /* what a compressed one may become */

/* A row of children being shown. */
struct listing {
	struct show *show;
	const struct exchange *x;
	struct wsdeflate *deflate;
	struct buf room;
	struct span events; /* what is left of the response's body */
	bool is_any_cut;    /* some payload did not fit on its line */
};

bool show_has_events(const struct exchange *x)
{
	struct span row = x->children;
	struct child c;

	/* events stand in the body, or with a content coding have their text themselves */
	return x->protocol != PROTOCOL_WEBSOCKET && child_next(&row, &c) == 1 &&
	       c.kind == CHILD_SSE &&
	       (c.payload.len || !message_header(&x->response, "Content-Encoding").ptr);
}

static void add_close(struct buf *out, unsigned code, struct span reason)
{
	const char *name = child_close_name(code);

	buf_add_fmt(out, "%u %s", code, name ? name : "(not registered)");
	if (reason.len) {
		buf_add_str(out, ": ");
		(void)plain_add(out, reason, PAYLOAD_COLUMNS);
	}
}

void show_children_facts(struct show *s, const struct exchange *x)
{
	if (x->protocol != PROTOCOL_WEBSOCKET) {
		if (exchange_messages(x, PROTOCOL_HTTP1, 1)) {
			show_key(s, "events");
			buf_add_fmt(&s->out, "%llu\n", (unsigned long long)x->messages[1]);
		}
		return;
	}
	show_key(s, "websocket");
	buf_add_fmt(&s->out, "%llu message%s sent, %llu received; ",
		    (unsigned long long)x->messages[0], x->messages[0] == 1 ? "" : "s",
		    (unsigned long long)x->messages[1]);
	if (x->close_code) {
		buf_add_str(&s->out, "closed ");
		add_close(&s->out, x->close_code, (struct span){0});
	} else {
		buf_add_str(&s->out,
			    x->reason == REASON_ONGOING ? "it goes on" : "its end was not seen");
	}
	buf_add_char(&s->out, '\n');
}

/* plain_add() had more than fits */
static bool ends_cut(struct span s)
{
	struct span ellipsis = SPAN_LIT("\xe2\x80\xa6");

	return s.len >= ellipsis.len && span_eq(span_from(s, s.len - ellipsis.len), ellipsis);
}

/* the lines of a text on one */
static void add_flat(struct listing *l, struct span s)
{
	struct span part = {s.ptr, MIN(s.len, (size_t)PAYLOAD_COLUMNS * 4)};
	AUTO_BUF flat = {0};
	size_t at;

	for (size_t i = 0; i < part.len; i++) {
		uint8_t c = part.ptr[i];

		if (c == '\r' && i + 1 < part.len && part.ptr[i + 1] == '\n')
			continue;
		buf_add_char(&flat, c == '\n' || c == '\t' || c == '\r' ? ' ' : (char)c);
	}
	at = l->show->out.len;
	(void)plain_add(&l->show->out, buf_span(&flat), PAYLOAD_COLUMNS);
	l->is_any_cut |= part.len < s.len || ends_cut(span_from(buf_span(&l->show->out), at));
}

static void add_hex(struct listing *l, struct span s)
{
	for (size_t i = 0; i < MIN(s.len, (size_t)PAYLOAD_HEX); i++)
		buf_add_fmt(&l->show->out, "%s%02x", i ? " " : "", s.ptr[i]);
	if (s.len > PAYLOAD_HEX) {
		buf_add_str(&l->show->out, " ...");
		l->is_any_cut = true;
	}
}

static struct span without_line_ends(struct span s)
{
	while (s.len && (s.ptr[s.len - 1] == '\n' || s.ptr[s.len - 1] == '\r'))
		s.len--;
	return s;
}

static void add_payload(struct listing *l, const struct child *c, struct span text)
{
	if (c->kind == CHILD_WS_CLOSE)
		add_close(&l->show->out, child_close_code(c), span_from(c->payload, 2));
	else if (c->kind == CHILD_SSE)
		add_flat(l, without_line_ends(text));
	else if (show_is_text(text))
		add_flat(l, text);
	else
		add_hex(l, text);
}

/* Return: what its reader had; *why_out says why it is not all of it */
static struct span payload_of(struct listing *l, const struct child *c, struct err *why_out)
{
	struct span text = c->payload;

	if (c->kind == CHILD_SSE && c->payload.len) {
		if (c->is_cut)
			(void)err_set(why_out, -ENODATA, "the first %zu bytes were kept", text.len);
	} else if (c->kind == CHILD_SSE) {
		text = span_of(l->events.ptr, (size_t)MIN((uint64_t)l->events.len, c->bytes));
		l->events = span_from(l->events, text.len);
		if (text.len < c->bytes)
			(void)err_set(why_out, -ENODATA, "beyond what was kept of the body");
	} else if (wsdeflate_read(l->deflate, c, PAYLOAD_BYTES_MAX, &l->room, &text, why_out) ==
		   0) {
		if (c->is_cut)
			(void)err_set(why_out, -ENODATA, "the first %zu bytes were kept", text.len);
		else if (c->has_gap)
			(void)err_set(why_out, -ENODATA, "bytes of it are missing");
	}
	return text;
}

static void add_time(struct listing *l, const struct child *c)
{
	AUTO_BUF text = {0};
	uint64_t from = l->x->start_ns;

	buf_add_char(&text, '+');
	when_duration(&text, c->time_ns > from ? c->time_ns - from : 0);
	buf_add_fmt(&l->show->out, "  %8s ", buf_cstr(&text));
}

static void add_size(struct listing *l, const struct child *c, struct span text, bool is_whole)
{
	AUTO_BUF size = {0};

	view_size(&size, c->is_compressed && is_whole ? text.len : c->bytes);
	buf_add_fmt(&l->show->out, " %-6s %5s  ", child_kind_name(c->kind), buf_cstr(&size));
}

static void show_child(struct listing *l, const struct child *c)
{
	struct show *s = l->show;
	struct err why = {0};
	struct span text = payload_of(l, c, &why);

	add_time(l, c);
	screen_begin(&s->screen, &s->out, STYLE_CYAN);
	buf_add_char(&s->out, c->is_from_server ? '<' : '>');
	screen_end(&s->screen, &s->out, STYLE_CYAN);
	add_size(l, c, text, why.code == 0);
	add_payload(l, c, text);
	if (why.code) {
		screen_begin(&s->screen, &s->out, STYLE_DIM);
		buf_add_fmt(&s->out, "  (%s)", why.why);
		screen_end(&s->screen, &s->out, STYLE_DIM);
	}
	buf_add_char(&s->out, '\n');
}

static void show_row(struct listing *l)
{
	struct span row = l->x->children;
	struct child c;
	uint64_t shown = 0, more = 0;
	int r;

	while ((r = child_next(&row, &c)) == 1) {
		if (shown == CHILDREN_SHOWN_MAX || show_is_full(l->show)) {
			more++;
			continue;
		}
		show_child(l, &c);
		shown++;
	}
	if (r < 0)
		show_remark(l->show, "the rest of the row is damaged");
	if (more)
		show_remark(l->show, "%llu more: --as json has them all", (unsigned long long)more);
	else if (l->is_any_cut)
		show_remark(l->show,
			    "some are longer than their line: --as json has what was kept");
}

void show_children(struct show *s, const struct exchange *x)
{
	struct listing l = {.show = s, .x = x, .events = x->response.body};
	AUTO(wsdeflate) deflate = NULL;

	if (x->children.len == 0 || (x->protocol != PROTOCOL_WEBSOCKET && !show_has_events(x)))
		return;
	buf_add_char(&s->out, '\n');
	deflate = wsdeflate_new(x);
	if (!deflate) {
		show_remark(s, "out of memory");
		return;
	}
	l.deflate = deflate;
	show_row(&l);
	buf_fini(&l.room);
}
