// SPDX-License-Identifier: Apache-2.0
/* whose turn it is: scripts made of what was recorded, for WebSockets and for streams of HTTP/2 */
#include "replay/conversation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "replay/http2_turns.h"

/* "> text 5 words" and the like: who, kind, milliseconds, payload */
struct word {
	char from;
	uint8_t kind;
	unsigned at_ms;
	const char *text;
	bool is_cut, has_gap, is_compressed;
};

static void put(struct buf *row, const struct word *w)
{
	struct child c = {.kind = w->kind, .is_from_server = w->from == '<', .time_ns = w->at_ms * NS_PER_MS,
			  .payload = span_str(w->text ? w->text : ""), .is_cut = w->is_cut, .has_gap = w->has_gap,
			  .is_compressed = w->is_compressed};
	uint8_t head[CHILD_HEAD_BYTES];

	c.bytes = c.payload.len;
	child_encode_head(&c, head);
	buf_add(row, head, sizeof(head));
	buf_add_span(row, c.payload);
}

static struct span row_of(struct buf *row, const struct word *words, size_t count)
{
	buf_clear(row);
	for (size_t i = 0; i < count; i++)
		put(row, &words[i]);
	return buf_span(row);
}

/* ">hi <ho >X!": kinds but text and binary by a letter: p ping, P pong, C close, m message; ! cut, ? gap */
static void say_row(struct span row, struct buf *out)
{
	static const char letters[] = {[CHILD_GRPC] = 'm', [CHILD_WS_CLOSE] = 'C', [CHILD_WS_PING] = 'p', [CHILD_WS_PONG] = 'P'};
	struct child c;

	buf_clear(out);
	while (child_next(&row, &c) == 1) {
		buf_add_fmt(out, "%s%c", out->len ? " " : "", c.is_from_server ? '<' : '>');
		if (c.kind > CHILD_WS_BINARY)
			buf_add_char(out, letters[c.kind]);
		else
			buf_add_span(out, c.payload);
		buf_add_str(out, c.is_cut ? "!" : "");
		buf_add_str(out, c.has_gap ? "?" : "");
	}
}

struct reading {
	const char *name;
	struct word words[6];
	const char *row;
	enum skip skip;
};

static const struct reading readings[] = {
	{.name = "as it was", .words = {{'>', 1, 1, "a", 0}, {'<', 1, 2, "b", 0}, {'>', 2, 3, "c", 0}}, .row = ">a <b >c"},
	{.name = "pongs are given of one's own accord", .words = {{'<', 9, 1, "", 0}, {'>', 10, 2, "", 0}, {'>', 9, 3, "", 0}},
	 .row = "<p >p"},
	{.name = "and so is the answer to a close", .words = {{'<', 8, 1, "\x03\xe8", 0}, {'>', 8, 2, "\x03\xe8", 0}}, .row = "<C"},
	{.name = "a close of the client's own stays", .words = {{'>', 8, 1, "\x03\xe8", 0}, {'<', 8, 2, "\x03\xe8", 0}}, .row = ">C <C"},
	{.name = "the client's must be whole", .words = {{'>', 1, 1, "a", .is_cut = true}}, .skip = SKIP_CUT},
	{.name = "without holes", .words = {{'>', 1, 1, "a", .has_gap = true}}, .skip = SKIP_GAP},
	{.name = "the server's need not", .words = {{'<', 1, 1, "a", .is_cut = true}, {'<', 1, 1, "b", .has_gap = true}}, .row = "<a! <b!?"},
	{.name = "compressed without agreement", .words = {{'>', 1, 1, "a", .is_compressed = true}}, .skip = SKIP_CUT},
	{.name = "nothing", .row = ""},
};

static size_t count_of(const struct word *words, size_t max)
{
	size_t n = 0;

	while (n < max && words[n].from)
		n++;
	return n;
}

