// SPDX-License-Identifier: Apache-2.0
#include "replay/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/clock.h"
#include "replay/http2_answer.h"
#include "replay/load.h"
#include "replay/verdict.h"

/*
 * One loop: take what the loader has ready, give the client what is due, wait until the next thing
 * is due or a socket has something to say. Connections are made a little before their first
 * request is due, as the client that was recorded did too, so that the handshake does not make the
 * request late.
 *
 * Waiting: a timer ends the sleep at the very time; with `spins` it ends 100 us earlier and the
 * rest is spent looking at the sockets. Measured: 35 us late at the median without, 0.3 us with,
 * for up to one core.
 *
 * The end: duration_ns is over (what was not reached is counted), or is_stopped() (what is in
 * flight has a second to be answered; the rest is counted as not reached).
 */

#define LEAD_NS	     (20 * NS_PER_MS) /* before the first request of a connection is due */
#define SPIN_NS	     (100 * NS_PER_US)
#define PAUSE_NS     (100 * NS_PER_MS) /* longest sleep: how soon a stop is noticed at the latest */
#define GRACE_NS     NS_PER_S
#define DUE_BATCH    64
#define OTHER_FILES  UINT64_C(64) /* the store's, the terminal, epoll */
#define SOCKETS_KEPT UINT64_C(4096)
#define WAY_FILES                                                                                  \
	3 /* of a connection through a tunnel: both ends of a pair, and what lies behind it */

struct run {
	const struct replay_config *config;
	const struct plan *plan;
	struct load *load;
	struct client *client;
	int wake_fd;
	struct list waiting; /* items in order of time */
	struct list *ahead;  /* first of waiting whose connection was not prepared; or &waiting */
	bool has_more;	     /* the loader is not at its end */
	bool is_ending;	     /* nothing new is sent */
	uint64_t begin_ns;   /* monotonic: offset 0 of the schedule */
	bool is_timed;	     /* requests have times: neither flat out nor due all at once */
	uint64_t turns;	     /* of the requests to send: those that had their turn */
	struct diff diff;
	replay_result_fn *fn;
	void *ctx;
	struct replay_summary *s;
};

void replay_config_default(struct replay_config *config)
{
	*config = (struct replay_config){
		.run = "",
		.schedule = {.speed = 1, .max_gap_ns = NS_PER_S},
		.concurrency = 256,
		.loops = 1,
		.timeout_ns = 30 * NS_PER_S,
		.memory_max = 32 * 1024 * 1024,
	};
}

bool replay_fails(const struct replay_summary *s)
{
	return s->verdicts[VERDICT_BROKEN] + s->verdicts[VERDICT_CHANGED] +
			       s->verdicts[VERDICT_NO_ANSWER] + s->still_failing >
		       0 ||
	       s->sent == 0 || s->is_interrupted;
}

/* ---- the plan ---- */

struct planning {
	const struct replay_config *config;
	struct plan *plan;
	replay_plan_fn *fn;
	void *ctx;
	struct err *e;
};

static bool is_stopped(const struct replay_config *config)
{
	return config->is_stopped && config->is_stopped();
}

static int plan_one(void *ctx, const struct exchange *x)
{
	struct planning *p = ctx;
	size_t before = p->plan->count;
	int r = plan_add(p->plan, x, p->e);

	if (r == 0 && p->fn && p->plan->count > before)
		p->fn(p->ctx, p->plan, &p->plan->entries[p->plan->count - 1], x);
	if (r == 0 && is_stopped(p->config))
		r = err_set(p->e, -ECANCELED, "interrupted while planning");
	return r;
}

int replay_plan(const struct replay_config *config, const struct replay_source *source,
		struct plan *p, replay_plan_fn *fn, void *ctx, struct err *e)
{
	struct planning planning = {.config = config, .plan = p, .fn = fn, .ctx = ctx, .e = e};

	plan_init(p, &config->schedule, &config->rules, &config->targets);
	return source->list(source->ctx, false, plan_one, &planning, e);
}

/* ---- results ---- */

static void tell(struct run *run, struct item *item, struct replay_result *result)
{
	struct replay_summary *s = run->s;

	result->recorded = item->recorded;
	result->loop = item->loop;
	result->due_ns = item->due_ns;
	result->was_retried = item->tries > 0;
	s->verdicts[result->verdict]++;
	s->skips[result->skip] += result->verdict == VERDICT_SKIPPED;
	s->misses[result->miss] += result->verdict == VERDICT_NO_ANSWER;
	s->still_failing += result->is_still_failing;
	run->turns += item->is_counted;
	run->fn(run->ctx, result);
	load_release(run->load, item);
}

static void tell_skip(struct run *run, struct item *item, uint8_t skip)
{
	struct replay_result result = {.verdict = VERDICT_SKIPPED, .skip = skip, .grpc_status = -1};

	tell(run, item, &result);
}

static void count_latency(struct run *run, const struct replay_result *result)
{
	if (!result->latency_ns || !result->recorded_ns)
		return;
	histogram_add(&run->s->recorded, result->recorded_ns);
	histogram_add(&run->s->now, result->latency_ns);
	histogram_add(&run->s->from_due, result->latency_ns + result->late_ns);
}

