// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "lib/codec.h"
#include "lib/protobuf.h"
#include "replay/answer.h"
#include "replay/conversation.h"
#include "replay/diff_add.h"
#include "schema/grpc.h"

/*
 * Messages are compared one by one, by position, as elements of an array are: each a small body of its own, JSON by
 * structure and anything else by bytes. A difference says which message it is in, counted from 1.
 *
 * A gRPC message is made JSON first: with a descriptor set by the names of its fields, without by their
 * numbers, so that two servers that write the same fields in another order agree.
 *
 * What is compared ends where either side was not kept whole.
 */

#define PLAIN_MAX (16U << 20)
#define RATIO_MAX 200

/* ---- one message ---- */

static void add_alone(struct diff *d, enum diff_change change, struct span text)
{
	struct span none = {0};

	diff_add(d, DIFF_MESSAGE, change, SPAN_LIT("message"), change == DIFF_REMOVED ? text : none,
		 change == DIFF_ADDED ? text : none);
}

static struct message message_of(struct span text, bool is_whole)
{
	return (struct message){
		.body = text,
		.body_bytes = text.len,
		.flags = MESSAGE_PRESENT | (is_whole ? MESSAGE_COMPLETE : MESSAGE_BODY_CUT),
	};
}

void diff_texts(struct diff *d, const struct ignore *rules, struct span recorded, struct span now,
		bool are_whole)
{
	struct message a = message_of(recorded, are_whole), b = message_of(now, are_whole);

	diff_contents(d, rules, &a, &b);
}

/* ---- a WebSocket ---- */

/* the next message of the server. Return: false at the end of the row */
static bool next_said(struct span *row, struct child *c)
{
	while (child_next(row, c) == 1)
		if (c->is_from_server && conversation_is_message(c))
			return true;
	return false;
}

static bool is_whole(const struct child *c)
{
	return !c->is_cut && !c->has_gap;
}

static void diff_said(struct diff *d, const struct ignore *rules, const struct child *a,
		      const struct child *b)
{
	const char *was = child_kind_name(a->kind), *is = child_kind_name(b->kind);

	if (a->kind != b->kind)
		diff_add(d, DIFF_MESSAGE, DIFF_CHANGED, SPAN_LIT("kind"), span_str(was),
			 span_str(is));
	else
		diff_texts(d, rules, a->payload, b->payload, is_whole(a) && is_whole(b));
}

static void diff_rows(struct diff *d, const struct ignore *rules, const struct exchange *recorded,
		      const struct answer *now)
{
	struct span was = recorded->children, is = now->children;
	bool is_open_ended = (recorded->anomalies & ANOMALY_BIT(CHILDREN_CUT)) != 0;
	struct child a, b;

	for (d->message = 1;; d->message++) {
		bool has_a = next_said(&was, &a), has_b = next_said(&is, &b);

		if (has_a && has_b)
			diff_said(d, rules, &a, &b);
		else if (has_a && !now->is_cut)
			add_alone(d, DIFF_REMOVED, a.payload);
		else if (has_b && !is_open_ended)
			add_alone(d, DIFF_ADDED, b.payload);
		else
			break;
	}
	d->message = 0;
	if (is_open_ended || now->is_cut)
		d->notes |= DIFF_NOTE_PREFIX;
}

static void diff_close(struct diff *d, const struct exchange *recorded, const struct answer *now)
{
	char was[16], is[16];

	if (conversation_is_end_unknown(recorded) || recorded->close_code == now->close_code)
		return;
	(void)snprintf(was, sizeof(was), "%u", recorded->close_code);
	(void)snprintf(is, sizeof(is), now->close_code ? "%u" : "none", now->close_code);
	diff_add(d, DIFF_STATUS, DIFF_CHANGED, SPAN_LIT("close_code"), span_str(was), span_str(is));
}

static void diff_turns(struct diff *d, const struct answer *now)
{
	char was[64], is[64];

	if (now->out_of_turn) {
		(void)snprintf(was, sizeof(was), "after %llu messages of the server",
			       (unsigned long long)now->awaited);
		(void)snprintf(is, sizeof(is), "after %llu and --timeout",
			       (unsigned long long)now->had_come);
		d->message = now->had_come + 1;
		diff_add(d, DIFF_MESSAGE, DIFF_CHANGED, SPAN_LIT("turn"), span_str(was),
			 span_str(is));
		d->message = 0;
	}
	if (now->has_unsaid)
		diff_add(d, DIFF_MESSAGE, DIFF_CHANGED, SPAN_LIT("client"),
			 SPAN_LIT("said all it had to say"),
			 SPAN_LIT("the conversation ended before"));
}

