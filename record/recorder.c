// SPDX-License-Identifier: Apache-2.0
#include "record/recorder.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "record/awaited.h"
#include "record/handover.h"
#include "record/helper.h"
#include "schema/fingerprint.h"

/*
 * Theory of operation. Exchanges are added to a batch, and the batch is committed when its first
 * exchange has waited for the commit interval or when it is full.
 *
 * A store that fails is left alone for a while that doubles from RETRY_MIN to RETRY_MAX; nothing is
 * taken meanwhile, so exchanges wait in the queue. What failed ends the failure once it works. A
 * batch whose commit failed stays in the store and is tried first. What becomes of the exchanges
 * that find no room in the queue is the caller's business (recorder_drop()).
 *
 *	            add or commit fails
 *	working  ────────────────────────►  failing ──┐ retry fails: wait twice as long
 *	         ◄────────────────────────          ◄─┘
 *	            retry works
 */
#define RETRY_MIN_NS	 (100 * NS_PER_MS)
#define RETRY_MAX_NS	 (5 * NS_PER_S)
#define HANDOVER_LOOK_NS (50 * NS_PER_MS) /* while something is on its way */
#define TICK_NS		 (10 * NS_PER_S)  /* between two looks of the store at age and quota */

struct recorder {
	const struct record_config *config; /* borrowed */
	struct counters *counters;	    /* borrowed */
	struct filter *filter;		    /* NULL keeps all */
	struct sampler *sampler;	    /* NULL keeps all */
	struct filter_scratch *scratch;	    /* for judging by it */
	struct identities *identities;	    /* NULL: nobody is known */
	struct residents *residents;	    /* NULL: likewise */
	const struct census *census;	    /* owned; NULL: no API server is asked */
	struct tapconfigs *tapconfigs;	    /* owned; NULL: no TapConfig is known */
	struct awaited *awaited;	    /* NULL: likewise, or nothing is stored here */
	struct store *store;		    /* NULL: decode only */
	struct fingerprint_room error;	    /* of the exchange that is being taken */
	struct handover *handover;	    /* instead of a store; NULL: not */
	struct helper *helper;		    /* trains and makes checkpoints for the store */
	uint64_t commit_interval_ns;
	uint64_t last_id;	 /* decode only: given to the last exchange */
	uint64_t batch_since_ns; /* when the oldest of the batch was added */
	size_t batch_count;
	uint64_t batch_ids[RECORDER_BATCH_MAX];
	struct err failure; /* code 0 while the store works */
	bool add_failed;    /* it was an add: only an add that works ends it */
	uint64_t retry_at_ns, retry_wait_ns;
	uint64_t tick_at_ns; /* of the store */
};

static int open_filter(struct recorder *r, struct err *e)
{
	const char *text = r->config->record_filter;

	if (!text || !*text)
		return 0;
	return filter_parse(span_str(text), &r->filter, e) < 0 ? err_wrap(e, "record") : 0;
}

static int open_store(struct recorder *r, struct err *e)
{
	struct store_config config = r->config->store;
	int failed;

	if (!r->config->store_dir)
		return 0;
	failed = helper_start(&r->helper, e);
	if (failed < 0)
		return failed;
	config.run = helper_run;
	config.run_ctx = r->helper;
	return store_open(r->config->store_dir, &config, &r->store, e);
}

static void free_recorder(struct recorder *r)
{
	helper_finish(r->helper);
	helper_free(r->helper);
	filter_free(r->filter);
	sampler_free(r->sampler);
	filter_scratch_free(r->scratch);
	handover_free(r->handover);
	identities_free(r->identities);
	residents_free(r->residents);
	census_free(r->census);
	tapconfigs_free(r->tapconfigs);
	awaited_free(r->awaited);
	fingerprint_room_fini(&r->error);
	free(r);
}

int recorder_open(const struct record_config *config, struct counters *counters,
		  struct recorder **r_out, struct err *e)
{
	struct recorder *r = calloc(1, sizeof(*r));
	int failed;

