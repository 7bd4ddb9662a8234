// SPDX-License-Identifier: Apache-2.0
#include "record/capture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "record/handle.h"
#include "record/internal.h"
#include "record/packet_socket.h"
#include "record/pod_taps.h"

/*
 * Theory of operation. One thread polls all handles and feeds one decoder, so that both ends of a
 * connection, and copies of its packets on several interfaces, meet in one flow table. Reading a
 * handle costs 0.1 us a packet; one thread is enough for what a node carries.
 *
 *	poll ─► read each ready handle ─► wake the recorder ─► every TICK_NS: time goes on
 *
 * Namespaces that come and go are pod_taps.c's; they stand in the poll as one descriptor. They wake
 * the thread for single packets while they are quiet, so the thread rests between its rounds when there
 * are many (ROUNDS_AT_ONCE): a hundred rounds a second cost next to nothing and empty the rings in time.
 *
 * Handles are read in turn, READ_MOST packets at most, so that a flood on one does not starve the
 * others. Time is given to the decoder a little late: packets may still lie in a ring that are
 * older than now.
 *
 * A handle that fails is closed and counted, the others go on. One whose interface disappeared is kept
 * aside, and its name looked for, ever more rarely, until the interface is back (handle_rebind()). At the
 * end the kernel is told to give nothing more, and what it has taken is read, so that the kernel's
 * account balances.
 */
#define READ_MOST      8192
#define TICK_NS	       (100 * NS_PER_MS)
#define LOOK_TICKS     10 /* between two looks at kernel counts and namespaces */
#define BACK_LOOKS     16 /* looks at most between two looks for an interface that went away */
#define DRAIN_MAX_NS   (2 * NS_PER_S) /* at the end; usually a few polls */
#define ROUNDS_AT_ONCE 10	      /* within a tick, with pods; after them, a rest behind each */
#define REST_NS	       (10 * NS_PER_MS)

/* A handle and its part of the kernel's account. */
struct tap {
	struct handle *handle; /* NULL: lost */
	struct wire *wire;     /* the one decoder */
	struct wire_source where;
	uint64_t handed; /* packets in the current read */
	uint64_t handed_total;
	unsigned looks, looks_left; /* while is_away: from one look for the interface to the next */
	/* the interface disappeared: its handle is kept, in case it comes back */
	bool is_away;
};

struct capture {
	struct record *record; /* once it runs */
	struct tap *taps;
	struct pollfd *polls;  /* one for each tap, then stop_fd and the pods' */
	struct pod_taps *pods; /* NULL: none come */
	unsigned rounds;       /* since the last tick */
	size_t count, live_count;
	uint64_t poll_ns;
	struct handle_stats lost;   /* of handles that are closed */
	struct identity_seen *seen; /* addresses in namespaces; pods' names are owned */
	size_t seen_count;
	int stop_fd;
	pthread_t thread;
	bool has_thread;
};

static void take_packet(void *ctx, uint64_t ts_ns, struct span bytes, size_t length)
{
	struct tap *t = ctx;

	t->handed++;
	wire_packet(t->wire, &t->where, ts_ns, bytes, length);
}

/* The kernel's account. Between looks what it holds is what we do not know better. */
static void count_kernel(struct capture *c, bool is_drained)
{
	struct counters *n = &c->record->capture_counters;
	struct handle_stats sum = c->lost;
	uint64_t handed = counter_get(n, COUNTER_KERNEL_HANDED), known;

	for (size_t i = 0; i < c->count; i++) {
		struct handle_stats st;

		if (!c->taps[i].handle)
			continue;
		handle_stats(c->taps[i].handle, &st);
		sum.received += st.received;
		sum.dropped += st.dropped;
	}
	if (c->pods)
		pod_taps_stats(c->pods, &sum);
	known = handed + sum.dropped + counter_get(n, COUNTER_KERNEL_UNSELECTED);
	counter_set(n, COUNTER_KERNEL_RECEIVED, sum.received);
	counter_set(n, COUNTER_KERNEL_DROPPED, sum.dropped);
	counter_set(n, COUNTER_KERNEL_PENDING,
		    is_drained || sum.received < known ? 0 : sum.received - known);
}

