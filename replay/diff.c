// SPDX-License-Identifier: Apache-2.0
#include "replay/diff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "replay/diff_add.h"
#include "replay/http2_answer.h"
#include "replay/json_diff.h"
#include "schema/content.h"

/*
 * Cheapest first: two answers that are equal cost a memcmp of their bodies and a walk over their
 * header lines; nothing is parsed. JSON is read only when both bodies look like JSON, are whole,
 * and differ in their bytes.
 *
 * When the status is of another class (500 that becomes 200), everything is expected to differ:
 * the status and a glimpse of both bodies are told, and no headers or paths.
 *
 * Bodies that differ in their bytes are compared without their content codings: a server may compress
 * anew, at another level, or not at all. Where a coding cannot be undone, both are compared as they
 * were on the wire, with a note.
 *
 * Bodies that are made of parts (gRPC, events) and WebSockets are compared part by part: message_diff.c, event_diff.c.
 *
 * What the recorder did not keep is not guessed. Of a body cut at body_max, or with a hole, the
 * kept beginning is compared; its size only where it is known.
 */

#define GLIMPSE_BEFORE 20 /* bytes shown before the first that differs */

static const char *const kind_names[] = {"status", "header", "json", "body", "message"};
static const char *const change_names[] = {"changed", "added", "removed"};
_Static_assert(COUNT_OF(kind_names) == DIFF_KIND_COUNT, "a kind without a name");
_Static_assert(COUNT_OF(change_names) == DIFF_CHANGE_COUNT, "a change without a name");

const char *diff_kind_name(unsigned kind)
{
	return kind < DIFF_KIND_COUNT ? kind_names[kind] : "?";
}

const char *diff_change_name(unsigned change)
{
	return change < DIFF_CHANGE_COUNT ? change_names[change] : "?";
}

void diff_fini(struct diff *d)
{
	for (size_t i = 0; i < COUNT_OF(d->scans); i++) {
		if (d->scans[i])
			json_scan_fini(d->scans[i]);
		free(d->scans[i]);
		buf_fini(&d->decoded[i]);
	}
	buf_fini(&d->text);
	*d = (struct diff){0};
}

static struct diff_at add_text(struct diff *d, struct span s)
{
	struct diff_at at = {(uint32_t)d->text.len, (uint32_t)MIN(s.len, (size_t)DIFF_VALUE_MAX)};

	buf_add(&d->text, s.ptr, at.len);
	if (d->text.is_failed)
		return (struct diff_at){0};
	return at;
}

void diff_add(struct diff *d, enum diff_kind kind, enum diff_change change, struct span where,
	      struct span recorded, struct span now)
{
	d->count++;
	if (!diff_has_room(d))
		return;
	d->items[d->kept++] = (struct diff_item){
		.kind = (uint8_t)kind,
		.change = (uint8_t)change,
		.message = d->message,
		.where = add_text(d, where),
		.recorded = add_text(d, recorded),
		.now = add_text(d, now),
	};
}

/* ---- status ---- */

static void put_status(char out[16], int status)
{
	(void)snprintf(out, 16, status < 0 ? "none" : "%d", status);
}

static void diff_status(struct diff *d, const char *name, int recorded, int now)
{
	char a[16], b[16];

	put_status(a, recorded);
	put_status(b, now);
	diff_add(d, DIFF_STATUS, DIFF_CHANGED, span_str(name), span_str(a), span_str(b));
}

/* Return: one of them is 0 and the other is not */
static bool diff_grpc_status(struct diff *d, const struct exchange *recorded,
			     const struct message *now)
{
	int was = recorded->has_grpc_status ? recorded->grpc_status : -1;
	int is = grpc_status_of(now);

	if (was == is)
		return false;
	diff_status(d, "grpc-status", was, is);
	return was == 0 || is == 0;
}

/* ---- bodies ---- */

