// SPDX-License-Identifier: Apache-2.0
#include "replay/request.h"

#include <errno.h>

#include "lib/id.h"
#include "replay/ws_handshake.h"
#include "schema/message.h"

/*
 * The head is written line by line as it was, each line looked at only when there is something to
 * change; the body with its chunk lines comes from schema/message.h. Line ends of what is added
 * are those of the start line, so that a head with bare LF stays one.
 *
 * Content-Length and Transfer-Encoding cannot be set or deleted: the body is sent as recorded, and
 * a head that lies about it would make the target wait, or read the rest as another request.
 */

static const char *const fixed_headers[] = {"content-length", "transfer-encoding",
					    "tapeloop-replay"};

static bool is_token(struct span s)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i], low = c | 0x20;

		if (!((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') ||
		      (c && strchr(marks, c))))
			return false;
	}
	return s.len > 0;
}

static bool has_controls(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.ptr[i] < 0x20 && s.ptr[i] != '\t') || s.ptr[i] == 0x7F)
			return true;
	return false;
}

static int check_name(struct span name, const char *text, struct err *e)
{
	if (!is_token(name))
		return err_set(e, -EINVAL, "header %s: no name of a header", text);
	for (size_t i = 0; i < COUNT_OF(fixed_headers); i++)
		if (span_ieq(name, span_str(fixed_headers[i])))
			return err_set(
				e, -EINVAL,
				"header %s: it cannot be changed, the body is sent as recorded",
				text);
	return 0;
}

static int check_count(size_t count, const char *text, struct err *e)
{
	if (count == REQUEST_EDITS_MAX)
		return err_set(e, -E2BIG, "%s: at most %d changes of one kind", text,
			       REQUEST_EDITS_MAX);
	return 0;
}

int request_set_header(struct request_edits *edits, const char *text, struct err *e)
{
	const char *colon = strchr(text, ':');
	struct request_edit edit;
	int r = check_count(edits->set_count, text, e);

	if (r < 0)
		return r;
	if (!colon)
		return err_set(e, -EINVAL, "header %s: expected 'NAME: VALUE'", text);
	edit.name = span_of(text, (size_t)(colon - text));
	edit.value = span_trim(span_str(colon + 1));
	if (has_controls(edit.value))
		return err_set(e, -EINVAL, "header %.*s: a value of one line without controls",
			       (int)edit.name.len, text);
	r = check_name(edit.name, text, e);
	if (r == 0)
		edits->set[edits->set_count++] = edit;
	return r;
}

int request_del_header(struct request_edits *edits, const char *text, struct err *e)
{
	int r = check_count(edits->del_count, text, e);

	if (r == 0)
		r = check_name(span_str(text), text, e);
	if (r == 0)
		edits->del[edits->del_count++] = (struct request_edit){.name = span_str(text)};
	return r;
}

int request_rewrite_path(struct request_edits *edits, const char *text, struct err *e)
{
	const char *eq = strchr(text, '=');
	struct request_edit edit;
	int r = check_count(edits->path_count, text, e);

	if (r < 0)
		return r;
	if (!eq || text[0] != '/' || eq[1] != '/' || strpbrk(text, " ?#") ||
	    has_controls(span_str(text)))
		return err_set(
			e, -EINVAL,
			"path %s: expected /FROM=/TO, two beginnings of paths (no patterns yet)",
			text);
	edit.name = span_of(text, (size_t)(eq - text));
	edit.value = span_str(eq + 1);
	edits->path[edits->path_count++] = edit;
	return 0;
}

/* ---- the start line ---- */

/* "http://host" at the beginning of an absolute-form target (RFC 9112 3.2.2); 0: it is none */
static size_t authority_bytes(struct span target)
{
	const uint8_t *colon = span_chr(target, ':');
	struct span rest;
	size_t at;

	if (!colon || target.ptr[0] == '/' || target.len < (size_t)(colon - target.ptr) + 3 ||
	    colon[1] != '/' || colon[2] != '/')
		return 0;
	at = (size_t)(colon - target.ptr) + 3;
	rest = span_from(target, at);
	while (rest.len && rest.ptr[0] != '/' && rest.ptr[0] != '?')
		rest = span_from(rest, 1);
	return target.len - rest.len;
}

