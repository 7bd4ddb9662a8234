// SPDX-License-Identifier: Apache-2.0
#include "kube/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/array.h"
#include "lib/clock.h"

/*
 * Theory of operation
 *
 * One thread drives libcurl for connections that are being made and an epoll for those that are there
 * (kube/pump.c). kube_forward_open() makes a pair of sockets and sends one end through a pipe; what became of a
 * connection is left in its kube_line before its end is closed. Texts of failures are kept once each, for
 * as long as the kube_forward lives, and only so many.
 *
 * Pods take turns. One that cannot be reached is left out, and the connection tries the next. When none is
 * left, the API server is asked who is ready now, at most once a second; connections wait for the answer. A pod
 * keeps being left out as long as it has others beside it.
 */

#define TURN_MS	     1000
#define EVENTS_MAX   64
#define TEXTS_MAX    128
#define TRIES_MAX    8
#define ASK_PAUSE_NS NS_PER_S

struct order {
	int fd;
	uint32_t group;
	struct kube_line *line;
};

/* ---- lines ---- */

int kube_line_why(struct kube_line *line, const char **text_out)
{
	int error = atomic_load_explicit(&line->error, memory_order_acquire);

	*text_out = error ? atomic_load_explicit(&line->why, memory_order_relaxed) : NULL;
	return error;
}

void kube_line_close(struct kube_line *line)
{
	if (line && atomic_fetch_sub_explicit(&line->references, 1, memory_order_acq_rel) == 1)
		free(line);
}

/* a text that lasts */
static const char *keep(struct kube_forward *f, const char *text)
{
	struct pump_text *t;

	for (t = f->texts; t; t = t->next)
		if (strcmp(t->text, text) == 0)
			return t->text;
	t = f->text_count < TEXTS_MAX ? malloc(sizeof(*t) + strlen(text) + 1) : NULL;
	if (!t)
		return "the connection failed, in one of too many ways to keep them all";
	memcpy(t->text, text, strlen(text) + 1);
	t->next = f->texts;
	f->texts = t;
	f->text_count++;
	return t->text;
}

static const char *keep_with_pod(struct pump *p, const char *why)
{
	AUTO_BUF text = {0};

	buf_add_fmt(&text, "pod %s: %s", p->pod, why);
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < ' ' ||
		    text.ptr[i] > '~') /* others wrote it, and terminals will show it */
			text.ptr[i] = '?';
	return keep(p->forward, buf_cstr(&text));
}

/* ---- pods ---- */

static size_t count_up(const struct pump_group *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->backend.pod_count; i++)
		n += !g->are_down[i];
	return n;
}

/* @text: as the connection's own, "pod NAME: why" */
static void leave_out(struct pump *p, const char *text)
{
	struct pump_group *g = p->group;
	AUTO_BUF note = {0};

	for (size_t i = 0; i < g->backend.pod_count; i++) {
		if (g->are_down[i] || strcmp(g->backend.pods[i].name, p->pod) != 0)
			continue;
		g->are_down[i] = true;
		atomic_fetch_add_explicit(&g->left_out, 1, memory_order_relaxed);
		buf_add_fmt(&note, "%s; it is left out, ", text);
		if (count_up(g))
			buf_add_fmt(&note, "%zu others of %s/%s take its connections", count_up(g),
				    kube_resource(g->backend.reference.kind)->word,
				    g->backend.reference.name);
		else
			buf_add_str(&note, "and no other is known to be ready");
		p->forward->note(p->forward->note_ctx, buf_cstr(&note));
	}
}

/* the next in turn that is not left out. Return: false: there is none */
static bool choose(struct pump_group *g, struct pump *p)
{
	for (size_t i = 0; i < g->backend.pod_count; i++) {
		size_t at = g->next++ % g->backend.pod_count;

		if (g->are_down[at])
			continue;
		memcpy(p->pod, g->backend.pods[at].name, sizeof(p->pod));
		p->port = g->backend.pods[at].port;
		return true;
	}
	return false;
}

static void give_up(struct pump *p, int error, const char *why)
{
	atomic_fetch_add_explicit(&p->group->failures, 1, memory_order_relaxed);
	pump_end(p, error, why);
}

static void go_on(struct pump_group *g)
{
	struct list *n;

	while ((n = list_first(&g->waiting)) != NULL) {
		struct pump *p = CONTAINER_OF(n, struct pump, wait);

		list_remove(n);
		if (choose(g, p))
			pump_connect(p);
		else
			give_up(p, -EHOSTUNREACH, keep(g->forward, "no pod of it is ready"));
	}
}