static bool is_whole(const struct message *m)
{
	return (m->flags & MESSAGE_COMPLETE) &&
	       !(m->flags & (MESSAGE_BODY_CUT | MESSAGE_HAS_GAP)) && m->body.len == m->body_bytes;
}

static bool is_size_known(const struct message *m)
{
	return is_whole(m) || (m->flags & (MESSAGE_LENGTH_KNOWN | MESSAGE_COMPLETE));
}

static size_t first_difference(struct span a, struct span b)
{
	size_t n = MIN(a.len, b.len), i = 0;

	/* whole pages first: memcmp is an order of magnitude faster than this loop */
	while (n - i >= 4096 && memcmp(a.ptr + i, b.ptr + i, 4096) == 0)
		i += 4096;
	while (i < n && a.ptr[i] == b.ptr[i])
		i++;
	return i;
}

/* "1024 bytes, from 100: ...text" */
static void add_glimpse(struct buf *out, const struct message *m, size_t at)
{
	size_t from = at > GLIMPSE_BEFORE ? at - GLIMPSE_BEFORE : 0;
	struct span rest = span_from(m->body, from);

	buf_add_fmt(out, "%llu bytes", (unsigned long long)m->body_bytes);
	if (rest.len == 0)
		return;
	buf_add_str(out, ": ");
	if (from > 0)
		buf_add_fmt(out, "(byte %zu) ", from);
	rest.len = MIN(rest.len, (size_t)DIFF_VALUE_MAX);
	buf_add_span(out, rest);
}

/*
 * decode() - @m with the body that its reader had
 *
 * Of a body that was cut, what its beginning decodes to: its size is then not known.
 * Return: 0, or why not (@out is then @m as it was on the wire).
 */
static int decode(const struct message *m, struct buf *room, struct message *out)
{
	struct span body;
	int r = content_decode(m, room, &body, NULL);

	*out = *m;
	if (r == 0 || (r < 0 && r != -ENODATA))
		return r;
	out->body = body;
	out->body_bytes = body.len;
	out->flags &= ~(uint32_t)MESSAGE_LENGTH_KNOWN;
	if (r == -ENODATA)
		out->flags = (out->flags & ~(uint32_t)MESSAGE_COMPLETE) | MESSAGE_BODY_CUT;
	return 0;
}

/* both decoded, or both as on the wire */
static void decode_both(struct diff *d, const struct message *a, const struct message *b,
			struct message out[2])
{
	if (decode(a, &d->decoded[0], &out[0]) >= 0 && decode(b, &d->decoded[1], &out[1]) >= 0)
		return;
	d->notes |= DIFF_NOTE_NOT_DECODED;
	out[0] = *a;
	out[1] = *b;
}

static void report_decoded(struct diff *d, const struct message *a, const struct message *b,
			   size_t at)
{
	AUTO_BUF text_a = {0};
	AUTO_BUF text_b = {0};

	if (diff_has_room(d)) {
		add_glimpse(&text_a, a, at);
		add_glimpse(&text_b, b, at);
	}
	diff_add(d, d->message ? DIFF_MESSAGE : DIFF_BODY, DIFF_CHANGED,
		 d->message ? SPAN_LIT("message") : SPAN_LIT("body"), buf_span(&text_a),
		 buf_span(&text_b));
}

static void report_body(struct diff *d, const struct message *a, const struct message *b, size_t at)
{
	struct message both[2];

	decode_both(d, a, b, both);
	if (!span_eq(both[0].body, both[1].body))
		report_decoded(d, &both[0], &both[1], at);
}

static bool looks_like_json(const struct message *m)
{
	struct span s = m->body;

	while (s.len &&
	       (s.ptr[0] == ' ' || s.ptr[0] == '\t' || s.ptr[0] == '\r' || s.ptr[0] == '\n'))
		s = span_from(s, 1);
	if (s.len && (s.ptr[0] == '{' || s.ptr[0] == '['))
		return true;
	return m->content_type.len >= 4 && span_find(m->content_type, SPAN_LIT("json")) != NULL;
}

