// SPDX-License-Identifier: Apache-2.0
#include "daemon/pods.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/pods_internal.h"
#include "daemon/privileges.h"
#include "lib/bell.h"
#include "lib/clock.h"
#include "lib/log.h"

/*
 * Theory of operation. One thread, asleep until something happens on the node:
 *
 *	a namespace appears or ends      node/namespaces.c      a handle is opened, or ends
 *	the runtime has answered         node/cri.c             places learn whose they are
 *	a note lies in the box           capture thread         a pod is busy, quiet, removed
 *	time                                                    ask again; look for what no event told
 *
 * It never waits for anybody but the opener, which answers in microseconds: closing a socket and making a
 * ring are the helper's, asking the runtime is a thread's of its own. So however many pods end at once, one that begins has
 * its handle at once.
 *
 * The runtime lists a sandbox only when it has made it whole, some 100 ms after its namespace; so it is
 * asked again, ever less often, while there is a place that nobody knows.
 */
#define ASK_MAX_NS  (2 * NS_PER_S)
#define LOOK_NS	    (10 * NS_PER_S)
#define GIVERS	    "pod.annotations[\"tapeloop.dev/handover\"].startsWith(\"/\")" /* kube/admission.c */
#define REMEMBER_NS (120 * NS_PER_S) /* an ended place: longer than an exchange can be on its way */

/* --- callbacks of the capture thread --- */

static void close_socket(void *arg)
{
	packet_socket_close(arg);
}

static void on_closed(void *ctx, struct packet_socket *s)
{
	struct pods *p = ctx;

	helper_run(p->helper, close_socket, s);
}

static void on_removed(void *ctx, uint32_t netns)
{
	pods_say(ctx, NOTE_REMOVED, netns, CAPTURE_QUIET, NULL);
}

static void on_pace(void *ctx, uint32_t netns, enum capture_pace pace)
{
	pods_say(ctx, NOTE_PACE, netns, pace, NULL);
}

struct capture_pods pods_capture(struct pods *p)
{
	return (struct capture_pods){
		.is_on = true,
		.on_closed = on_closed,
		.on_removed = on_removed,
		.on_pace = on_pace,
		.ctx = p,
	};
}

/* --- the thread --- */

static void on_namespace(void *ctx, const struct namespace_event *event)
{
	struct pods *p = ctx;
	struct place *place;

	if (event->has_appeared) {
		pods_appear(p, event->inode, event->path, 0);
		return;
	}
	place = places_find(&p->places, event->inode);
	if (!place || (place->names && --place->names) || place->pid)
		return;
	pods_end(p, place);
}

static void take_notes(struct pods *p)
{
	struct note *taken, *first = NULL, *next;

	bell_hush(p->bell); /* before the box is looked into */
	taken = atomic_exchange(&p->notes, NULL);
	for (; taken; taken = next) { /* the newest came out first */
		next = taken->next;
		taken->next = first;
		first = taken;
	}
	for (; first; first = next) {
		next = first->next;
		pods_take_note(p, first);
		free(first);
	}
}

static void take_select(struct pods *p)
{
	struct pod_select *fresh = atomic_exchange(&p->select_box, NULL);

	if (!fresh)
		return;
	pod_select_free(p->select);
	p->select = fresh;
}

/* While somebody is unknown, the runtime is asked again and again, ever less often. */
static void ask_again(struct pods *p, uint64_t now_ns)
{
	if (!places_count(&p->places, PLACE_UNKNOWN)) {
		p->ask_wait_ns = ASK_MIN_NS;
		p->ask_at_ns = now_ns;
		return;
	}
	if (!p->cri || now_ns < p->ask_at_ns)
		return;
	cri_ask(p->cri);
	p->ask_at_ns = now_ns + p->ask_wait_ns;
	p->ask_wait_ns = MIN(2 * p->ask_wait_ns, ASK_MAX_NS);
}

static void look_around(struct pods *p, uint64_t now_ns)
{
	if (now_ns < p->look_at_ns)
		return;
	p->look_at_ns = now_ns + LOOK_NS;
	(void)namespaces_look(p->namespaces, on_namespace, p);
	pods_scan(p);
	p->is_dirty |= places_forget(&p->places, clock_wall_ns() - REMEMBER_NS) > 0;
}

static int sleep_ms(const struct pods *p, uint64_t now_ns)
{
	uint64_t until_ns = p->look_at_ns;

	if (places_count(&p->places, PLACE_UNKNOWN))
		until_ns = MIN(until_ns, p->ask_at_ns);
	return until_ns <= now_ns ? 0 : (int)((until_ns - now_ns) / NS_PER_MS + 1);
}

static void *watch(void *arg)
{
	struct pods *p = arg;
	struct epoll_event ready[4];

	while (!atomic_load(&p->is_stopping)) {
		take_notes(p);
		take_select(p);
		(void)namespaces_read(p->namespaces, on_namespace, p);
		look_around(p, clock_mono_ns());
		pods_take_answer(p);
		pods_identify(p);
		ask_again(p, clock_mono_ns());
		pods_settle(p);
		(void)epoll_wait(p->epoll, ready, COUNT_OF(ready), sleep_ms(p, clock_mono_ns()));
	}
	return NULL;
}

/* --- life --- */

