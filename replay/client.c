// SPDX-License-Identifier: Apache-2.0
#include "replay/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/clock.h"

/*
 * One epoll, one thread, one struct link for every recorded connection that has something to send.
 *
 *   CLOSED --- go() ---> CONNECTING --- writable ---> OPEN --- EOF, error, last answer ---> CLOSED
 *
 * An item moves: link.queue (waits for its turn on the link) -> link.flying (being sent, or sent;
 * answers come in this order) -> on_result(). A link sends its next item when the one before is
 * answered, or at once when it was recorded pipelined. Over all links at most `concurrency` items
 * fly; links that could send stand in client.ready until another answer comes in.
 *
 * When the target has closed a connection between two requests, the next one just connects anew.
 * When it closes while a request is on its way and no byte of the answer has come, nobody knows
 * whether the request was handled (RFC 9112 9.3.1): a safe one that went out on a reused
 * connection is sent again once, counted; any other becomes a result without answer. What was
 * never written is free to go again.
 *
 * Level-triggered epoll; writability is asked for only while connecting or when a write fell
 * short. Events are handled in small batches so that the schedule is looked at often; links that
 * wait for a slot are served after a batch, so handling a link's event touches no other link.
 * All requests have the same time to live, so the list by start is also the list by deadline.
 */

#define EVENTS_MAX    16
#define SCRATCH_BYTES (256 * 1024)
#define READS_MAX     4 /* of one link before the others have a turn */
#define BODY_SLACK    (64 * 1024)
#define BODY_MAX      (16 * 1024 * 1024)
#define SPARE_FRESH_NS (200 * NS_PER_MS) /* servers do not close so soon for want of a request */
#define TRIES_MAX     2 /* again; the first of them would do if targets were not half dead at times */

enum link_state { LINK_CLOSED, LINK_CONNECTING, LINK_OPEN };

struct link {
	struct list node;   /* client::ready, else alone */
	struct list idle;   /* client::idle while open with nothing to do, else alone */
	struct list queue;  /* items that wait, in order */
	struct list flying; /* items sent, in order of their answers; the last may be under way */
	uint32_t number;    /* index into plan.links */
	uint64_t left;      /* items still to come or to be answered */
	int fd;
	uint8_t state;      /* enum link_state */
	bool wants_out;     /* epoll watches for writability */
	bool is_ending;     /* nothing more is sent on this connection */
	bool was_open;      /* it had a connection before */
	bool is_used;       /* this connection may have gone stale: it was open before this request */
	size_t sent;        /* bytes of the item under way */
	struct item *under_way; /* last of flying while not wholly written */
	struct answer answer;
};

struct client {
	struct client_config config;
	struct client_stats stats;
	int epoll_fd, timer_fd;
	uint64_t timer_ns;    /* what timer_fd is set to; 0: it is not running */
	struct link **links;  /* [plan.link_count], NULL while nothing is asked of it */
	int spare[TARGET_MAX]; /* connections of client_probe(); -1 */
	uint64_t probed_ns;
	struct list ready;    /* links that wait for a slot */
	struct list idle;     /* open links with nothing to do, longest first */
	struct list flying;   /* items by time of start */
	uint32_t in_flight, sockets, waiting;
	const struct item *submitted; /* by the present call of client_submit() */
	uint64_t now_ns;      /* when the present event was seen */
	uint8_t *scratch;
};

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

/* ---- sockets ---- */

static const struct target *target_at(const struct client *c, const struct link *l)
{
	return &c->config.targets->list[c->config.plan->links[l->number].target];
}

static void watch(struct client *c, struct link *l, bool wants_out)
{
	struct epoll_event ev = {.events = wants_out ? EPOLLOUT | EPOLLIN : EPOLLIN, .data.ptr = l};

	if (l->wants_out != wants_out)
		(void)epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, l->fd, &ev);
	l->wants_out = wants_out;
}

static void disconnect(struct client *c, struct link *l)
{
	if (l->fd >= 0) {
		(void)close(l->fd);
		c->sockets--;
	}
	list_remove(&l->idle);
	answer_reset(&l->answer);
	l->fd = -1;
	l->state = LINK_CLOSED;
	l->is_ending = l->is_used = false;
}

