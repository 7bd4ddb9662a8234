// SPDX-License-Identifier: Apache-2.0
#include "record/reception.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/buf.h"
#include "record/handover.h"
#include "record/record.h"
#include "schema/exchange_json.h"

/*
 * Theory of operation. One thread reads all connections in turn. A peer must be a process of a pod,
 * by its control group; whatever it says, it speaks for that pod only: an exchange is taken when
 * one of its ends is that pod, as the sidecar was told by the Downward API, and the other end
 * bears no name yet (the recorder here finds it).
 *
 * Memory is bounded: a frame's length is looked at before there is room for it, and all frames that
 * are being read together may take ROOM_MAX. When that is used up, the largest goes, with its connection.
 * Where the recorder has no room, the frame stays, and its connection is not read either: the
 * sidecar sees that nothing is taken, and drops and counts.
 */
#define CONNECTIONS_MAX 512
#define ROOM_MAX	((size_t)16 << 20)
#define READ_BYTES	((size_t)64 << 10)
#define NAP_MS		20 /* a connection that was held up is looked at again */
#define EVENTS		32
#define LENGTH_BYTES	4

struct guest {
	int fd;
	char uid[POD_UID_MAX];
	struct buf in;
	uint64_t taken;
	bool has_greeted, is_held; /* held: no room for its frame */
	struct guest *next;
};

struct reception {
	struct reception_config config;
	int epoll_fd, end_fd;
	pthread_t thread;
	bool has_finished; /* the thread has ended; of the owner */
	struct guest *guests;
	size_t count, room; /* room: octets that frames of all guests take */
	_Atomic uint64_t connections, refused, exchanges, malformed;
};

static void free_guest(struct reception *r, struct guest *g)
{
	for (struct guest **at = &r->guests; *at; at = &(*at)->next) {
		if (*at != g)
			continue;
		*at = g->next;
		break;
	}
	r->room -= g->in.cap;
	r->count--;
	(void)close(g->fd); /* leaves the epoll set, too */
	buf_fini(&g->in);
	free(g);
}

static void welcome(struct reception *r)
{
	int fd = accept4(r->config.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct guest *g = fd < 0 || r->count >= CONNECTIONS_MAX ? NULL : calloc(1, sizeof(*g));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = g};

	if (fd < 0)
		return;
	if (!g || r->config.peer(fd, g->uid) < 0 ||
	    epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		atomic_fetch_add(&r->refused, 1);
		(void)close(fd);
		free(g);
		return;
	}
	g->fd = fd;
	g->next = r->guests;
	r->guests = g;
	r->count++;
	atomic_fetch_add(&r->connections, 1);
}

static size_t frame_bytes(const struct guest *g)
{
	size_t n = 0;

	for (size_t i = 0; i < LENGTH_BYTES; i++)
		n = n << 8 | g->in.ptr[i];
	return n;
}

static bool is_of(const struct endpoint *end, const struct guest *g)
{
	return end->who.source == IDENTITY_DOWNWARD && span_eq(end->who.pod_uid, span_str(g->uid));
}

/* Only the pod itself is named by its sidecar. */
static bool speaks_for_itself(struct exchange *x, const struct guest *g)
{
	bool is_src = is_of(&x->src, g), is_dst = is_of(&x->dst, g);

	if (!is_src)
		x->src.who = (struct identity){0};
	if (!is_dst)
		x->dst.who = (struct identity){0};
	return is_src || is_dst;
}

/* FNV-1a: connections of different pods must not be taken for one */
static uint64_t mix(uint64_t connection, const char *uid)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *uid; uid++)
		h = (h ^ (uint8_t)*uid) * UINT64_C(1099511628211);
	return (connection ^ h) & INT64_MAX;
}

