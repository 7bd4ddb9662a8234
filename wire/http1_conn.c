// SPDX-License-Identifier: Apache-2.0
#include "wire/http1_conn.h"

#include "wire/http1.h"
#include "wire/http1_upgrade.h"
#include "wire/internal.h"
#include "wire/pair.h"
#include "wire/part.h"
#include "wire/redact.h"

/*
 * Theory of operation
 *
 * Each direction has a parser. Its steps are carried out on the message being read: a draft of the
 * direction's own until the start line is certain, then the request or response of a pair. Which side
 * is the client is told by the first start line, not by who opened the connection.
 *
 *   bytes -> http1_next() -> HEAD: pair_begin_...() -> BODY... -> END: pair_end_...()
 *
 * A connection that does not begin with a start line is searched for a while: for long when it was
 * joined midstream, since its first bytes may lie in the middle of a body; for a few bytes when its SYN
 * was seen, which finds HTTP behind the greeting of a SOCKS proxy and leaves all else alone soon.
 */

/* bytes of one direction that may be searched before a connection without a message is given up */
#define SEARCH_BYTES_MIDSTREAM (256 << 10)
#define SEARCH_BYTES_BEGINNING 512

struct direction {
	struct http1 parser;
	struct draft draft; /* bytes that may be the beginning of a message */
	uint64_t next;	    /* offset of the byte that comes next */
	uint64_t searched;  /* bytes that belonged to no message */
	bool is_open;	    /* a message was begun: its draft is in pairs.asking or .answering */
	bool has_ended;	    /* FIN */
	bool is_hopeless;   /* no message began where one must, or none was found */
};

struct http1_conn {
	struct pairs pairs;
	struct direction dirs[2];
	bool has_spoken; /* a message was found: who is client is known */
};

_Static_assert(sizeof(struct http1_conn) <= POOL_BLOCK_BYTES, "a connection's state is one block");

/* The bytes being read, as conn_data() gave them. */
struct feed {
	struct conn *c;
	unsigned dir;
	uint64_t offset; /* of bytes */
	uint64_t acked, ts_ns;
	struct span bytes;
};

static struct http1_conn *state_of(const struct conn *c)
{
	return c->state;
}

static void http1_conn_open(struct conn *c)
{
	struct http1_conn *h = c->state;

	pairs_init(&h->pairs, c);
	for (unsigned d = 0; d < 2; d++) {
		http1_init(&h->dirs[d].parser, HTTP1_ANY, NULL);
		if (c->is_midstream)
			http1_join(&h->dirs[d].parser);
	}
}

/* --- the message being read in a direction --- */

static bool is_request(const struct direction *d)
{
	return d->parser.kind == HTTP1_REQUEST;
}

/* NULL: its bytes are not kept, for want of memory */
static struct draft *open_draft(struct http1_conn *h, struct direction *d)
{
	if (!d->is_open)
		return &d->draft;
	if (is_request(d))
		return h->pairs.asking ? &h->pairs.asking->request : NULL;
	return h->pairs.answering ? &h->pairs.answering->response : NULL;
}

static struct pair *open_pair(struct http1_conn *h, const struct direction *d)
{
	return is_request(d) ? h->pairs.asking : h->pairs.answering;
}

static void drop_draft(struct conn *c, struct direction *d)
{
	draft_free(&d->draft, c->wire->pool);
}

/* what a head says that was not read to its end */
static void read_cut_head(struct conn *c, struct direction *d, struct draft *draft)
{
	if (draft->head.len == 0)
		return;
	http1_parse(&d->parser, draft_head(draft, c->wire), true);
	draft->info = d->parser.head;
	draft->info.anomalies &= ~ANOMALY_BIT(HEAD_CUT);
}

/* the open message is over; @is_whole false: @why_not */
static void end_message(struct conn *c, struct direction *d, bool is_whole, enum reason why_not,
			uint64_t ts_ns)
{
	struct http1_conn *h = state_of(c);
	struct draft *draft = open_draft(h, d);

	if (draft && d->is_open) {
		if (draft->info.version)
			draft->info.anomalies |= d->parser.head.anomalies; /* bad chunks too */
		else
			read_cut_head(c, d, draft);
	}
	if (!d->is_open)
		drop_draft(c, d);
	else if (is_request(d))
		pair_end_request(&h->pairs, is_whole, ts_ns);
	else
		pair_end_response(&h->pairs, is_whole, why_not, ts_ns);
	d->is_open = false;
}