static void write_path(struct buf *out, struct span path, const struct request_edits *edits)
{
	for (size_t i = 0; i < edits->path_count; i++) {
		struct span from = edits->path[i].name;

		if (path.len >= from.len && memcmp(path.ptr, from.ptr, from.len) == 0) {
			buf_add_span(out, edits->path[i].value);
			buf_add_span(out, span_from(path, from.len));
			return;
		}
	}
	buf_add_span(out, path);
}

static void write_target(struct buf *out, struct span target, const struct request_edits *edits,
			 struct span host)
{
	size_t n = authority_bytes(target);

	if (n && host.ptr) {
		const uint8_t *colon = span_chr(target, ':');

		buf_add(out, target.ptr, (size_t)(colon - target.ptr) + 3);
		buf_add_span(out, host);
	} else {
		buf_add(out, target.ptr, n);
	}
	write_path(out, span_from(target, n), edits);
}

/* method SP target SP version, blanks and line end as they were */
static void write_start_line(struct buf *out, struct span line, const struct request_edits *edits,
			     struct span host)
{
	const uint8_t *from = span_chr(line, ' ');
	const uint8_t *to = from ? memrchr(line.ptr, ' ', line.len) : NULL;

	while (from && from < to && *from == ' ')
		from++;
	while (to && to > from && to[-1] == ' ')
		to--;
	if (!from || to <= from) {
		buf_add_span(out, line);
		return;
	}
	buf_add(out, line.ptr, (size_t)(from - line.ptr));
	write_target(out, span_of(from, (size_t)(to - from)), edits, host);
	buf_add_span(out, span_from(line, (size_t)(to - line.ptr)));
}

/* ---- the header lines ---- */

struct head_writer {
	struct buf *out;
	const struct request_edits *edits;
	struct span host; /* ptr NULL: it stays */
	bool is_tls;	  /* of the target: what HTTP/2 calls :scheme */
	bool is_websocket;
	const char *line_end;
	bool is_set[REQUEST_EDITS_MAX]; /* set[i] is written */
};

static void write_header(struct head_writer *w, struct span name, struct span value)
{
	buf_add_span(w->out, name);
	buf_add_str(w->out, ": ");
	buf_add_span(w->out, value);
	buf_add_str(w->out, w->line_end);
}

static bool is_deleted(const struct request_edits *edits, struct span name)
{
	for (size_t i = 0; i < edits->del_count; i++)
		if (span_ieq(edits->del[i].name, name))
			return true;
	return span_ieq(name, SPAN_LIT(REPLAY_HEADER));
}

/* HTTP/2 has :authority in its place (RFC 9113 8.3.1) */
static bool is_host(struct span name)
{
	return span_ieq(name, SPAN_LIT("host")) || span_eq(name, SPAN_LIT(":authority"));
}

static bool is_set_by(const struct request_edit *set, struct span name)
{
	return span_ieq(set->name, name) || (is_host(set->name) && is_host(name));
}

/* a key of our own, and no extension that nobody here speaks. Return: false when the line is another */
static bool write_websocket_line(struct head_writer *w, const struct header_iter *it)
{
	char key[WS_KEY_BYTES + 1] = "";
	AUTO_BUF offer = {0};

	if (span_ieq(it->name, SPAN_LIT("Sec-WebSocket-Key"))) {
		w->out->is_failed |= !ws_new_key(key);
		write_header(w, it->name, span_str(key));
		return true;
	}
	if (!span_ieq(it->name, SPAN_LIT("Sec-WebSocket-Extensions")))
		return false;
	ws_offer(it->value, &offer);
	if (offer.len)
		write_header(w, it->name, buf_span(&offer));
	w->out->is_failed |= offer.is_failed;
	return true;
}

