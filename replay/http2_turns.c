// SPDX-License-Identifier: Apache-2.0
#include "replay/http2_turns.h"

/*
 * The row that conversation_order() made has the client's messages, the server's, and where the client ended
 * its side (a close) or gave the call up (a close that is cut). Each message of the client lets so many
 * more bytes of the body go: the body's own prefixes say how many.
 *
 * Of what is no gRPC only the end has a turn: once as much of the body has come as was recorded.
 */

#define SILENCES_MAX 3

bool http2_turns_are_due(const struct item *item)
{
	return item->recorded->children.len > 0;
}

/* a request that had ended when the client gave the call up ends with its last message */
static bool ends_with_last(const struct http2_turns *t)
{
	return t->talk.next.kind == CHILD_WS_CLOSE && t->talk.next.is_cut && !t->talk.next.has_gap;
}

void http2_turns_begin(struct http2_turns *t, const struct item *item, struct span body,
		       const struct schedule_config *schedule)
{
	const struct exchange *x = item->recorded;

	*t = (struct http2_turns){
		.body = body,
		.is_grpc = x->protocol == PROTOCOL_GRPC,
		.bytes_wanted = x->response.body.len,
	};
	conversation_begin(&t->talk, x->children, x->start_ns, schedule);
	if (t->talk.next.kind == CHILD_WS_CLOSE)
		/* the first word is the end: all that it ends goes at once */
		t->allowed = body.len;
	t->may_end = ends_with_last(t);
}

bool http2_turns_heard(struct http2_turns *t, struct span bytes)
{
	uint64_t before = t->talk.come;

	if (t->is_grpc) {
		while (grpc_walk(&t->walker, &bytes))
			conversation_came(&t->talk);
	} else {
		t->bytes += bytes.len;
		if (before == 0 && t->bytes >= t->bytes_wanted)
			conversation_came(&t->talk);
	}
	if (t->talk.come == before)
		return false;
	t->silences = 0;
	return t->talk.come <= t->talk.expected;
}

/* the next message of the body may go */
static void allow_message(struct http2_turns *t)
{
	struct span rest = span_from(t->body, t->allowed);
	struct grpc_message m;

	t->allowed = grpc_next(&rest, &m) ? t->body.len - rest.len : t->body.len;
}

static void take(struct http2_turns *t)
{
	const struct child *word = &t->talk.next;

	if (word->kind != CHILD_WS_CLOSE) {
		allow_message(t);
	} else if (word->is_cut) {
		t->is_given_up = true;
	} else {
		t->allowed = t->body.len;
		t->may_end = true;
	}
	conversation_next(&t->talk);
	t->may_end |= ends_with_last(t);
}

bool http2_turns_go(struct http2_turns *t, uint64_t now_ns, uint64_t *wake_ns_out)
{
	bool has_moved = false;

	if (!t->has_begun)
		t->begin_ns = now_ns;
	t->has_begun = true;
	*wake_ns_out = 0;
	for (;;) {
		switch (conversation_ask(&t->talk, now_ns - MIN(now_ns, t->begin_ns))) {
		case TURN_AWAITS_TIME: *wake_ns_out = t->begin_ns + t->talk.at_ns; return has_moved;
		case TURN_AWAITS_SERVER:
		case TURN_LAST_WAS: return has_moved;
		case TURN_NOW: break;
		}
		take(t);
		has_moved = true;
	}
}

bool http2_turns_late(struct http2_turns *t, uint64_t now_ns)
{
	enum turn_state state = conversation_ask(&t->talk, now_ns - MIN(now_ns, t->begin_ns));

	if (state == TURN_AWAITS_TIME)
		return true; /* nothing but the time */
	if (state != TURN_AWAITS_SERVER || ++t->silences >= SILENCES_MAX)
		return false;
	conversation_give_up(&t->talk);
	return true;
}
