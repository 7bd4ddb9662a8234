// SPDX-License-Identifier: Apache-2.0
#include "replay/client_link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "lib/clock.h"
#include "replay/client_http2.h"
#include "replay/client_websocket.h"

/*
 *   CLOSED --- go() ---> CONNECTING --- writable ---> OPEN --- EOF, error, last answer ---> CLOSED
 *
 * An item moves: link.queue (waits for its turn on the link) -> link.flying (being sent, or sent;
 * answers come in this order) -> on_result(). A link sends its next item when the one before is
 * answered, or at once when it was recorded pipelined.
 *
 * When the target has closed a connection between two requests, the next one just connects anew.
 * When it closes while a request is on its way and no byte of the answer has come, nobody knows
 * whether the request was handled (RFC 9112 9.3.1): a safe one that went out on a reused
 * connection is sent again, counted; any other becomes a result without answer. What was never
 * written is free to go again.
 */

#define READS_MAX      4 /* of one link before the others have a turn */
#define BODY_SLACK     (64 * 1024)
#define BODY_MAX       (16 * 1024 * 1024)
#define SPARE_FRESH_NS (200 * NS_PER_MS) /* servers do not close so soon for want of a request */
#define TRIES_MAX      2 /* again; the first of them would do if targets were not half dead at times */

/* ---- sockets ---- */

static const struct target *target_at(const struct client *c, const struct link *l)
{
	return &c->config.targets->list[c->config.plan->links[l->number].target];
}

void link_watch(struct client *c, struct link *l, bool wants_out)
{
	struct epoll_event ev = {.events = wants_out ? EPOLLOUT | EPOLLIN : EPOLLIN, .data.ptr = l};

	if (l->wants_out != wants_out)
		(void)epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, l->transport.fd, &ev);
	l->wants_out = wants_out;
}

void link_disconnect(struct client *c, struct link *l)
{
	if (l->transport.fd >= 0)
		c->sockets--;
	transport_close(&l->transport);
	list_remove(&l->idle);
	http2_close(l);
	websocket_close(l);
	answer_reset(&l->answer);
	l->state = LINK_CLOSED;
	l->is_ending = l->is_used = false;
}

static void make_socket_room(struct client *c)
{
	struct list *n = c->sockets >= c->config.sockets_max ? list_first(&c->idle) : NULL;

	if (n)
		link_disconnect(c, CONTAINER_OF(n, struct link, idle));
}

/* a connection that client_probe() left, or a new one. Return: 0, or a negative errno. */
static int take_socket(struct client *c, struct link *l, struct transport_socket *out)
{
	struct transport_socket *spare = &c->spare[c->config.plan->links[l->number].target];
	int r;

	if (spare->fd >= 0) {
		l->is_used = clock_mono_ns() - c->probed_ns > SPARE_FRESH_NS;
		*out = *spare;
		*spare = (struct transport_socket){.fd = -1};
		return 0;
	}
	r = transport_socket(target_at(c, l), out);
	if (r < 0)
		return r;
	c->stats.connections++;
	c->sockets++;
	return 0;
}

static int begin_transport(struct client *c, struct link *l, struct transport_socket *socket)
{
	struct epoll_event ev = {.events = EPOLLOUT | EPOLLIN, .data.ptr = l};
	const struct target *target = target_at(c, l);
	int r = transport_begin(&l->transport, socket, target->is_tls ? c->tls : NULL, target,
				c->config.plan->links[l->number].target, l->is_http2);

	if (r == 0 && epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, l->transport.fd, &ev) < 0)
		r = -errno;
	return r;
}

/* Return: 0, or a negative errno with the link closed */
int link_connect(struct client *c, struct link *l)
{
	struct transport_socket socket = {.fd = -1};
	int r;

	make_socket_room(c);
	r = take_socket(c, l, &socket);
	if (r < 0) {
		l->transport.detail = NULL; /* of an earlier connection */
		return r;
	}
	r = begin_transport(c, l, &socket);
	if (r < 0) {
		c->sockets -= l->transport.fd < 0; /* else link_disconnect() counts it */
		link_disconnect(c, l);
		return r;
	}
	l->state = LINK_CONNECTING;
	l->wants_out = true;
	c->stats.reconnects += l->was_open;
	l->was_open = true;
	answer_reset(&l->answer);
	return 0;
}