static void a_script_is_what_the_client_has_to_do_itself(void **state)
{
	struct buf row = {0}, out = {0}, text = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(readings); i++) {
		const struct reading *r = &readings[i];
		struct exchange x = {.children = row_of(&row, r->words, count_of(r->words, COUNT_OF(r->words)))};
		enum skip skip;

		buf_clear(&out);
		skip = conversation_read(&x, &out);
		say_row(buf_span(&out), &text);
		if (skip != r->skip || (r->row && strcmp(buf_cstr(&text), r->row) != 0))
			fail_msg("%s: %s, %s", r->name, skip_name(skip), buf_cstr(&text));
	}
	row.len -= row.len ? 1 : 0;
	put(&row, &(struct word){'>', 1, 1, "abc", 0});
	row.len--;
	buf_clear(&out);
	assert_int_equal(conversation_read(&(struct exchange){.children = buf_span(&row)}, &out), SKIP_INCOMPLETE);
	buf_fini(&row);
	buf_fini(&out);
	buf_fini(&text);
}

static void each_word_has_its_time_and_its_place(void **state)
{
	static const struct word words[] = {
		{'>', 1, 10, "a", 0}, {'<', 1, 20, "b", 0}, {'<', 9, 25, "", 0}, {'<', 1, 30, "c", 0}, {'>', 1, 5040, "d", 0}, {'<', 1, 5050, "e", 0},
	};
	struct schedule_config speed = {.speed = 2, .max_gap_ns = NS_PER_S};
	struct conversation t;
	struct buf row = {0};

	(void)state;
	conversation_begin(&t, row_of(&row, words, COUNT_OF(words)), 0, &speed);
	assert_int_equal(t.expected, 3);
	assert_int_equal(conversation_ask(&t, 0), TURN_AWAITS_TIME);
	assert_int_equal(t.at_ns, 5 * NS_PER_MS);
	assert_int_equal(conversation_ask(&t, 5 * NS_PER_MS), TURN_NOW);
	conversation_next(&t);
	assert_int_equal(t.after, 2);
	conversation_came(&t);
	assert_int_equal(conversation_ask(&t, UINT64_MAX), TURN_AWAITS_SERVER);
	conversation_came(&t);
	assert_int_equal(conversation_ask(&t, 0), TURN_AWAITS_TIME);
	assert_int_equal(t.at_ns, 515 * NS_PER_MS); /* a silence of five seconds is one of one, at twice the speed */
	conversation_next(&t);
	assert_int_equal(conversation_ask(&t, 0), TURN_LAST_WAS);
	assert_false(conversation_is_heard(&t));
	conversation_came(&t);
	assert_true(conversation_is_heard(&t));
	speed.speed = 0;
	conversation_begin(&t, row_of(&row, words, COUNT_OF(words)), 0, &speed);
	assert_int_equal(conversation_ask(&t, 0), TURN_NOW);
	buf_fini(&row);
}

static void what_is_awaited_in_vain_is_not_awaited_again(void **state)
{
	static const struct word words[] = {
		{'<', 1, 1, "a", 0}, {'<', 1, 2, "b", 0}, {'>', 1, 3, "c", 0}, {'<', 1, 4, "d", 0}, {'>', 1, 5, "e", 0}, {'<', 1, 6, "f", 0},
	};
	struct schedule_config flat_out = {0};
	struct conversation t;
	struct buf row = {0};

	(void)state;
	conversation_begin(&t, row_of(&row, words, COUNT_OF(words)), 0, &flat_out);
	conversation_came(&t);
	assert_int_equal(conversation_ask(&t, 0), TURN_AWAITS_SERVER);
	conversation_give_up(&t);
	assert_int_equal(conversation_ask(&t, 0), TURN_NOW);
	assert_true(t.out_of_turn == 1 && t.first_after == 2 && t.first_come == 1);
	conversation_next(&t);
	assert_int_equal(conversation_ask(&t, 0), TURN_AWAITS_SERVER); /* for d, which may still come */
	conversation_came(&t);
	assert_int_equal(conversation_ask(&t, 0), TURN_NOW);
	conversation_next(&t);
	conversation_give_up(&t); /* f: nobody's turn depends on it */
	assert_true(conversation_is_heard(&t) && t.out_of_turn == 1);
	buf_fini(&row);
}

