// SPDX-License-Identifier: Apache-2.0
#include "record/record.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/bell.h"
#include "lib/clock.h"
#include "record/file.h"
#include "record/internal.h"
#include "record/views.h"

/*
 * Theory of operation. The decoder writes each exchange straight into the ring, the recorder
 * thread reads it there: ownership moves, bytes do not. The capture thread never waits for the
 * recorder, except when it reads a file (waits_for_room).
 *
 * Live, the recorder is woken ten times a second, or when much waits: exchanges wait a commit
 * interval anyway, and a batch finds its code and data in the caches once instead of for each few.
 *
 * Neither side makes a system call as long as both are busy. A side with nothing to do says so in
 * an atomic flag, looks once more, and sleeps on an eventfd; the other looks at the flag after its
 * own change and rings. A full fence stands between change and look on both sides, so that not
 * both can miss the other.
 *
 * While the store fails, exchanges wait in the ring until it is half full; from then on the oldest
 * are given up and counted, so that there is always room for new ones.
 *
 * Decoding only (store_dir NULL) there is no ring and no thread: an exchange is handed out in the
 * thread that decoded it.
 */
#define WAKE_SHARE     16 /* of the queue, live: the recorder is woken before its turn */
#define WAKE_PACKETS   64 /* of a file, between two looks at the recorder */
#define TICK_NS	       (100 * NS_PER_MS) /* of capture time, between two wire_tick() */
#define NAP_MAX_NS     (NS_PER_S)	 /* a flag is looked at again after so long */
#define FAILING_NAP_NS (20 * NS_PER_MS)	 /* so long a full ring may go unnoticed */
#define EXCHANGE_EXTRA (64 * 1024)	 /* an exchange beside its heads and bodies */

void record_ring(int fd)
{
	bell_ring(fd);
}

static void wait_for_bell(int fd, uint64_t ns)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
	uint64_t count;

	if (ppoll(&p, 1, &t, NULL) > 0 && read(fd, &count, sizeof(count)) < 0)
		return;
}

void record_wake(struct record *r)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&r->recorder_waits, memory_order_relaxed))
		record_ring(r->work_fd);
}

void record_wake_if_much(struct record *r)
{
	if (ring_used_bytes(r->ring) >= r->config.queue_bytes / WAKE_SHARE)
		record_wake(r);
}

/* sink of the decoder, decode only */
static void *reserve_direct(void *ctx, size_t bytes)
{
	struct record *r = ctx;

	buf_clear(&r->direct);
	return buf_reserve(&r->direct, bytes) ? r->direct.ptr : NULL;
}

static void commit_direct(void *ctx, struct exchange *x)
{
	struct record *r = ctx;

	counter_add(&r->capture_counters, COUNTER_EXCHANGES_IN, 1);
	counter_add(&r->capture_counters, COUNTER_EXCHANGES_HELD, 1);
	(void)recorder_take(r->recorder, x, 0);
}

static bool is_told_to_stop(const struct record *r)
{
	return r->config.is_stopped && r->config.is_stopped();
}

/* A file can wait: sleep until the recorder has made room. */
static void *reserve_patiently(struct record *r, size_t bytes)
{
	for (;;) {
		void *p = ring_reserve(r->ring, bytes);

		if (p || is_told_to_stop(r))
			return p;
		atomic_store(&r->capture_waits, true);
		p = ring_reserve(r->ring, bytes);
		if (!p) {
			record_wake(r);
			wait_for_bell(r->room_fd, NAP_MAX_NS);
		}
		atomic_store(&r->capture_waits, false);
		if (p)
			return p;
	}
}

/* sink of the decoder */
static void *reserve_in_ring(void *ctx, size_t bytes)
{
	struct record *r = ctx;

	r->reserved_bytes = bytes;
	return r->config.waits_for_room ? reserve_patiently(r, bytes)
					: ring_reserve(r->ring, bytes);
}

static void commit_to_ring(void *ctx, struct exchange *x)
{
	struct record *r = ctx;

	shares_took(r->shares, x->share, r->reserved_bytes);
	counter_add(&r->capture_counters, COUNTER_EXCHANGES_IN, 1);
	counter_add(&r->capture_counters, COUNTER_EXCHANGES_HELD, 1);
	ring_commit(r->ring);
}

