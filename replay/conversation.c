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
#define ROW_MAX     (64U << 20) /* compressed messages may be bombs */

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
	bool is_whole = wsdeflate_read(w, c, MESSAGE_MAX, room, &text, NULL) == 0 && !c->is_cut && !c->has_gap;

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
	*t = (struct conversation){.rest = row, .schedule.config = *schedule};
	(void)schedule_next(&t->schedule, start_ns);
	t->expected = conversation_count(row);
	conversation_next(t);
}

void conversation_next(struct conversation *t)
{
	t->has_next = false;
	while (!t->has_next && child_next(&t->rest, &t->next) == 1) {
		t->at_ns = schedule_next(&t->schedule, t->next.time_ns);
		t->passed += t->next.is_from_server && conversation_is_message(&t->next);
		t->has_next = !t->next.is_from_server;
	}
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
