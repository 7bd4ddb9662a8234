// SPDX-License-Identifier: Apache-2.0
#include "record/pod_taps.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/bell.h"
#include "lib/clock.h"
#include "lib/list.h"
#include "record/packet_socket.h"

/*
 * Theory of operation. Whoever watches the node opens and closes sockets, because the kernel takes its
 * time over that; this thread reads them. Orders come through a letter box, a stack that is taken whole
 * and turned round; each says one thing about one namespace:
 *
 *	           READ                    REPLACE             what the old one had is read
 *	held ───────────────► read ◄──────────────► changing ──────────────────────────────► read
 *	  │ REMOVE             │ REMOVE
 *	  ▼                    ▼
 *	unread: not selected  ending ── last packets are read, its connections flushed ──► closed
 *
 * Held: whether the pod is to be captured is not known yet. Its packets wait in the kernel; when the
 * room there becomes short, the asker is told (on_pressed).
 *
 * Changing: a quiet namespace has a socket without a ring, a busy one has one with a ring. The new one
 * receives before the old one is shut, so nothing is missed, and what both saw the decoder drops as
 * duplicates. A ring gives its last block away only after a while; until then the new one is not read.
 *
 * One turn reads TURN_PACKETS of a namespace at most, and all namespaces that are ready have their turn
 * before any has another.
 */
#define TURN_PACKETS  2048
#define REST_TURNS    1024
#define EVENTS	      128
#define BUSY_PACKETS  100 /* a second: worth a ring */
#define BUSY_FILL     50  /* per cent of the buffer without a ring */
#define QUIET_PACKETS 10  /* a second, for QUIET_LOOKS seconds: not worth a ring any more */
#define QUIET_LOOKS   60
#define PRESSED_FILL  50 /* per cent */

struct pod_tap {
	struct list link; /* pod_taps::taps */
	struct pod_taps *all;
	struct packet_socket *socket;
	struct packet_socket *next; /* changing: the one that comes after it */
	struct wire_source where;
	uint64_t due_ns; /* changing, ending: when the last packets of a ring are there; else 0 */
	uint64_t handed; /* of the socket */
	unsigned recent; /* packets since the last look */
	unsigned quiet_looks;
	bool is_held, is_ending, has_begun;
	bool was_told; /* busy, or pressed */
};

struct pod_taps {
	struct capture_pods config;
	struct record *record;
	struct packet_room *room;
	struct list taps;
	struct handle_stats closed; /* of sockets that are gone */
	uint64_t poll_ns;
	int epoll, bell;
	_Atomic(struct pod_order *) box;
};

struct pod_taps *pod_taps_new(const struct capture_pods *config, uint64_t poll_ns)
{
	struct pod_taps *p = calloc(1, sizeof(*p));
	struct epoll_event e = {.events = EPOLLIN}; /* data.ptr NULL: the bell */

	if (!p)
		return NULL;
	p->config = *config;
	p->poll_ns = poll_ns;
	list_init(&p->taps);
	p->room = packet_room_new();
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!p->room || p->epoll < 0 || p->bell < 0 ||
	    epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->bell, &e) < 0) {
		pod_taps_free(p);
		return NULL;
	}
	return p;
}

static void free_order(struct pod_order *o)
{
	packet_socket_close(o->socket);
	free(o);
}

void pod_taps_free(struct pod_taps *p)
{
	struct pod_order *o, *next;

	if (!p)
		return;
	for (o = atomic_exchange(&p->box, NULL); o; o = next) {
		next = o->next;
		free_order(o);
	}
	for (struct list *l; (l = list_first(&p->taps));) {
		struct pod_tap *t = CONTAINER_OF(l, struct pod_tap, link);

		list_remove(l);
		packet_socket_close(t->socket);
		packet_socket_close(t->next);
		free(t);
	}
	if (p->epoll >= 0)
		(void)close(p->epoll);
	if (p->bell >= 0)
		(void)close(p->bell);
	packet_room_free(p->room);
	free(p);
}

int pod_taps_order(struct pod_taps *p, const struct pod_order *order)
{
	struct pod_order *o = malloc(sizeof(*o));

	if (!o) {
		packet_socket_close(order->socket);
		return -ENOMEM;
	}
	*o = *order;
	o->next = atomic_load(&p->box);
	while (!atomic_compare_exchange_weak(&p->box, &o->next, o))
		;
	bell_ring(p->bell);
	return 0;
}

int pod_taps_fd(const struct pod_taps *p)
{
	return p->epoll;
}

void pod_taps_start(struct pod_taps *p, struct record *r)
{
	p->record = r;
}

