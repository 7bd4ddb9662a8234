// SPDX-License-Identifier: Apache-2.0
#include "wire/pair.h"

#include "wire/emit.h"
#include "wire/internal.h"

/*
 * Theory of operation
 *
 * Responses come in the order of the requests (RFC 9112 9.3.2), so the first request without a response
 * owns the next one. That holds only as long as nothing was lost: after one missing response, counting
 * would shift every later pair of the connection. TCP itself tells where a response must lie:
 *
 *   acked(q)   what the client had acknowledged of the server's stream when it began request q. The
 *              response to q cannot begin before it.
 *   acked(r)   what the server had acknowledged of the client's stream when it began response r. r
 *              cannot answer a request that begins at or behind it.
 *
 * So a response that begins before acked(q) answers a request that was not captured. And when bytes of
 * the server's stream are missing from `lost_from` on, a request is given up as unanswered once a later
 * one shows acked(later) behind lost_from and not behind the response at hand: its answer lay in between.
 *
 * The two directions are delivered each in order, but one may run ahead: a response may come while its
 * request is still read (early response, or a hole in the request being filled), or before any of it
 * was seen. In the last case it waits as long as acked(r) says that the request is still to come.
 *
 *   request read ---> waits (wire::pending) ---> response read ---> told
 *                        | exchange_timeout -> told; the pair stays to swallow the late response
 */

#define UNKNOWN UINT64_MAX

_Static_assert(sizeof(struct pair) <= POOL_BLOCK_BYTES, "a pair is one block");

void pairs_init(struct pairs *ps, struct conn *c)
{
	*ps = (struct pairs){.c = c, .lost_from = UNKNOWN};
	list_init(&ps->open);
}

static struct pair *pair_of(struct list *link)
{
	return CONTAINER_OF(link, struct pair, link);
}

static struct pair *pair_new(struct pairs *ps)
{
	struct pair *p = wire_block(ps->c->wire, ps->c);

	if (!p)
		return NULL;
	*p = (struct pair){
		.owner = ps,
		.rules = ps->c->wire->redaction_rules,
		.protocol = PROTOCOL_HTTP1,
		.grpc_status = -1,
	};
	list_init(&p->pending);
	list_init(&p->link);
	return p;
}

static void free_drafts(struct pair *p)
{
	struct pool *pool = p->owner->c->wire->pool;

	draft_free(&p->request, pool);
	draft_free(&p->response, pool);
	children_free(&p->children, pool);
	events_free(&p->events, p->owner->c->wire);
}

static void forget(struct pair *p)
{
	struct pairs *ps = p->owner;

	if (ps->asking == p)
		ps->asking = NULL;
	if (ps->answering == p)
		ps->answering = NULL;
	list_remove(&p->pending);
	list_remove(&p->link);
	free_drafts(p);
	pool_give(ps->c->wire->pool, p);
}

static bool is_complete(const struct draft *d)
{
	return (d->flags & MESSAGE_COMPLETE) != 0;
}

static bool has_request(const struct pair *p)
{
	return draft_has_begun(&p->request);
}

/* --- how it ended --- */

static enum outcome outcome_of_reason(enum reason reason, enum outcome otherwise)
{
	switch (reason) {
	case REASON_RESET_CLIENT:
	case REASON_RESET_SERVER: return OUTCOME_RESET;
	case REASON_CLOSED: return OUTCOME_NO_RESPONSE;
	case REASON_TIMED_OUT: return OUTCOME_TIMEOUT;
	case REASON_CLIENT_CLOSED:
		return otherwise == OUTCOME_INCOMPLETE ? OUTCOME_NO_RESPONSE : otherwise;
	case REASON_NONE:
	case REASON_CAPTURE_END:
	case REASON_GAP:
	case REASON_ONE_SIDED:
	case REASON_NO_REQUEST:
	case REASON_EVICTED:
	case REASON_PARSE_ERROR:
	case REASON_GOAWAY:
	case REASON_UNKNOWN_STATUS:
	case REASON_ONGOING:
	case REASON_COUNT: break;
	}
	return otherwise;
}