/* --- heads --- */

static void become_client_and_server(struct conn *c, unsigned client)
{
	struct http1_conn *h = state_of(c);

	h->has_spoken = true;
	c->client = (int8_t)client;
	h->pairs.has_response_bytes = h->dirs[!client].next > 0;
	http1_expect(&h->dirs[client].parser, HTTP1_REQUEST);
	http1_expect(&h->dirs[!client].parser, HTTP1_RESPONSE);
}

/* a response alone makes no HTTP of a connection whose client was heard from the SYN and spoke none */
static bool is_answer_to_nonsense(const struct conn *c, unsigned dir)
{
	const struct http1_conn *h = state_of(c);

	return !is_request(&h->dirs[dir]) && !c->is_midstream && h->dirs[!dir].searched > 0;
}

/* RFC 9113 3.4: looks like a request; joined midstream, it may come after the server's first frames */
static bool is_http2_preface(const struct http1 *p, struct span head)
{
	static const struct span line = {(const uint8_t *)"PRI * HTTP/2.0\r\n", HTTP1_TAIL_MAX};

	return p->start_version == 20 &&
	       (span_istarts(head, line) || span_eq(span_of(p->tail, p->tail_len), line));
}

/* the start line is certain: the draft becomes part of a pair. Return: false when it is of no use. */
static bool open_message(const struct feed *f, struct span head, bool is_resynced)
{
	struct http1_conn *h = state_of(f->c);
	struct direction *d = &h->dirs[f->dir];
	struct pair *p;

	if (is_http2_preface(&d->parser, head)) {
		drop_draft(f->c, d);
		http1_search(&d->parser);
		return false;
	}
	if (!h->has_spoken && !is_answer_to_nonsense(f->c, f->dir))
		become_client_and_server(f->c, is_request(d) ? f->dir : !f->dir);
	if (d->parser.kind != d->parser.wanted) {
		drop_draft(f->c, d);
		http1_search(&d->parser);
		return false;
	}
	p = is_request(d) ? pair_begin_request(&h->pairs, &d->draft)
			  : pair_begin_response(&h->pairs, &d->draft);
	d->is_open = true;
	if (p && is_resynced)
		p->anomalies |= ANOMALY_BIT(RESYNCED);
	return true;
}

static void end_request_head(const struct feed *f, struct direction *d, struct draft *draft)
{
	enum http1_follows follows = http1_begin_body(&d->parser, (struct http1_asked){0});

	if (draft && d->parser.head.framing == HTTP1_CHUNKED)
		draft->flags |= MESSAGE_CHUNKED;
	if (follows == HTTP1_FOLLOWS_UNKNOWN)
		end_message(f->c, d, false, REASON_PARSE_ERROR, f->ts_ns);
}

/* the connection is a tunnel from here on: the exchange that made it so is whole */
static void become_tunnel(const struct feed *f, struct direction *d)
{
	struct http1_conn *h = state_of(f->c);

	if (http1_upgrade(f->c, &h->pairs, f->ts_ns))
		return;
	if (h->pairs.answering)
		h->pairs.answering->anomalies |= ANOMALY_BIT(TUNNEL);
	counter_add(f->c->wire->counters, COUNTER_TUNNELS, 1);
	if (h->pairs.asking)
		pair_end_request(&h->pairs, false, f->ts_ns);
	end_message(f->c, d, true, REASON_NONE, f->ts_ns);
	conn_become(f->c, &http1_tunnel_protocol);
}

static void note_response_head(const struct http1_head *head, struct draft *draft,
			       enum http1_follows follows)
{
	bool has_body = head->framing == HTTP1_CHUNKED ||
			(head->framing == HTTP1_LENGTH && head->content_length);