/* --- one socket --- */

static void take_packet(void *ctx, uint64_t ts_ns, struct span bytes, size_t length)
{
	struct pod_tap *t = ctx;

	wire_packet(t->all->record->wire, &t->where, ts_ns, bytes, length);
}

static int read_some(struct pod_tap *t)
{
	int n = packet_socket_read(t->socket, t->all->room, TURN_PACKETS, take_packet, t);

	if (n <= 0)
		return 0;
	if (!t->has_begun)
		t->all->config.on_pace(t->all->config.ctx, t->where.netns, CAPTURE_BEGUN);
	t->has_begun = true;
	t->handed += (uint64_t)n;
	t->recent += (unsigned)n;
	record_count_handed(t->all->record, (uint64_t)n);
	return n;
}

/* It is shut, so there is an end; the bound is for the day when the kernel had no memory to shut it. */
static void read_rest(struct pod_tap *t)
{
	for (unsigned i = 0; i < REST_TURNS && read_some(t); i++)
		;
}

static void listen_to(struct pod_tap *t)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = t};

	(void)epoll_ctl(t->all->epoll, EPOLL_CTL_ADD, packet_socket_fd(t->socket), &e);
}

static void ignore(struct pod_tap *t)
{
	(void)epoll_ctl(t->all->epoll, EPOLL_CTL_DEL, packet_socket_fd(t->socket), NULL);
}

/* Packets that were never read: those of a pod that is not selected, or lost. */
static void give_socket_back(struct pod_tap *t)
{
	struct pod_taps *p = t->all;
	struct handle_stats st;
	uint64_t unread;

	if (!t->is_held)
		ignore(t);
	packet_socket_stats(t->socket, &st);
	unread = st.received - MIN(st.received, t->handed + st.dropped);
	if (t->is_held)
		counter_add(&p->record->capture_counters, COUNTER_KERNEL_UNSELECTED, unread);
	else
		st.dropped += unread;
	p->closed.received += st.received;
	p->closed.dropped += st.dropped;
	p->config.on_closed(p->config.ctx, TAKE(t->socket));
	t->handed = 0;
}

/* What the socket had is read: go on with the next one. */
static void change_over(struct pod_tap *t)
{
	read_rest(t);
	give_socket_back(t);
	t->socket = TAKE(t->next);
	t->due_ns = 0;
	t->recent = t->quiet_looks = 0;
	t->was_told = false;
	listen_to(t);
}

static void end_tap(struct pod_tap *t)
{
	struct pod_taps *p = t->all;

	if (t->next) { /* what came meanwhile is in the next one */
		change_over(t);
		packet_socket_shut(t->socket);
	}
	if (!t->is_held)
		read_rest(t);
	give_socket_back(t);
	wire_flush_netns(p->record->wire, t->where.netns);
	p->config.on_removed(p->config.ctx, t->where.netns);
	list_remove(&t->link);
	free(t);
}

/* When everything that it has can be read. */
static uint64_t due_of(const struct pod_tap *t)
{
	bool must_wait = packet_socket_has_ring(t->socket) && !t->is_held;

	return must_wait ? clock_mono_ns() + HANDLE_QUIET * t->all->poll_ns : 0;
}

/* --- orders --- */

static struct pod_tap *find(struct pod_taps *p, uint32_t netns)
{
	for (struct list *l = p->taps.next; l != &p->taps; l = l->next) {
		struct pod_tap *t = CONTAINER_OF(l, struct pod_tap, link);

		if (t->where.netns == netns && !t->is_ending)
			return t;
	}
	return NULL;
}

static void add(struct pod_taps *p, struct pod_order *o)
{
	struct pod_tap *t = calloc(1, sizeof(*t));

	if (!t)
		return; /* the socket goes with the order */
	*t = (struct pod_tap){
		.all = p,
		.socket = TAKE(o->socket),
		.where = {.linktype = PACKET_SOCKET_LINKTYPE,
			  .netns = o->netns,
			  .share = o->share,
			  .is_apart = true},
		.is_held = o->is_held,
	};
	list_append(&p->taps, &t->link);
	if (!t->is_held)
		listen_to(t);
}

static void begin_to_read(struct pod_tap *t)
{
	if (!t->is_held)
		return;
	t->is_held = t->was_told = false;
	listen_to(t);
}

static void replace(struct pod_tap *t, struct pod_order *o)
{
	if (t->next || t->is_held) /* one change at a time; what is held must not be read yet */
		return;
	t->next = TAKE(o->socket);
	packet_socket_shut(t->socket);
	t->due_ns = due_of(t);
	if (t->due_ns == 0)
		change_over(t);
}