static int open_socket(const struct target *t)
{
	static const int on = 1;
	int fd = socket(t->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (const struct sockaddr *)&t->address, t->address_bytes) < 0 &&
	    errno != EINPROGRESS) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd;
}

static void make_socket_room(struct client *c)
{
	struct list *n = c->sockets >= c->config.sockets_max ? list_first(&c->idle) : NULL;

	if (n)
		disconnect(c, CONTAINER_OF(n, struct link, idle));
}

/* Return: 0, or a negative errno with the link closed */
static int start_connect(struct client *c, struct link *l)
{
	uint16_t target = c->config.plan->links[l->number].target;
	struct epoll_event ev = {.events = EPOLLOUT | EPOLLIN, .data.ptr = l};

	make_socket_room(c);
	if (c->spare[target] >= 0) {
		l->fd = c->spare[target];
		l->is_used = clock_mono_ns() - c->probed_ns > SPARE_FRESH_NS;
		c->spare[target] = -1;
	} else {
		l->fd = open_socket(target_at(c, l));
		if (l->fd < 0)
			return l->fd;
		c->stats.connections++;
		c->sockets++;
	}
	l->state = LINK_CONNECTING;
	l->wants_out = true;
	c->stats.reconnects += l->was_open;
	l->was_open = true;
	answer_reset(&l->answer);
	if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, l->fd, &ev) < 0) {
		int r = -errno;

		disconnect(c, l);
		return r;
	}
	return 0;
}

static enum miss miss_of_connect(int error)
{
	return error == ECONNREFUSED ? MISS_REFUSED : MISS_UNREACHABLE;
}

/* ---- results ---- */

static void finish(struct client *c, struct link *l, struct item *item, enum miss miss, int error)
{
	struct client_result result = {
		.item = item,
		.answer = miss == MISS_NONE ? &l->answer : NULL,
		.miss = (uint8_t)miss,
		.error = error,
		.answer_bytes = l->answer.bytes,
	};

	item->done_ns = c->now_ns;
	l->left--;
	c->config.on_result(c->config.ctx, &result);
}

static struct item *take_flying(struct client *c, struct link *l)
{
	struct item *item = item_of(list_first(&l->flying));

	list_remove(&item->node);
	list_remove(&item->timer);
	if (l->under_way == item)
		l->under_way = NULL;
	c->in_flight--;
	return item;
}

static void miss_first(struct client *c, struct link *l, enum miss miss, int error)
{
	finish(c, l, take_flying(c, l), miss, error);
}

static void queue_first(struct link *l, struct item *item)
{
	struct list *next = l->queue.next;

	/* list.h appends before a head: any link serves as one */
	list_append(next, &item->node);
}

/* may the first flying item go out again on another connection? */
static bool may_retry(const struct link *l, const struct item *item, bool was_reused)
{
	bool is_unsent = item == l->under_way && l->sent == 0;

	return item->tries < TRIES_MAX && (is_unsent || (item->is_safe && was_reused));
}

/*
 * The connection is of no further use. The first flying item has @miss, if it may not go again;
 * those behind it were not looked at by the target, as far as one can know from here.
 */
static void lose(struct client *c, struct link *l, enum miss miss, int error)
{
	bool was_reused = l->is_used;
	bool had_answer_bytes = l->answer.is_begun && l->answer.bytes > 0;
	struct list again;

	list_init(&again);
	while (list_first(&l->flying)) {
		struct item *item = item_of(list_first(&l->flying));

		if (had_answer_bytes || !may_retry(l, item, was_reused)) {
			miss_first(c, l, miss, error);
		} else {
			c->stats.retries += item != l->under_way || l->sent > 0;
			(void)take_flying(c, l);
			item->tries++;
			list_append(&again, &item->node);
		}
		had_answer_bytes = false;
	}
	while (!list_is_empty(&again)) {
		struct item *last = item_of(again.prev);

		list_remove(&last->node);
		queue_first(l, last);
		c->waiting++;
	}
	disconnect(c, l);
}

