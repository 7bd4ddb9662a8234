// SPDX-License-Identifier: Apache-2.0
#include "replay/conversation.h"

#include "schema/wsdeflate.h"

/*
 * The row is walked once, with a finger on the client's next word. Messages of the server that lie before it
 * are counted: so many must have come before it is said. Times go through the same schedule as requests do
 * (speed, longest silence), over all children, so that silences of both sides are shortened alike.
 *
 * A message that was awaited in vain is awaited no more by later turns: a server that leaves out one
 * answer does not make every turn behind it wait.
 */

#define MESSAGE_MAX (16U << 20)
#define ROW_MAX	    (64U << 20) /* compressed messages may be bombs */

/* what a client library does by itself, and this client, too */
static bool is_upkeep(const struct child *c, bool was_closed_by_server)
{
	return !c->is_from_server && (c->kind == CHILD_WS_PONG || was_closed_by_server);
}

static void add(struct buf *out, const struct child *c)
{
	uint8_t head[CHILD_HEAD_BYTES];

	child_encode_head(c, head);
	buf_add(out, head, sizeof(head));
	buf_add_span(out, c->payload);
}

static enum skip skip_of(const struct child *c)
{
	return c->has_gap ? SKIP_GAP : SKIP_CUT;
}

/* @c as its reader had it */
static enum skip add_plain(struct wsdeflate *w, struct child *c, struct buf *room, struct buf *out)
{
	struct span text;
	bool is_whole = wsdeflate_read(w, c, MESSAGE_MAX, room, &text, NULL) == 0 && !c->is_cut &&
			!c->has_gap;

	c->payload = text;
	if (!is_whole && !c->is_from_server)
		return skip_of(c);
	c->is_cut |= !is_whole;
	add(out, c);
	if (out->is_failed)
		return SKIP_INCOMPLETE;
	return out->len > ROW_MAX ? SKIP_CUT : SKIP_NONE;
}

enum skip conversation_read(const struct exchange *x, struct buf *row_out)
{
	AUTO(wsdeflate) w = wsdeflate_new(x);
	AUTO_BUF room = {0};
	struct span row = x->children;
	bool is_closed = false;
	enum skip skip = SKIP_NONE;
	struct child c;
	int r = 0;

	while (w && skip == SKIP_NONE && (r = child_next(&row, &c)) == 1) {
		if (is_upkeep(&c, is_closed))
			continue;
		is_closed |= c.is_from_server && c.kind == CHILD_WS_CLOSE;
		skip = add_plain(w, &c, &room, row_out);
	}
	return skip == SKIP_NONE && (!w || r < 0) ? SKIP_INCOMPLETE : skip;
}

bool conversation_is_left(const struct exchange *x)
{
	bool is_unfinished =
		(x->response.flags & (MESSAGE_PRESENT | MESSAGE_COMPLETE)) == MESSAGE_PRESENT;

	switch (x->reason) {
	case REASON_RESET_CLIENT:
	case REASON_CLIENT_CLOSED: return is_unfinished || x->stream;
	case REASON_ONGOING:
	case REASON_CAPTURE_END: return is_unfinished;
	default: return false;
	}
}

/* gRPC's own children; those of others say nothing about the client */
static bool has_order(const struct exchange *x)
{
	struct span row = x->children;
	struct child c;

	return x->protocol == PROTOCOL_GRPC && child_next(&row, &c) == 1 && c.kind == CHILD_GRPC;
}

/* the client's last word: the end of its side, or that it gave up */
static struct child last_word(const struct exchange *x)
{
	bool is_left = conversation_is_left(x), is_given_up = x->reason == REASON_RESET_CLIENT;

	return (struct child){
		.kind = CHILD_WS_CLOSE,
		.is_cut = is_left,
		.has_gap = is_left && !(x->request.flags & MESSAGE_COMPLETE),
		.time_ns = is_left && !is_given_up ? x->start_ns : x->request.last_ns,
	};
}

/* the messages, and the last word where it was said; one that gives up comes behind all of them */
static void add_order(const struct exchange *x, const struct child *last, struct buf *row_out)
{
	struct span row = x->children;
	bool is_said = false;
	struct child c;

	while (child_next(&row, &c) == 1) {
		if (!is_said && !last->is_cut && c.is_from_server && c.time_ns > last->time_ns)
			add(row_out, last);
		is_said |= !last->is_cut && c.is_from_server && c.time_ns > last->time_ns;
		add(row_out, &c);
	}
	if (!is_said)
		add(row_out, last);
}

void conversation_order(const struct exchange *x, struct buf *row_out)
{
	struct child last = last_word(x);
	struct child began = {
		.kind = CHILD_GRPC, .is_from_server = true, .time_ns = x->response.first_ns};
	bool has_begun = x->response.flags & MESSAGE_PRESENT;

	if (has_order(x)) {
		add_order(x, &last, row_out);
		return;
	}
	/* one message each way: the server's was awaited if it came before the client's end */
	if (!last.is_cut && !(x->protocol == PROTOCOL_GRPC && has_begun && x->messages[1] &&
			      x->request.last_ns > x->response.first_ns))
		return;
	if (has_begun && (x->messages[1] || x->response.body.len))
		add(row_out, &began);
	add(row_out, &last);
}

uint64_t conversation_count(struct span row)
{
	uint64_t count = 0;
	struct child c;

	while (child_next(&row, &c) == 1)
		count += c.is_from_server && conversation_is_message(&c);
	return count;
}

void conversation_begin(struct conversation *t, struct span row, uint64_t start_ns,
			const struct schedule_config *schedule)
{
	*t = (struct conversation){.rest = row, .start_ns = start_ns, .schedule.config = *schedule};
	(void)schedule_next(&t->schedule, start_ns);
	t->expected = conversation_count(row);
	conversation_next(t);
}

static bool is_giving_up(const struct child *c)
{
	return c->kind == CHILD_WS_CLOSE && c->is_cut;
}

void conversation_next(struct conversation *t)
{
	t->has_next = false;
	while (!t->has_next && child_next(&t->rest, &t->next) == 1) {
		t->at_ns = schedule_next(&t->schedule, t->next.time_ns);
		t->passed += t->next.is_from_server && conversation_is_message(&t->next);
		t->has_next = !t->next.is_from_server;
	}
	/* patience is the client's own, and not made shorter: the server would have had less time to answer */
	if (t->has_next && is_giving_up(&t->next))
		t->at_ns = t->next.time_ns - MIN(t->next.time_ns, t->start_ns);
	t->after = t->passed;
}

enum turn_state conversation_ask(const struct conversation *t, uint64_t since_ns)
{
	if (!t->has_next)
		return TURN_LAST_WAS;
	if (t->come + t->given_up < t->after)
		return TURN_AWAITS_SERVER;
	return since_ns < t->at_ns ? TURN_AWAITS_TIME : TURN_NOW;
}

void conversation_give_up(struct conversation *t)
{
	uint64_t wanted = t->has_next ? t->after : t->expected;

	if (t->come + t->given_up >= wanted)
		return;
	if (t->has_next && t->out_of_turn++ == 0) {
		t->first_after = t->after;
		t->first_come = t->come;
	}
	t->given_up = wanted - t->come;
}