/* ---- streams of HTTP/2 ---- */

struct order {
	const char *name;
	struct word words[6];
	unsigned end_ms, answer_ms; /* the client's last word; the server's first */
	uint64_t answered;          /* messages of the server, where there are no words */
	uint8_t reason;
	bool is_http2, has_no_end, is_answered;
	const char *row;
};

#define M CHILD_GRPC

static const struct order orders[] = {
	{.name = "one call, one answer", .end_ms = 1, .answer_ms = 5, .answered = 1, .is_answered = true, .row = ""},
	{.name = "a client that ends after the one answer", .end_ms = 9, .answer_ms = 5, .answered = 1, .is_answered = true, .row = "<m >C"},
	{.name = "turn by turn", .words = {{'>', M, 1, "", 0}, {'<', M, 2, "", 0}, {'>', M, 3, "", 0}, {'<', M, 4, "", 0}}, .end_ms = 5, .row = ">m <m >m <m >C"},
	{.name = "an end before the answers", .words = {{'>', M, 1, "", 0}, {'<', M, 3, "", 0}, {'<', M, 4, "", 0}}, .end_ms = 2, .row = ">m >C <m <m"},
	{.name = "given up behind the second answer", .words = {{'>', M, 1, "", 0}, {'<', M, 3, "", 0}, {'<', M, 4, "", 0}}, .end_ms = 2,
	 .reason = REASON_RESET_CLIENT, .row = ">m <m <m >C!"},
	{.name = "given up before it had ended", .words = {{'>', M, 1, "", 0}, {'<', M, 3, "", 0}, {'>', M, 4, "", 0}}, .end_ms = 5,
	 .reason = REASON_RESET_CLIENT, .has_no_end = true, .row = ">m <m >m >C!?"},
	{.name = "given up without an answer", .end_ms = 7, .reason = REASON_RESET_CLIENT, .row = ">C!"},
	{.name = "no gRPC, given up", .end_ms = 7, .reason = REASON_RESET_CLIENT, .is_http2 = true, .is_answered = true, .row = "<m >C!"},
	{.name = "no gRPC", .end_ms = 7, .is_http2 = true, .is_answered = true, .row = ""},
	{.name = "the recording ended", .end_ms = 7, .reason = REASON_CAPTURE_END, .is_http2 = true, .is_answered = true, .row = "<m >C!"},
	{.name = "the server gave it up", .end_ms = 7, .reason = REASON_RESET_SERVER, .row = ""},
};

static void make_exchange(const struct order *o, struct buf *row, struct exchange *x)
{
	*x = (struct exchange){
		.protocol = o->is_http2 ? PROTOCOL_HTTP2 : PROTOCOL_GRPC,
		.stream = 1,
		.reason = o->reason,
		.messages = {1, o->answered},
		.children = row_of(row, o->words, count_of(o->words, COUNT_OF(o->words))),
		.request = {.last_ns = o->end_ms * NS_PER_MS, .flags = MESSAGE_PRESENT | (o->has_no_end ? 0 : MESSAGE_COMPLETE)},
	};
	if (o->is_answered)
		x->response = (struct message){.flags = MESSAGE_PRESENT | (o->reason ? 0 : MESSAGE_COMPLETE),
					       .first_ns = o->answer_ms * NS_PER_MS, .body = SPAN_LIT("body")};
}

static void the_order_of_a_stream_is_kept_where_it_matters(void **state)
{
	struct buf row = {0}, out = {0}, text = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(orders); i++) {
		struct exchange x;

		make_exchange(&orders[i], &row, &x);
		buf_clear(&out);
		conversation_order(&x, &out);
		say_row(buf_span(&out), &text);
		if (strcmp(buf_cstr(&text), orders[i].row) != 0)
			fail_msg("%s: %s, not %s", orders[i].name, buf_cstr(&text), orders[i].row);
	}
	buf_fini(&row);
	buf_fini(&out);
	buf_fini(&text);
}