	if (!r)
		return err_set(e, -ENOMEM, "recorder: out of memory");
	*r = (struct recorder){.config = config,
			       .counters = counters,
			       .scratch = filter_scratch_new(),
			       .commit_interval_ns = config->commit_interval_ns};
	failed = r->scratch ? open_filter(r, e) : err_set(e, -ENOMEM, "recorder: out of memory");
	if (failed == 0 && !sample_keeps_all(&config->sample))
		failed = sampler_new(&config->sample, &r->sampler, e);
	if (failed == 0)
		failed = open_store(r, e);
	if (failed == 0 && config->handover_to &&
	    !(r->handover = handover_new(config->handover_to)))
		failed = err_set(e, -ENOMEM, "recorder: out of memory");
	if (failed == 0 && config->awaits_names && r->store &&
	    !(r->awaited = awaited_new(counters)))
		failed = err_set(e, -ENOMEM, "recorder: out of memory");
	if (failed < 0) {
		free_recorder(r);
		return failed;
	}
	*r_out = r;
	return 0;
}

void recorder_change_free(struct recorder_change *c)
{
	if (!c)
		return;
	filter_free(c->filter);
	sampler_free(c->sampler);
	identities_free(c->identities);
	free(c);
}

void recorder_census(struct recorder *r, const struct census *c)
{
	if (!c)
		return;
	census_free(r->census);
	r->census = c;
	if (r->awaited)
		awaited_census(r->awaited, c);
}

void recorder_tapconfigs(struct recorder *r, struct tapconfigs *t)
{
	if (!t)
		return;
	tapconfigs_free(r->tapconfigs);
	r->tapconfigs = t;
}

void recorder_apply(struct recorder *r, struct recorder_change *c)
{
	struct filter *filter = r->filter;
	struct sampler *sampler = r->sampler;
	struct identities *identities = r->identities;

	if (!c)
		return;
	r->filter = c->filter;
	r->sampler = c->sampler;
	r->identities = c->identities;
	r->commit_interval_ns = c->commit_interval_ns;
	if (r->store)
		store_set_limits(r->store, &c->store);
	c->filter = filter; /* the old ones go with it */
	c->sampler = sampler;
	c->identities = identities;
	recorder_change_free(c);
}

void recorder_residents(struct recorder *r, struct residents *all)
{
	if (!all)
		return;
	residents_free(r->residents);
	r->residents = all;
}

static enum counter counter_of_failure(int failure)
{
	return failure == -ENOSPC || failure == -EDQUOT ? COUNTER_EXCHANGES_STORE_FULL
							: COUNTER_EXCHANGES_STORE_ERROR;
}

static void begin_failing(struct recorder *r, const struct err *e, uint64_t now_ns)
{
	bool is_new = r->failure.code == 0;

	r->failure = *e;
	if (r->failure.code == 0)
		r->failure.code = -EIO;
	r->retry_wait_ns = is_new ? RETRY_MIN_NS : MIN(r->retry_wait_ns * 2, RETRY_MAX_NS);
	r->retry_at_ns = now_ns + r->retry_wait_ns;
	if (is_new && r->config->on_state)
		r->config->on_state(r->config->ctx, r->failure.why);
}

static void end_failing(struct recorder *r)
{
	if (r->failure.code && r->config->on_state)
		r->config->on_state(r->config->ctx, NULL);
	r->failure.code = 0;
	r->add_failed = false;
}

static int commit(struct recorder *r, uint64_t now_ns)
{
	struct err e = {0};

	if (store_commit(r->store, &e) < 0) {
		begin_failing(r, &e, now_ns);
		return r->failure.code;
	}
	if (!r->add_failed)
		end_failing(r);
	counter_add(r->counters, COUNTER_EXCHANGES_STORED, r->batch_count);
	counter_sub(r->counters, COUNTER_EXCHANGES_HELD, r->batch_count);
	if (r->batch_count && r->config->on_commit)
		r->config->on_commit(r->config->ctx, r->batch_ids, r->batch_count);
	r->batch_count = 0;
	return 0;
}

