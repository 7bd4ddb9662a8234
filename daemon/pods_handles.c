// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/pods_internal.h"
#include "lib/bell.h"
#include "lib/clock.h"
#include "lib/log.h"

/*
 * Theory of operation. What becomes of a place, and of its handle:
 *
 *	 appears: a socket is opened at once, held
 *	     │
 *	  UNKNOWN ── its pod is known, and selected; or it cannot be known in time ──► CAPTURED
 *	     │       its pod is known, and not selected ─────────────────────────────► REFUSED (closed)
 *	     │                                                      select changed ◄──► CAPTURED
 *	     └── ends ──► ENDED: what was held is read, as of an unknown pod
 *
 * The socket is there before anybody says whose it is, so that nothing of a pod's beginning is lost; its
 * packets stay in the kernel so that nothing of a pod that is not selected is read. When the kernel's room for
 * them becomes short, or nobody can say who it is, it is captured: to lose traffic that was meant to be
 * recorded is the worse mistake, and a pod that turns out not to be selected is left alone from then on.
 *
 * Orders to the capture thread are given together, after the recorder was told who lives where.
 */
#define SHORT_OF_SHARES "there are more namespaces than can be told apart"

void pods_say(struct pods *p, enum note_kind kind, uint32_t netns, enum capture_pace pace,
	      struct packet_socket *s)
{
	struct note *n = malloc(sizeof(*n));

	if (!n) {
		packet_socket_close(s);
		return;
	}
	*n = (struct note){.kind = kind, .netns = netns, .pace = pace, .socket = s};
	n->next = atomic_load(&p->notes);
	while (!atomic_compare_exchange_weak(&p->notes, &n->next, n))
		;
	bell_ring(p->bell);
}

static void close_socket(void *arg)
{
	packet_socket_close(arg);
}

static struct packet_socket_config socket_config(const struct pods *p, bool has_ring)
{
	return (struct packet_socket_config){
		.filter = p->filter,
		.ring_bytes = has_ring ? p->config.ring_bytes : 0,
		.buffer_bytes = p->config.buffer_bytes,
		.poll_ns = p->config.poll_ns,
	};
}

/* A descriptor in that namespace. */
static int ask_opener(struct pods *p, const struct place *place, struct err *e)
{
	int fd = opener_open(p->opener, place->path, place->inode, e);

	if (fd == -EPIPE && !atomic_exchange(&p->has_failed, true))
		log_err("pods", "%s: no pod that begins now can be captured", e->why);
	return fd;
}

static int open_socket(struct pods *p, struct place *place, struct packet_socket **s_out,
		       struct err *e)
{
	const struct packet_socket_config config = socket_config(p, false);
	int fd = ask_opener(p, place, e);

	return fd < 0 ? fd : packet_socket_open(fd, &config, s_out, e);
}

/* Return: false when it is REFUSED now */
static bool open_place(struct pods *p, struct place *place, bool is_held)
{
	struct packet_socket *s = NULL;
	struct err e = {0};
	int failed = open_socket(p, place, &s, &e);

	if (failed == 0 && (place->share = places_take_share(&p->places)) == 0)
		failed = err_set(&e, -ENFILE, SHORT_OF_SHARES);
	if (failed == 0)
		failed = capture_pod_add(p->capture, place->inode, place->share, TAKE(s), is_held);
	if (failed == 0) {
		place->is_open = true;
		return true;
	}
	packet_socket_close(s);
	places_give_share(&p->places, place->share);
	place->share = 0;
	place->state = PLACE_REFUSED;
	/* gone already, or our own */
	if (failed == -ENOENT || failed == -ESTALE || failed == -EINVAL) {
		log_debug("pods", "not captured: %s", e.why);
		return false;
	}
	log_warn("pods", "not captured netns=%s why=%s", place->path, e.why);
	atomic_fetch_add(&p->gauges[GAUGE_OPEN_FAILED], 1);
	return false;
}