static bool may_take(void *ctx, uint16_t share, size_t bytes)
{
	struct record *r = ctx;

	return r->config.waits_for_room ||
	       shares_may_take(r->shares, share, bytes, ring_used_bytes(r->ring));
}

static void release(struct record *r, uint16_t share, size_t bytes)
{
	shares_release(r->shares, share, bytes);
	ring_release(r->ring);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&r->capture_waits, memory_order_relaxed) &&
	    ring_used_bytes(r->ring) <= r->config.queue_bytes / 2)
		record_ring(r->room_fd);
}

/* The store does not take it now. Must it go, so that there is room for others? */
static bool must_go(struct record *r)
{
	if (r->config.waits_for_room) {
		atomic_store(&r->has_failed, true);
		return true;
	}
	return atomic_load(&r->is_stopping) || ring_used_bytes(r->ring) > r->config.queue_bytes / 2;
}

#define HELD_READ_NS NS_PER_S /* from when a handle is read until its exchanges are here */

/* Bring together what was captured at both ends. Return: how long the oldest is to wait [ns]. */
static uint64_t look_ahead(struct record *r, uint64_t now_ns)
{
	bool is_pressed = atomic_load(&r->is_stopping) ||
			  ring_used_bytes(r->ring) > r->config.queue_bytes / 2;
	struct exchange *x;

	if (atomic_load_explicit(&r->has_held, memory_order_relaxed))
		views_expect_late(r->views, now_ns + HELD_READ_NS);
	while (!views_are_full(r->views) && (x = ring_ahead(r->ring)))
		views_add(r->views, x, now_ns);
	return is_pressed || views_are_full(r->views) ? 0 : views_wait_ns(r->views, now_ns);
}

/* The oldest goes its way. Return: false when it stays where it is for now. */
static bool record_one(struct record *r, struct exchange *x, size_t bytes, uint64_t now_ns)
{
	uint16_t share = x->share;

	if (r->views && views_is_told(r->views)) {
		recorder_merge(r->recorder);
	} else if (!recorder_take(r->recorder, x, now_ns)) {
		if (!must_go(r))
			return false;
		recorder_drop(r->recorder);
	}
	if (r->views)
		views_release(r->views);
	release(r, share, bytes);
	return true;
}

/* For each exchange: who lives where is put into the box before the first packet from there is read, and what is to be
 * masked is masked from the next one on. */
static void take_news(struct record *r)
{
	if (atomic_load_explicit(&r->tapconfigs_box, memory_order_acquire))
		recorder_tapconfigs(r->recorder, atomic_exchange(&r->tapconfigs_box, NULL));
	if (atomic_load_explicit(&r->residents_box, memory_order_acquire))
		recorder_residents(r->recorder, atomic_exchange(&r->residents_box, NULL));
}

/* What others have decoded, as far as the store takes it; what it does not take waits there. */
static void record_guests(struct record *r)
{
	size_t bytes;
	struct exchange *x;

	r->left_guests = 0;
	while (r->guests && (x = ring_peek(r->guests, &bytes))) {
		uint64_t now_ns = clock_mono_ns();

		r->left_guests = ring_count(r->guests);
		take_news(r);

		if (!recorder_take(r->recorder, x, now_ns)) {
			(void)recorder_tick(r->recorder, now_ns);
			if (!atomic_load(&r->is_stopping))
				return;
			recorder_drop(r->recorder);
		}
		ring_release(r->guests);
		r->left_guests = 0;
	}
}

/* Has nothing come since the last look? */
static bool is_quiet(const struct record *r)
{
	return ring_count(r->ring) <= r->left_count &&
	       (!r->guests || ring_count(r->guests) <= r->left_guests);
}

