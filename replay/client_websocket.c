// SPDX-License-Identifier: Apache-2.0
#include "replay/client_websocket.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "replay/conversation.h"
#include "replay/ws_reader.h"
#include "replay/ws_writer.h"

/*
 *   handshake (HTTP/1) --- 101 ---> TALKING --- all said and heard ---> CLOSING --- close frame, EOF ---> result
 *
 * What the client says, and when, is replay/conversation.h's; this file moves the bytes and ends it as it ended
 * when it was recorded:
 *
 *   the client sent a close frame     it is one of its turns; the server's answer is awaited
 *   the server sent one               it is awaited, and answered
 *   the client left without           so does this one, when all has been heard
 *   the server left without           that is awaited
 *   its end was not recorded          a close frame of our own (1000) when all has been heard
 *
 * --timeout is for each thing awaited: the next message of the server that the recording has, or the end. A
 * turn whose message does not come is taken all the same, and told; after SILENCES_MAX of them without a
 * word of the server the rest is not tried.
 *
 * What came is kept as the recorded row was, so that both can be laid side by side; a server that says far
 * more than was recorded is counted, and not kept.
 */

#define ROW_SLACK     (64U * 1024)
#define OUT_MAX	      (4U << 20) /* written but not sent: turns wait for the socket */
#define SILENCES_MAX  3
#define CODE_NONE     1005 /* RFC 6455 7.4.1 */
#define CODE_ABNORMAL 1006
#define CODE_NORMAL   1000

struct websocket_session {
	struct item *item;
	struct conversation talk;
	struct ws_reader *reader;
	struct ws_writer *writer;
	struct buf out; /* out_sent of it are sent */
	size_t out_sent;
	struct buf head, row; /* what is handed out: the answer's head, what followed it */
	size_t row_max;
	struct answer answer;
	uint64_t begin_ns;
	unsigned silences; /* time-outs since the server's last word */
	bool has_sent_close, has_close;
	bool is_over; /* nothing is awaited any more */
};

static void free_session(struct websocket_session *w)
{
	if (!w)
		return;
	ws_reader_free(w->reader);
	ws_writer_free(w->writer);
	buf_fini(&w->out);
	buf_fini(&w->head);
	buf_fini(&w->row);
	free(w);
}

void websocket_close(struct link *l)
{
	free_session(l->websocket);
	l->websocket = NULL;
}

bool websocket_wants(const struct item *item, const struct answer *answer)
{
	return item->recorded->protocol == PROTOCOL_WEBSOCKET && answer->status == 101;
}

/* ---- the result ---- */

static struct answer *fill_answer(struct websocket_session *w)
{
	struct answer *a = &w->answer;

	a->message.head = buf_span(&w->head);
	a->children = buf_span(&w->row);
	a->said = w->talk.come;
	a->has_unsaid = conversation_ask(&w->talk, UINT64_MAX) != TURN_LAST_WAS;
	a->out_of_turn = w->talk.out_of_turn;
	a->awaited = w->talk.first_after;
	a->had_come = w->talk.first_come;
	return a;
}

/* the conversation is over, as far as it went */
static void finish(struct client *c, struct link *l, enum miss miss, int error, const char *why)
{
	struct websocket_session *w = l->websocket;
	struct item *item = w->item;

	l->websocket = NULL; /* the link is disconnected before the answer is */
	link_take_flying(c, l, item);
	l->why = why;
	link_finish(c, l, item, fill_answer(w), miss, error);
	l->why = NULL;
	free_session(w);
	link_lose(c, l, MISS_CLOSED, 0);
}

/* ---- saying ---- */

static void say(struct websocket_session *w, const struct child *message)
{
	ws_write(w->writer, message, &w->out);
	w->has_sent_close |= message->kind == CHILD_WS_CLOSE;
}

static void say_close(struct websocket_session *w, unsigned code)
{
	uint8_t bytes[2] = {(uint8_t)(code >> 8), (uint8_t)code};
	struct child close = {.kind = CHILD_WS_CLOSE};

	if (w->has_sent_close)
		return;
	if (code != CODE_NONE)
		close.payload = span_of(bytes, sizeof(bytes));
	if (w->answer.close_code == 0)
		w->answer.close_code = (uint16_t)code;
	say(w, &close);
}