static enum miss miss_of_connect(int error)
{
	return error == ECONNREFUSED ? MISS_REFUSED : MISS_UNREACHABLE;
}

enum miss link_miss_of_end(const struct link *l)
{
	return link_miss_of(l, l->transport.line && l->transport.error
				       ? miss_of_connect(l->transport.error)
				       : MISS_RESET);
}

enum miss link_miss_of(const struct link *l, enum miss otherwise)
{
	static const uint8_t misses[] = {
		[TRANSPORT_UNTRUSTED] = MISS_TLS_UNTRUSTED,
		[TRANSPORT_EXPIRED] = MISS_TLS_EXPIRED,
		[TRANSPORT_WRONG_HOST] = MISS_TLS_WRONG_HOST,
		[TRANSPORT_ALPN] = MISS_TLS_ALPN,
		[TRANSPORT_TLS] = MISS_TLS_FAILED,
	};

	return l->transport.fault ? (enum miss)misses[l->transport.fault] : otherwise;
}

/* ---- results ---- */

/* words of TLS belong to their miss, those of a line to whatever comes of its end */
static const char *detail_of(const struct link *l, enum miss miss)
{
	if (l->why)
		return l->why;
	return !l->transport.fault || link_miss_of(l, MISS_NONE) == miss ? l->transport.detail
									 : NULL;
}

void link_finish(struct client *c, struct link *l, struct item *item, const struct answer *answer,
		 enum miss miss, int error)
{
	struct client_result result = {
		.item = item,
		.answer = miss == MISS_NONE ? answer : NULL,
		.miss = (uint8_t)miss,
		.error = error,
		.detail = miss == MISS_NONE ? NULL : detail_of(l, miss),
		.h2_error = answer ? answer->h2_error : 0,
		.answer_bytes = answer ? answer->bytes : 0,
	};

	if (!item->done_ns)
		item->done_ns = c->now_ns;
	l->left--;
	c->config.on_result(c->config.ctx, &result);
}

void link_take_flying(struct client *c, struct link *l, struct item *item)
{
	list_remove(&item->node);
	list_remove(&item->timer);
	list_remove(&item->turn);
	if (l->under_way == item)
		l->under_way = NULL;
	if (item->stream)
		http2_forget(l, item);
	c->in_flight--;
}

static struct item *take_flying(struct client *c, struct link *l)
{
	struct item *item = item_of(list_first(&l->flying));

	link_take_flying(c, l, item);
	return item;
}

void link_renew(struct client *c, struct item *item)
{
	item->started_ns = c->now_ns;
	list_remove(&item->timer);
	list_append(&c->flying, &item->timer);
}

void link_requeue(struct client *c, struct link *l, struct item *item)
{
	struct list *next = l->queue.next;

	link_take_flying(c, l, item);
	item->tries++;
	c->waiting++;
	while (next != &l->queue && item_of(next)->loop == item->loop &&
	       item_of(next)->recorded->id < item->recorded->id)
		next = next->next;
	list_append(next, &item->node); /* before it: any link serves as a head */
}

