// SPDX-License-Identifier: Apache-2.0
#include "node/cri.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/bell.h"
#include "node/grpc.h"

/*
 * Theory of operation. A list of all sandboxes is one call and cheap; what a sandbox is like does not
 * change, but for whether it is ready, so its status is asked for once, and again when that changes. The
 * records of one answer are shared with the next.
 *
 * A runtime that knows only v1alpha2 of the interface says UNIMPLEMENTED to v1 (containerd before 1.6, CRI-O before
 * 1.23): the other name is tried then. A socket that is not there, or nobody behind it, is the answer, and it
 * is asked again when somebody wants to know, and each RELIST in any case.
 */
#define CALL_NS	    (5 * NS_PER_S)
#define RELIST_MS   60000
#define SOCKETS_MAX 6
#define PODS_MAX    4096 /* of a node; it has some hundred */

static const char *const usual_sockets[SOCKETS_MAX] = {
	"/run/containerd/containerd.sock", "/run/crio/crio.sock",
	"/run/cri-dockerd.sock",	   "/run/k3s/containerd/containerd.sock",
	"/run/containerd/cri.sock",	   "/var/snap/microk8s/common/run/containerd.sock",
};
static const char *const services[] = {"/runtime.v1.RuntimeService/",
				       "/runtime.v1alpha2.RuntimeService/"};

struct cri {
	char *socket;
	struct grpc *grpc;
	unsigned service; /* index of services[] */
	const struct cri_pod **known;
	size_t known_count;
	int ask_fd, answer_fd;
	_Atomic bool is_stopping;
	_Atomic(struct cri_answer *) box;
	pthread_t thread;
	bool has_thread;
};

void cri_answer_free(struct cri_answer *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->count; i++)
		cri_pod_unref(a->pods[i]);
	free(a->pods);
	free(a);
}

/* --- asking --- */

/* Return: NULL when there is none of the usual ones */
static const char *path_of(const char *socket)
{
	if (strcmp(socket, "auto") != 0)
		return socket;
	for (size_t i = 0; i < SOCKETS_MAX; i++)
		if (access(usual_sockets[i], F_OK) == 0)
			return usual_sockets[i];
	return NULL;
}

bool cri_has_socket(const char *socket)
{
	const char *path = path_of(socket);

	return path && access(path, F_OK) == 0;
}

static int connect_it(struct cri *c, struct err *e)
{
	const char *path = path_of(c->socket);

	if (c->grpc)
		return 0;
	if (!path)
		return err_set(e, -ENOENT,
			       "there is no container runtime's socket in a usual place");
	c->grpc = grpc_new(path);
	return c->grpc ? 0 : err_set(e, -ENOMEM, "%s: out of memory, or too long a name", path);
}

static int call(struct cri *c, const char *method, struct span request, struct buf *answer,
		struct err *e)
{
	char name[96];
	int status, failed;

	for (;;) {
		(void)snprintf(name, sizeof(name), "%s%s", services[c->service], method);
		failed = grpc_call(c->grpc, name, request, CALL_NS, answer, &status, e);
		if (status != GRPC_UNIMPLEMENTED || c->service + 1 == COUNT_OF(services))
			return failed;
		c->service++;
	}
}

static int ask_status(struct cri *c, struct span id, const struct cri_pod **p_out, struct err *e)
{
	AUTO_BUF request = {0};
	AUTO_BUF answer = {0};
	int failed;

	cri_write_status_request(id, &request);
	failed = call(c, "PodSandboxStatus", buf_span(&request), &answer, e);
	return failed < 0 ? failed : cri_read_status(buf_span(&answer), p_out, e);
}

static const struct cri_pod *known(const struct cri *c, const struct cri_listed *one)
{
	for (size_t i = 0; i < c->known_count; i++)
		if (span_eq(one->id, span_str(c->known[i]->sandbox_id)) &&
		    c->known[i]->is_ready == one->is_ready)
			return c->known[i];
	return NULL;
}

struct listing {
	struct cri *c;
	struct cri_answer *answer;
	struct err *e;
};