static struct json_scan *scan_of(struct diff *d, unsigned side, struct span body)
{
	if (!d->scans[side])
		d->scans[side] = calloc(1, sizeof(*d->scans[side]));
	return d->scans[side] && json_scan(d->scans[side], body) == 0 ? d->scans[side] : NULL;
}

/* Return: false when it must be done by bytes */
static bool diff_json(struct diff *d, const struct ignore *rules, const struct message *a,
		      const struct message *b)
{
	uint64_t count = d->count;
	unsigned kept = d->kept;
	const struct json_scan *scan_a, *scan_b;

	if (!looks_like_json(a) || !looks_like_json(b))
		return false;
	scan_a = scan_of(d, 0, a->body);
	scan_b = scan_a ? scan_of(d, 1, b->body) : NULL;
	if (scan_b && json_diff(d, rules, scan_a, scan_b) == 0)
		return true;
	d->notes |= DIFF_NOTE_NOT_JSON;
	d->count = count;
	d->kept = kept;
	return false;
}

void diff_contents(struct diff *d, const struct ignore *rules, const struct message *a,
		   const struct message *b)
{
	size_t at;

	if (is_whole(a) && is_whole(b)) {
		if (!span_eq(a->body, b->body) && !diff_json(d, rules, a, b))
			report_decoded(d, a, b, first_difference(a->body, b->body));
		return;
	}
	d->notes |= DIFF_NOTE_PREFIX;
	at = first_difference(a->body, b->body);
	if (at < MIN(a->body.len, b->body.len) ||
	    (is_size_known(a) && is_size_known(b) && a->body_bytes != b->body_bytes))
		report_decoded(d, a, b, at);
}

static bool are_events(const struct message *a, const struct message *b)
{
	struct span type = SPAN_LIT("text/event-stream");

	return span_istarts(a->content_type, type) && span_istarts(b->content_type, type);
}

static void diff_bodies(struct diff *d, const struct ignore *rules, const struct message *a,
			const struct message *b)
{
	struct message both[2];

	if (is_whole(a) && is_whole(b) && span_eq(a->body, b->body))
		return;
	decode_both(d, a, b, both);
	if (are_events(a, b))
		diff_events(d, rules, &both[0], &both[1]);
	else
		diff_contents(d, rules, &both[0], &both[1]);
}

void diff_answers(struct diff *d, const struct ignore *rules, const struct exchange *recorded,
		  uint16_t status, const struct message *now)
{
	const struct message *was = &recorded->response;
	bool has_body =
		!span_eq(recorded->method, SPAN_LIT("HEAD")) && status != 304 && status != 204;
	bool is_other_class = !ignore_status(rules) && recorded->status / 100 != status / 100;

	d->kept = 0;
	d->count = 0;
	d->notes = 0;
	d->message = 0;
	buf_clear(&d->text);
	if (recorded->status != status && !ignore_status(rules))
		diff_status(d, "status", recorded->status, status);
	if (recorded->protocol == PROTOCOL_GRPC && !ignore_status(rules) && !d->is_left)
		is_other_class |= diff_grpc_status(d, recorded, now);
	if (!(was->flags & MESSAGE_PRESENT) || was->head.len == 0 ||
	    (was->flags & MESSAGE_HEAD_CUT)) {
		d->notes |= DIFF_NOTE_NO_RECORD;
		return;
	}
	if (is_other_class) {
		if (!ignore_body(rules) && !span_eq(was->body, now->body))
			report_body(d, was, now, 0);
		return;
	}
	diff_headers(d, rules, recorded, now, has_body);
	if (has_body && !ignore_body(rules) && recorded->protocol == PROTOCOL_GRPC)
		diff_grpc(d, rules, recorded, now);
	else if (has_body && !ignore_body(rules))
		diff_bodies(d, rules, was, now);
}