/* Return: when the next turn is due, monotonic; 0: it waits for something else */
static uint64_t take_turns(struct client *c, struct websocket_session *w)
{
	struct conversation *t = &w->talk;

	while (!w->has_sent_close && w->out.len - w->out_sent < OUT_MAX) {
		switch (conversation_ask(t, c->now_ns - MIN(c->now_ns, w->begin_ns))) {
		case TURN_AWAITS_SERVER:
		case TURN_LAST_WAS: return 0;
		case TURN_AWAITS_TIME: return w->begin_ns + t->at_ns;
		case TURN_NOW: break;
		}
		if (t->next.kind == CHILD_WS_CLOSE)
			say_close(w, child_close_code(&t->next));
		else
			say(w, &t->next);
		link_renew(c, w->item);
		conversation_next(t);
	}
	return 0;
}

static bool was_left_by_client(const struct exchange *x)
{
	return x->reason == REASON_CLIENT_CLOSED || x->reason == REASON_RESET_CLIENT;
}

/* all was said and heard: how did it end when it was recorded? */
static void begin_end(struct websocket_session *w)
{
	const struct exchange *x = w->item->recorded;

	if (w->has_sent_close || w->has_close || w->is_over ||
	    conversation_ask(&w->talk, UINT64_MAX) != TURN_LAST_WAS ||
	    !conversation_is_heard(&w->talk))
		return;
	if (conversation_is_end_unknown(x)) {
		say_close(w, CODE_NORMAL);
	} else if (x->close_code == CODE_ABNORMAL && was_left_by_client(x)) {
		w->answer.close_code = CODE_ABNORMAL;
		w->is_over = true;
	}
}

/* Return: false when the connection is broken */
static bool flush(struct client *c, struct link *l)
{
	struct websocket_session *w = l->websocket;
	ssize_t n;

	while (w->out_sent < w->out.len) {
		n = transport_send(&l->transport, span_from(buf_span(&w->out), w->out_sent));
		if (n < 0 && n != -EAGAIN)
			break; /* what it said before lies there all the same: reading will tell */
		if (n < 0) {
			link_watch(c, l, true);
			return true;
		}
		w->out_sent += (size_t)n;
		c->stats.bytes_out += (uint64_t)n;
	}
	buf_clear(&w->out);
	w->out_sent = 0;
	link_watch(c, l, false);
	return true;
}

void websocket_go(struct client *c, struct link *l)
{
	struct websocket_session *w = l->websocket;
	uint64_t wake_ns = take_turns(c, w);

	begin_end(w);
	if (w->out.is_failed) {
		finish(c, l, MISS_UNREACHABLE, ENOMEM, NULL);
		return;
	}
	(void)flush(c, l);
	if (wake_ns)
		client_wake_at(c, w->item, wake_ns);
	if (w->is_over || (w->has_close && w->has_sent_close && w->out.len == 0))
		finish(c, l, MISS_NONE, 0, NULL);
}

/* ---- hearing ---- */

static void keep(struct websocket_session *w, const struct child *message)
{
	size_t room = w->row_max - MIN(w->row_max, w->row.len);
	struct child kept = *message;
	uint8_t head[CHILD_HEAD_BYTES];

	if (room < sizeof(head)) {
		w->answer.is_cut = true;
		return;
	}
	kept.payload.len = MIN(kept.payload.len, room - sizeof(head));
	kept.is_cut |= kept.payload.len < message->payload.len;
	child_encode_head(&kept, head);
	buf_add(&w->row, head, sizeof(head));
	buf_add_span(&w->row, kept.payload);
}

static void hear_close(struct websocket_session *w, const struct child *close)
{
	unsigned code = child_close_code(close);

	if (w->answer.close_code == 0)
		w->answer.close_code = (uint16_t)code;
	w->has_close = true;
	say_close(w, code);
}