	if (follows == HTTP1_FOLLOWS_CLOSE)
		draft->flags |= MESSAGE_CLOSE_DELIMITED;
	if (follows == HTTP1_FOLLOWS_BODY && head->framing == HTTP1_CHUNKED)
		draft->flags |= MESSAGE_CHUNKED;
	if (head->status == 204 && has_body)
		draft->info.anomalies |= ANOMALY_BIT(BODY_ON_BODILESS);
}

static void begin_events(const struct feed *f, struct pair *p)
{
	struct span head = draft_head(&p->response, f->c->wire);

	events_begin(&p->events, f->c, head, p->response.info.version,
		     http1_span(head, p->response.info.content_type));
}

static void end_response_head(const struct feed *f, struct direction *d, struct draft *draft)
{
	struct http1_conn *h = state_of(f->c);
	const struct pair *p = h->pairs.answering;
	struct http1_asked asked = {0};
	enum http1_follows follows;

	if (p)
		asked = (struct http1_asked){p->request.info.is_head, p->request.info.is_connect};
	follows = http1_begin_body(&d->parser, asked);
	if (draft)
		note_response_head(&d->parser.head, draft, follows);
	switch (follows) {
	case HTTP1_FOLLOWS_INTERIM:
		pair_skip_interim(&h->pairs);
		d->is_open = false;
		break;
	case HTTP1_FOLLOWS_TUNNEL: become_tunnel(f, d); break;
	case HTTP1_FOLLOWS_UNKNOWN:
		end_message(f->c, d, false, REASON_PARSE_ERROR, f->ts_ns);
		pair_lost_responses(&h->pairs, f->offset, f->offset, REASON_PARSE_ERROR);
		break;
	case HTTP1_FOLLOWS_BODY:
	case HTTP1_FOLLOWS_CLOSE:
		if (h->pairs.answering)
			part_watch(h->pairs.answering, f->ts_ns);
		if (draft && h->pairs.answering && draft->info.content_type.len)
			begin_events(f, h->pairs.answering);
		break;
	case HTTP1_FOLLOWS_NOTHING: break;
	}
}

static void end_head(const struct feed *f, const struct http1_step *step)
{
	struct http1_conn *h = state_of(f->c);
	struct direction *d = &h->dirs[f->dir];
	struct draft *draft = open_draft(h, d);

	if (!step->is_parsed || !draft || (draft->flags & MESSAGE_HEAD_CUT))
		http1_parse(&d->parser, draft ? draft_head(draft, f->c->wire) : (struct span){0},
			    !draft || (draft->flags & MESSAGE_HEAD_CUT));
	if (draft)
		draft->info = d->parser.head;
	if (is_request(d))
		end_request_head(f, d, draft);
	else
		end_response_head(f, d, draft);
}

static void take_head_step(const struct feed *f, const struct http1_step *step)
{
	struct http1_conn *h = state_of(f->c);
	struct direction *d = &h->dirs[f->dir];
	struct draft *draft;

	if (step->is_begin) {
		uint64_t at = step->behind ? f->offset - step->behind
					   : f->offset + (uint64_t)(step->bytes.ptr - f->bytes.ptr);

		draft_begin(&d->draft, at, f->acked, f->ts_ns);
	}
	draft = open_draft(h, d);
	if (draft) {
		draft_add_head(draft, f->c, step->bytes);
		draft->last_ns = f->ts_ns;
	}
	if (!d->is_open && http1_has_start_line(&d->parser) &&
	    !open_message(f, step->bytes, step->is_resynced))
		return;
	if (step->kind == HTTP1_HEAD)
		end_head(f, step);
}

/* --- the other steps --- */

static void take_body_step(const struct feed *f, const struct http1_step *step)
{
	struct http1_conn *h = state_of(f->c);
	struct draft *draft = open_draft(h, &h->dirs[f->dir]);

	if (!draft)
		return;
	draft->last_ns = f->ts_ns;
	if (step->kind == HTTP1_BODY) {
		struct pair *p = open_pair(h, &h->dirs[f->dir]);

		if (p && p->events.is_on && draft == &p->response)
			part_take_body(p, true, step->bytes, f->ts_ns);
		else
			draft_add_body(draft, f->c, step->bytes);
	} else if (step->kind == HTTP1_FRAMING)
		draft_add_framing(draft, f->c, step->bytes);
	else
		draft_add_trailer(draft, f->c, step->bytes);
}