static bool add(struct recorder *r, struct exchange *x, uint64_t now_ns)
{
	struct err e = {0};

	if (store_add(r->store, x, &e) < 0) {
		begin_failing(r, &e, now_ns);
		r->add_failed = true;
		return false;
	}
	end_failing(r);
	if (r->batch_count == 0)
		r->batch_since_ns = now_ns;
	r->batch_ids[r->batch_count++] = x->id;
	if (r->batch_count == RECORDER_BATCH_MAX)
		(void)commit(r, now_ns); /* a failure is remembered and shows at the next call */
	return true;
}

/* Is the pod that has the address by one account the one in whose namespace it was seen? */
static bool is_same_pod(const struct identity *who, const struct identity *resident)
{
	return who->pod_uid.len && resident->pod_uid.len &&
	       span_eq(who->pod_uid, resident->pod_uid);
}

/* Does it say whose namespace it is, or more than the API server says of the address? The name of its file does not. */
static bool is_telling(const struct identity *resident, const struct identity *who)
{
	if (!who)
		return true;
	return resident->pod_uid.len ? !is_same_pod(who, resident) : who->source != IDENTITY_API;
}

/* Where it was seen is sure; what else is known of the same pod says more. */
static void name_end(const struct recorder *r, struct endpoint *at, uint64_t time_ns,
		     uint32_t netns)
{
	const struct identity *said = identities_find(r->identities, at, time_ns, netns);
	const struct identity *resident = residents_find(r->residents, netns, at, time_ns), *same;
	const struct identity *who = census_find(r->census, at, time_ns);

	/* a file that names this very address knows better than the API server; networks, and namespaces' names, less */
	if (said &&
	    (!who || (said->source == IDENTITY_FILE && identities_is_exact(r->identities, said))))
		who = said;
	if (resident && is_telling(resident, who)) {
		same = census_find_uid(r->census, resident->pod_uid);
		who = same ? same : resident;
	}
	if (!who)
		who = residents_at(r->residents, at, time_ns);
	if (who || at->who.source != IDENTITY_DOWNWARD) /* a sidecar knows its own pod */
		at->who = who ? *who : (struct identity){0};
}

/* A pod may serve several services: the client asked for this one. */
static void name_asked(const struct recorder *r, struct exchange *x)
{
	struct endpoint asked = {.port = x->asked.port, .is_ipv4 = x->asked.is_ipv4};

	if (!x->asked.is_known)
		return;
	memcpy(asked.address, x->asked.address, sizeof(asked.address));
	name_end(r, &asked, x->start_ns, x->netns);
	if (asked.who.service.len)
		x->dst.who.service = asked.who.service;
}

static void name_ends(const struct recorder *r, struct exchange *x)
{
	name_end(r, &x->src, x->start_ns, x->netns);
	name_end(r, &x->dst, x->start_ns, x->server_netns ? x->server_netns : x->netns);
	name_asked(r, x);
	if (r->awaited) {
		awaited_note(r->awaited, &x->src, true, x->start_ns, r->census);
		awaited_note(r->awaited, &x->dst, false, x->start_ns, r->census);
	}
}

static bool is_on_one_node(const struct exchange *x)
{
	return x->src.who.node.len && span_eq(x->src.who.node, x->dst.who.node);
}

/* An end that is, or may turn out to be, on some node. */
static bool may_have_node(const struct identity *who)
{
	return who->node.len || who->until_ns;
}

/* The other node records it, too: what both views have in common is kept, so that they can be brought together. */
static void keep_wire_key(const struct recorder *r, struct exchange *x)
{
	bool may_be_elsewhere = r->awaited && !exchange_is_seen_twice(x) && !is_on_one_node(x) &&
				may_have_node(&x->src.who) && may_have_node(&x->dst.who);

	x->wire_key = may_be_elsewhere ? x->wire_key & INT64_MAX : 0;
}

/* Where an API server is asked, everybody inside of the cluster should have a name. */
static void count_names(struct recorder *r, const struct exchange *x)
{
	if (!r->census)
		return;
	if (!x->src.who.source || !x->dst.who.source)
		counter_add(r->counters, COUNTER_EXCHANGES_UNNAMED, 1);
	if (census_is_lost(r->census))
		counter_add(r->counters, COUNTER_NAMES_STALE, 1);
}

