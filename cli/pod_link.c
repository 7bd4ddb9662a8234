// SPDX-License-Identifier: Apache-2.0
#include "cli/pod_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kube/config.h"
#include "kube/forward.h"

/*
 * Theory of operation. libcurl may be given a socket of ours, but connects it itself: 7.88.1, which
 * Debian 12 has, does so even when it is told that the socket is connected already. So it gets one
 * that it can connect, to a unix socket whose name the kernel chooses (unix(7), autobind). When it has
 * done that, before it sends anything, the descriptor is made to be the one that leads to the pod
 * (dup2(2)). Nothing ever comes by the unix socket, so it does not matter who else could connect there.
 *
 * One octet of the connection says that the pod's port was asked for; it is read here.
 */
#define ANSWER_MS 30000

struct pod_link {
	const struct kube_args *args;
	char *name_space, *pod;
	int port;
	struct kube_forward *forward; /* NULL: nobody was asked yet */
	struct kube_line *line;	      /* of the connection; its end says why */
	int fd;			      /* that leads to the pod; -1: libcurl has it */
	int stand_in, listener;	      /* libcurl's socket, and what it connects to */
};

struct pod_link *pod_link_new(const struct kube_args *a, const char *name_space, const char *pod,
			      int port)
{
	struct pod_link *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	*l = (struct pod_link){a, strdup(name_space), strdup(pod), port, NULL, NULL, -1, -1, -1};
	if (l->name_space && l->pod)
		return l;
	pod_link_close(l);
	return NULL;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* What is left of the connection before. */
static void let_go(struct pod_link *l)
{
	close_fd(&l->fd);
	close_fd(&l->listener);
	l->stand_in = -1; /* libcurl closes it */
	kube_line_close(l->line);
	l->line = NULL;
}

void pod_link_close(struct pod_link *l)
{
	if (!l)
		return;
	let_go(l);
	kube_forward_free(l->forward);
	free(l->name_space);
	free(l->pod);
	free(l);
}

/* ---- to the pod ---- */

static int make_backend(const struct pod_link *l, struct kube_backend *out, struct err *e)
{
	struct kube_backend b = {.reference = {.kind = KUBE_POD}, .port = (uint16_t)l->port};

	(void)snprintf(b.reference.name, sizeof(b.reference.name), "%s", l->pod);
	(void)snprintf(b.reference.name_space, sizeof(b.reference.name_space), "%s", l->name_space);
	b.pods = calloc(1, sizeof(*b.pods));
	if (!b.pods ||
	    asprintf(&b.pods_path, "/api/v1/namespaces/%s/pods/%s", l->name_space, l->pod) < 0) {
		free(b.pods);
		return err_set(e, -ENOMEM, "out of memory");
	}
	(void)snprintf(b.pods->name, sizeof(b.pods->name), "%s", l->pod);
	b.pods->port = b.port;
	b.pod_count = 1;
	*out = b;
	return 0;
}

static void on_note(void *ctx, const char *text)
{
	(void)ctx, (void)text; /* kube_line_why() says it */
}

/* A client of its own: it is the forwarding thread's. */
static int start(struct pod_link *l, struct err *e)
{
	struct kube_config *config = NULL;
	struct kube_client *client = NULL;
	struct kube_backend backend;
	int r = kube_config_find(l->args->kubeconfig, l->args->context, &config, e);

	if (r == 0)
		r = kube_client_new(config, &client, e);
	if (r == 0)
		r = kube_forward_new(client, on_note, NULL, &l->forward, e);
	if (r == 0)
		r = make_backend(l, &backend, e);
	if (r == 0)
		r = kube_forward_add(l->forward, &backend, e) < 0 ? -ENOMEM : 0;
	return r < 0 ? r : kube_forward_start(l->forward, e);
}

static int connect_to_pod(struct pod_link *l, struct err *e)
{
	struct pollfd p = {.events = POLLIN};
	const char *why = NULL;
	char octet;
	int error;

	p.fd = l->fd = kube_forward_open(l->forward, 0, &l->line);
	if (l->fd < 0)
		return err_set(e, l->fd, "%s/%s: %s", l->name_space, l->pod, strerror(-l->fd));
	if (poll(&p, 1, ANSWER_MS) <= 0)
		return err_set(e, -ETIMEDOUT, "%s/%s: the API server does not answer",
			       l->name_space, l->pod);
	if (recv(l->fd, &octet, 1, 0) == 1)
		return 0;
	error = kube_line_why(l->line, &why);
	return err_set(e, error ? error : -ECONNRESET, "%s", why ? why : "the connection ended");
}

/* ---- for libcurl ---- */

static int make_stand_in(struct pod_link *l, struct curl_sockaddr *at, struct err *e)
{
	struct sockaddr any = {.sa_family = AF_UNIX};
	socklen_t len = sizeof(at->addr); /* an autobound name has 8 octets */

	l->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->listener < 0 || bind(l->listener, &any, sizeof(any.sa_family)) < 0 ||
	    listen(l->listener, 1) < 0 || getsockname(l->listener, &at->addr, &len) < 0)
		return err_set(e, -errno, "no unix socket: %s", strerror(errno));
	at->family = AF_UNIX;
	at->protocol = 0;
	at->addrlen = len;
	l->stand_in = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return l->stand_in < 0 ? err_set(e, -errno, "no unix socket: %s", strerror(errno)) : 0;
}

curl_socket_t pod_link_socket(struct pod_link *l, struct curl_sockaddr *at, struct err *e)
{
	int r;

	let_go(l);
	r = l->forward ? 0 : start(l, e);
	if (r == 0)
		r = connect_to_pod(l, e);
	if (r == 0)
		r = make_stand_in(l, at, e);
	if (r == 0)
		return l->stand_in;
	let_go(l);
	return CURL_SOCKET_BAD;
}

int pod_link_connected(struct pod_link *l)
{
	int r = 0;

	if (l->fd < 0) /* a connection that is used again */
		return 0;
	r = dup3(l->fd, l->stand_in, O_CLOEXEC) < 0 ? -1 : 0;
	close_fd(&l->fd);
	close_fd(&l->listener);
	return r;
}