/* Return: 0; -EAGAIN no room; -EBADMSG */
static int take_exchange(struct reception *r, struct guest *g, struct span text)
{
	struct exchange x;
	void *memory = NULL;
	struct err e;
	int failed = exchange_from_json(text, &x, &memory, &e);

	if (failed < 0)
		return failed == -ENOMEM ? -EAGAIN : -EBADMSG;
	failed = speaks_for_itself(&x, g) ? 0 : -EBADMSG;
	if (failed == 0) {
		x.id = 0;
		x.connection = mix(x.connection, g->uid);
		failed = record_offer(r->config.record, &x);
	}
	free(memory);
	return failed;
}

static int take_frame(struct reception *r, struct guest *g, struct span text)
{
	int failed;

	if (!g->has_greeted) {
		g->has_greeted = span_eq(text, SPAN_LIT(HANDOVER_HELLO));
		return g->has_greeted ? 0 : -EBADMSG;
	}
	failed = take_exchange(r, g, text);
	if (failed == -EAGAIN)
		return failed;
	g->taken++; /* also one that is refused: it is done with, and counted here */
	atomic_fetch_add(failed < 0 ? &r->malformed : &r->exchanges, 1);
	return 0;
}

static void tell_taken(struct guest *g, uint64_t before)
{
	uint8_t number[8];

	if (g->taken == before)
		return;
	for (size_t i = 0; i < sizeof(number); i++)
		number[i] = (uint8_t)(g->taken >> (56 - 8 * i));
	/* a peer that does not read these for so long that they do not fit has itself to blame */
	if (send(g->fd, number, sizeof(number), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(number))
		(void)shutdown(g->fd, SHUT_RDWR);
}

/* All whole frames. Return: 0; -EAGAIN held up; -EBADMSG */
static int take_frames(struct reception *r, struct guest *g)
{
	uint64_t before = g->taken;
	size_t done = 0;
	int failed = 0;

	while (failed == 0 && g->in.len - done >= LENGTH_BYTES) {
		struct buf rest = {.ptr = g->in.ptr + done, .len = g->in.len - done};
		size_t n = frame_bytes(&(struct guest){.in = rest});

		if (n > HANDOVER_FRAME_MAX)
			failed = -EBADMSG;
		else if (rest.len - LENGTH_BYTES < n)
			break;
		else
			failed = take_frame(r, g, span_of(rest.ptr + LENGTH_BYTES, n));
		done += failed == 0 ? LENGTH_BYTES + n : 0;
	}
	if (done)
		memmove(g->in.ptr, g->in.ptr + done, g->in.len - done);
	g->in.len -= done;
	tell_taken(g, before);
	return failed;
}

/* Return: 0 read; -EAGAIN nothing there; -ENOBUFS no room now; else the connection has ended */
static int read_some(struct reception *r, struct guest *g)
{
	size_t cap = g->in.cap;
	ssize_t n;

	if (g->in.cap - g->in.len < READ_BYTES && r->room + READ_BYTES > ROOM_MAX)
		return -ENOBUFS;
	if (!buf_reserve(&g->in, READ_BYTES))
		return -ENOBUFS;
	r->room += g->in.cap - cap;
	n = recv(g->fd, g->in.ptr + g->in.len, READ_BYTES, MSG_DONTWAIT);
	if (n <= 0)
		return n == 0 ? -ENODATA : -errno;
	g->in.len += (size_t)n;
	return 0;
}

/* The largest frame that is under way goes, with its connection: nobody may hold up all others. */
static void make_room(struct reception *r)
{
	struct guest *most = r->guests;

	for (struct guest *g = r->guests; g; g = g->next)
		if (g->in.cap > most->in.cap)
			most = g;
	/* its turn comes: there may be an event for it already */
	(void)shutdown(most->fd, SHUT_RDWR);
	r->room -= most->in.cap;
	buf_fini(&most->in);
	most->in = (struct buf){0};
	most->has_greeted = false; /* what is still to be read makes no sense */
	atomic_fetch_add(&r->refused, 1);
}

/* A connection that is not to be read does not wake us. */
static void hold(struct reception *r, struct guest *g, bool is_held)
{
	struct epoll_event event = {.events = is_held ? 0U : (uint32_t)EPOLLIN, .data.ptr = g};

	if (g->is_held == is_held)
		return;
	g->is_held = is_held;
	(void)epoll_ctl(r->epoll_fd, EPOLL_CTL_MOD, g->fd, &event);
}

/* a buffer that a large frame made is not kept */
static void shrink(struct reception *r, struct guest *g)
{
	if (g->in.len == 0) {
		r->room -= g->in.cap;
		buf_fini(&g->in);
		g->in = (struct buf){0};
	}
}

static void serve(struct reception *r, struct guest *g)
{
	int failed = take_frames(r, g); /* what was held up */

	if (failed == 0)
		failed = read_some(r, g);
	if (failed == 0)
		failed = take_frames(r, g);
	if (failed == -ENOBUFS)
		make_room(r);
	if (failed == -EBADMSG)
		atomic_fetch_add(&r->malformed, 1);
	if (failed < 0 && failed != -EAGAIN && failed != -ENOBUFS && failed != -EINTR) {
		free_guest(r, g);
		return;
	}
	hold(r, g,
	     failed == -EAGAIN && g->in.len >= LENGTH_BYTES &&
		     g->in.len - LENGTH_BYTES >= frame_bytes(g));
	shrink(r, g);
}

static bool serve_held(struct reception *r)
{
	bool is_any = false;

	for (struct guest *g = r->guests, *next; g; g = next) {
		next = g->next;
		if (g->is_held) {
			hold(r, g, false);
			serve(r, g);
			is_any = true;
		}
	}
	return is_any;
}

static void *receive(void *arg)
{
	struct reception *r = arg;
	struct epoll_event events[EVENTS];

	for (;;) {
		int n = epoll_wait(r->epoll_fd, events, EVENTS, serve_held(r) ? NAP_MS : -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &r->end_fd)
				return NULL;
			if (events[i].data.ptr == r)
				welcome(r);
			else
				serve(r, events[i].data.ptr);
		}
	}
}