void record_count_handed(struct record *r, uint64_t packets)
{
	struct counters *n = &r->capture_counters;
	uint64_t pending = counter_get(n, COUNTER_KERNEL_PENDING), known = MIN(packets, pending);

	counter_sub(n, COUNTER_KERNEL_PENDING, known);
	counter_add(n, COUNTER_KERNEL_RECEIVED, packets - known);
	counter_add(n, COUNTER_KERNEL_HANDED, packets);
}

static void count_handed(struct capture *c, struct tap *t)
{
	record_count_handed(c->record, t->handed);
	t->handed_total += t->handed;
	t->handed = 0;
}

/* The handle is no use any more: its packets that were never read count as dropped. */
static void close_tap(struct capture *c, struct tap *t)
{
	struct handle_stats st;

	handle_stats(t->handle, &st);
	c->lost.received += st.received;
	c->lost.dropped += st.received - MIN(st.received, t->handed_total);
	handle_close(t->handle);
	t->handle = NULL;
	t->is_away = false;
}

static void lose(struct capture *c, size_t i, const char *why)
{
	const struct record_config *config = &c->record->config;

	c->live_count--;
	c->polls[i].fd = -1;
	counter_add(&c->record->capture_counters, COUNTER_INTERFACES_LOST, 1);
	if (config->on_lost)
		config->on_lost(config->ctx, why, c->live_count);
}

static void read_tap(struct capture *c, size_t i)
{
	struct tap *t = &c->taps[i];
	struct err e;
	int n = handle_read(t->handle, READ_MOST, take_packet, t, &e);

	count_handed(c, t);
	if (n >= 0)
		return;
	lose(c, i, e.why);
	t->is_away = n == -ENETDOWN;
	t->looks = t->looks_left = 1;
	if (!t->is_away)
		close_tap(c, t);
}

/* Is the interface there again? Asked ever more rarely. */
static void look_for_back(struct capture *c, size_t i)
{
	const struct record_config *config = &c->record->config;
	struct tap *t = &c->taps[i];
	int r;

	if (--t->looks_left)
		return;
	t->looks_left = t->looks = MIN(2 * t->looks, (unsigned)BACK_LOOKS);
	r = handle_rebind(t->handle);
	if (r == -EMEDIUMTYPE)
		close_tap(c, t);
	if (r < 0)
		return;
	t->is_away = false;
	c->live_count++;
	c->polls[i].fd = handle_fd(t->handle);
	counter_add(&c->record->capture_counters, COUNTER_INTERFACES_BACK, 1);
	if (config->on_back)
		config->on_back(config->ctx, handle_name(t->handle), c->live_count);
}

/* Return: how many handles had something. */
static unsigned read_ready(struct capture *c, uint64_t wait_ns)
{
	struct timespec t = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
			     .tv_nsec = (long)(wait_ns % NS_PER_S)};
	unsigned ready = 0;

	if (ppoll(c->polls, c->count + 1 + !!c->pods, &t, NULL) <= 0)
		return 0;
	c->rounds++;
	for (size_t i = 0; i < c->count; i++) {
		if (c->polls[i].fd < 0 || !c->polls[i].revents)
			continue;
		read_tap(c, i);
		ready++;
	}
	if (c->pods && c->polls[c->count + 1].revents)
		ready += pod_taps_read(c->pods);
	record_wake_if_much(c->record);
	return ready;
}

/*
 * Is each handle still good? A removed namespace shows nowhere but in its path. Of an interface
 * that went away poll() speaks once, and libpcap wants to be asked again later, to know whether it
 * is gone or only down; so each is read once more, ready or not.
 */