static bool is_server(const struct conn *c, unsigned dir)
{
	return state_of(c)->has_spoken && c->client != (int8_t)dir;
}

/* @bytes that made no sense: is it HTTP at all? */
static void note_nonsense(struct conn *c, unsigned dir, size_t bytes)
{
	struct http1_conn *h = state_of(c);
	struct direction *d = &h->dirs[dir];

	d->searched += bytes;
	if (h->has_spoken)
		return;
	if (d->searched > (c->is_midstream ? SEARCH_BYTES_MIDSTREAM : SEARCH_BYTES_BEGINNING))
		d->is_hopeless = true;
	if (d->is_hopeless && h->dirs[!dir].is_hopeless)
		conn_become(c, &conn_protocol_other);
}

static void take_broken_step(const struct feed *f, const struct http1_step *step)
{
	struct http1_conn *h = state_of(f->c);
	struct direction *d = &h->dirs[f->dir];

	if (h->has_spoken && (d->is_open || !step->is_resynced))
		counter_add(f->c->wire->counters, COUNTER_PARSE_ERRORS, 1);
	end_message(f->c, d, false, REASON_PARSE_ERROR, f->ts_ns);
	if (is_server(f->c, f->dir))
		pair_lost_responses(&h->pairs, f->offset, f->offset, REASON_PARSE_ERROR);
	note_nonsense(f->c, f->dir, step->bytes.len);
}

static void take_skipped_step(const struct feed *f, const struct http1_step *step)
{
	struct http1_conn *h = state_of(f->c);

	if (is_server(f->c, f->dir))
		pair_lost_responses(&h->pairs, f->offset, f->offset + step->bytes.len,
				    REASON_PARSE_ERROR);
	note_nonsense(f->c, f->dir, step->bytes.len);
}

static void take_step(const struct feed *f, const struct http1_step *step)
{
	switch (step->kind) {
	case HTTP1_HEAD_PART:
	case HTTP1_HEAD: take_head_step(f, step); break;
	case HTTP1_BODY:
	case HTTP1_FRAMING:
	case HTTP1_TRAILER: take_body_step(f, step); break;
	case HTTP1_END:
		end_message(f->c, &state_of(f->c)->dirs[f->dir], true, REASON_NONE, f->ts_ns);
		break;
	case HTTP1_BROKEN: take_broken_step(f, step); break;
	case HTTP1_SKIPPED: take_skipped_step(f, step); break;
	case HTTP1_NEED_MORE:
	case HTTP1_TUNNEL: break;
	}
}

/* --- what conn.c calls --- */

static void http1_conn_gap(struct conn *c, unsigned dir, uint64_t offset, uint64_t len,
			   uint64_t ts_ns);

static void http1_conn_data(struct conn *c, unsigned dir, uint64_t offset, uint64_t acked,
			    struct span bytes, uint64_t ts_ns)
{
	struct feed f = {c, dir, offset, acked, ts_ns, bytes};
	struct http1_conn *h = state_of(c);
	struct direction *d = &h->dirs[dir];

	if (offset > d->next)
		http1_conn_gap(c, dir, d->next, offset - d->next, ts_ns);
	d->next = offset + bytes.len;
	d->parser.watch = redactor_watch(c->wire->redactor);
	if (is_server(c, dir))
		h->pairs.has_response_bytes = true;
	while (f.bytes.len || http1_has_more(&d->parser)) {
		struct http1_step step;
		size_t n = http1_next(&d->parser, f.bytes, &step);

		take_step(&f, &step);
		if (c->protocol != &http1_conn_protocol) {
			/* what follows the head of a 101 is for the protocol that it opened */
			if (conn_wants_data(c, dir))
				conn_data(c, dir, f.offset + n, acked, span_from(f.bytes, n),
					  ts_ns);
			return;
		}
		f.bytes = (struct span){f.bytes.ptr + n, f.bytes.len - n};
		f.offset += n;
	}
	if (!is_server(c, dir))
		pair_passed(&h->pairs, d->next);
}