static int add_to_set(struct reception *r, int fd, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

	return epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void free_reception(struct reception *r)
{
	while (r->guests)
		free_guest(r, r->guests);
	if (r->epoll_fd >= 0)
		(void)close(r->epoll_fd);
	if (r->end_fd >= 0)
		(void)close(r->end_fd);
	(void)close(r->config.fd);
	free(r);
}

int reception_start(const struct reception_config *config, struct reception **out, struct err *e)
{
	struct reception *r = calloc(1, sizeof(*r));
	int failed;

	if (!r) {
		(void)close(config->fd);
		return err_set(e, -ENOMEM, "handover.socket: out of memory");
	}
	r->config = *config;
	if (!r->config.peer)
		r->config.peer = peer_pod_uid;
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r->end_fd = eventfd(0, EFD_CLOEXEC);
	if (r->epoll_fd < 0 || r->end_fd < 0 || add_to_set(r, config->fd, r) < 0 ||
	    add_to_set(r, r->end_fd, &r->end_fd) < 0)
		failed = errno;
	else
		failed = pthread_create(&r->thread, NULL, receive, r);
	if (failed) {
		free_reception(r);
		return err_set(e, -failed, "handover.socket: %s", strerror(failed));
	}
	(void)pthread_setname_np(r->thread, "reception");
	*out = r;
	return 0;
}

void reception_finish(struct reception *r)
{
	uint64_t one = 1;

	if (!r || r->has_finished)
		return;
	r->has_finished = true;
	if (write(r->end_fd, &one, sizeof(one)) == sizeof(one))
		(void)pthread_join(r->thread, NULL);
}

void reception_stop(struct reception *r)
{
	if (!r)
		return;
	reception_finish(r);
	free_reception(r);
}

void reception_levels(const struct reception *r, struct reception_levels *out)
{
	*out = (struct reception_levels){
		.connections = atomic_load(&r->connections),
		.refused = atomic_load(&r->refused),
		.exchanges = atomic_load(&r->exchanges),
		.malformed = atomic_load(&r->malformed),
	};
}