/* One counter for an exchange that goes nowhere further. */
static bool finish(struct recorder *r, enum counter where)
{
	counter_add(r->counters, where, 1);
	counter_sub(r->counters, COUNTER_EXCHANGES_HELD, 1);
	return true;
}

static bool is_wanted(struct recorder *r, const struct exchange *x)
{
	uint64_t gave_up;
	bool holds;

	if (!r->filter)
		return true;
	gave_up = filter_gave_up(r->filter);
	holds = filter_judge(r->filter, r->scratch, x);
	counter_add(r->counters, COUNTER_FILTER_LIMITS, filter_gave_up(r->filter) - gave_up);
	return holds;
}

/* Does anybody look at it? Where captures are only counted, what takes long to work out is left out. */
static bool is_asked_for(const struct recorder *r)
{
	return r->store || r->handover || r->filter || r->sampler || r->config->on_exchange;
}

/* Is it kept, here or elsewhere? Then it may have to wait. */
static bool is_keeping(const struct recorder *r)
{
	return r->store || r->handover;
}

static void count_handed_over(struct recorder *r)
{
	struct handover_outcome since = handover_outcome(r->handover);

	counter_add(r->counters, COUNTER_EXCHANGES_HANDED_OVER, since.taken);
	counter_add(r->counters, COUNTER_EXCHANGES_HANDOVER_LOST, since.lost);
	counter_sub(r->counters, COUNTER_EXCHANGES_HELD, since.taken + since.lost);
}

static bool hand_over(struct recorder *r, const struct exchange *x, uint64_t now_ns)
{
	struct err e = {0};
	int failed = handover_add(r->handover, x, &e);

	count_handed_over(r);
	if (failed < 0)
		begin_failing(r, &e, now_ns);
	else
		end_failing(r);
	return failed == 0;
}

/* Return: how long until the next look [ns]. */
static uint64_t tick_handover(struct recorder *r, uint64_t now_ns)
{
	struct err e = {0};

	if (r->failure.code && now_ns < r->retry_at_ns)
		return r->retry_at_ns - now_ns;
	if (handover_tick(r->handover, &e) < 0)
		begin_failing(r, &e, now_ns);
	count_handed_over(r);
	return handover_waiting(r->handover) ? HANDOVER_LOOK_NS : UINT64_MAX;
}

/* By what the namespaces ask for and by the settings' share. One that is offered again has its weight. Return: true when it
 * is kept; else *@why_out counts it. */
static bool is_chosen(struct recorder *r, struct exchange *x, uint64_t now_ns,
		      enum counter *why_out)
{
	uint32_t asked = 0, weight = 0;
	enum tapconfigs_answer answer =
		tapconfigs_judge(r->tapconfigs, r->scratch, x, now_ns, &asked);

	counter_add(r->counters, COUNTER_FILTER_LIMITS, tapconfigs_take_limits(r->tapconfigs));
	*why_out = answer == TAPCONFIGS_UNWANTED ? COUNTER_EXCHANGES_UNTAPPED
						 : COUNTER_EXCHANGES_SAMPLED;
	if (answer == TAPCONFIGS_UNWANTED || answer == TAPCONFIGS_SAMPLED)
		return false;
	if (x->weight)
		return true;
	if (r->sampler && (weight = sampler_weigh(r->sampler, x, now_ns)) == 0)
		return false;
	x->weight = MAX(asked, weight);
	return true;
}