static void count_sent(struct run *run, const struct item *item, struct replay_result *result)
{
	uint64_t due_ns = run->begin_ns + item->due_ns;

	if (item->sent_ns == 0)
		return;
	run->s->sent++;
	run->s->redacted += item->is_redacted;
	if (!run->is_timed)
		return;
	result->late_ns = item->sent_ns > due_ns ? item->sent_ns - due_ns : 0;
	histogram_add(&run->s->late, result->late_ns);
	if (!item->was_blocked)
		histogram_add(&run->s->late_own, result->late_ns);
}

static void on_result(void *ctx, const struct client_result *from)
{
	struct run *run = ctx;
	struct item *item = from->item;
	struct replay_result result = {
		.miss = from->miss,
		.error = from->error,
		.detail = from->detail,
		.h2_error = from->h2_error,
		.grpc_status = from->answer ? grpc_status_of(&from->answer->message) : -1,
		.answer_bytes = from->answer_bytes,
		.recorded_ns = exchange_latency_ns(item->recorded),
	};

	if (from->miss == MISS_INTERRUPTED && item->sent_ns == 0) {
		load_release(run->load, item);
		return;
	}
	count_sent(run, item, &result);
	if (from->answer) {
		result.status = from->answer->status;
		result.answer = &from->answer->message;
		result.latency_ns = MAX(item->done_ns - MIN(item->done_ns, item->sent_ns), 1);
		result.is_left = from->answer->is_left;
		run->diff.is_left = result.is_left;
		if (result.is_left && item->recorded->has_grpc_status) /* derived: nobody said it */
			result.grpc_status = item->recorded->grpc_status;
		diff_answers(&run->diff, run->config->ignore, item->recorded, result.status,
			     result.answer);
		diff_conversation(&run->diff, run->config->ignore, item->recorded, from->answer);
		result.conversation = from->answer->is_conversation ? from->answer : NULL;
		result.diff = &run->diff;
	}
	verdict_judge(&result, item->recorded);
	count_latency(run, &result);
	tell(run, item, &result);
}

/* ---- the loop ---- */

static struct item *first_waiting(const struct run *run)
{
	struct list *n = list_first(&run->waiting);

	return n ? item_of(n) : NULL;
}

static void take_loaded(struct run *run)
{
	bool had_ahead = run->ahead != &run->waiting;
	struct list *last = run->waiting.prev;

	if (run->has_more)
		run->has_more = load_take(run->load, &run->waiting);
	if (!had_ahead)
		run->ahead = last->next;
}

/* connections that will be needed soon; not when flat out, where all would be */
static void prepare(struct run *run, uint64_t now_ns)
{
	while (run->is_timed && run->ahead != &run->waiting) {
		struct item *item = item_of(run->ahead);

		if (run->begin_ns + item->due_ns > now_ns + LEAD_NS)
			return;
		if (item->skip == SKIP_NONE)
			client_prepare(run->client, item->link);
		run->ahead = run->ahead->next;
	}
}

static void give_out(struct run *run, struct item *item)
{
	uint8_t skip = item->skip;
	uint32_t link = item->link;
	bool is_counted = item->is_counted;

	if (run->ahead == &item->node)
		run->ahead = item->node.next;
	list_remove(&item->node);
	if (skip == SKIP_NONE) {
		client_submit(run->client, item);
		return;
	}
	tell_skip(run, item, skip);
	if (is_counted)
		client_skip(run->client, link);
}

/* Return: when the next item is due, or UINT64_MAX */
static uint64_t give_due(struct run *run)
{
	uint64_t now_ns = clock_mono_ns();
	struct item *item;

	prepare(run, now_ns);
	for (unsigned i = 0; (item = first_waiting(run)) != NULL; i++) {
		if (run->begin_ns + item->due_ns > now_ns)
			return run->begin_ns + item->due_ns;
		if (i == DUE_BATCH)
			return 0;
		give_out(run, item);
	}
	return UINT64_MAX;
}

static void drop_waiting(struct run *run)
{
	struct item *item;

	run->is_ending = true;
	while ((item = first_waiting(run)) != NULL) {
		list_remove(&item->node);
		load_release(run->load, item);
	}
	run->ahead = &run->waiting;
	client_drop_waiting(run->client);
}

/* wait for what is in flight, for a while */
static void drain(struct run *run, uint64_t limit_ns)
{
	uint64_t end_ns = clock_mono_ns() + limit_ns;

	while (!client_is_idle(run->client) && clock_mono_ns() < end_ns)
		client_run(run->client, MIN(end_ns, clock_mono_ns() + PAUSE_NS));
	client_cancel(run->client);
}