/* ---- sending ---- */

/* Return: false when nothing more can be written now */
static bool write_some(struct client *c, struct link *l)
{
	struct item *item = l->under_way;
	ssize_t n;

	if (item->sent_ns == 0)
		item->sent_ns = clock_mono_ns();
	n = send(l->fd, item->bytes.ptr + l->sent, item->bytes.len - l->sent, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		/* an answer may lie there all the same (RFC 9112 9.5): reading will tell */
		l->is_ending = true;
		watch(c, l, false);
		return false;
	}
	if (n > 0) {
		l->sent += (size_t)n;
		c->stats.bytes_out += (uint64_t)n;
	}
	if (l->sent < item->bytes.len) {
		watch(c, l, true);
		return false;
	}
	l->under_way = NULL;
	return true;
}

static bool may_send(const struct link *l, const struct item *next)
{
	const struct item *before;

	if (l->under_way || l->is_ending)
		return false;
	if (list_is_empty(&l->flying))
		return true;
	before = CONTAINER_OF(l->flying.prev, struct item, node);
	return next->is_pipelined && !next->is_ambiguous && !before->is_ambiguous;
}

static void wait_for_slot(struct client *c, struct link *l)
{
	if (list_is_empty(&l->node)) {
		list_append(&c->ready, &l->node);
		c->stats.held++;
	}
}

/* the item's turn has come. Return: false when the connection cannot even be begun */
static bool start_item(struct client *c, struct link *l, struct item *item)
{
	int r = 0;

	item->started_ns = c->now_ns;
	if (item == c->submitted)
		item->was_blocked = false;
	if (l->state == LINK_CLOSED)
		r = start_connect(c, l);
	list_remove(&item->node);
	c->waiting--;
	if (r < 0) {
		finish(c, l, item, miss_of_connect(-r), -r);
		return false;
	}
	list_remove(&l->idle);
	list_append(&l->flying, &item->node);
	list_append(&c->flying, &item->timer);
	c->in_flight++;
	c->stats.in_flight_max = MAX(c->stats.in_flight_max, c->in_flight);
	l->under_way = item;
	l->sent = 0;
	return true;
}

/* send what the link may send now */
static void go(struct client *c, struct link *l)
{
	struct list *n;

	while ((n = list_first(&l->queue)) != NULL && may_send(l, item_of(n))) {
		if (c->in_flight >= c->config.concurrency) {
			wait_for_slot(c, l);
			return;
		}
		if (!start_item(c, l, item_of(n)))
			continue;
		if (l->state == LINK_OPEN && !write_some(c, l))
			return;
	}
}

/* nothing to do: stand in line to be closed if room is needed, or go altogether */
static void rest(struct client *c, struct link *l)
{
	if (!list_is_empty(&l->flying) || !list_is_empty(&l->queue))
		return;
	if (l->left == 0) {
		disconnect(c, l);
		list_remove(&l->node);
		answer_fini(&l->answer);
		c->links[l->number] = NULL;
		free(l);
		return;
	}
	if (l->fd >= 0 && list_is_empty(&l->idle))
		list_append(&c->idle, &l->idle);
}

/* ---- receiving ---- */

/* the first flying item is answered. Return: false when the connection is closed by that */
static bool answered(struct client *c, struct link *l)
{
	struct item *item = item_of(list_first(&l->flying));
	bool is_last = l->answer.ends_connection || item->is_ambiguous || l->is_ending ||
		       l->under_way == item; /* answered before it was sent: the rest is not awaited */

	(void)take_flying(c, l);
	l->is_used = true;
	finish(c, l, item, MISS_NONE, 0);
	if (!is_last)
		return true;
	lose(c, l, MISS_CLOSED, 0);
	return false;
}

static size_t body_max_of(const struct item *item)
{
	return MIN(item->recorded->response.body.len + BODY_SLACK, (size_t)BODY_MAX);
}