/* why there is no response, given why none can come any more */
static enum reason why_unanswered(const struct pair *p, enum reason reason)
{
	const struct pairs *ps = p->owner;
	bool is_acked = ps->acked_max > 0 || ps->lost_from != UNKNOWN;

	if (!ps->has_response_bytes && is_acked)
		return REASON_ONE_SIDED;
	if (ps->lost_from != UNKNOWN &&
	    (p->request.acked == UNKNOWN || ps->lost_until > p->request.acked))
		return (enum reason)ps->lost_why;
	return reason;
}

static enum reason why_incomplete(const struct pair *p, enum reason reason)
{
	if (!has_request(p))
		return REASON_NO_REQUEST;
	if (is_complete(&p->response))
		return REASON_NONE;
	return p->response.flags & MESSAGE_HAS_GAP ? REASON_GAP : reason;
}

/* hand the pair out; @reason: why nothing more of it will come, where something is missing */
static void tell(struct pair *p, enum reason reason)
{
	enum outcome otherwise = OUTCOME_INCOMPLETE;

	if (draft_has_begun(&p->response)) {
		reason = why_incomplete(p, reason);
		otherwise = outcome_of_status(p->response.info.status);
	} else {
		reason = why_unanswered(p, reason);
	}
	emit_pair(p, outcome_of_reason(reason, otherwise), reason);
	if (has_request(p))
		counter_sub(p->owner->c->wire->counters, COUNTER_REQUESTS_OPEN, 1);
	p->is_told = true;
}

static void tell_and_forget(struct pair *p, enum reason reason)
{
	if (!p->is_told)
		tell(p, reason);
	forget(p);
}

/* an orphan response whose request may still come: the server has acknowledged bytes we have not read */
static bool may_be_asked_yet(const struct pair *p)
{
	const struct pairs *ps = p->owner;

	return p->response.acked != UNKNOWN && p->response.acked > ps->asked_until &&
	       ps->ended == REASON_NONE;
}

/* both sides over? then it leaves */
static void settle(struct pair *p, enum reason reason)
{
	if (has_request(p) ? !p->request.is_over : may_be_asked_yet(p))
		return;
	if (!p->response.is_over)
		return;
	if (p->is_told)
		counter_add(p->owner->c->wire->counters, COUNTER_RESPONSES_LATE, 1);
	tell_and_forget(p, reason);
}

/* --- requests --- */

static void wait_for_response(struct pair *p, uint64_t ts_ns)
{
	p->waits_since_ns = ts_ns;
	list_remove(&p->pending);
	list_append(&p->owner->c->wire->pending, &p->pending);
}

/* the response that came first, if this request is what it answers */
static struct pair *find_orphan(struct pairs *ps, const struct draft *request)
{
	for (struct list *l = ps->open.next; l != &ps->open; l = l->next) {
		struct pair *p = pair_of(l);

		if (has_request(p) || p->is_told || !draft_has_begun(&p->response))
			continue;
		if (p->response.acked > request->offset &&
		    (request->acked == UNKNOWN || request->acked <= p->response.offset))
			return p;
	}
	return NULL;
}

static bool is_unanswered(const struct pair *p)
{
	return has_request(p) && !p->is_told && !draft_has_begun(&p->response);
}

/* sent without waiting for the answer to the one before: nothing was acknowledged between the two */
static bool is_pipelined(const struct pairs *ps, const struct draft *request)
{
	const struct pair *last = list_is_empty(&ps->open) ? NULL : pair_of(ps->open.prev);

	return last && is_unanswered(last) &&
	       (request->acked == UNKNOWN || request->acked <= last->request.acked);
}

struct pair *pair_begin_request(struct pairs *ps, struct draft *d)
{
	struct counters *n = ps->c->wire->counters;
	struct pair *p;