static void write_line(struct head_writer *w, const struct header_iter *it)
{
	const struct request_edits *edits = w->edits;

	if (w->is_websocket && write_websocket_line(w, it))
		return;
	for (size_t i = 0; i < edits->set_count; i++) {
		if (!is_set_by(&edits->set[i], it->name))
			continue;
		if (!w->is_set[i])
			write_header(w, it->name.ptr[0] == ':' ? it->name : edits->set[i].name,
				     edits->set[i].value);
		w->is_set[i] = true;
		return;
	}
	if (is_deleted(edits, it->name))
		return;
	if (w->host.ptr && is_host(it->name))
		write_header(w, it->name, w->host);
	else if (w->is_tls && span_eq(it->name, SPAN_LIT(":scheme")))
		write_header(w, it->name, SPAN_LIT("https"));
	else
		buf_add_span(w->out, it->line);
}

static void write_changed_head(struct head_writer *w, struct span head)
{
	struct header_iter it = {.rest = head};
	const uint8_t *nl = span_chr(head, '\n');

	write_start_line(w->out, span_of(head.ptr, nl ? (size_t)(nl - head.ptr) + 1 : head.len),
			 w->edits, w->host);
	while (header_next(&it))
		write_line(w, &it);
	for (size_t i = 0; i < w->edits->set_count; i++)
		if (!w->is_set[i])
			write_header(w, w->edits->set[i].name, w->edits->set[i].value);
}

static bool has_edits(const struct head_writer *w, const struct exchange *x)
{
	const struct request_edits *edits = w->edits;

	return edits->set_count || edits->del_count || edits->path_count ||
	       edits->has_target_host || x->replay_of.len || w->is_websocket ||
	       (w->is_tls && x->stream);
}

/* the head without its last, empty line */
static struct span without_empty_line(struct span head)
{
	if (head.len && head.ptr[head.len - 1] == '\n')
		head.len--;
	if (head.len && head.ptr[head.len - 1] == '\r')
		head.len--;
	return head;
}

static void write_mark(struct buf *out, const char *run, uint64_t id, const char *line_end)
{
	char text[ID_TEXT_LEN + 1];

	buf_add_str(out, REPLAY_HEADER ": ");
	buf_add_str(out, run);
	buf_add_char(out, '/');
	buf_add_str(out, id_format(id, text));
	buf_add_str(out, line_end);
	buf_add_str(out, line_end);
}

void request_write_head(struct buf *out, const struct exchange *x, const char *run,
			const struct request_edits *edits, const struct target *target)
{
	struct span head = x->request.head;
	const uint8_t *nl = span_chr(head, '\n');
	bool is_bare = nl && (nl == head.ptr || nl[-1] != '\r');
	struct head_writer w = {
		.out = out,
		.edits = edits,
		.host = edits->has_target_host ? span_str(target->authority) : (struct span){0},
		.is_tls = target->is_tls,
		.is_websocket = x->protocol == PROTOCOL_WEBSOCKET,
		.line_end = is_bare ? "\n" : "\r\n",
	};

	if (has_edits(&w, x))
		write_changed_head(&w, head);
	else
		buf_add_span(out, without_empty_line(head));
	write_mark(out, run, x->id, w.line_end);
}

bool request_write(struct buf *out, const struct exchange *x, const char *run,
		   const struct request_edits *edits, const struct target *target)
{
	struct message rest = x->request;

	request_write_head(out, x, run, edits, target);
	rest.head = (struct span){0};
	return message_write(&rest, out);
}

bool request_is_ambiguous(const struct exchange *x)
{
	return (x->anomalies & (ANOMALY_BIT(CL_AND_TE) | ANOMALY_BIT(CL_CONFLICT) |
				ANOMALY_BIT(CL_INVALID) | ANOMALY_BIT(TE_UNKNOWN) |
				ANOMALY_BIT(BAD_CHUNK) | ANOMALY_BIT(DUPLICATE_HOST))) != 0;
}