/* Return: false when the connection is closed */
static bool take_bytes(struct client *c, struct link *l, struct span in)
{
	while (in.len > 0) {
		struct list *n = list_first(&l->flying);
		enum answer_state state;

		if (!n) {
			c->stats.unasked++;
			disconnect(c, l);
			return false;
		}
		if (!l->answer.is_begun)
			answer_begin(&l->answer, item_of(n)->is_head, body_max_of(item_of(n)));
		state = answer_feed(&l->answer, &in);
		if (state == ANSWER_GARBAGE) {
			miss_first(c, l, MISS_GARBAGE, 0);
			l->answer.is_begun = false;
			lose(c, l, MISS_CLOSED, 0);
			return false;
		}
		if (state == ANSWER_DONE && !answered(c, l))
			return false;
	}
	return true;
}

static void closed_by_target(struct client *c, struct link *l, int error)
{
	bool has_begun = l->answer.is_begun && l->answer.bytes > 0;

	if (list_is_empty(&l->flying)) {
		disconnect(c, l);
		return;
	}
	if (error == 0 && answer_close(&l->answer) == ANSWER_DONE) {
		l->answer.ends_connection = true;
		(void)answered(c, l);
		return;
	}
	if (error)
		lose(c, l, MISS_RESET, error);
	else
		lose(c, l, has_begun ? MISS_CLOSED_EARLY : MISS_CLOSED, 0);
}

static void read_some(struct client *c, struct link *l)
{
	for (unsigned i = 0; i < READS_MAX; i++) {
		ssize_t n = recv(l->fd, c->scratch, SCRATCH_BYTES, 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			closed_by_target(c, l, n < 0 ? errno : 0);
			return;
		}
		c->stats.bytes_in += (uint64_t)n;
		if (!take_bytes(c, l, span_of(c->scratch, (size_t)n)) || n < SCRATCH_BYTES)
			return;
	}
}

static void end_connect(struct client *c, struct link *l)
{
	int error = 0;
	socklen_t len = sizeof(error);

	(void)getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		disconnect(c, l);
		if (!list_is_empty(&l->flying))
			miss_first(c, l, miss_of_connect(error), error);
		return;
	}
	l->state = LINK_OPEN;
	watch(c, l, false);
	if (l->under_way)
		(void)write_some(c, l);
}

static void on_event(struct client *c, struct link *l, uint32_t events)
{
	if (l->state == LINK_CLOSED)
		return; /* closed for want of room within this batch */
	if (l->state == LINK_CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		end_connect(c, l);
	else if (l->state == LINK_OPEN && (events & EPOLLOUT) && l->under_way &&
		 write_some(c, l))
		watch(c, l, false);
	if (l->state == LINK_OPEN && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		read_some(c, l);
	go(c, l);
	rest(c, l);
}

/* ---- the calls ---- */

static bool open_fds(struct client *c, struct err *e)
{
	/* edge-triggered: it need not be read, setting it again is enough */
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = &c->timer_fd};

	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (c->epoll_fd < 0 || c->timer_fd < 0 ||
	    epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->timer_fd, &ev) < 0) {
		(void)err_set(e, -errno, "cannot make an epoll and a timer: %s", strerror(errno));
		return false;
	}
	return true;
}

int client_open(const struct client_config *config, struct client **c_out, struct err *e)
{
	AUTO(client) c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->config = *config;
	c->epoll_fd = c->timer_fd = -1;
	for (size_t i = 0; i < TARGET_MAX; i++)
		c->spare[i] = -1;
	list_init(&c->ready);
	list_init(&c->idle);
	list_init(&c->flying);
	c->scratch = malloc(SCRATCH_BYTES);
	c->links = calloc(MAX(config->plan->link_count, (size_t)1), sizeof(*c->links));
	if (!c->scratch || !c->links)
		return err_set(e, -ENOMEM, "out of memory for %zu connections",
			       config->plan->link_count);
	if (!open_fds(c, e))
		return e->code;
	*c_out = TAKE(c);
	return 0;
}

static void free_items(struct list *items)
{
	struct list *n;

	while ((n = list_first(items)) != NULL) {
		list_remove(n);
		list_remove(&item_of(n)->timer);
		free(item_of(n));
	}
}

