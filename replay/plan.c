// SPDX-License-Identifier: Apache-2.0
#include "replay/plan.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/array.h"
#include "replay/conversation.h"

/*
 * The plan is made from summaries in one pass, so that before the first byte is sent it is known
 * how many requests go where, what is refused and why, and how long it takes; and so that a
 * connection can be closed after its last exchange. 24 bytes an exchange and 16 a connection: a
 * million exchanges on 10,000 connections take 24 MB.
 *
 * What a summary cannot tell (the request's bytes) is judged again by plan_judge() when the
 * messages are there.
 */

/* RFC 9110 9.2.1; QUERY is left out until its draft is a standard */
static const char *const safe_methods[] = {"GET", "HEAD", "OPTIONS", "TRACE"};

static const char *const skip_names[] = {
#define SKIP(NAME, name, what) name,
#include "replay/verdicts.tbl.h"
#undef SKIP
};

static const char *const skip_whats[] = {
#define SKIP(NAME, name, what) what,
#include "replay/verdicts.tbl.h"
#undef SKIP
};

/* facts after which the recorded request bytes are not what the client sent */
struct unfit {
	uint64_t anomalies;
	uint8_t skip;
};

static const struct unfit unfits[] = {
	{ANOMALY_BIT(PUSHED), SKIP_PUSHED},   {ANOMALY_BIT(CONTINUATION), SKIP_CONTINUATION},
	{ANOMALY_BIT(GAP_REQUEST), SKIP_GAP}, {ANOMALY_BIT(BODY_CUT_REQUEST), SKIP_CUT},
	{ANOMALY_BIT(TUNNEL), SKIP_TUNNEL},
};

const char *skip_name(unsigned skip)
{
	return skip < SKIP_COUNT ? skip_names[skip] : "?";
}

const char *skip_what(unsigned skip)
{
	return skip < SKIP_COUNT ? skip_whats[skip] : "?";
}

bool plan_is_safe(struct span method)
{
	for (size_t i = 0; i < COUNT_OF(safe_methods); i++)
		if (span_eq(method, span_str(safe_methods[i])))
			return true;
	return false;
}

static bool is_http2(const struct exchange *x)
{
	return x->protocol == PROTOCOL_HTTP2 || x->protocol == PROTOCOL_GRPC;
}

/* a target that is no path was made of something else (wire/http2_head.h), or is no request's at all */
static bool is_malformed(const struct exchange *x)
{
	bool is_path =
		x->target.len && (x->target.ptr[0] == '/' || span_eq(x->target, SPAN_LIT("*")));

	return is_http2(x) && (!is_path || (x->anomalies & ANOMALY_BIT(BAD_HEADER)));
}

/*
 * What the client of a WebSocket says may change something: GET is said of the handshake alone. A summary has one
 * number for messages and close frame; one alone is looked at when the messages are there.
 */
static bool says_something(const struct exchange *x, bool has_messages)
{
	struct span row = x->children;
	struct child c;

	if (x->protocol != PROTOCOL_WEBSOCKET)
		return false;
	while (has_messages && child_next(&row, &c) == 1)
		if (!c.is_from_server && (c.kind == CHILD_WS_TEXT || c.kind == CHILD_WS_BINARY))
			return true;
	return x->messages[0] > 1;
}

static enum skip judge_message(const struct exchange *x, bool wants_http2)
{
	const struct message *m = &x->request;

	if (!(m->flags & MESSAGE_PRESENT) || m->head.len == 0)
		return SKIP_NO_REQUEST;
	if (m->flags & MESSAGE_HAS_GAP)
		return SKIP_GAP;
	if (m->flags & (MESSAGE_BODY_CUT | MESSAGE_HEAD_CUT))
		return SKIP_CUT;
	/* what the client did not end it does not end again */
	if (!(m->flags & MESSAGE_COMPLETE) && !(wants_http2 && conversation_is_left(x)))
		return SKIP_INCOMPLETE;
	if (wants_http2)
		return m->version == 20 ? SKIP_NONE : SKIP_PROTOCOL;
	return m->version == 10 || m->version == 11 ? SKIP_NONE : SKIP_PROTOCOL;
}

enum skip plan_judge(const struct plan_rules *rules, const struct exchange *x, bool has_messages)
{
	if (x->anomalies & ANOMALY_BIT(H2_PARTIAL))
		return SKIP_UNKNOWN_FIELDS;
	if (x->method.len == 0)
		return SKIP_NO_REQUEST;
	if (x->protocol != PROTOCOL_HTTP1 && x->protocol != PROTOCOL_WEBSOCKET && !is_http2(x))
		return SKIP_PROTOCOL;
	if (x->replay_of.len > 0 && !rules->allows_replayed)
		return SKIP_REPLAYED;
	if (span_eq(x->method, SPAN_LIT("CONNECT")))
		return SKIP_TUNNEL;
	if (is_malformed(x))
		return SKIP_MALFORMED;
	for (size_t i = 0; i < COUNT_OF(unfits); i++)
		if (x->anomalies & unfits[i].anomalies)
			return (enum skip)unfits[i].skip;
	if (has_messages) {
		enum skip s = judge_message(x, is_http2(x));

		if (s != SKIP_NONE)
			return s;
	}
	if (!rules->allows_unsafe && (!plan_is_safe(x->method) || says_something(x, has_messages)))
		return SKIP_UNSAFE;
	if (x->outcome == OUTCOME_INCOMPLETE && x->status == 0)
		return SKIP_NO_RECORD;
	return SKIP_NONE;
}