/* those that were left out stay so while others are there */
static int take_pods(struct pump_group *g, const json_t *object)
{
	struct kube_backend_pod *before = g->backend.pods;
	size_t before_count = g->backend.pod_count;
	bool *were_down = g->are_down, *are_down;

	g->backend.pods = NULL; /* kube_backend_update() would free it */
	if (kube_backend_update(&g->backend, object) < 0) {
		g->backend.pods = before;
		return -ENOMEM;
	}
	are_down = calloc(g->backend.pod_count + 1, sizeof(*are_down));
	for (size_t i = 0; are_down && i < g->backend.pod_count; i++)
		for (size_t k = 0; k < before_count; k++)
			if (strcmp(before[k].name, g->backend.pods[i].name) == 0)
				are_down[i] = were_down[k];
	free(before);
	free(were_down);
	g->are_down = are_down;
	if (!are_down)
		g->backend.pod_count = 0;
	return are_down ? 0 : -ENOMEM;
}

static void on_pods(void *ctx, int result, struct kube_answer *a, const struct err *e)
{
	struct pump_group *g = ctx;
	json_t *object =
		result == 0 ? json_loadb((const char *)a->body.ptr, a->body.len, 0, NULL) : NULL;
	AUTO_BUF text = {0};

	g->asking = NULL;
	if (object)
		(void)take_pods(g, object);
	json_decref(object);
	if (result < 0) {
		buf_add_fmt(&text, "who is ready now is not known: %s", e->why);
		g->forward->note(g->forward->note_ctx, buf_cstr(&text));
	}
	if (g->are_down && count_up(g) == 0)
		memset(g->are_down, 0, g->backend.pod_count);
	go_on(g);
}

/* Return: whether the answer may bring somebody */
static bool ask(struct pump_group *g)
{
	const struct kube_request q = {.path = g->backend.pods_path};
	uint64_t now_ns = clock_mono_ns();

	if (g->asking)
		return true;
	if (g->asked_ns && now_ns - g->asked_ns < ASK_PAUSE_NS)
		return false;
	g->asked_ns = now_ns;
	return kube_call(g->forward->client, &q, NULL, on_pods, g, &g->asking, NULL) == 0;
}

static void begin(struct pump *p)
{
	struct pump_group *g = p->group;

	p->state = PUMP_WAITS;
	if (choose(g, p)) {
		pump_connect(p);
		return;
	}
	if (!ask(g) && g->are_down) /* asked a moment ago: whoever is there may have come back */
		memset(g->are_down, 0, g->backend.pod_count);
	list_append(&g->waiting, &p->wait);
	if (!g->asking)
		go_on(g);
}

void pump_failed(struct pump *p, enum pump_blame blame, int error, const char *why)
{
	const char *text = keep_with_pod(p, why);

	if (blame == PUMP_BLAMES_POD) {
		leave_out(p, text);
		/* each of them, and one that the API server may bring */
		if (++p->tries < MIN(p->group->backend.pod_count + 1, (size_t)TRIES_MAX) &&
		    p->group->backend.reference.kind != KUBE_POD) {
			begin(p);
			return;
		}
	}
	give_up(p, error, text);
}

void pump_refused(struct pump *p, int error, const char *why)
{
	const char *text = keep_with_pod(p, why);

	/* a server that breaks off is there all the same */
	if (!p->has_data && error != -EPROTO && !strstr(why, "reset by peer") &&
	    !strstr(why, "broken pipe"))
		leave_out(p, text);
	if (p->was_greeted)
		pump_end(p, error, text);
	else
		give_up(p, error, text);
}

/* ---- the thread ---- */

static void take_orders(struct kube_forward *f)
{
	struct order o;

	while (read(f->orders[0], &o, sizeof(o)) == (ssize_t)sizeof(o)) {
		struct pump *p = pump_new(f, f->groups[o.group], o.fd, o.line);

		if (p)
			begin(p);
		else
			atomic_fetch_sub_explicit(&f->count, 1, memory_order_relaxed);
	}
}

static void bury(struct kube_forward *f)
{
	struct list *n;

	while ((n = list_first(&f->dead)) != NULL)
		pump_free(CONTAINER_OF(n, struct pump, link));
}

static void *forward(void *arg)
{
	struct kube_forward *f = arg;
	struct epoll_event events[EVENTS_MAX];

	while (kube_client_run_beside(f->client, f->epoll_fd, TURN_MS) == 0) {
		int n = epoll_wait(f->epoll_fd, events, EVENTS_MAX, 0);

		for (int i = 0; i < n; i++) {
			uint64_t tag = events[i].data.u64;
			struct pump *p = (struct pump *)(uintptr_t)(tag & ~UINT64_C(1));

			if (!p)
				take_orders(f);
			else
				pump_go(p,
					!(tag & 1) && (events[i].events & (EPOLLHUP | EPOLLERR)));
		}
		bury(f);
	}
	return NULL;
}

/* ---- the door ---- */

int kube_forward_new(struct kube_client *client, kube_forward_note_fn *note, void *ctx,
		     struct kube_forward **out, struct err *e)
{
	struct epoll_event ev = {.events = EPOLLIN}; /* data 0: the pipe */
	AUTO(kube_forward) f = calloc(1, sizeof(*f));