static void hear(struct client *c, struct websocket_session *w, const struct child *message)
{
	struct child pong = {.kind = CHILD_WS_PONG, .payload = message->payload};

	w->silences = 0;
	switch (message->kind) {
	case CHILD_WS_PING:
		if (!w->has_sent_close && w->out.len - w->out_sent < OUT_MAX)
			say(w, &pong);
		break;
	case CHILD_WS_PONG: break;
	case CHILD_WS_CLOSE: hear_close(w, message); break;
	default:
		keep(w, message);
		conversation_came(&w->talk);
		if (w->talk.come <= w->talk.expected)
			link_renew(c, w->item);
	}
}

bool websocket_take(struct client *c, struct link *l, struct span bytes)
{
	struct websocket_session *w = l->websocket;
	struct child message;
	enum ws_read read = WS_READ_MESSAGE;

	w->answer.bytes += bytes.len;
	while (read == WS_READ_MESSAGE && !w->has_close) {
		read = ws_read(w->reader, &bytes, &message);
		if (read == WS_READ_MESSAGE)
			hear(c, w, &message);
	}
	if (read == WS_READ_BROKEN) {
		finish(c, l, MISS_GARBAGE, 0, ws_reader_why(w->reader));
		return false;
	}
	websocket_go(c, l);
	return l->websocket != NULL;
}

void websocket_closed(struct client *c, struct link *l, int error)
{
	struct websocket_session *w = l->websocket;

	(void)error; /* with a close frame it is closed, without one it is 1006, reset or not */
	if (!w->has_close)
		w->answer.close_code = CODE_ABNORMAL;
	finish(c, l, MISS_NONE, 0, NULL);
}

void websocket_give_up(struct client *c, struct link *l)
{
	struct websocket_session *w = l->websocket;
	enum turn_state state = conversation_ask(&w->talk, c->now_ns - MIN(c->now_ns, w->begin_ns));
	bool is_blocked = w->out_sent < w->out.len;

	if (state == TURN_AWAITS_TIME && !w->has_sent_close && !is_blocked) {
		link_renew(c, w->item); /* nothing is awaited but the time */
		return;
	}
	w->silences++;
	if (is_blocked || w->silences >= SILENCES_MAX ||
	    (w->talk.come == 0 && w->talk.expected && state == TURN_LAST_WAS)) {
		finish(c, l, MISS_TIMEOUT, ETIMEDOUT, NULL);
		return;
	}
	if (w->has_sent_close || (state == TURN_LAST_WAS && conversation_is_heard(&w->talk))) {
		finish(c, l, MISS_NONE, 0, NULL); /* the end does not come: its code says so */
		return;
	}
	conversation_give_up(&w->talk);
	link_renew(c, w->item);
	websocket_go(c, l);
}

/* ---- the beginning ---- */

static const char *begin(struct client *c, struct link *l, struct websocket_session *w)
{
	struct ws_agreement agreed;
	const char *wrong = ws_check(w->item->bytes, &l->answer.message, &agreed);
	const struct exchange *x = w->item->recorded;

	if (wrong)
		return wrong;
	w->reader = ws_reader_new(&l->answer.message);
	w->writer = ws_writer_new(&agreed);
	if (!w->reader || !w->writer || w->head.is_failed)
		return "out of memory";
	w->row_max = x->children.len + ROW_SLACK;
	w->begin_ns = w->item->sent_ns;
	conversation_begin(&w->talk, x->children, x->start_ns, &c->config.schedule);
	return NULL;
}

bool websocket_open(struct client *c, struct link *l)
{
	struct websocket_session *w = calloc(1, sizeof(*w));
	const char *wrong = w ? NULL : "out of memory";

	if (w) {
		w->item = item_of(list_first(&l->flying));
		buf_add_span(&w->head, l->answer.message.head);
		w->answer = (struct answer){
			.status = l->answer.status,
			.bytes = l->answer.bytes,
			.message = {.flags = l->answer.message.flags, .version = 11},
			.is_conversation = true};
		w->item->done_ns = c->now_ns; /* what follows is no latency */
		wrong = begin(c, l, w);
	}
	l->is_used = true;
	if (!wrong) {
		l->websocket = w;
		link_renew(c, w->item);
		return true;
	}
	free_session(w);
	l->why = wrong;
	link_miss_first(c, l, MISS_GARBAGE, 0);
	l->why = NULL;
	l->answer.is_begun = false;
	link_lose(c, l, MISS_CLOSED, 0);
	return false;
}
