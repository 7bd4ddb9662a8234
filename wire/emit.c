// SPDX-License-Identifier: Apache-2.0
#include "wire/emit.h"

#include <xxhash.h>

#include "wire/http2_head.h"
#include "wire/internal.h"
#include "wire/redact.h"
#include "wire/request_facts.h"

/*
 * Theory of operation
 *
 * The size of everything is computed, the receiver's memory reserved, and each byte copied once, from
 * the pool's blocks to where the recorder reads it. The fields of an exchange are spans into the head
 * that was just copied: what http1_head.c noted are positions, so nothing is parsed twice.
 *
 * A head that may hold a secret is copied by redact.c, into memory of the wire's where its size is not
 * known yet, unless it is a long one; positions shift then, and where redact.c cannot say how, the copy
 * is parsed anew. Everything an exchange shows comes from the copy: nothing that was
 * replaced can be seen in any of its fields.
 */

/* Memory that is being filled from the front. */
struct room {
	uint8_t *at;
};

static struct span put_chain(struct room *r, const struct chain *c)
{
	struct span s = {r->at, c->len};

	if (c->len == 0)
		return (struct span){0};
	chain_copy(c, 0, c->len, r->at);
	r->at += c->len;
	return s;
}

static struct span put_bytes(struct room *r, const uint8_t *bytes, size_t len)
{
	struct span s = {r->at, len};

	memcpy(r->at, bytes, len);
	r->at += len;
	return s;
}

/* How one message is copied. */
struct plan {
	const struct draft *draft;
	enum http1_kind kind;
	const struct http1_head *info; /* positions in the copy of the head ... */
	/* ... and where they are when they are not those of the draft's head */
	struct http1_head *moved;
	size_t head_bytes, trailer_bytes;
	size_t secrets;		 /* to be replaced in the head ... */
	size_t trailer_secrets;	 /* ... and in the trailers */
	const uint8_t *redacted; /* the copy of the head; NULL: none was made yet */
	bool is_certain;	 /* the parser looked out for what is a secret now */
	bool is_moved;		 /* info holds for the copy */
};

static bool may_hold_secret(const struct draft *d, enum http1_kind kind, struct span head)
{
	return d->info.is_watched || (d->info.anomalies & ANOMALY_BIT(OBS_FOLD)) ||
	       d->info.version == 0 ||
	       (kind == HTTP1_REQUEST &&
		(redact_target_may_matter(http1_span(head, d->info.target)) ||
		 redact_target_may_matter(http1_span(head, d->info.host))));
}

static void plan_redaction(struct wire *w, struct plan *p, struct span head)
{
	uint8_t *out = w->redacted[p->kind == HTTP1_RESPONSE];
	struct redact_job job = {
		.kind = p->kind,
		.head = head,
		.info = p->is_certain ? p->moved : NULL,
		.room = WIRE_REDACTED_BYTES,
	};

	*p->moved = p->draft->info;
	p->head_bytes = redact_head(w->redactor, &job, out);
	p->secrets = job.secrets;
	p->is_moved = job.is_moved;
	if (p->secrets)
		p->info = p->moved;
	p->redacted = p->head_bytes <= job.room ? out : NULL;
}

static void make_plan(struct plan *p, struct wire *w, bool is_certain)
{
	const struct draft *d = p->draft;
	struct span head;

	if (!draft_has_begun(d))
		return;
	p->info = &d->info;
	p->is_certain = is_certain;
	p->head_bytes = d->head.len;
	p->trailer_bytes = d->trailers.len;
	if (!w->redactor)
		return;
	head = draft_head(d, w);
	if (!is_certain || may_hold_secret(d, p->kind, head))
		plan_redaction(w, p, head);
	if (d->trailers.len && !(is_certain && d->has_plain_trailers))
		p->trailer_bytes = redact_trailers(w->redactor, draft_trailers(d, w), NULL,
						   &p->trailer_secrets);
}

static size_t plan_bytes(const struct plan *p)
{
	if (!draft_has_begun(p->draft))
		return 0;
	return p->head_bytes + p->draft->body.len + p->draft->framing.len + p->trailer_bytes;
}

static void redact_long_head(struct wire *w, const struct plan *p, uint8_t *out)
{
	struct http1_head info = p->draft->info;
	struct redact_job job = {
		.kind = p->kind,
		.head = draft_head(p->draft, w),
		.info = p->is_certain ? &info : NULL,
		.room = p->head_bytes,
	};

	(void)redact_head(w->redactor, &job, out);
}