/* Take what is in the ring. Return: how long to sleep then [ns]. */
static uint64_t record_waiting(struct record *r)
{
	record_guests(r);
	for (;;) {
		uint64_t now_ns = clock_mono_ns(), nap_ns = recorder_tick(r->recorder, now_ns);
		size_t bytes;
		struct exchange *x;
		uint64_t wait_ns;

		r->left_count = ring_count(r->ring);
		x = ring_peek(r->ring, &bytes);
		wait_ns = x && r->views ? look_ahead(r, now_ns) : 0;

		if (!x)
			return MIN(nap_ns, NAP_MAX_NS);
		if (wait_ns)
			return MIN(nap_ns, wait_ns);
		take_news(r);
		if (!record_one(r, x, bytes, now_ns))
			return MIN(nap_ns, FAILING_NAP_NS);
	}
}

static void *record_loop(void *arg)
{
	struct record *r = arg;

	for (;;) {
		bool is_last = atomic_load(&r->is_stopping);

		recorder_apply(r->recorder, atomic_exchange(&r->change_box, NULL));
		recorder_census(r->recorder, atomic_exchange(&r->census_box, NULL));
		uint64_t nap_ns = record_waiting(r);

		if (is_last && ring_count(r->ring) == 0 &&
		    (!r->guests || ring_count(r->guests) == 0))
			return NULL;
		atomic_store(&r->recorder_waits, true);
		atomic_thread_fence(memory_order_seq_cst);
		if (!atomic_load(&r->is_stopping) &&
		    (is_quiet(r) || recorder_is_failing(r->recorder)))
			wait_for_bell(r->work_fd, nap_ns);
		atomic_store(&r->recorder_waits, false);
	}
}

size_t record_exchange_bytes_max(size_t head_max, size_t body_max)
{
	/* of each message: head and trailers, body and chunk-size lines */
	return 4 * (head_max + body_max) + EXCHANGE_EXTRA;
}

/* Is there a recorder thread? */
static bool has_recorder(const struct record_config *c)
{
	return c->store_dir || c->handover_to;
}

static int check_queue(const struct record_config *c, struct err *e)
{
	size_t most = record_exchange_bytes_max(c->wire.head_max, c->wire.body_max);

	if (has_recorder(c) && c->queue_bytes / 2 < most)
		return err_set(e, -EINVAL,
			       "queue_size %zu is too small: an exchange as large as body_max and "
			       "head_max allow needs %zu",
			       c->queue_bytes, 2 * most);
	return 0;
}

static int start_thread(struct record *r, struct err *e)
{
	int failed;

	r->ring = ring_new(r->config.queue_bytes);
	r->shares = shares_new(r->config.queue_bytes);
	r->views = r->config.view_wait_ns ? views_new(r->config.view_wait_ns) : NULL;
	r->guests = r->config.guest_bytes ? ring_new(r->config.guest_bytes) : NULL;
	r->work_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!r->ring || !r->shares || (r->config.guest_bytes && !r->guests) ||
	    (r->config.view_wait_ns && !r->views) || r->work_fd < 0 || r->room_fd < 0)
		return err_set(e, -ENOMEM, "queue: out of memory or file descriptors");
	failed = pthread_create(&r->thread, NULL, record_loop, r);
	if (failed)
		return err_set(e, -failed, "recorder thread: %s", strerror(failed));
	(void)pthread_setname_np(r->thread, "recorder");
	r->has_thread = true;
	return 0;
}

static int start_wire(struct record *r, struct err *e)
{
	const struct wire_sink to_ring = {r, reserve_in_ring, commit_to_ring, may_take};
	const struct wire_sink direct = {r, reserve_direct, commit_direct};

	r->wire = wire_new(&r->config.wire, has_recorder(&r->config) ? &to_ring : &direct,
			   &r->capture_counters);
	return r->wire ? 0 : err_set(e, -ENOMEM, "decoder: out of memory");
}

void record_free(struct record *r)
{
	if (!r)
		return;
	capture_free(r->capture);
	wire_free(r->wire);
	ring_free(r->ring);
	shares_free(r->shares);
	ring_free(r->guests);
	views_free(r->views);
	buf_fini(&r->direct);
	if (r->work_fd >= 0)
		(void)close(r->work_fd);
	if (r->room_fd >= 0)
		(void)close(r->room_fd);
	record_change_fini(r);
	free(r);
}