void diff_conversation(struct diff *d, const struct ignore *rules, const struct exchange *recorded,
		       const struct answer *now)
{
	if (now->is_conversation && !ignore_status(rules))
		diff_close(d, recorded, now);
	diff_turns(d, now);
	if (now->is_conversation && !ignore_body(rules))
		diff_rows(d, rules, recorded, now);
}

/* ---- gRPC ---- */

struct grpc_side {
	struct span rest;   /* messages not looked at yet */
	struct span coding; /* grpc-encoding */
	bool is_whole;	    /* no message is missing behind the last one */
	struct buf plain, json;
};

static struct grpc_side side_of(const struct message *m)
{
	return (struct grpc_side){
		.rest = m->body,
		.coding = message_header(m, "grpc-encoding"),
		.is_whole = (m->flags & MESSAGE_COMPLETE) &&
			    !(m->flags & (MESSAGE_BODY_CUT | MESSAGE_HAS_GAP)),
	};
}

/* @g as its reader had it. Return: false when it is not all of it */
static bool uncompress(struct grpc_side *side, const struct grpc_message *g, struct span *out)
{
	struct codec_limits limits = {.out_max = PLAIN_MAX, .ratio_max = RATIO_MAX};
	int codec = codec_parse(side->coding);

	*out = g->bytes;
	if (!g->is_compressed || codec < 0)
		return g->bytes.len == g->length;
	buf_clear(&side->plain);
	if (codec_decode((enum codec)codec, g->bytes, &limits, &side->plain, NULL) < 0)
		return false;
	*out = buf_span(&side->plain);
	return true;
}

/* Return: false when it does not read as fields */
static bool write_json(const struct diff *d, struct span type, struct grpc_side *side,
		       struct span bytes)
{
	struct json j = json_to(&side->json);
	int r;

	buf_clear(&side->json);
	r = type.ptr ? proto_json(d->protos, type, &j, bytes) : proto_json_by_number(&j, bytes);
	return r == 0 && !side->json.is_failed;
}

static void diff_call_message(struct diff *d, const struct ignore *rules, struct span type,
			      bool is_json, struct grpc_side sides[2],
			      const struct grpc_message g[2])
{
	struct span plain[2];
	bool are_whole = uncompress(&sides[0], &g[0], &plain[0]);

	are_whole &= uncompress(&sides[1], &g[1], &plain[1]);
	if (are_whole && span_eq(plain[0], plain[1]))
		return;
	if (are_whole && !is_json && write_json(d, type, &sides[0], plain[0]) &&
	    write_json(d, type, &sides[1], plain[1]))
		diff_texts(d, rules, buf_span(&sides[0].json), buf_span(&sides[1].json), true);
	else
		diff_texts(d, rules, plain[0], plain[1], are_whole);
}

static void diff_calls(struct diff *d, const struct ignore *rules, const struct exchange *recorded,
		       struct grpc_side sides[2])
{
	bool is_json =
		span_istarts(recorded->response.content_type, SPAN_LIT("application/grpc+json"));
	struct span type = {0};
	struct grpc_message g[2];

	if (d->protos)
		type = proto_method_type(d->protos, recorded->grpc_service, recorded->grpc_method,
					 true);
	for (d->message = 1;; d->message++) {
		bool has_a = grpc_next(&sides[0].rest, &g[0]),
		     has_b = grpc_next(&sides[1].rest, &g[1]);

		if (has_a && has_b)
			diff_call_message(d, rules, type, is_json, sides, g);
		else if (has_a && sides[1].is_whole)
			add_alone(d, DIFF_REMOVED, g[0].bytes);
		else if (has_b && sides[0].is_whole)
			add_alone(d, DIFF_ADDED, g[1].bytes);
		else if (!has_a && !has_b)
			break;
	}
	d->message = 0;
	if (!sides[0].is_whole || !sides[1].is_whole)
		d->notes |= DIFF_NOTE_PREFIX;
	else if (!span_eq(sides[0].rest, sides[1].rest))
		diff_texts(d, rules, sides[0].rest, sides[1].rest, true);
}

void diff_grpc(struct diff *d, const struct ignore *rules, const struct exchange *recorded,
	       const struct message *now)
{
	struct grpc_side sides[2] = {side_of(&recorded->response), side_of(now)};

	diff_calls(d, rules, recorded, sides);
	for (size_t i = 0; i < COUNT_OF(sides); i++) {
		buf_fini(&sides[i].plain);
		buf_fini(&sides[i].json);
	}
}