#define ONE "\0\0\0\0\1a"
#define TWO "\0\0\0\0\2bc"

static void a_stream_says_as_much_as_it_may(void **state)
{
	static const struct word words[] = {{'>', M, 1, "", 0}, {'<', M, 2, "", 0}, {'>', M, 30, "", 0}, {'<', M, 40, "", 0}, {'>', 8, 50, "", 0}};
	struct schedule_config speed = {.speed = 1};
	struct buf row = {0};
	struct exchange x = {.protocol = PROTOCOL_GRPC, .children = row_of(&row, words, COUNT_OF(words))};
	struct item item = {.recorded = &x};
	struct http2_turns t;
	uint64_t wake_ns;

	(void)state;
	http2_turns_begin(&t, &item, SPAN_LIT(ONE TWO), &speed);
	assert_false(http2_turns_go(&t, NS_PER_S, &wake_ns));
	assert_int_equal(wake_ns, NS_PER_S + NS_PER_MS);
	assert_true(http2_turns_go(&t, wake_ns, &wake_ns));
	assert_true(t.allowed == 6 && !t.may_end && wake_ns == 0);
	assert_false(http2_turns_heard(&t, SPAN_LIT("\0\0\0\0")));
	assert_true(http2_turns_heard(&t, SPAN_LIT("\0")));
	assert_false(http2_turns_go(&t, NS_PER_S + 10 * NS_PER_MS, &wake_ns));
	assert_int_equal(wake_ns, NS_PER_S + 30 * NS_PER_MS);
	assert_true(http2_turns_go(&t, wake_ns, &wake_ns));
	assert_true(t.allowed == 13 && !t.may_end);
	assert_true(http2_turns_late(&t, 2 * NS_PER_S)); /* the second answer does not come: the end is said all the same */
	assert_true(http2_turns_go(&t, 2 * NS_PER_S, &wake_ns));
	assert_true(t.may_end && t.talk.out_of_turn == 1 && !t.is_given_up);
	assert_false(http2_turns_late(&t, 3 * NS_PER_S));
	buf_fini(&row);
}

static void patience_is_as_long_as_it_was_at_any_speed(void **state)
{
	static const struct word words[] = {{'<', M, 2, "", 0}, {'>', 8, 300, "", .is_cut = true}};
	struct schedule_config flat_out = {0};
	struct buf row = {0};
	struct exchange x = {.protocol = PROTOCOL_GRPC, .children = row_of(&row, words, COUNT_OF(words))};
	struct item item = {.recorded = &x};
	struct http2_turns t;
	uint64_t wake_ns;

	(void)state;
	http2_turns_begin(&t, &item, SPAN_LIT(ONE), &flat_out);
	assert_true(t.allowed == 6 && t.may_end);
	assert_false(http2_turns_go(&t, NS_PER_S, &wake_ns));
	assert_true(http2_turns_heard(&t, SPAN_LIT(TWO)));
	assert_false(http2_turns_go(&t, NS_PER_S, &wake_ns));
	assert_int_equal(wake_ns, NS_PER_S + 300 * NS_PER_MS);
	assert_true(http2_turns_go(&t, wake_ns, &wake_ns) && t.is_given_up);
	buf_fini(&row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_script_is_what_the_client_has_to_do_itself),
		cmocka_unit_test(each_word_has_its_time_and_its_place),
		cmocka_unit_test(what_is_awaited_in_vain_is_not_awaited_again),
		cmocka_unit_test(the_order_of_a_stream_is_kept_where_it_matters),
		cmocka_unit_test(a_stream_says_as_much_as_it_may),
		cmocka_unit_test(patience_is_as_long_as_it_was_at_any_speed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