static int listen_to(struct pods *p, int fd)
{
	struct epoll_event e = {.events = EPOLLIN};

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static int open_parts(struct pods *p, struct err *e)
{
	int failed = packet_filter_new(p->config.bpf, p->config.snaplen, &p->filter, e);

	if (failed == 0)
		failed = pod_select_new(span_str(p->config.select), &p->select, e) < 0
				 ? err_wrap(e, "kube.select")
				 : 0;
	if (failed == 0 && *p->config.handover)
		failed = pod_select_new(SPAN_LIT(GIVERS), &p->givers, e);
	if (failed == 0)
		failed = opener_start(privileges_keep_opener, &p->opener, e);
	return failed;
}

int pods_open(const struct pods_config *config, struct pods **p_out, struct err *e)
{
	struct pods *p = calloc(1, sizeof(*p));
	int failed;

	if (!p)
		return err_set(e, -ENOMEM, "pods: out of memory");
	p->config = *config;
	p->config.node = node_name(p->config.node, p->host);
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	failed = p->epoll < 0 || p->bell < 0 || listen_to(p, p->bell) < 0
			 ? err_set(e, -errno, "pods: no descriptors: %s", strerror(errno))
			 : open_parts(p, e);
	if (failed < 0) {
		pods_free(p);
		return failed;
	}
	*p_out = p;
	return 0;
}

static int start_parts(struct pods *p, struct err *e)
{
	size_t count = 0;
	int failed;

	while (p->config.directories[count])
		count++;
	failed = namespaces_open(p->config.directories, count, &p->namespaces, e);
	if (failed == 0)
		failed = helper_start(&p->helper, e);
	if (failed == 0 && *p->config.cri_socket)
		failed = cri_start(p->config.cri_socket, &p->cri, e);
	if (failed == 0 && (listen_to(p, namespaces_fd(p->namespaces)) < 0 ||
			    (p->cri && listen_to(p, cri_fd(p->cri)) < 0)))
		failed = err_set(e, -errno, "pods: %s", strerror(errno));
	return failed;
}

int pods_start(struct pods *p, struct capture *c, struct record *r, struct err *e)
{
	int failed = start_parts(p, e);

	if (failed < 0)
		return failed;
	p->capture = c;
	p->record = r;
	failed = pthread_create(&p->thread, NULL, watch, p);
	if (failed)
		return err_set(e, -failed, "pods thread: %s", strerror(failed));
	(void)pthread_setname_np(p->thread, "pods");
	p->has_thread = true;
	return 0;
}

void pods_stop(struct pods *p)
{
	if (!p || !p->has_thread)
		return;
	atomic_store(&p->is_stopping, true);
	bell_ring(p->bell);
	(void)pthread_join(p->thread, NULL);
	p->has_thread = false;
}

static void drop_notes(struct pods *p)
{
	struct note *next;

	for (struct note *n = atomic_exchange(&p->notes, NULL); n; n = next) {
		next = n->next;
		packet_socket_close(n->socket);
		free(n);
	}
}

void pods_free(struct pods *p)
{
	if (!p)
		return;
	pods_stop(p);
	helper_finish(p->helper);
	helper_free(p->helper);
	cri_stop(p->cri);
	drop_notes(p);
	pods_answer_free(p);
	places_fini(&p->places);
	namespaces_close(p->namespaces);
	opener_stop(p->opener);
	pod_select_free(p->select);
	pod_select_free(p->givers);
	pod_select_free(atomic_load(&p->select_box));
	packet_filter_free(p->filter);
	if (p->epoll >= 0)
		(void)close(p->epoll);
	if (p->bell >= 0)
		(void)close(p->bell);
	free(p);
}

int pods_select(struct pods *p, const char *text, struct err *e)
{
	struct pod_select *fresh;
	int failed = pod_select_new(span_str(text), &fresh, e);

	if (failed < 0)
		return failed;
	pod_select_free(atomic_exchange(&p->select_box, fresh));
	bell_ring(p->bell);
	return 0;
}

bool pods_has_failed(const struct pods *p)
{
	return atomic_load(&p->has_failed);
}

void pods_gauges(const struct pods *p, struct buf *out)
{
	static const struct {
		const char *name, *type, *labels, *what;
	} rows[GAUGE_COUNT] = {
		[GAUGE_CAPTURED] = {"pods", "gauge", "{state=\"captured\"}",
				    "Network namespaces of pods on this node."},
		[GAUGE_UNKNOWN] = {"pods", NULL, "{state=\"unknown\"}", NULL},
		[GAUGE_REFUSED] = {"pods", NULL, "{state=\"not_selected\"}", NULL},
		[GAUGE_RINGS] = {"pods_ring_bytes", "gauge", "", "Rings of busy pods."},
		[GAUGE_RINGS_DENIED] =
			{"pods_rings_denied_total", "counter", "",
			 "Times that a busy pod had no ring because kube.rings was reached."},
		[GAUGE_OPEN_FAILED] = {"pods_open_failed_total", "counter", "",
				       "Namespaces that could not be opened."},
	};

	for (size_t i = 0; i < GAUGE_COUNT; i++) {
		if (rows[i].type)
			buf_add_fmt(out, "# HELP tapeloop_%s %s\n# TYPE tapeloop_%s %s\n",
				    rows[i].name, rows[i].what, rows[i].name, rows[i].type);
		buf_add_fmt(out, "tapeloop_%s%s %" PRIu64 "\n", rows[i].name, rows[i].labels,
			    atomic_load_explicit(&p->gauges[i], memory_order_relaxed));
	}
}