static struct span put_head(struct wire *w, struct room *r, struct plan *p)
{
	struct span head = {r->at, p->head_bytes};

	if (p->secrets == 0)
		return put_chain(r, &p->draft->head);
	if (p->redacted)
		memcpy(r->at, p->redacted, p->head_bytes);
	else
		redact_long_head(w, p, r->at);
	r->at += p->head_bytes;
	if (p->is_moved)
		return head;
	if (p->draft->info.version == 20)
		http2_head_read(p->kind, head, NULL, p->moved);
	else if (http1_head_parse(p->kind, head, true, NULL, p->moved) == 0)
		*p->moved = (struct http1_head){0};
	p->moved->version = p->draft->info.version;
	return head;
}

static struct span put_trailers(struct wire *w, struct room *r, struct plan *p)
{
	struct span lines = {r->at, p->trailer_bytes};

	if (p->trailer_secrets == 0)
		return put_chain(r, &p->draft->trailers);
	(void)redact_trailers(w->redactor, draft_trailers(p->draft, w), r->at, &p->trailer_secrets);
	r->at += p->trailer_bytes;
	return lines;
}

/* the announced size stands for the true one where the rest was not captured */
static void note_length(struct message *m, const struct draft *d)
{
	m->body_bytes = d->body_bytes;
	if (m->flags & MESSAGE_COMPLETE) {
		m->flags |= MESSAGE_LENGTH_KNOWN;
	} else if (!d->is_part && d->info.framing == HTTP1_LENGTH &&
		   d->info.content_length >= d->body_bytes) {
		m->flags |= MESSAGE_LENGTH_KNOWN;
		m->body_bytes = d->info.content_length;
	}
}

static void put_message(struct wire *w, struct room *r, struct message *m, struct plan *p)
{
	const struct draft *d = p->draft;

	if (!draft_has_begun(d))
		return;
	m->head = put_head(w, r, p);
	m->body = put_chain(r, &d->body);
	m->framing = put_chain(r, &d->framing);
	m->trailers = put_trailers(w, r, p);
	m->content_type = http1_span(m->head, p->info->content_type);
	m->first_ns = d->first_ns;
	m->last_ns = d->last_ns;
	m->flags = d->flags;
	m->version = d->info.version;
	note_length(m, d);
}

static uint64_t anomalies_of(const struct pair *p)
{
	const struct conn *c = p->owner->c;
	uint64_t bits = p->anomalies | p->request.info.anomalies | p->response.info.anomalies;
	uint32_t asked = p->request.flags, answered = p->response.flags;

	bits |= c->is_midstream ? ANOMALY_BIT(MIDSTREAM) : 0;
	bits |= c->was_cut[0] || c->was_cut[1] ? ANOMALY_BIT(SNAPLEN) : 0;
	bits |= asked & MESSAGE_HAS_GAP ? ANOMALY_BIT(GAP_REQUEST) : 0;
	bits |= answered & MESSAGE_HAS_GAP ? ANOMALY_BIT(GAP_RESPONSE) : 0;
	bits |= asked & MESSAGE_BODY_CUT ? ANOMALY_BIT(BODY_CUT_REQUEST) : 0;
	bits |= answered & MESSAGE_BODY_CUT ? ANOMALY_BIT(BODY_CUT_RESPONSE) : 0;
	bits |= (asked | answered) & MESSAGE_HEAD_CUT ? ANOMALY_BIT(HEAD_CUT) : 0;
	bits |= p->is_continuation ? ANOMALY_BIT(CONTINUATION) : 0;
	bits |= p->children.is_cut ? ANOMALY_BIT(CHILDREN_CUT) : 0;
	bits |= p->request.info.replay_of.from ? ANOMALY_BIT(REPLAYED) : 0;
	return bits;
}

/*
 * What every view of an exchange has in common, also where addresses are translated on the way: the
 * sequence number of its first byte and the client's port. HTTP/2: the client's first number and the
 * stream; of a connection that was joined, whose first number is another one in each view, the address.
 */