static uint64_t wait_until(const struct run *run, uint64_t due_ns)
{
	uint64_t now_ns = clock_mono_ns();
	uint64_t until_ns = now_ns + PAUSE_NS;

	if (run->ahead != &run->waiting && run->ahead != list_first(&run->waiting))
		until_ns = MIN(until_ns, run->begin_ns + item_of(run->ahead)->due_ns -
						 MIN(LEAD_NS, run->begin_ns));
	if (run->config->spins && due_ns != UINT64_MAX)
		due_ns -= MIN(due_ns, SPIN_NS);
	until_ns = MIN(until_ns, due_ns);
	return until_ns <= now_ns ? 0 : until_ns;
}

static bool is_over(const struct run *run)
{
	const struct replay_config *c = run->config;

	return is_stopped(c) ||
	       (c->duration_ns && clock_mono_ns() >= run->begin_ns + c->duration_ns);
}

static void play(struct run *run)
{
	while (!is_over(run)) {
		uint64_t due_ns;

		take_loaded(run);
		due_ns = give_due(run);
		if (!run->has_more && due_ns == UINT64_MAX && client_is_idle(run->client))
			return;
		client_run(run->client, wait_until(run, due_ns));
	}
	run->s->is_interrupted = is_stopped(run->config);
	drop_waiting(run);
	drain(run, run->s->is_interrupted ? GRACE_NS : run->config->timeout_ns);
}

/* the clock of the schedule starts when there is something to send */
static void begin(struct run *run)
{
	for (;;) {
		take_loaded(run);
		if (first_waiting(run) || !run->has_more || is_stopped(run->config))
			break;
		client_run(run->client, clock_mono_ns() + PAUSE_NS);
	}
	run->begin_ns = clock_mono_ns() + (run->is_timed ? LEAD_NS : 0);
}

/* idle ones are kept as recorded, but within what this process may open */
static uint32_t sockets_max(const struct targets *targets, uint32_t concurrency)
{
	struct rlimit files = {.rlim_cur = 1024};
	bool has_way = false;
	uint64_t may;

	(void)getrlimit(RLIMIT_NOFILE, &files);
	for (uint16_t i = 0; i < targets->count; i++)
		has_way |= targets->list[i].way != NULL;
	if (has_way)
		files.rlim_cur /= WAY_FILES;
	may = files.rlim_cur > 2 * OTHER_FILES ? files.rlim_cur - OTHER_FILES : OTHER_FILES;
	return (uint32_t)MIN(may, MAX((uint64_t)concurrency * 4, SOCKETS_KEPT));
}

/* evenly spaced requests have no recorded times: then neither have the turns in them */
static struct schedule_config turns_schedule(const struct schedule_config *from)
{
	return (struct schedule_config){.speed = from->rate_per_s > 0 ? 0 : from->speed,
					.max_gap_ns = from->max_gap_ns};
}

static int open_run(struct run *run, const struct replay_source *source, struct err *e)
{
	const struct replay_config *c = run->config;
	struct client_config client = {
		.targets = &c->targets,
		.plan = run->plan,
		.tls = &c->tls,
		.loops = c->loops,
		.concurrency = c->concurrency,
		.sockets_max = sockets_max(&c->targets, c->concurrency),
		.timeout_ns = c->timeout_ns,
		.schedule = turns_schedule(&c->schedule),
		.on_result = on_result,
		.ctx = run,
	};
	struct load_config load = {
		.run = c->run, .loops = c->loops, .memory_max = c->memory_max, .edits = &c->edits};
	int r;

	run->wake_fd = load.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (run->wake_fd < 0)
		return err_set(e, -errno, "cannot make an eventfd: %s", strerror(errno));
	r = client_open(&client, &run->client, e);
	if (r == 0)
		r = client_wake_on(run->client, run->wake_fd, e);
	if (r == 0 && run->plan->send_count > 0)
		r = client_probe(run->client, e);
	if (r == 0)
		r = load_start(&load, source, run->plan, &run->load, e);
	return r;
}

static void close_run(struct run *run)
{
	client_close(run->client);
	while (!list_is_empty(&run->waiting)) {
		struct item *item = first_waiting(run);

		list_remove(&item->node);
		load_release(run->load, item);
	}
	load_stop(run->load);
	if (run->wake_fd >= 0)
		(void)close(run->wake_fd);
	diff_fini(&run->diff);
}

int replay_run(const struct replay_config *config, const struct replay_source *source,
	       const struct plan *p, replay_result_fn *fn, void *ctx, struct replay_summary *s,
	       struct err *e)
{
	struct run run = {
		.config = config,
		.plan = p,
		.wake_fd = -1,
		.fn = fn,
		.ctx = ctx,
		.s = s,
		.has_more = true,
		.is_timed = config->schedule.speed > 0 || config->schedule.rate_per_s > 0,
	};
	int r;

	*s = (struct replay_summary){0};
	run.diff.protos = config->protos;
	list_init(&run.waiting);
	run.ahead = &run.waiting;
	r = open_run(&run, source, e);
	if (r == 0) {
		begin(&run);
		play(&run);
		s->duration_ns = clock_mono_ns() - MIN(run.begin_ns, clock_mono_ns());
		s->client = *client_stats(run.client);
		s->not_reached = p->send_count * config->loops - run.turns;
		if (!run.has_more)
			r = load_error(run.load, e);
	}
	close_run(&run);
	return r;
}