static void capture_it(struct pods *p, struct place *place)
{
	struct identity who = place_who(place, (struct span){0});

	if (place->state == PLACE_CAPTURED)
		return;
	place->must_read = place->is_open && place->state == PLACE_UNKNOWN;
	place->state = PLACE_CAPTURED;
	if (!place->is_open && !open_place(p, place, false))
		return;
	place->was_captured = p->is_dirty = true;
	log_debug("pods", "captured pod=%.*s namespace=%.*s netns=%s", (int)who.pod.len,
		  (const char *)who.pod.ptr, (int)who.name_space.len,
		  (const char *)who.name_space.ptr, place->path);
}

static void refuse_it(struct place *place)
{
	place->must_remove = place->is_open;
	place->must_read = false;
	place->state = PLACE_REFUSED;
}

/* Nobody is there who could still say whose it is. */
static bool cannot_be_known(const struct pods *p)
{
	return !p->cri || (p->was_answered && p->runtime_failed);
}

/* Its sidecar was told to hand over to us: what it records comes that way, and only once. */
static bool hands_over(const struct pods *p, const struct place *place)
{
	const struct identity nobody = {0};

	return p->givers && pod_select_holds(p->givers, &nobody, place->cri->annotations);
}

void pods_judge(struct pods *p, struct place *place, bool must_decide)
{
	struct identity who;

	if (place->state == PLACE_ENDED)
		return;
	if (place_is_known(place)) {
		who = place_who(place, span_str(p->config.node));
		if (!hands_over(p, place) &&
		    pod_select_holds(p->select, &who, place->cri->annotations))
			capture_it(p, place);
		else if (place->state != PLACE_REFUSED)
			refuse_it(place);
		return;
	}
	if (place->state != PLACE_UNKNOWN)
		return;
	if (must_decide || cannot_be_known(p) ||
	    clock_mono_ns() >= place->since_ns + p->config.identify_ns)
		capture_it(p, place);
}

void pods_appear(struct pods *p, uint32_t inode, const char *path, pid_t pid)
{
	struct place *place = places_find(&p->places, inode);

	if (!place) {
		place = places_add(&p->places, inode, path, clock_mono_ns(), clock_wall_ns());
		/* it is not those who are long unknown that set the pace */
		p->ask_wait_ns = ASK_MIN_NS;
		p->ask_at_ns = MIN(p->ask_at_ns, clock_mono_ns() + ASK_MIN_NS);
		if (!place || !open_place(p, place, true)) {
			if (place)
				place->names += !pid;
			return;
		}
	}
	place->names += !pid;
	if (!pid && place->pid) { /* it has a name after all */
		place->pid = 0;
		(void)snprintf(place->path, sizeof(place->path), "%s", path);
	}
}

void pods_end(struct pods *p, struct place *place)
{
	if (place->state == PLACE_UNKNOWN)
		pods_judge(p, place, true);
	place->must_remove = place->is_open;
	place->state = PLACE_ENDED;
	place->until_ns = clock_wall_ns();
	p->is_dirty |= place->was_captured;
}

/* --- rings --- */

struct ring_job {
	struct pods *pods;
	uint32_t netns;
	int fd;
};

/* Thread: helper; the kernel takes some 10 ms */
static void make_ring(void *arg)
{
	struct ring_job *job = arg;
	const struct packet_socket_config config = socket_config(job->pods, true);
	struct packet_socket *s = NULL;
	struct err e;

	if (packet_socket_open(job->fd, &config, &s, &e) < 0)
		log_warn("pods", "no ring for a busy pod: %s", e.why);
	pods_say(job->pods, NOTE_RING, job->netns, CAPTURE_BUSY, s);
	free(job);
}

static void give_ring_up(struct pods *p, struct place *place)
{
	if (!place->has_ring)
		return;
	place->has_ring = false;
	p->rings_bytes -= p->config.ring_bytes;
}