static int take_listed(void *ctx, const struct cri_listed *one)
{
	struct listing *l = ctx;
	struct cri_answer *a = l->answer;
	const struct cri_pod *pod = known(l->c, one), **more;
	int failed;

	if (a->count == PODS_MAX)
		return 0;
	if (pod)
		(void)cri_pod_ref(pod);
	else if ((failed = ask_status(l->c, one->id, &pod, l->e)) == -EREMOTEIO ||
		 failed == -EBADMSG)
		return 0; /* it has gone meanwhile, or is not a pod's */
	else if (failed < 0)
		return failed;
	more = realloc(a->pods, (a->count + 1) * sizeof(*more));
	if (!more) {
		cri_pod_unref(pod);
		return err_set(l->e, -ENOMEM, "sandboxes: out of memory");
	}
	a->pods = more;
	a->pods[a->count++] = pod;
	return 0;
}

static int list(struct cri *c, struct cri_answer *a, struct err *e)
{
	AUTO_BUF answer = {0};
	struct listing l = {c, a, e};
	int failed = connect_it(c, e);

	if (failed == 0)
		failed = call(c, "ListPodSandbox", (struct span){0}, &answer, e);
	if (failed == 0 && (failed = cri_read_list(buf_span(&answer), take_listed, &l)) == -EBADMSG)
		return err_set(e, -EBADMSG, "the runtime's list of sandboxes cannot be read");
	return failed;
}

static void forget_known(struct cri *c)
{
	for (size_t i = 0; i < c->known_count; i++)
		cri_pod_unref(c->known[i]);
	free(c->known);
	c->known = NULL;
	c->known_count = 0;
}

static int copy_pods(const struct cri_pod **from, size_t count, const struct cri_pod ***to)
{
	*to = calloc(count + 1, sizeof(**to));
	for (size_t i = 0; *to && i < count; i++)
		(*to)[i] = cri_pod_ref(from[i]);
	return *to ? 0 : -ENOMEM;
}

static struct cri_answer *make_answer(struct cri *c)
{
	struct cri_answer *a = calloc(1, sizeof(*a));
	const struct cri_pod **copy;
	struct err e = {0};

	if (!a)
		return NULL;
	if (list(c, a, &e) < 0) {
		struct cri_answer none = {.pods = a->pods, .count = a->count};

		while (none.count)
			cri_pod_unref(none.pods[--none.count]);
		free(none.pods);
		*a = (struct cri_answer){.failure = e};
		if (copy_pods(c->known, c->known_count, &a->pods) == 0)
			a->count = c->known_count;
		return a;
	}
	if (copy_pods(a->pods, a->count, &copy) == 0) {
		forget_known(c);
		c->known = copy;
		c->known_count = a->count;
	}
	return a;
}

static void *ask_loop(void *arg)
{
	struct cri *c = arg;
	struct pollfd p = {.fd = c->ask_fd, .events = POLLIN};

	while (!atomic_load(&c->is_stopping)) {
		struct cri_answer *a = make_answer(c);

		if (a)
			cri_answer_free(atomic_exchange(&c->box, a));
		bell_ring(c->answer_fd);
		(void)poll(&p, 1, RELIST_MS);
		bell_hush(c->ask_fd);
	}
	return NULL;
}

/* --- life --- */

int cri_start(const char *socket, struct cri **c_out, struct err *e)
{
	struct cri *c = calloc(1, sizeof(*c));
	int failed;

	if (!c)
		return err_set(e, -ENOMEM, "container runtime: out of memory");
	c->socket = strdup(socket);
	c->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->answer_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	failed = c->socket && c->ask_fd >= 0 && c->answer_fd >= 0
			 ? -pthread_create(&c->thread, NULL, ask_loop, c)
			 : -ENOMEM;
	if (failed < 0) {
		cri_stop(c);
		return err_set(e, failed, "container runtime: no thread: %s", strerror(-failed));
	}
	(void)pthread_setname_np(c->thread, "runtime");
	c->has_thread = true;
	*c_out = c;
	return 0;
}

void cri_stop(struct cri *c)
{
	if (!c)
		return;
	atomic_store(&c->is_stopping, true);
	if (c->has_thread) {
		bell_ring(c->ask_fd);
		(void)pthread_join(c->thread, NULL);
	}
	cri_answer_free(atomic_load(&c->box));
	forget_known(c);
	grpc_free(c->grpc);
	if (c->ask_fd >= 0)
		(void)close(c->ask_fd);
	if (c->answer_fd >= 0)
		(void)close(c->answer_fd);
	free(c->socket);
	free(c);
}

void cri_ask(struct cri *c)
{
	bell_ring(c->ask_fd);
}

int cri_fd(const struct cri *c)
{
	return c->answer_fd;
}

struct cri_answer *cri_take(struct cri *c)
{
	bell_hush(c->answer_fd); /* before the box is looked into */
	return atomic_exchange(&c->box, NULL);
}
