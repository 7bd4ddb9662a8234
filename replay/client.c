// SPDX-License-Identifier: Apache-2.0
#include "replay/client_link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "replay/client_http2.h"
#include "replay/client_websocket.h"

/*
 * One epoll, one thread, one struct link (client_link.c) for every recorded connection that has
 * something to send. Over all links at most `concurrency` items fly; links that could send stand
 * in client.ready until another answer comes in.
 *
 * Level-triggered epoll; writability is asked for only while connecting or when a write fell
 * short. Events are handled in small batches so that the schedule is looked at often; links that
 * wait for a slot are served after a batch, so handling a link's event touches no other link.
 * All requests have the same time to live, so the list by start is also the list by deadline.
 */

#define EVENTS_MAX 16

static const char *const miss_names[] = {
#define MISS(NAME, name, what) name,
#include "replay/verdicts.tbl.h"
#undef MISS
};

static const char *const miss_whats[] = {
#define MISS(NAME, name, what) what,
#include "replay/verdicts.tbl.h"
#undef MISS
};

const char *miss_name(unsigned miss)
{
	return miss < MISS_COUNT ? miss_names[miss] : "?";
}

const char *miss_what(unsigned miss)
{
	return miss < MISS_COUNT ? miss_whats[miss] : "?";
}

static int open_fds(struct client *c, struct err *e)
{
	/* edge-triggered: it need not be read, setting it again is enough */
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = &c->timer_fd};

	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (c->epoll_fd < 0 || c->timer_fd < 0 ||
	    epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->timer_fd, &ev) < 0)
		return err_set(e, -errno, "cannot make an epoll and a timer: %s", strerror(errno));
	return 0;
}

static bool wants_tls(const struct targets *targets)
{
	for (uint16_t i = 0; i < targets->count; i++)
		if (targets->list[i].is_tls)
			return true;
	return false;
}

int client_open(const struct client_config *config, struct client **c_out, struct err *e)
{
	AUTO(client) c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->config = *config;
	c->epoll_fd = c->timer_fd = -1;
	for (size_t i = 0; i < TARGET_MAX; i++)
		c->spare[i].fd = -1;
	list_init(&c->ready);
	list_init(&c->idle);
	list_init(&c->flying);
	list_init(&c->turns);
	c->scratch = malloc(CLIENT_SCRATCH_BYTES);
	c->links = calloc(MAX(config->plan->link_count, (size_t)1), sizeof(*c->links));
	if (!c->scratch || !c->links)
		return err_set(e, -ENOMEM, "out of memory for %zu connections",
			       config->plan->link_count);
	r = open_fds(c, e);
	if (r == 0 && wants_tls(config->targets))
		r = tls_new(config->tls, config->targets->count, &c->tls, e);
	if (r == 0)
		*c_out = TAKE(c);
	return r;
}

static void free_items(struct list *items)
{
	struct list *n;

	while ((n = list_first(items)) != NULL) {
		list_remove(n);
		list_remove(&item_of(n)->timer);
		list_remove(&item_of(n)->turn);
		free(item_of(n));
	}
}

static void free_link(struct client *c, struct link *l)
{
	if (!l)
		return;
	link_disconnect(c, l); /* first: streams know their items */
	free_items(&l->queue);
	free_items(&l->flying);
	answer_fini(&l->answer);
	free(l);
}

void client_close(struct client *c)
{
	if (!c)
		return;
	for (size_t i = 0; c->links && i < c->config.plan->link_count; i++)
		free_link(c, c->links[i]);
	for (size_t i = 0; i < TARGET_MAX; i++)
		transport_socket_close(&c->spare[i]);
	if (c->timer_fd >= 0)
		(void)close(c->timer_fd);
	if (c->epoll_fd >= 0)
		(void)close(c->epoll_fd);
	tls_free(c->tls);
	free(c->links);
	free(c->scratch);
	free(c);
}

static int probe(struct client *c, uint16_t i, const char **detail_out)
{
	int r = transport_socket(&c->config.targets->list[i], &c->spare[i]);

	if (r < 0)
		return r;
	c->sockets++;
	c->stats.connections++;
	return transport_probe(&c->spare[i], c->config.timeout_ns, detail_out);
}

int client_probe(struct client *c, struct err *e)
{
	c->probed_ns = clock_mono_ns();
	for (uint16_t i = 0; i < c->config.targets->count; i++) {
		const char *detail = NULL;
		int r = probe(c, i, &detail);

		if (r < 0)
			return err_set(e, r, "target %s cannot be reached: %s",
				       c->config.targets->list[i].shown,
				       detail ? detail : strerror(-r));
	}
	return 0;
}

int client_wake_on(struct client *c, int fd, struct err *e)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};

	if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return err_set(e, -errno, "cannot watch a descriptor: %s", strerror(errno));
	return 0;
}

static struct link *link_at(struct client *c, uint32_t number)
{
	struct link *l = c->links[number];

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	transport_init(&l->transport);
	l->number = number;
	l->is_http2 = c->config.plan->links[number].is_http2;
	l->left = (uint64_t)c->config.plan->links[number].count * c->config.loops;
	list_init(&l->node);
	list_init(&l->idle);
	list_init(&l->queue);
	list_init(&l->flying);
	answer_reset(&l->answer);
	c->links[number] = l;
	return l;
}

void client_prepare(struct client *c, uint32_t number)
{
	struct link *l = link_at(c, number);

	/* a failure is told to the request that needs the connection, when it comes */
	if (l && l->state == LINK_CLOSED && list_is_empty(&l->queue) &&
	    c->sockets < c->config.sockets_max)
		(void)link_connect(c, l);
}