static void begin_to_end(struct pod_tap *t)
{
	packet_socket_shut(t->socket);
	t->is_ending = true;
	t->due_ns = due_of(t);
	if (t->due_ns == 0)
		end_tap(t);
}

static void carry_out(struct pod_taps *p, struct pod_order *o)
{
	struct pod_tap *t = find(p, o->netns);

	if (o->kind == POD_ADD)
		add(p, o);
	else if (t && o->kind == POD_READ)
		begin_to_read(t);
	else if (t && o->kind == POD_REPLACE)
		replace(t, o);
	else if (t && o->kind == POD_REMOVE)
		begin_to_end(t);
	free_order(o);
}

static void carry_out_all(struct pod_taps *p)
{
	struct pod_order *taken, *first = NULL, *next;

	bell_hush(p->bell); /* before the box is looked into */
	taken = atomic_exchange(&p->box, NULL);
	for (; taken; taken = next) { /* the newest came out first */
		next = taken->next;
		taken->next = first;
		first = taken;
	}
	for (; first; first = next) {
		next = first->next;
		carry_out(p, first);
	}
}

/* --- the thread's turns --- */

static void tell(struct pod_tap *t, enum capture_pace pace)
{
	if (t->was_told || t->next || t->is_ending)
		return;
	t->was_told = true;
	t->all->config.on_pace(t->all->config.ctx, t->where.netns, pace);
}

static void read_tap(struct pod_tap *t)
{
	if (!packet_socket_has_ring(t->socket) && packet_socket_fill(t->socket) >= BUSY_FILL)
		tell(t, CAPTURE_BUSY);
	(void)read_some(t);
	if (t->recent >= BUSY_PACKETS && !packet_socket_has_ring(t->socket))
		tell(t, CAPTURE_BUSY);
}

unsigned pod_taps_read(struct pod_taps *p)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(p->epoll, events, EVENTS, 0);
	bool has_orders = false;
	unsigned ready = 0;

	for (int i = 0; i < n; i++) {
		struct pod_tap *t = events[i].data.ptr;

		has_orders |= !t;
		if (!t)
			continue;
		read_tap(t);
		ready++;
	}
	if (has_orders) /* last: an order may end what an event names */
		carry_out_all(p);
	return ready;
}

static void look_at_pace(struct pod_tap *t)
{
	bool has_ring = packet_socket_has_ring(t->socket);

	t->quiet_looks = t->recent < QUIET_PACKETS ? t->quiet_looks + 1 : 0;
	t->recent = 0;
	if (!has_ring && t->quiet_looks)
		/* there was no ring to be had: ask again when it is busy again */
		t->was_told = false;
	if (has_ring && t->quiet_looks >= QUIET_LOOKS)
		tell(t, CAPTURE_QUIET);
}

void pod_taps_tick(struct pod_taps *p, bool is_look)
{
	struct list *l, *next;

	for (l = p->taps.next; l != &p->taps; l = next) {
		struct pod_tap *t = CONTAINER_OF(l, struct pod_tap, link);

		next = l->next;
		if (t->is_held && packet_socket_fill(t->socket) >= PRESSED_FILL)
			tell(t, CAPTURE_PRESSED);
		if (is_look)
			look_at_pace(t);
		if (t->due_ns && clock_mono_ns() >= t->due_ns)
			t->is_ending ? end_tap(t) : change_over(t);
	}
}

void pod_taps_shut(struct pod_taps *p)
{
	carry_out_all(p);
	for (struct list *l = p->taps.next; l != &p->taps; l = l->next) {
		struct pod_tap *t = CONTAINER_OF(l, struct pod_tap, link);

		packet_socket_shut(t->next ? t->next : t->socket);
	}
}

void pod_taps_finish(struct pod_taps *p)
{
	for (struct list *l; (l = list_first(&p->taps));)
		end_tap(CONTAINER_OF(l, struct pod_tap, link));
}

void pod_taps_stats(struct pod_taps *p, struct handle_stats *sum)
{
	sum->received += p->closed.received;
	sum->dropped += p->closed.dropped;
	for (struct list *l = p->taps.next; l != &p->taps; l = l->next) {
		struct pod_tap *t = CONTAINER_OF(l, struct pod_tap, link);
		struct handle_stats st;

		packet_socket_stats(t->socket, &st);
		sum->received += st.received;
		sum->dropped += st.dropped;
		if (!t->next)
			continue;
		packet_socket_stats(t->next, &st);
		sum->received += st.received;
		sum->dropped += st.dropped;
	}
}
