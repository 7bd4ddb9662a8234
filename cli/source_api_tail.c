// SPDX-License-Identifier: Apache-2.0
#include "cli/source_api.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "cli/rest_lines.h"
#include "lib/id.h"
#include "lib/json_field.h"

/*
 * Theory of operation. The stream is server-sent events (WHATWG HTML 9.2): lines, an empty one ends
 * an event; after a break it goes on behind the last id seen.
 */
/* One server-sent event as far as it has come. */
struct event {
	struct api_receiver rc;
	struct buf data;
	char id[ID_TEXT_LEN + 1];
	bool is_exchange, is_lost;
};

static bool field_is(struct span line, const char *name, struct span *value_out)
{
	size_t n = strlen(name);

	if (line.len <= n || memcmp(line.ptr, name, n) != 0 || line.ptr[n] != ':')
		return false;
	*value_out = span_from(line, n + 1);
	if (value_out->len && value_out->ptr[0] == ' ')
		*value_out = span_from(*value_out, 1);
	return true;
}

/* the daemon could not keep us up to date, or no longer knows where we were */
static void note_lost(struct event *ev)
{
	json_t *root = json_loadb((const char *)ev->data.ptr, ev->data.len, 0, NULL);
	uint64_t count = json_field_u64(root, "count");

	json_decref(root);
	if (count)
		cli_note("(%llu exchanges came too fast to be shown; `tapeloop ls` has them)",
			 (unsigned long long)count);
	else
		cli_note("(some exchanges were not shown; `tapeloop ls` has them)");
}

static int end_event(struct event *ev)
{
	int r = ev->is_exchange && ev->data.len ? api_receive(&ev->rc, buf_span(&ev->data)) : 0;

	if (ev->is_lost)
		note_lost(ev);
	buf_clear(&ev->data);
	ev->is_exchange = ev->is_lost = false;
	return r;
}

static int on_event_line(void *ctx, struct span line)
{
	struct event *ev = ctx;
	struct span v;

	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (line.len == 0)
		return end_event(ev);
	if (field_is(line, "data", &v))
		buf_add_span(&ev->data, v);
	else if (field_is(line, "event", &v))
		ev->is_exchange = span_eq(v, SPAN_LIT("exchange")),
		ev->is_lost = span_eq(v, SPAN_LIT("lost"));
	else if (field_is(line, "id", &v) && v.len == ID_TEXT_LEN)
		(void)snprintf(ev->id, sizeof(ev->id), "%.*s", (int)v.len, (const char *)v.ptr);
	return 0;
}

static bool is_worth_another_try(int r)
{
	return r == 0 || r == -ECONNREFUSED || r == -EIO || r == -EAGAIN;
}

int api_stream(struct source *s, const char *filter, reader_exchange_fn *fn, void *ctx,
	       struct err *e)
{
	struct event ev = {.rc = {.fn = fn, .ctx = ctx, .e = e}};
	struct rest_lines lines = {.fn = on_event_line, .ctx = &ev};
	AUTO_BUF path = {0};
	bool has_answered = false, was_told = false;
	int r;

	buf_add_str(&path, "/api/v1/stream");
	api_add_namespace(&path, s);
	if (filter && filter[0])
		rest_add_param(&path, "filter", filter);
	for (;;) {
		r = rest_get(rest_of(s),
			     &(struct rest_get){.path = buf_cstr(&path),
						.accept = "text/event-stream",
						.last_event = ev.id,
						.is_stream = true,
						.fn = rest_on_lines,
						.ctx = &lines},
			     e);
		buf_clear(&lines.rest);
		buf_clear(&ev.data);
		if (rest_status(rest_of(s)) == 200)
			has_answered = true, was_told = was_told && r == -ECONNREFUSED;
		if (!has_answered || !is_worth_another_try(r) || cli_is_interrupted())
			break;
		if (!was_told)
			cli_note("The daemon is gone; waiting for it to come back.");
		was_told = true;
		(void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	}
	buf_fini(&lines.rest);
	buf_fini(&ev.data);
	return r < 0 && r != -ECANCELED ? api_failed(r, e) : 0;
}