static uint64_t wire_key(const struct pair *p, const struct exchange *x)
{
	const struct conn *c = p->owner->c;
	bool is_asked = draft_has_begun(&p->request);
	unsigned dir = (c->client == 1) == is_asked;
	uint64_t number = c->first_seq[dir];

	if (!p->stream)
		number += is_asked ? p->request.offset : p->response.offset;
	else if (c->is_midstream)
		number = XXH3_64bits(x->src.address, sizeof(x->src.address));
	return ((number & UINT32_MAX) << 32 | (uint64_t)x->src.port << 16 |
		(uint64_t)is_asked << 1 | 1) ^
	       p->stream * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill_exchange(struct exchange *x, const struct pair *p, const struct plan *request)
{
	const struct conn *c = p->owner->c;
	unsigned client = c->client == 1;
	bool is_asked = draft_has_begun(&p->request);

	x->start_ns = is_asked ? p->request.first_ns : p->response.first_ns;
	x->connection = c->id;
	x->netns = c->netns;
	x->share = c->share;
	x->sequence = p->sequence;
	x->protocol = p->protocol;
	x->anomalies = anomalies_of(p);
	x->src = conn_endpoint(c, client);
	x->dst = conn_endpoint(c, !client);
	x->wire_key = wire_key(p, x);
	if (is_asked)
		request_facts(x, request->info);
	if (draft_has_begun(&p->response))
		x->status = p->response.info.status;
	for (unsigned side = 0; side < 2; side++)
		x->messages[side] = p->protocol == PROTOCOL_GRPC ? p->grpc[side].messages
								 : p->children.count[side];
	x->stream = p->stream;
	x->h2_error = p->h2_error;
	x->grpc_timeout_ns = p->grpc_timeout_ns;
	x->has_grpc_status = p->grpc_status >= 0;
	x->grpc_status = x->has_grpc_status ? (uint16_t)p->grpc_status : 0;
	x->close_code = p->close_code;
}

static void count_secrets(struct wire *w, struct exchange *x, const struct plan *p)
{
	size_t n = p->secrets + p->trailer_secrets;

	if (n)
		x->anomalies |= ANOMALY_BIT(REDACTED);
	counter_add(w->counters, COUNTER_REDACTIONS, n);
}

static void make_route(struct request_route *r, struct wire *w, const struct pair *p)
{
	const struct draft *d = &p->request;

	if (p->protocol != PROTOCOL_GRPC) {
		request_route_of(r, &d->info,
				 draft_has_begun(d) ? draft_head(d, w) : (struct span){0});
		return;
	}
	r->len = 0; /* /service/method: nothing in it varies */
	r->is_path = true;
}

void emit_pair(const struct pair *p, enum outcome outcome, enum reason reason)
{
	struct wire *w = p->owner->c->wire;
	bool is_certain = p->rules == w->redaction_rules;
	struct http1_head moved[2];
	struct plan request = {.draft = &p->request, .kind = HTTP1_REQUEST, .moved = &moved[0]};
	struct plan response = {.draft = &p->response, .kind = HTTP1_RESPONSE, .moved = &moved[1]};
	struct exchange *x;
	struct request_route route;
	struct room room;
	size_t bytes;

	make_plan(&request, w, is_certain);
	make_plan(&response, w, is_certain);
	make_route(&route, w, p);
	if (!draft_has_begun(&p->request))
		counter_add(w->counters, COUNTER_RESPONSES_ALONE, 1);
	bytes = sizeof(*x) + plan_bytes(&request) + plan_bytes(&response) + route.len +
		p->children.row.len;
	if (w->sink.may_take && !w->sink.may_take(w->sink.ctx, p->owner->c->share, bytes)) {
		counter_add(w->counters, COUNTER_REQUESTS_SHARE, 1);
		return;
	}
	x = w->sink.reserve(w->sink.ctx, bytes);
	if (!x) {
		counter_add(w->counters, COUNTER_REQUESTS_QUEUE_FULL, 1);
		return;
	}
	*x = (struct exchange){.outcome = (uint8_t)outcome, .reason = (uint8_t)reason};
	room = (struct room){(uint8_t *)x + sizeof(*x)};
	put_message(w, &room, &x->request, &request);
	put_message(w, &room, &x->response, &response);
	fill_exchange(x, p, &request);
	x->children = put_chain(&room, &p->children.row);
	if (!route.is_path)
		x->route = put_bytes(&room, route.text, route.len);
	exchange_split_grpc(x);
	count_secrets(w, x, &request);
	count_secrets(w, x, &response);
	counter_add(w->counters, COUNTER_REQUESTS_EXCHANGED, 1);
	w->sink.commit(w->sink.ctx, x);
}