static void look_for_gone(struct capture *c, size_t i)
{
	char why[ERR_WHY_MAX];

	read_tap(c, i);
	if (!c->taps[i].handle || c->taps[i].is_away || !handle_is_gone(c->taps[i].handle))
		return;
	(void)snprintf(why, sizeof(why), "interface %s: its network namespace was removed",
		       handle_name(c->taps[i].handle));
	lose(c, i, why);
	close_tap(c, &c->taps[i]);
}

static void look_at_taps(struct capture *c)
{
	for (size_t i = 0; i < c->count; i++) {
		if (c->taps[i].is_away)
			look_for_back(c, i);
		else if (c->taps[i].handle)
			look_for_gone(c, i);
	}
}

static void tick(struct capture *c, uint64_t count)
{
	atomic_fetch_add_explicit(&c->record->beats, 1, memory_order_relaxed);
	wire_tick(c->record->wire, clock_wall_ns() - TICK_NS - HANDLE_QUIET * c->poll_ns);
	record_apply(c->record);
	if (c->pods)
		pod_taps_tick(c->pods, count % LOOK_TICKS == 0);
	record_wake(c->record);
	c->rounds = 0;
	if (count % LOOK_TICKS)
		return;
	count_kernel(c, false);
	look_at_taps(c);
}

/* What the kernel has taken and not yet given. */
static void drain(struct capture *c)
{
	uint64_t until_ns = clock_mono_ns() + DRAIN_MAX_NS;

	for (size_t i = 0; i < c->count; i++) {
		if (c->taps[i].is_away)
			close_tap(c, &c->taps[i]);
		else if (c->taps[i].handle)
			handle_shut(c->taps[i].handle);
	}
	c->polls[c->count].fd = -1;
	if (c->pods)
		pod_taps_shut(c->pods);
	while (read_ready(c, HANDLE_QUIET * c->poll_ns) && clock_mono_ns() < until_ns)
		;
	if (c->pods)
		pod_taps_finish(c->pods);
	count_kernel(c, true);
}

/* Single packets of many quiet pods come at any time: take them together. */
static void rest(const struct capture *c)
{
	const struct timespec t = {.tv_nsec = (long)MIN(REST_NS, c->poll_ns)};

	if (c->pods && c->rounds > ROUNDS_AT_ONCE)
		(void)nanosleep(&t, NULL);
}

static void *capture_loop(void *arg)
{
	struct capture *c = arg;
	uint64_t tick_ns = clock_mono_ns() + TICK_NS, count = 0;

	while (!(c->polls[c->count].revents & POLLIN)) {
		uint64_t now_ns = clock_mono_ns();

		if (now_ns < tick_ns) {
			(void)read_ready(c, tick_ns - now_ns);
			rest(c);
			continue;
		}
		tick(c, count++);
		tick_ns = now_ns + TICK_NS;
	}
	drain(c);
	return NULL;
}

