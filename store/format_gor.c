// SPDX-License-Identifier: Apache-2.0
#include "store/format_gor.h"

#include "store/format_http1.h"
#include "store/format_kind.h"

/*
 * Theory of operation. A .gor file is a list of payloads:
 *
 *	1 000000000000187c0d2b8a5c 1764000000000000000 1200 LF     type, id, first byte [ns],
 *duration [ns] the message's bytes LF 🐵🙈🙉 LF
 *
 * A request (1) and its response (2) have the same id. The answer that a replay got is of type 3:
 *so are the responses of exchanges that carry Tapeloop-Replay. A message that holds the separator
 *would end there: such an exchange is left out, and counted.
 */

/* Return: false when the payload would tear the file; nothing is then added */
static bool put(struct buf *out, const struct exchange *x, enum gor_type type)
{
	const struct message *m = type == GOR_REQUEST ? &x->request : &x->response;
	uint64_t last_ns = MAX(m->last_ns, m->first_ns);
	size_t before = out->len, head;

	buf_add_fmt(out, "%c %024llx %llu %llu\n", type, (unsigned long long)x->id,
		    (unsigned long long)m->first_ns, (unsigned long long)(last_ns - m->first_ns));
	head = out->len - 1; /* an empty line before a body is no separator, a line end in the head
				may begin one */
	format_http1_write(m, type == GOR_REQUEST, out);
	if (!out->is_failed &&
	    memmem(out->ptr + head, out->len - head, GOR_SEPARATOR, sizeof(GOR_SEPARATOR) - 1)) {
		out->len = before;
		return false;
	}
	buf_add_str(out, GOR_SEPARATOR);
	return true;
}

static void note_losses(struct format_writer *w, const struct exchange *x)
{
	if (!(x->response.flags & MESSAGE_PRESENT))
		format_lose(w, FORMAT_LOSS_NO_RESPONSE);
	if (x->request.version == 20 || x->response.version == 20)
		format_lose(w, FORMAT_LOSS_HTTP2_AS_HTTP1);
	if (x->protocol == PROTOCOL_WEBSOCKET && x->children.len)
		format_lose(w, FORMAT_LOSS_CHILDREN);
	if ((x->request.flags | x->response.flags) & MESSAGE_BODY_CUT)
		format_lose(w, FORMAT_LOSS_BODY_CUT);
}

static bool add(struct format_writer *w, const struct exchange *x, struct buf *out)
{
	bool has_request = x->request.flags & MESSAGE_PRESENT,
	     has_response = x->response.flags & MESSAGE_PRESENT;
	enum gor_type answer = x->replay_of.len ? GOR_REPLAYED : GOR_RESPONSE;
	size_t before = out->len;

	if (!has_request && !has_response)
		return false;
	if ((has_request && !put(out, x, GOR_REQUEST)) || (has_response && !put(out, x, answer))) {
		out->len = before;
		format_lose(w, FORMAT_LOSS_SEPARATOR);
		return false;
	}
	note_losses(w, x);
	return true;
}

const struct format_kind format_kind_gor = {.wants_messages = true, .add = add};