int record_start(const struct record_config *config, struct record **r_out, struct err *e)
{
	int failed = check_queue(config, e);
	struct record *r = failed < 0 ? NULL : calloc(1, sizeof(*r));

	if (!r)
		return failed < 0 ? failed : err_set(e, -ENOMEM, "recorder: out of memory");
	r->config = *config;
	r->work_fd = r->room_fd = -1;
	failed = recorder_open(&r->config, &r->recorder_counters, &r->recorder, e);
	if (failed == 0)
		failed = start_wire(r, e);
	if (failed == 0 && has_recorder(config))
		failed = start_thread(r, e);
	if (failed < 0) {
		(void)recorder_close(r->recorder, 0, NULL);
		record_free(r);
		return failed;
	}
	*r_out = r;
	return 0;
}

/* What a file needs between two packets. Return: 0, or why it ends. */
static int look_around(struct record *r, struct err *e)
{
	if (r->ring)
		record_wake(r);
	if (is_told_to_stop(r))
		return err_set(e, -ECANCELED, "stopped");
	if (atomic_load_explicit(&r->has_failed, memory_order_relaxed))
		return err_set(e, -EIO, "stopped: the store failed");
	return 0;
}

int record_file(struct record *r, const char *path, struct err *e)
{
	AUTO(file) f = NULL;
	int failed = file_begin(path, &f, e);

	return failed < 0 ? failed : record_read(r, f, e);
}

int record_read(struct record *r, struct file *f, struct err *e)
{
	struct packet p;
	uint64_t tick_ns = 0;
	int failed = file_choose(f, e);

	for (uint64_t n = 1; failed == 0; n++) {
		int got = file_next(f, &p, e);

		if (got < 0 && is_told_to_stop(r)) /* a read that the signal ended */
			return err_set(e, -ECANCELED, "%s: stopped", file_name(f));
		if (got <= 0)
			return got;
		if (p.ts_ns - tick_ns >= TICK_NS) { /* also when it jumps back */
			tick_ns = p.ts_ns;
			wire_tick(r->wire, tick_ns);
		}
		wire_packet(r->wire, &(struct wire_source){.linktype = p.linktype}, p.ts_ns,
			    p.bytes, p.length);
		if (n % WAKE_PACKETS == 0)
			failed = look_around(r, e);
	}
	return failed;
}

int record_run(struct record *r, struct capture *c, struct err *e)
{
	r->capture = c;
	return capture_start(c, r, e);
}

int record_offer(struct record *r, const struct exchange *x)
{
	size_t bytes = exchange_bytes(x);
	void *memory = ring_reserve(r->guests, bytes);

	if (!memory)
		/* a record: half a ring */
		return bytes > r->config.guest_bytes / 3 ? -E2BIG : -EAGAIN;
	(void)exchange_copy(x, memory);
	counter_add(&r->guest_counters, COUNTER_EXCHANGES_IN, 1);
	counter_add(&r->guest_counters, COUNTER_EXCHANGES_HELD, 1);
	ring_commit(r->guests);
	record_wake(r);
	return 0;
}

uint64_t record_beats(const struct record *r)
{
	return atomic_load_explicit(&r->beats, memory_order_relaxed);
}

void record_levels(const struct record *r, struct record_levels *out)
{
	*out = (struct record_levels){0};
	if (!r->ring)
		return;
	out->queue_bytes = ring_used_bytes(r->ring);
	out->queue_count = ring_count(r->ring);
}

int record_stop(struct record *r, struct err *e)
{
	capture_stop(r->capture);
	wire_flush(r->wire);
	atomic_store(&r->is_stopping, true);
	if (r->has_thread) {
		record_ring(r->work_fd);
		(void)pthread_join(r->thread, NULL);
	}
	return recorder_close(TAKE(r->recorder), clock_mono_ns(), e);
}

void record_counters(const struct record *r, struct counters *sum_out)
{
	*sum_out = (struct counters){0};
	counters_sum(sum_out, &r->capture_counters);
	counters_sum(sum_out, &r->guest_counters);
	counters_sum(sum_out, &r->recorder_counters);
}