static int keep_seen(struct capture *c, const struct handle *handle)
{
	size_t n;
	const struct identity_seen *seen = handle_seen(handle, &n);
	struct identity_seen *more = realloc(c->seen, (c->seen_count + n + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	c->seen = more;
	for (size_t i = 0; i < n; i++) {
		more[c->seen_count] = seen[i];
		more[c->seen_count].pod = strdup(seen[i].pod);
		if (!more[c->seen_count].pod)
			return -ENOMEM;
		c->seen_count++;
	}
	return 0;
}

static int open_tap(struct capture *c, size_t i, const struct capture_config *config, struct err *e)
{
	const struct handle_config sc = {
		.interface = config->interfaces[i].interface,
		.netns = config->interfaces[i].netns,
		.bpf = config->bpf,
		.buffer_bytes = config->buffer_bytes,
		.snaplen = config->snaplen,
		.poll_ns = config->poll_ns,
	};
	struct tap *t = &c->taps[i];
	int failed = handle_open(&sc, &t->handle, e);

	if (failed < 0)
		return failed;
	t->where.linktype = handle_linktype(t->handle);
	t->where.netns = (uint32_t)handle_netns(t->handle); /* the kernel gives 32 bits */
	c->polls[i] = (struct pollfd){.fd = handle_fd(t->handle), .events = POLLIN};
	c->live_count++;
	if (keep_seen(c, t->handle) < 0)
		return err_set(e, -ENOMEM, "capture: out of memory");
	return 0;
}

int capture_open(const struct capture_config *config, struct capture **c_out, struct err *e)
{
	AUTO(capture) c = calloc(1, sizeof(*c));
	int failed = 0;

	if (!c)
		return err_set(e, -ENOMEM, "capture: out of memory");
	c->count = config->count;
	c->poll_ns = config->poll_ns;
	c->taps = calloc(c->count, sizeof(*c->taps));
	c->polls = calloc(c->count + 2, sizeof(*c->polls));
	c->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (config->pods.is_on)
		c->pods = pod_taps_new(&config->pods, config->poll_ns);
	if (!c->taps || !c->polls || c->stop_fd < 0 || (config->pods.is_on && !c->pods))
		return err_set(e, -ENOMEM, "capture: out of memory or file descriptors");
	for (size_t i = 0; i < c->count && failed == 0; i++)
		failed = open_tap(c, i, config, e);
	if (failed < 0)
		return failed;
	c->polls[c->count] = (struct pollfd){.fd = c->stop_fd, .events = POLLIN};
	if (c->pods)
		c->polls[c->count + 1] =
			(struct pollfd){.fd = pod_taps_fd(c->pods), .events = POLLIN};
	*c_out = TAKE(c);
	return 0;
}

int capture_start(struct capture *c, struct record *r, struct err *e)
{
	int failed;

	c->record = r;
	for (size_t i = 0; i < c->count; i++)
		c->taps[i].wire = r->wire;
	if (c->pods)
		pod_taps_start(c->pods, r);
	failed = pthread_create(&c->thread, NULL, capture_loop, c);
	if (failed)
		return err_set(e, -failed, "capture thread: %s", strerror(failed));
	(void)pthread_setname_np(c->thread, "capture");
	c->has_thread = true;
	return 0;
}

void capture_stop(struct capture *c)
{
	uint64_t one = 1;

	if (!c || !c->has_thread)
		return;
	if (write(c->stop_fd, &one, sizeof(one)) == sizeof(one))
		(void)pthread_join(c->thread, NULL);
	c->has_thread = false;
}

void capture_free(struct capture *c)
{
	if (!c)
		return;
	for (size_t i = 0; c->taps && i < c->count; i++)
		handle_close(c->taps[i].handle);
	for (size_t i = 0; i < c->seen_count; i++)
		free((char *)(uintptr_t)c->seen[i].pod);
	pod_taps_free(c->pods);
	if (c->stop_fd >= 0)
		(void)close(c->stop_fd);
	free(c->seen);
	free(c->taps);
	free(c->polls);
	free(c);
}

int capture_identities(const struct capture *c, const char *path, struct identities **i_out,
		       struct err *e)
{
	return identities_load(path, c->seen, c->seen_count, i_out, e);
}

static int order(struct capture *c, const struct pod_order *o)
{
	if (c->pods)
		return pod_taps_order(c->pods, o);
	packet_socket_close(o->socket);
	return -ENOTSUP;
}

int capture_pod_add(struct capture *c, uint32_t netns, uint16_t share, struct packet_socket *s,
		    bool is_held)
{
	return order(c, &(struct pod_order){.kind = POD_ADD,
					    .netns = netns,
					    .share = share,
					    .socket = s,
					    .is_held = is_held});
}

int capture_pod_read(struct capture *c, uint32_t netns)
{
	return order(c, &(struct pod_order){.kind = POD_READ, .netns = netns});
}

int capture_pod_replace(struct capture *c, uint32_t netns, struct packet_socket *s)
{
	return order(c, &(struct pod_order){.kind = POD_REPLACE, .netns = netns, .socket = s});
}

int capture_pod_remove(struct capture *c, uint32_t netns)
{
	return order(c, &(struct pod_order){.kind = POD_REMOVE, .netns = netns});
}