static void free_link(struct client *c, struct link *l)
{
	if (!l)
		return;
	free_items(&l->queue);
	free_items(&l->flying);
	disconnect(c, l);
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
		if (c->spare[i] >= 0)
			(void)close(c->spare[i]);
	if (c->timer_fd >= 0)
		(void)close(c->timer_fd);
	if (c->epoll_fd >= 0)
		(void)close(c->epoll_fd);
	free(c->links);
	free(c->scratch);
	free(c);
}

static int probe(struct client *c, uint16_t i)
{
	struct pollfd p = {.fd = open_socket(&c->config.targets->list[i]), .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof(error);
	int ready;

	if (p.fd < 0)
		return p.fd;
	c->spare[i] = p.fd;
	c->sockets++;
	c->stats.connections++;
	ready = poll(&p, 1, (int)MIN(c->config.timeout_ns / NS_PER_MS + 1, (uint64_t)INT32_MAX));
	if (ready <= 0)
		return ready == 0 ? -ETIMEDOUT : -errno;
	(void)getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return -error;
}

int client_probe(struct client *c, struct err *e)
{
	c->probed_ns = clock_mono_ns();
	for (uint16_t i = 0; i < c->config.targets->count; i++) {
		int r = probe(c, i);

		if (r < 0)
			return err_set(e, r, "target %s cannot be reached: %s",
				       c->config.targets->list[i].authority, strerror(-r));
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
	l->fd = -1;
	l->number = number;
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
		(void)start_connect(c, l);
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
	go(c, l);
	c->submitted = NULL;
	rest(c, l);
}

void client_skip(struct client *c, uint32_t number)
{
	struct link *l = link_at(c, number);

	if (!l)
		return;
	l->left--;
	rest(c, l);
}

static void serve_ready(struct client *c)
{
	struct list *n;

	while (c->in_flight < c->config.concurrency && (n = list_first(&c->ready)) != NULL) {
		struct link *l = CONTAINER_OF(n, struct link, node);

		list_remove(n);
		go(c, l);
		rest(c, l);
	}
}

static void give_up_late(struct client *c)
{
	struct list *n;

	while ((n = list_first(&c->flying)) != NULL) {
		struct item *item = CONTAINER_OF(n, struct item, timer);
		struct link *l = c->links[item->link];

		if (item->started_ns + c->config.timeout_ns > c->now_ns)
			return;
		/* those before it on this link are older, hence no longer here: it is the first */
		miss_first(c, l, l->state == LINK_OPEN ? MISS_TIMEOUT : MISS_UNREACHABLE, ETIMEDOUT);
		l->answer.is_begun = false;
		lose(c, l, MISS_CLOSED, 0);
		go(c, l);
		rest(c, l);
	}
}

static void set_timer(struct client *c, uint64_t at_ns)
{
	struct itimerspec t = {.it_value = {.tv_sec = (time_t)(at_ns / NS_PER_S),
					    .tv_nsec = (long)(at_ns % NS_PER_S)}};

	if (c->timer_ns && c->timer_ns <= at_ns)
		return; /* it wakes us before that, which costs less than setting it at every turn */
	(void)timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
	c->timer_ns = at_ns;
}

static uint64_t next_deadline(const struct client *c, uint64_t until_ns)
{
	struct list *n = list_first(&c->flying);

	if (!n)
		return until_ns;
	return MIN(until_ns, CONTAINER_OF(n, struct item, timer)->started_ns + c->config.timeout_ns);
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
			on_event(c, events[i].data.ptr, events[i].events);
		if (i + 1 < n)
			c->now_ns = clock_mono_ns();
	}
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
			finish(c, l, item_of(n), MISS_INTERRUPTED, 0);
		}
	}
}

void client_cancel(struct client *c)
{
	client_drop_waiting(c);
	for (size_t i = 0; i < c->config.plan->link_count; i++) {
		struct link *l = c->links[i];

		while (l && list_first(&l->flying))
			miss_first(c, l, MISS_INTERRUPTED, 0);
		if (l)
			disconnect(c, l);
	}
}

const struct client_stats *client_stats(const struct client *c)
{
	return &c->stats;
}