	counter_add(n, COUNTER_REQUESTS_IN, 1);
	if (d->acked != UNKNOWN && d->acked > ps->acked_max)
		ps->acked_max = d->acked;
	p = find_orphan(ps, d);
	if (!p) {
		bool is_ahead = is_pipelined(ps, d);

		p = pair_new(ps);
		if (!p) {
			counter_add(n, COUNTER_REQUESTS_EVICTED, 1);
			draft_free(d, ps->c->wire->pool);
			return NULL;
		}
		p->anomalies |= is_ahead ? ANOMALY_BIT(PIPELINED) : 0;
		list_append(&ps->open, &p->link);
	}
	counter_add(n, COUNTER_REQUESTS_OPEN, 1);
	draft_move(&p->request, d);
	p->request.flags |= MESSAGE_PRESENT;
	p->sequence = ps->c->sequence++;
	ps->asking = p;
	return p;
}

void pair_end_request(struct pairs *ps, bool is_whole, uint64_t ts_ns)
{
	struct pair *p = ps->asking;

	ps->asking = NULL;
	if (!p)
		return;
	p->request.is_over = true;
	if (is_whole && !(p->request.flags & MESSAGE_HAS_GAP))
		p->request.flags |= MESSAGE_COMPLETE;
	if (p->response.is_over)
		settle(p, REASON_PARSE_ERROR);
	else if (ps->ended != REASON_NONE)
		tell_and_forget(p, (enum reason)ps->ended);
	else if (!draft_has_begun(&p->response))
		wait_for_response(p, ts_ns);
}

struct pair *pair_take(struct pairs *ps)
{
	struct pair *p = ps->answering;

	ps->answering = NULL;
	if (ps->asking == p)
		ps->asking = NULL;
	list_remove(&p->pending);
	list_remove(&p->link);
	p->request.is_over = p->response.is_over = true;
	p->response.flags |= MESSAGE_COMPLETE;
	return p;
}

void pair_leave(struct pair *p, enum outcome outcome, enum reason reason)
{
	emit_pair(p, outcome, reason);
	counter_sub(p->owner->c->wire->counters, COUNTER_REQUESTS_OPEN, 1);
	forget(p);
}

void pair_take_request(struct pairs *ps, struct draft *out)
{
	struct pair *p = ps->answering;

	*out = p->request;
	p->request = (struct draft){0};
	forget(p);
}

/* --- responses --- */

/* is there a later request that shows that the answer to @p had been received, and lay in the hole? */
static bool was_answered_unseen(const struct pair *p, uint64_t lost_from, uint64_t until)
{
	for (struct list *l = p->link.next; l != &p->owner->open; l = l->next) {
		const struct pair *later = pair_of(l);
		uint64_t acked = later->request.acked;

		if (has_request(later) && acked != UNKNOWN && acked > lost_from && acked <= until &&
		    acked > p->request.acked)
			return true;
	}
	return false;
}

static struct pair *first_unanswered(const struct pairs *ps)
{
	for (struct list *l = ps->open.next; l != &ps->open; l = l->next) {
		struct pair *p = pair_of(l);

		if (has_request(p) && !draft_has_begun(&p->response) && !p->response.is_over)
			return p;
	}
	return NULL;
}

/* give up requests whose answers are in the hole that ends before @until */
static void give_up_lost(struct pairs *ps, uint64_t until)
{
	struct pair *p;

	if (ps->lost_from == UNKNOWN)
		return;
	while ((p = first_unanswered(ps)) && p != ps->asking &&
	       was_answered_unseen(p, ps->lost_from, until))
		tell_and_forget(p, REASON_GAP);
}

/* the request that a response with this beginning answers; NULL: one that was not seen */
static struct pair *find_request_of(struct pairs *ps, const struct draft *response)
{
	struct pair *p;

	give_up_lost(ps, response->offset);
	p = first_unanswered(ps);
	if (!p)
		return NULL;
	if (p->request.acked != UNKNOWN && response->offset < p->request.acked)
		return NULL;
	/* an acknowledgement of nothing at all says nothing: some captures were made by hand */
	if (response->acked != UNKNOWN && response->acked && response->acked <= p->request.offset)
		return NULL;
	return p;
}

static struct pair *new_orphan(struct pairs *ps)
{
	struct pair *p = pair_new(ps), *next = first_unanswered(ps);