static void want_ring(struct pods *p, struct place *place)
{
	struct ring_job *job = NULL;
	struct err e;
	int fd;

	if (place->has_ring)
		return;
	if (p->rings_bytes + p->config.ring_bytes > p->config.rings_bytes) {
		atomic_fetch_add(&p->gauges[GAUGE_RINGS_DENIED], 1);
		return;
	}
	fd = ask_opener(p, place, &e);
	if (fd < 0 || !(job = malloc(sizeof(*job))))
		return;
	*job = (struct ring_job){p, place->inode, fd};
	place->has_ring = true;
	p->rings_bytes += p->config.ring_bytes;
	helper_run(p->helper, make_ring, job);
}

static void take_ring(struct pods *p, struct place *place, struct packet_socket *s)
{
	bool is_wanted = place && place->has_ring && place->state == PLACE_CAPTURED;

	if (s && is_wanted && capture_pod_replace(p->capture, place->inode, s) == 0)
		return;
	if (s && !is_wanted)
		helper_run(p->helper, close_socket, s);
	if (place)
		give_ring_up(p, place);
}

static void want_no_ring(struct pods *p, struct place *place)
{
	struct packet_socket *s = NULL;
	struct err e;

	if (place->has_ring && open_socket(p, place, &s, &e) == 0 &&
	    capture_pod_replace(p->capture, place->inode, s) == 0)
		give_ring_up(p, place);
}

/* --- what others say --- */

static void learn_addresses(struct pods *p, struct place *place)
{
	struct err e;
	int n;

	if (place->address_count)
		return;
	n = opener_addresses(p->opener, place->path, place->addresses, &e);
	place->address_count = (size_t)MAX(n, 0);
	p->is_dirty |= n > 0;
}

static void take_pace(struct pods *p, struct place *place, enum capture_pace pace)
{
	if (pace == CAPTURE_BUSY)
		want_ring(p, place);
	else if (pace == CAPTURE_QUIET)
		want_no_ring(p, place);
	else if (pace == CAPTURE_PRESSED)
		pods_judge(p, place, true);
	else
		learn_addresses(p, place);
}

/* The one that is open: it may have ended, and another have its number. */
static struct place *find_open(const struct pods *p, uint32_t netns)
{
	for (struct place *at = p->places.first; at; at = at->next)
		if (at->inode == netns && at->is_open)
			return at;
	return NULL;
}

static void take_removed(struct pods *p, struct place *place)
{
	place->is_open = false;
	give_ring_up(p, place);
	places_give_share(&p->places, place->share);
	place->share = 0;
	if (place->state == PLACE_CAPTURED) /* selected again meanwhile */
		(void)open_place(p, place, false);
}

void pods_take_note(struct pods *p, const struct note *n)
{
	struct place *place = find_open(p, n->netns);

	if (n->kind == NOTE_RING)
		take_ring(p, place, n->socket);
	else if (place && n->kind == NOTE_REMOVED)
		take_removed(p, place);
	else if (place && place->state != PLACE_ENDED)
		take_pace(p, place, n->pace);
}

static void tell_recorder(struct pods *p)
{
	struct residents *all = places_residents(&p->places, span_str(p->config.node));

	if (!all)
		return; /* again next time */
	record_residents(p->record, all);
	p->is_dirty = false;
}

void pods_settle(struct pods *p)
{
	if (p->is_dirty)
		tell_recorder(p);
	for (struct place *at = p->places.first; at; at = at->next) {
		if (at->must_read && capture_pod_read(p->capture, at->inode) == 0)
			at->must_read = false;
		if (at->must_remove && capture_pod_remove(p->capture, at->inode) == 0)
			at->must_remove = false;
	}
	record_has_held(p->record, places_count(&p->places, PLACE_UNKNOWN) > 0);
	atomic_store(&p->gauges[GAUGE_CAPTURED], places_count(&p->places, PLACE_CAPTURED));
	atomic_store(&p->gauges[GAUGE_UNKNOWN], places_count(&p->places, PLACE_UNKNOWN));
	atomic_store(&p->gauges[GAUGE_REFUSED], places_count(&p->places, PLACE_REFUSED));
	atomic_store(&p->gauges[GAUGE_RINGS], p->rings_bytes);
}