bool recorder_take(struct recorder *r, struct exchange *offered, uint64_t now_ns)
{
	struct exchange *x = offered;
	enum counter why;
	size_t secrets;
	bool can_add = !r->failure.code || now_ns >= r->retry_at_ns;

	if (is_keeping(r) && (!can_add || r->batch_count == RECORDER_BATCH_MAX))
		return false;
	if (!r->store && !(r->config->store.keeps_ids && x->id))
		x->id = r->last_id = MAX(x->start_ns, r->last_id + (x->start_ns == r->last_id));
	name_ends(r, x);
	keep_wire_key(r, x);
	count_names(r, x);
	x = tapconfigs_redact(r->tapconfigs, x, &secrets);
	if (!x)
		return false; /* no memory: it waits rather than being kept as it is */
	if (is_asked_for(r))
		x->error = fingerprint_of(x, &r->error);
	if (r->store)
		store_route(r->store, x);
	if (!is_wanted(r, x))
		return finish(r, COUNTER_EXCHANGES_FILTERED);
	if (!is_chosen(r, x, now_ns, &why))
		return finish(r, why);
	offered->weight = x->weight; /* it may be offered again */
	if (r->store && !add(r, x, now_ns))
		return false;
	if (r->handover && !hand_over(r, x, now_ns))
		return false;
	tapconfigs_recorded(r->tapconfigs);
	counter_add(r->counters, COUNTER_SECRETS_TAPPED, secrets);
	if (r->config->on_exchange)
		r->config->on_exchange(r->config->ctx, x);
	return is_keeping(r) || finish(r, COUNTER_EXCHANGES_DECODED);
}

void recorder_merge(struct recorder *r)
{
	(void)finish(r, COUNTER_EXCHANGES_MERGED);
}

void recorder_drop(struct recorder *r)
{
	(void)finish(r, r->handover ? COUNTER_EXCHANGES_HANDOVER_LOST
				    : counter_of_failure(r->failure.code));
}

/* When there is something to do next [monotonic ns]; UINT64_MAX: nothing waits. */
static uint64_t due_ns(const struct recorder *r)
{
	if (r->failure.code)
		return r->retry_at_ns;
	if (r->batch_count == 0)
		return UINT64_MAX;
	return r->batch_since_ns + r->commit_interval_ns;
}

/* What the store does by the clock, and what it has to say. An import does not let go what is old:
 * it may be what was imported. */
static void tick_store(struct recorder *r, uint64_t now_ns)
{
	const struct record_config *c = r->config;
	struct store_stats stats;
	struct err why;

	r->tick_at_ns = now_ns + TICK_NS;
	if (!c->store.is_bulk)
		store_tick(r->store, clock_wall_ns(), now_ns);
	while (store_take_warning(r->store, &why))
		if (c->on_warning)
			c->on_warning(c->ctx, why.why);
	store_stats(r->store, &stats);
	if (c->on_store)
		c->on_store(c->ctx, &stats);
}

/* Nothing is in the batch now. Return: how long until the next look [ns]. */
static uint64_t look_for_names(struct recorder *r, uint64_t now_ns)
{
	if (!r->awaited || r->failure.code || r->batch_count)
		return UINT64_MAX;
	return awaited_look(r->awaited, r->store, r->census, clock_wall_ns(), now_ns);
}

uint64_t recorder_tick(struct recorder *r, uint64_t now_ns)
{
	uint64_t due = due_ns(r);

	if (r->handover)
		return tick_handover(r, now_ns);
	if (r->store && now_ns >= r->tick_at_ns)
		tick_store(r, now_ns);
	if (now_ns < due && due != UINT64_MAX)
		return due - now_ns;
	if (r->batch_count && commit(r, now_ns) < 0)
		return r->retry_wait_ns;
	return look_for_names(r, now_ns);
}

bool recorder_is_failing(const struct recorder *r)
{
	return r->failure.code != 0;
}

/* What could not be committed at the very end is lost, and counted. */
static void give_up_batch(struct recorder *r)
{
	(void)store_discard(r->store);
	for (; r->batch_count; r->batch_count--)
		recorder_drop(r);
}

int recorder_close(struct recorder *r, uint64_t now_ns, struct err *e)
{
	int failed = 0;
	struct err why = {0};

	if (!r)
		return 0;
	if (r->batch_count && commit(r, now_ns) < 0)
		give_up_batch(r);
	if (r->awaited && !r->failure.code)
		awaited_finish(r->awaited, r->store, r->census, clock_wall_ns());
	if (r->handover) {
		handover_close(r->handover);
		count_handed_over(r);
	}
	if (r->failure.code)
		failed = err_set(e, r->failure.code, "%s", r->failure.why);
	helper_finish(r->helper); /* what it still does is done before the store goes */
	if (r->store && store_close(r->store, &why) < 0 && failed == 0)
		failed = err_set(e, why.code, "%s", why.why);
	free_recorder(r);
	return failed;
}