void client_submit(struct client *c, struct item *item)
{
	struct link *l = link_at(c, item->link);

	c->now_ns = clock_mono_ns();
	if (!l) {
		struct client_result result = {
			.item = item, .miss = MISS_UNREACHABLE, .error = ENOMEM};

		c->config.on_result(c->config.ctx, &result);
		return;
	}
	item->was_blocked = true; /* unless it goes at once */
	list_append(&l->queue, &item->node);
	c->waiting++;
	c->submitted = item;
	link_go(c, l);
	c->submitted = NULL;
	link_rest(c, l);
}

void client_skip(struct client *c, uint32_t number)
{
	struct link *l = link_at(c, number);

	if (!l)
		return;
	l->left--;
	link_rest(c, l);
}

static void serve_ready(struct client *c)
{
	struct list *n;

	while (c->in_flight < c->config.concurrency && (n = list_first(&c->ready)) != NULL) {
		struct link *l = CONTAINER_OF(n, struct link, node);

		list_remove(n);
		link_go(c, l);
		link_rest(c, l);
	}
}

static enum miss miss_of_timeout(const struct link *l)
{
	if (l->state == LINK_OPEN)
		return MISS_TIMEOUT;
	return l->transport.is_connected ? MISS_TLS_FAILED : MISS_UNREACHABLE;
}

static struct item *turn_of(struct list *n)
{
	return CONTAINER_OF(n, struct item, turn);
}

/* those before the late one on this link are older, hence no longer here: it is the first */
static void give_up_first(struct client *c, struct link *l)
{
	link_miss_first(c, l, miss_of_timeout(l), ETIMEDOUT);
	l->answer.is_begun = false;
	link_lose(c, l, MISS_CLOSED, 0);
}

static void give_up_late(struct client *c)
{
	struct list *n;

	while ((n = list_first(&c->flying)) != NULL) {
		struct item *item = CONTAINER_OF(n, struct item, timer);
		struct link *l = c->links[item->link];

		if (item->started_ns + c->config.timeout_ns > c->now_ns)
			return;
		if (l->http2)
			http2_give_up(c, l, item);
		else if (l->websocket)
			websocket_give_up(c, l);
		else
			give_up_first(c, l);
		link_go(c, l);
		link_rest(c, l);
	}
}

void client_wake_at(struct client *c, struct item *item, uint64_t wake_ns)
{
	struct list *before;

	list_remove(&item->turn);
	item->wake_ns = wake_ns;
	before = c->turns.prev;
	while (before != &c->turns && turn_of(before)->wake_ns > wake_ns)
		before = before->prev;
	list_append(before->next, &item->turn); /* before it: any link serves as a head */
}

/* conversations whose time has come */
static void take_turns(struct client *c)
{
	struct list *n;

	while ((n = list_first(&c->turns)) != NULL && turn_of(n)->wake_ns <= c->now_ns) {
		struct link *l = c->links[turn_of(n)->link];

		list_remove(n);
		if (l->websocket)
			websocket_go(c, l);
		else if (l->http2)
			http2_go(c, l);
		link_go(c, l);
		link_rest(c, l);
	}
}

static void set_timer(struct client *c, uint64_t at_ns)
{
	struct itimerspec t = {.it_value = {.tv_sec = (time_t)(at_ns / NS_PER_S),
					    .tv_nsec = (long)(at_ns % NS_PER_S)}};

	if (c->timer_ns && c->timer_ns <= at_ns)
		/* it wakes us before that, which costs less than setting it at every turn */
		return;
	(void)timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
	c->timer_ns = at_ns;
}

static uint64_t next_deadline(const struct client *c, uint64_t until_ns)
{
	struct list *n = list_first(&c->flying), *turn = list_first(&c->turns);

	if (n)
		until_ns = MIN(until_ns, CONTAINER_OF(n, struct item, timer)->started_ns +
						 c->config.timeout_ns);
	return turn ? MIN(until_ns, turn_of(turn)->wake_ns) : until_ns;
}

void client_run(struct client *c, uint64_t until_ns)
{
	struct epoll_event events[EVENTS_MAX];
	int n;

	if (until_ns)
		set_timer(c, next_deadline(c, until_ns));
	n = epoll_wait(c->epoll_fd, events, EVENTS_MAX, until_ns ? -1 : 0);
	c->now_ns = clock_mono_ns();
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == &c->timer_fd)
			c->timer_ns = 0;
		else if (events[i].data.ptr)
			link_event(c, events[i].data.ptr, events[i].events);
		if (i + 1 < n)
			c->now_ns = clock_mono_ns();
	}
	take_turns(c);
	give_up_late(c);
	serve_ready(c);
}

bool client_is_idle(const struct client *c)
{
	return c->in_flight == 0 && c->waiting == 0;
}

void client_drop_waiting(struct client *c)
{
	for (size_t i = 0; i < c->config.plan->link_count; i++) {
		struct link *l = c->links[i];
		struct list *n;

		while (l && (n = list_first(&l->queue)) != NULL) {
			list_remove(n);
			c->waiting--;
			link_finish(c, l, item_of(n), NULL, MISS_INTERRUPTED, 0);
		}
	}
}

void client_cancel(struct client *c)
{
	client_drop_waiting(c);
	for (size_t i = 0; i < c->config.plan->link_count; i++) {
		struct link *l = c->links[i];

		while (l && list_first(&l->flying))
			link_miss_first(c, l, MISS_INTERRUPTED, 0);
		if (l)
			link_disconnect(c, l);
	}
}

const struct client_stats *client_stats(const struct client *c)
{
	return &c->stats;
}