	if (p)
		list_append(next ? &next->link : &ps->open, &p->link);
	return p;
}

struct pair *pair_begin_response(struct pairs *ps, struct draft *d)
{
	struct pair *p = find_request_of(ps, d);

	if (!p)
		p = new_orphan(ps);
	if (!p) {
		draft_free(d, ps->c->wire->pool);
		return NULL;
	}
	ps->lost_from = UNKNOWN;
	list_remove(&p->pending);
	draft_move(&p->response, d);
	p->response.flags |= MESSAGE_PRESENT;
	if (has_request(p) && !p->request.is_over)
		p->anomalies |= ANOMALY_BIT(EARLY_RESPONSE);
	ps->answering = p;
	return p;
}

void pair_skip_interim(struct pairs *ps)
{
	struct pair *p = ps->answering;

	ps->answering = NULL;
	counter_add(ps->c->wire->counters, COUNTER_INTERIM_RESPONSES, 1);
	if (!p)
		return;
	if (!has_request(p)) {
		forget(p);
		return;
	}
	if (!p->request.is_over)
		p->anomalies &= ~ANOMALY_BIT(EARLY_RESPONSE);
	else if (!p->is_told)
		wait_for_response(p, p->response.last_ns);
	draft_free(&p->response, ps->c->wire->pool);
	p->response = (struct draft){0};
}

void pair_end_response(struct pairs *ps, bool is_whole, enum reason why_not, uint64_t ts_ns)
{
	struct pair *p = ps->answering;

	(void)ts_ns;
	ps->answering = NULL;
	if (!p)
		return;
	p->response.is_over = true;
	if (is_whole && !(p->response.flags & MESSAGE_HAS_GAP))
		p->response.flags |= MESSAGE_COMPLETE;
	settle(p, is_whole ? REASON_GAP : why_not);
}

void pair_lost_responses(struct pairs *ps, uint64_t from, uint64_t until, enum reason why)
{
	if (ps->lost_from == UNKNOWN) {
		ps->lost_from = from;
		ps->lost_why = (uint8_t)why;
	}
	ps->lost_until = until;
	give_up_lost(ps, until);
}

void pair_passed(struct pairs *ps, uint64_t offset)
{
	struct list *next;

	if (offset <= ps->asked_until)
		return;
	ps->asked_until = offset;
	for (struct list *l = ps->open.next; l != &ps->open; l = next) {
		struct pair *p = pair_of(l);

		next = l->next;
		if (has_request(p) || p == ps->asking)
			return; /* orphans that wait stand before the request being read */
		settle(p, REASON_NO_REQUEST);
	}
}

/* --- ends --- */

void pairs_end(struct pairs *ps, enum reason reason, uint64_t ts_ns)
{
	struct list *next;

	(void)ts_ns;
	if (ps->ended != REASON_NONE)
		return;
	ps->ended = (uint8_t)reason;
	for (struct list *l = ps->open.next; l != &ps->open; l = next) {
		struct pair *p = pair_of(l);

		next = l->next;
		if (p != ps->asking && p != ps->answering)
			tell_and_forget(p, reason);
	}
}

void pairs_close(struct pairs *ps, enum reason reason, uint64_t ts_ns)
{
	struct list *first;

	(void)ts_ns;
	if (ps->ended != REASON_NONE && reason == REASON_CAPTURE_END)
		reason = (enum reason)ps->ended;
	while ((first = list_first(&ps->open)))
		tell_and_forget(pair_of(first), reason);
}

void pairs_tick(struct wire *w, uint64_t now_ns)
{
	struct list *first;

	while ((first = list_first(&w->pending))) {
		struct pair *p = CONTAINER_OF(first, struct pair, pending);

		if (p->waits_since_ns + w->config.exchange_timeout_ns > now_ns)
			return;
		list_remove(&p->pending);
		tell(p, REASON_TIMED_OUT);
		free_drafts(p);
		p->request.flags |= MESSAGE_PRESENT; /* it still owns the next response */
	}
}