static void http1_conn_gap(struct conn *c, unsigned dir, uint64_t offset, uint64_t len,
			   uint64_t ts_ns)
{
	struct http1_conn *h = state_of(c);
	struct direction *d = &h->dirs[dir];
	struct draft *draft = open_draft(h, d);
	enum http1_gap what = http1_gap(&d->parser, len);

	d->next = offset + len;
	if (draft && d->is_open)
		draft_note_gap(draft);
	if (what == HTTP1_GAP_END || what == HTTP1_GAP_LOST || what == HTTP1_GAP_BETWEEN)
		end_message(c, d, what == HTTP1_GAP_END, REASON_GAP, ts_ns);
	if (is_server(c, dir) && what != HTTP1_GAP_BODY)
		pair_lost_responses(&h->pairs, offset, d->next, REASON_GAP);
	if (!is_server(c, dir))
		pair_passed(&h->pairs, d->next);
}

static enum reason reason_of(enum conn_end how, bool is_server_side)
{
	switch (how) {
	case CONN_END_RST: return is_server_side ? REASON_RESET_SERVER : REASON_RESET_CLIENT;
	case CONN_END_IDLE: return REASON_TIMED_OUT;
	case CONN_END_EVICTED: return REASON_EVICTED;
	case CONN_END_REUSED: return REASON_GAP;
	case CONN_END_CAPTURE:
	case CONN_END_FIN: break;
	}
	return REASON_CAPTURE_END;
}

static void end_by_fin(struct conn *c, unsigned dir, uint64_t ts_ns)
{
	struct http1_conn *h = state_of(c);
	struct direction *d = &h->dirs[dir];
	enum reason why = h->dirs[!dir].has_ended ? REASON_CLIENT_CLOSED : REASON_CLOSED;
	bool is_whole = http1_close(&d->parser);

	d->has_ended = true;
	end_message(c, d, is_whole, why, ts_ns);
	if (is_server(c, dir))
		pairs_end(&h->pairs, why, ts_ns);
	else
		pair_passed(&h->pairs, UINT64_MAX);
}

static void end_both(struct conn *c, enum reason reason, uint64_t ts_ns)
{
	struct http1_conn *h = state_of(c);

	for (unsigned dir = 0; dir < 2; dir++)
		end_message(c, &h->dirs[dir], false, reason, ts_ns);
	pairs_close(&h->pairs, reason, ts_ns);
}

static void http1_conn_end(struct conn *c, unsigned dir, enum conn_end how, uint64_t ts_ns)
{
	if (how == CONN_END_FIN)
		end_by_fin(c, dir, ts_ns);
	else
		end_both(c, reason_of(how, is_server(c, dir)), ts_ns);
}

static void http1_conn_close(struct conn *c)
{
	end_both(c, REASON_CAPTURE_END, 0);
}

static void http1_conn_overlap(struct conn *c, unsigned dir)
{
	struct http1_conn *h = state_of(c);
	struct pair *p = open_pair(h, &h->dirs[dir]);

	if (p)
		p->anomalies |= ANOMALY_BIT(OVERLAP);
}

static bool http1_conn_wants_data(const struct conn *c, unsigned dir)
{
	const struct http1_conn *h = state_of(c);

	return h->has_spoken || !h->dirs[dir].is_hopeless;
}

static bool http1_conn_was_spoken(const struct conn *c)
{
	return state_of(c)->has_spoken;
}

static enum conn_guess recognise_any(const struct conn *c, struct span first)
{
	(void)c;
	(void)first;
	return CONN_YES; /* the parsers find out */
}

const struct conn_protocol http1_conn_protocol = {
	.name = "http1",
	.kind = COUNTER_CONNECTIONS_HTTP1,
	.recognise = recognise_any,
	.open = http1_conn_open,
	.data = http1_conn_data,
	.gap = http1_conn_gap,
	.end = http1_conn_end,
	.close = http1_conn_close,
	.overlap = http1_conn_overlap,
	.wants_data = http1_conn_wants_data,
	.was_spoken = http1_conn_was_spoken,
};

const struct conn_protocol http1_tunnel_protocol = {
	.name = "tunnel",
	.kind = COUNTER_CONNECTIONS_HTTP1,
};