	if (!f) {
		kube_client_free(client);
		return err_set(e, -ENOMEM, "out of memory");
	}
	f->client = client;
	f->note = note;
	f->note_ctx = ctx;
	f->orders[0] = f->orders[1] = -1;
	list_init(&f->pumps);
	list_init(&f->dead);
	f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (f->epoll_fd < 0 || pipe2(f->orders, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, f->orders[0], &ev) < 0)
		return err_set(e, -errno, "cannot make an epoll and a pipe: %s", strerror(errno));
	*out = TAKE(f);
	return 0;
}

static bool has_names(const struct kube_backend *b)
{
	for (size_t i = 0; i < b->pod_count; i++)
		if (!*b->pods[i].name)
			return false;
	return b->pod_count > 0;
}

int kube_forward_add(struct kube_forward *f, struct kube_backend *backend, struct err *e)
{
	struct pump_group *g = calloc(1, sizeof(*g));
	void *groups = f->groups;

	if (!g || !array_room(&groups, &f->group_room, f->group_count, sizeof(*f->groups))) {
		free(g);
		return err_set(e, -ENOMEM, "out of memory");
	}
	f->groups = groups;
	g->forward = f;
	g->are_down = calloc(backend->pod_count + 1, sizeof(*g->are_down));
	if (!g->are_down || !has_names(backend)) {
		int r = g->are_down ? -EINVAL : -ENOMEM;

		free(g->are_down);
		free(g);
		return err_set(e, r,
			       "%s has no pods behind it that could be forwarded to: --via direct",
			       backend->reference.name);
	}
	list_init(&g->waiting);
	g->backend = *backend;
	*backend = (struct kube_backend){0};
	f->groups[f->group_count++] = g;
	return (int)f->group_count - 1;
}

int kube_forward_start(struct kube_forward *f, struct err *e)
{
	sigset_t all, before;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the caller's */
	r = pthread_create(&f->thread, NULL, forward, f);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return err_set(e, -r, "cannot make a thread: %s", strerror(r));
	f->is_running = true;
	return 0;
}

int kube_forward_open(struct kube_forward *f, size_t backend, struct kube_line **line_out)
{
	struct kube_line *line;
	struct order o = {.group = (uint32_t)backend};
	int pair[2], r = 0;

	if (atomic_fetch_add_explicit(&f->count, 1, memory_order_relaxed) >= KUBE_FORWARD_MAX)
		r = -EMFILE;
	else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		r = -errno;
	line = r == 0 ? calloc(1, sizeof(*line)) : NULL;
	if (line) {
		atomic_init(&line->references, 2);
		o.fd = pair[1];
		o.line = line;
		if (write(f->orders[1], &o, sizeof(o)) == (ssize_t)sizeof(o)) {
			*line_out = line;
			return pair[0];
		}
	}
	if (r == 0) {
		r = line ? -errno : -ENOMEM;
		(void)close(pair[0]);
		(void)close(pair[1]);
	}
	free(line);
	atomic_fetch_sub_explicit(&f->count, 1, memory_order_relaxed);
	return r;
}

struct kube_forward_counts kube_forward_counts(const struct kube_forward *f, size_t backend)
{
	const struct pump_group *g = f->groups[backend];

	return (struct kube_forward_counts){
		.connections = atomic_load_explicit(&g->connections, memory_order_relaxed),
		.failures = atomic_load_explicit(&g->failures, memory_order_relaxed),
		.left_out = atomic_load_explicit(&g->left_out, memory_order_relaxed),
	};
}

static void end_all(struct kube_forward *f)
{
	struct order o;
	struct list *n;

	while (f->orders[0] >= 0 && read(f->orders[0], &o, sizeof(o)) == (ssize_t)sizeof(o)) {
		(void)close(o.fd);
		kube_line_close(o.line);
	}
	while ((n = list_first(&f->pumps)) != NULL)
		pump_end(CONTAINER_OF(n, struct pump, link), 0, NULL);
	bury(f);
}

void kube_forward_free(struct kube_forward *f)
{
	struct pump_text *t;

	if (!f)
		return;
	if (f->is_running) {
		kube_client_stop(f->client);
		(void)pthread_join(f->thread, NULL);
	}
	end_all(f);
	kube_client_free(f->client); /* what it asks for pods ends without a word */
	for (size_t i = 0; i < f->group_count; i++) {
		kube_backend_fini(&f->groups[i]->backend);
		free(f->groups[i]->are_down);
		free(f->groups[i]);
	}
	free(f->groups);
	while ((t = f->texts) != NULL) {
		f->texts = t->next;
		free(t);
	}
	for (size_t i = 0; i < 2; i++)
		if (f->orders[i] >= 0)
			(void)close(f->orders[i]);
	if (f->epoll_fd >= 0)
		(void)close(f->epoll_fd);
	free(f);
}