void plan_init(struct plan *p, const struct schedule_config *schedule,
	       const struct plan_rules *rules, const struct targets *targets)
{
	*p = (struct plan){.schedule.config = *schedule, .rules = *rules, .targets = targets};
}

void plan_fini(struct plan *p)
{
	free(p->entries);
	free(p->links);
	free(p->index);
	*p = (struct plan){0};
}

static size_t slot_of(const struct plan *p, uint64_t connection)
{
	uint64_t h = connection * UINT64_C(0x9E3779B97F4A7C15);

	return (size_t)(h >> 32) & (p->index_cap - 1);
}

static void index_link(struct plan *p, uint32_t link)
{
	size_t i = slot_of(p, p->links[link].connection);

	while (p->index[i])
		i = (i + 1) & (p->index_cap - 1);
	p->index[i] = link + 1;
}

/* twice as many slots, so that at most half of them are taken */
static bool index_grow(struct plan *p)
{
	size_t cap = p->index_cap ? p->index_cap * 2 : 64;
	uint32_t *index = calloc(cap, sizeof(*index));

	if (!index)
		return false;
	free(p->index);
	p->index = index;
	p->index_cap = cap;
	for (uint32_t i = 0; i < p->link_count; i++)
		if (p->links[i].connection)
			index_link(p, i);
	return true;
}

static struct plan_link *link_find(struct plan *p, uint64_t connection)
{
	if (connection == 0 || p->index_cap == 0)
		return NULL;
	for (size_t i = slot_of(p, connection); p->index[i]; i = (i + 1) & (p->index_cap - 1))
		if (p->links[p->index[i] - 1].connection == connection)
			return &p->links[p->index[i] - 1];
	return NULL;
}

static struct plan_link *link_add(struct plan *p, uint64_t connection, uint16_t target,
				  bool speaks_http2)
{
	void *links = p->links;

	if (p->link_count * 2 >= p->index_cap && !index_grow(p))
		return NULL;
	if (!array_room(&links, &p->links_cap, p->link_count, sizeof(*p->links)))
		return NULL;
	p->links = links;
	p->links[p->link_count] = (struct plan_link){
		.connection = connection, .target = target, .is_http2 = speaks_http2};
	if (connection)
		index_link(p, (uint32_t)p->link_count);
	return &p->links[p->link_count++];
}

static void count_sending(struct plan *p, const struct exchange *x, uint16_t target)
{
	p->first_ns = p->send_count == 0 ? x->start_ns : p->first_ns;
	p->last_ns = x->start_ns;
	p->send_count++;
	if (target_is_recorded(&p->targets->list[target], x))
		p->at_recorded_count++;
	else if (target_shares_namespace(&p->targets->list[target], x))
		p->in_namespace_count++;
}

/* give it its time and its connection; @to->skip is set when it has no target */
static int place(struct plan *p, const struct exchange *x, struct plan_entry *to)
{
	uint16_t target = target_of(p->targets, x);
	struct plan_link *l;

	if (target == TARGET_NONE) {
		to->skip = SKIP_NO_TARGET;
		return 0;
	}
	l = link_find(p, x->connection);
	/* two servers on one recorded connection cannot be: but a file may say so */
	if (!l || l->target != target || l->is_http2 != is_http2(x))
		l = link_add(p, l ? 0 : x->connection, target, is_http2(x));
	if (!l)
		return -ENOMEM;
	l->count++;
	to->link = (uint32_t)(l - p->links);
	to->at_ns = schedule_next(&p->schedule, x->start_ns);
	count_sending(p, x, target);
	return 0;
}

bool plan_is_ours(const struct plan_rules *rules, const struct exchange *x)
{
	uint64_t h = (x->connection ? x->connection : x->id) * UINT64_C(0x9E3779B97F4A7C15);

	return rules->shards < 2 || (h >> 32) % rules->shards == rules->shard;
}

/* What another shard sends takes its time here, too: silences and rates are those of the whole. */
static int pass_over(struct plan *p, const struct exchange *x)
{
	if (plan_judge(&p->rules, x, false) == SKIP_NONE && target_of(p->targets, x) != TARGET_NONE)
		(void)schedule_next(&p->schedule, x->start_ns);
	p->elsewhere_count++;
	return 0;
}

int plan_add(struct plan *p, const struct exchange *x, struct err *e)
{
	void *entries = p->entries;
	struct plan_entry entry = {.id = x->id, .at_ns = (uint64_t)p->schedule.at};

	if (p->count == UINT32_MAX)
		return err_set(e, -E2BIG, "a replay takes at most %u exchanges", UINT32_MAX);
	if (p->count > 0 && p->entries[p->count - 1].id >= x->id)
		return err_set(e, -EINVAL, "the source gave its exchanges out of order");
	if (!plan_is_ours(&p->rules, x))
		return pass_over(p, x);
	if (!array_room(&entries, &p->entries_cap, p->count, sizeof(*p->entries)))
		return err_set(e, -ENOMEM, "out of memory at exchange %zu of the plan", p->count);
	p->entries = entries;
	entry.skip = (uint8_t)plan_judge(&p->rules, x, false);
	if (entry.skip == SKIP_NONE && place(p, x, &entry) < 0)
		return err_set(e, -ENOMEM, "out of memory at exchange %zu of the plan", p->count);
	p->skipped[entry.skip] += entry.skip != SKIP_NONE;
	p->entries[p->count++] = entry;
	return 0;
}