void link_miss_first(struct client *c, struct link *l, enum miss miss, int error)
{
	link_finish(c, l, take_flying(c, l), &l->answer, miss, error);
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
void link_lose(struct client *c, struct link *l, enum miss miss, int error)
{
	bool was_reused = l->is_used;
	bool had_answer_bytes = l->answer.is_begun && l->answer.bytes > 0;
	struct list again;

	list_init(&again);
	while (list_first(&l->flying)) {
		struct item *item = item_of(list_first(&l->flying));

		if (had_answer_bytes || !may_retry(l, item, was_reused)) {
			link_miss_first(c, l, miss, error);
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
	link_disconnect(c, l);
}

/* ---- sending ---- */

/* Return: false when nothing more can be written now */
static bool write_some(struct client *c, struct link *l)
{
	struct item *item = l->under_way;
	ssize_t n;

	if (item->sent_ns == 0)
		item->sent_ns = clock_mono_ns();
	n = transport_send(&l->transport, span_from(item->bytes, l->sent));
	if (n < 0 && n != -EAGAIN) {
		/* an answer may lie there all the same (RFC 9112 9.5): reading will tell */
		l->is_ending = true;
		link_watch(c, l, false);
		return false;
	}
	if (n > 0) {
		l->sent += (size_t)n;
		c->stats.bytes_out += (uint64_t)n;
	}
	if (l->sent < item->bytes.len) {
		link_watch(c, l, true);
		return false;
	}
	l->under_way = NULL;
	return true;
}

static bool may_send(const struct link *l, const struct item *next)
{
	const struct item *before;

	if (l->is_http2)
		return http2_may_send(l, next);
	if (l->under_way || l->is_ending || l->websocket)
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
		r = link_connect(c, l);
	list_remove(&item->node);
	c->waiting--;
	if (r < 0) {
		link_finish(c, l, item, NULL, miss_of_connect(-r), -r);
		return false;
	}
	list_remove(&l->idle);
	list_append(&l->flying, &item->node);
	list_append(&c->flying, &item->timer);
	c->in_flight++;
	c->stats.in_flight_max = MAX(c->stats.in_flight_max, c->in_flight);
	if (!l->is_http2)
		l->under_way = item;
	l->sent = 0;
	return true;
}

/* send what the link may send now */
void link_go(struct client *c, struct link *l)
{
	struct list *n;

	while ((n = list_first(&l->queue)) != NULL && may_send(l, item_of(n))) {
		struct item *item = item_of(n);

		if (c->in_flight >= c->config.concurrency) {
			wait_for_slot(c, l);
			return;
		}
		if (!start_item(c, l, item) || l->state != LINK_OPEN)
			continue;
		if (l->is_http2)
			http2_send(c, l, item);
		else if (!write_some(c, l))
			return;
	}
}

/* nothing to do: stand in line to be closed if room is needed, or go altogether */
void link_rest(struct client *c, struct link *l)
{
	if (!list_is_empty(&l->flying) || !list_is_empty(&l->queue))
		return;
	if (l->left == 0) {
		link_disconnect(c, l);
		list_remove(&l->node);
		answer_fini(&l->answer);
		c->links[l->number] = NULL;
		free(l);
		return;
	}
	if (l->transport.fd >= 0 && list_is_empty(&l->idle))
		list_append(&c->idle, &l->idle);
}

/* ---- receiving ---- */

/* the first flying item is answered. Return: false when the connection is closed by that */
static bool answered(struct client *c, struct link *l)
{
	struct item *item = item_of(list_first(&l->flying));
	bool is_last =
		l->answer.ends_connection || item->is_ambiguous || l->is_ending ||
		l->under_way == item; /* answered before it was sent: the rest is not awaited */

	(void)take_flying(c, l);
	l->is_used = true;
	link_finish(c, l, item, &l->answer, MISS_NONE, 0);
	if (!is_last)
		return true;
	link_lose(c, l, MISS_CLOSED, 0);
	return false;
}

size_t link_body_max(const struct item *item)
{
	return MIN(item->recorded->response.body.len + BODY_SLACK, (size_t)BODY_MAX);
}

/* the recorded client left here, or the recording ended */
static bool is_enough(const struct item *item, const struct answer *a)
{
	return item->leave_bytes && a->has_head && a->message.body_bytes >= item->leave_bytes;
}

/* Return: false when the connection is closed */
static bool take_bytes(struct client *c, struct link *l, struct span in)
{
	if (l->websocket)
		return websocket_take(c, l, in);
	while (in.len > 0) {
		struct list *n = list_first(&l->flying);
		enum answer_state state;

		if (!n) {
			c->stats.unasked++;
			link_disconnect(c, l);
			return false;
		}
		if (!l->answer.is_begun)
			answer_begin(&l->answer, item_of(n)->is_head, link_body_max(item_of(n)));
		state = answer_feed(&l->answer, &in);
		if (state == ANSWER_GARBAGE) {
			link_miss_first(c, l, MISS_GARBAGE, 0);
			l->answer.is_begun = false;
			link_lose(c, l, MISS_CLOSED, 0);
			return false;
		}
		if (state == ANSWER_MORE && is_enough(item_of(n), &l->answer)) {
			answer_leave(&l->answer);
			state = ANSWER_DONE;
		}
		if (state == ANSWER_DONE && websocket_wants(item_of(n), &l->answer))
			return websocket_open(c, l) && websocket_take(c, l, in);
		if (state == ANSWER_DONE && !answered(c, l))
			return false;
	}
	return true;
}

static void closed_by_target(struct client *c, struct link *l, int error)
{
	bool has_begun = l->answer.is_begun && l->answer.bytes > 0;

	if (l->websocket) {
		websocket_closed(c, l, error);
		return;
	}
	if (list_is_empty(&l->flying)) {
		link_disconnect(c, l);
		return;
	}
	if (error == 0 && !l->transport.was_cut && answer_close(&l->answer) == ANSWER_DONE) {
		l->answer.ends_connection = true;
		(void)answered(c, l);
		return;
	}
	if (error)
		link_lose(c, l, link_miss_of_end(l), l->transport.fault ? 0 : error);
	else
		link_lose(c, l, has_begun ? MISS_CLOSED_EARLY : MISS_CLOSED, 0);
}

static void read_some(struct client *c, struct link *l)
{
	for (unsigned i = 0; i < READS_MAX; i++) {
		ssize_t n = transport_recv(&l->transport, c->scratch, CLIENT_SCRATCH_BYTES);

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			closed_by_target(c, l, (int)-n);
			return;
		}
		c->stats.bytes_in += (uint64_t)n;
		if (!take_bytes(c, l, span_of(c->scratch, (size_t)n)))
			return;
		if (n < CLIENT_SCRATCH_BYTES && !l->transport.has_ended)
			return;
	}
}

static void fail_connect(struct client *c, struct link *l)
{
	int error = l->transport.fault ? 0 : l->transport.error;
	enum miss miss = link_miss_of(l, miss_of_connect(error));

	link_disconnect(c, l);
	if (!list_is_empty(&l->flying))
		link_miss_first(c, l, miss, error);
}

static void end_connect(struct client *c, struct link *l)
{
	l->state = LINK_OPEN;
	c->stats.tls_handshakes += l->transport.tls != NULL;
	c->stats.tls_resumed += l->transport.is_resumed;
	link_watch(c, l, false);
	if (l->is_http2)
		http2_open(c, l);
	else if (l->under_way)
		(void)write_some(c, l);
}

static void advance(struct client *c, struct link *l)
{
	switch (transport_advance(&l->transport)) {
	case TRANSPORT_WAITS_IN: link_watch(c, l, false); break;
	case TRANSPORT_WAITS_OUT: link_watch(c, l, true); break;
	case TRANSPORT_FAILED: fail_connect(c, l); break;
	case TRANSPORT_OPEN: end_connect(c, l); break;
	}
}

void link_event(struct client *c, struct link *l, uint32_t events)
{
	if (l->state == LINK_CLOSED)
		return; /* closed for want of room within this batch */
	if (l->state == LINK_CONNECTING)
		advance(c, l);
	else if (l->state == LINK_OPEN && (events & EPOLLOUT) && l->under_way && write_some(c, l))
		link_watch(c, l, false);
	if (l->websocket && (events & EPOLLOUT))
		websocket_go(c, l);
	if (l->http2)
		http2_event(c, l, events);
	else if (l->state == LINK_OPEN && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		read_some(c, l);
	link_go(c, l);
	link_rest(c, l);
}
