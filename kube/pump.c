// SPDX-License-Identifier: Apache-2.0
#include "kube/pump.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kube/call.h"
#include "kube/credential.h"

/*
 * Theory of operation
 *
 *   WAITS ---> CONNECTS (libcurl: proxy, TCP, TLS) ---> ASKS (GET, 101) ---> OPEN ---> DEAD
 *
 * A WebSocket carries one connection: the kubelet's v4.channel.k8s.io, which every API server from 1.20 to now
 * passes on, has no way to begin another one on it. That costs a TLS handshake a connection and saves the
 * head-of-line blocking that kubectl's SPDY has. Nor can it say that only one side has ended: what
 * our side has said is sent, and the answer still comes; the pod sees the end when all ends. When the
 * server in the pod ends its side, the kubelet ends all.
 *
 * Back pressure: of each way at most one piece is on its way here. Nothing is read from one side before what was
 * read is handed to the other, so the sockets' own buffers fill, and whoever sends waits. libcurl may hold
 * bytes that epoll does not know of: it is asked until it has none, or the other side is full.
 *
 * What is handed to libcurl and did not go is offered again from the same place, as OpenSSL demands: `out` does not
 * grow or move until it is empty.
 */

#define PIECES_MAX 16 /* of one pump, towards the API server, before the others have a turn */

struct pump *pump_new(struct kube_forward *f, struct pump_group *g, int fd, struct kube_line *line)
{
	struct pump *p = calloc(1, sizeof(*p));
	struct epoll_event ev = {
		.data.u64 = pump_tag(p, false)}; /* no events: that it hangs up is told always */

	if (!p || epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		(void)close(fd);
		kube_line_close(line);
		free(p);
		return NULL;
	}
	p->forward = f;
	p->group = g;
	p->fd = fd;
	p->socket = -1;
	p->line = line;
	list_init(&p->wait);
	list_append(&f->pumps, &p->link);
	return p;
}

/* what is not waited for is not in epoll: a socket that has failed would say so again and again */
static void watch_remote(struct pump *p, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u64 = pump_tag(p, true)};
	int op = !p->remote_events ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

	if (p->remote_events == events || p->socket < 0)
		return;
	(void)epoll_ctl(p->forward->epoll_fd, op, p->socket, &ev);
	p->remote_events = events;
}

static void watch_local(struct pump *p, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u64 = pump_tag(p, false)};

	if (p->local_events != events)
		(void)epoll_ctl(p->forward->epoll_fd, EPOLL_CTL_MOD, p->fd, &ev);
	p->local_events = events;
}

static void drop_call(struct pump *p)
{
	watch_remote(p, 0);
	p->socket = -1;
	p->has_remote_ended = false;
	kube_call_cancel(p->call);
	p->call = NULL;
	buf_clear(&p->out);
	buf_clear(&p->in);
	p->out_at = p->in_at = 0;
	kube_channels_fini(&p->channels);
	p->channels = (struct kube_channels){0};
}

void pump_end(struct pump *p, int error, const char *why)
{
	if (p->state == PUMP_DEAD)
		return;
	p->state = PUMP_DEAD;
	drop_call(p);
	atomic_store_explicit(&p->line->why, why, memory_order_relaxed);
	atomic_store_explicit(&p->line->error, error, memory_order_release);
	(void)epoll_ctl(p->forward->epoll_fd, EPOLL_CTL_DEL, p->fd, NULL);
	(void)close(p->fd);
	list_remove(&p->wait);
	list_remove(&p->link);
	list_append(&p->forward->dead, &p->link);
}

void pump_free(struct pump *p)
{
	list_remove(&p->link);
	kube_line_close(p->line);
	buf_fini(&p->out);
	buf_fini(&p->in);
	atomic_fetch_sub_explicit(&p->forward->count, 1, memory_order_relaxed);
	free(p);
}

/* ---- to the API server ---- */

static void on_connected(void *ctx, int result, struct kube_answer *a, const struct err *e)
{
	struct pump *p = ctx;
	const char *token = NULL;
	struct err why = {0};

	(void)a;
	if (result < 0) {
		p->call = NULL; /* it is gone */
		pump_failed(p, PUMP_BLAMES_NOBODY, result, e->why);
		return;
	}
	result = kube_client_token(p->forward->client, &token, &why);
	if (result < 0) {
		pump_failed(p, PUMP_BLAMES_NOBODY, result, why.why);
		return;
	}
	p->socket = kube_call_socket(p->call);
	kube_upgrade_ask(kube_call_url(p->call), kube_client_config(p->forward->client), token,
			 p->key, KUBE_CHANNELS_PROTOCOL, &p->out);
	if (p->out.is_failed || p->socket < 0) {
		pump_failed(p, PUMP_BLAMES_NOBODY, -ENOMEM, "out of memory");
		return;
	}
	p->state = PUMP_ASKS;
	watch_remote(p, EPOLLOUT);
}

void pump_connect(struct pump *p)
{
	struct err e = {0};
	AUTO_BUF path = {0};
	int r;

	drop_call(p);
	buf_add_fmt(&path, "/api/v1/namespaces/%s/pods/%s/portforward?ports=%u",
		    p->group->backend.reference.name_space, p->pod, p->port);
	p->state = PUMP_CONNECTS;
	r = ws_new_key(p->key) ? kube_connect(p->forward->client, buf_cstr(&path), on_connected, p,
					      &p->call, &e)
			       : err_set(&e, -EIO, "there is no randomness");
	if (r < 0)
		pump_failed(p, PUMP_BLAMES_NOBODY, r, e.why);
}

/* ---- between the two ---- */

static bool is_out_pending(const struct pump *p)
{
	return p->out_at < p->out.len;
}

static bool is_in_pending(const struct pump *p)
{
	return p->in_at < p->in.len;
}

static void next_out(struct pump *p)
{
	struct buf empty = p->out;
	ssize_t n;

	buf_clear(&empty);
	p->out = empty;
	p->out_at = 0;
	if (p->channels.reply.len) {
		p->out = p->channels.reply;
		p->channels.reply = empty;
		return;
	}
	if (p->state != PUMP_OPEN || p->has_local_ended)
		return;
	n = recv(p->fd, p->forward->scratch, PUMP_PIECE, 0);
	if (n > 0)
		kube_channels_write(span_of(p->forward->scratch, (size_t)n), &p->out);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		p->has_local_ended = true;
}

static void move_out(struct pump *p)
{
	for (unsigned i = 0; i < PIECES_MAX && !p->has_remote_ended; i++) {
		ssize_t n;

		if (!is_out_pending(p))
			next_out(p);
		if (!is_out_pending(p))
			return;
		n = kube_call_send(p->call, span_from(buf_span(&p->out), p->out_at));
		if (n == -EAGAIN)
			return;
		p->has_remote_ended = n < 0;
		p->out_at += n > 0 ? (size_t)n : 0;
		if (!is_out_pending(p) && p->state == PUMP_ASKS)
			explicit_bzero(p->out.ptr, p->out.len); /* the token was in it */
	}
}

/* the caller may begin to speak */
static void greet(struct pump *p)
{
	if (p->was_greeted || !(kube_channels_is_open(&p->channels) || p->has_data))
		return;
	p->was_greeted = true;
	buf_add_char(&p->in, '\0');
	atomic_fetch_add_explicit(&p->group->connections, 1, memory_order_relaxed);
}

/* what came goes into p->in, without frames. Return: NULL, or what is wrong with it. */
static const char *unpack(struct pump *p, struct span bytes)
{
	for (;;) {
		struct span piece = {0};

		switch (kube_channels_read(&p->channels, &bytes, &piece)) {
		case KUBE_CHANNELS_MORE: greet(p); return NULL;
		case KUBE_CHANNELS_DATA:
			p->has_data = true;
			greet(p);
			buf_add_span(&p->in, piece);
			break;
		case KUBE_CHANNELS_END: p->has_remote_ended = true; return NULL;
		case KUBE_CHANNELS_BROKEN: return p->channels.why;
		}
	}
}

static void flush_in(struct pump *p)
{
	ssize_t n;

	if (!is_in_pending(p))
		return;
	n = send(p->fd, p->in.ptr + p->in_at, p->in.len - p->in_at, MSG_NOSIGNAL);
	if (n > 0)
		p->in_at += (size_t)n;
	if (!is_in_pending(p)) {
		buf_clear(&p->in);
		p->in_at = 0;
	}
}

static ssize_t receive(struct pump *p)
{
	ssize_t n = kube_call_recv(p->call, p->forward->scratch, PUMP_PIECE);

	if (n <= 0 && n != -EAGAIN)
		p->has_remote_ended = true;
	return n;
}

static void move_in(struct pump *p)
{
	const char *why = NULL;

	for (;;) {
		ssize_t n;

		flush_in(p);
		if (is_in_pending(p) || p->has_remote_ended)
			return;
		n = receive(p);
		if (n > 0)
			why = unpack(p, span_of(p->forward->scratch, (size_t)n));
		if (p->in.is_failed || p->out.is_failed)
			why = "out of memory";
		if (why) {
			pump_refused(p, -EPROTO, why);
			return;
		}
		if (n <= 0)
			return;
	}
}

/* ---- the answer to the request ---- */

static void opened(struct pump *p, size_t used)
{
	struct buf head = p->in;
	const char *why;

	p->in = (struct buf){0};
	p->state = PUMP_OPEN;
	why = unpack(p, span_from(buf_span(&head), used));
	buf_fini(&head);
	if (why)
		pump_refused(p, -EPROTO, why);
}

static void refused(struct pump *p, const struct kube_upgrade *answer)
{
	const char *name_space = p->group->backend.reference.name_space;
	/* with any other pod, too */
	bool is_ours = answer->status == 401 || answer->status == 403 || answer->status == 429;
	AUTO_BUF why = {0};

	if (answer->status == 401 && !p->was_renewed &&
	    kube_credential_refused(p->forward->client->credential)) {
		p->was_renewed = true;
		pump_connect(p);
		return;
	}
	if (answer->status)
		buf_add_fmt(&why, "%ld: ", answer->status);
	buf_add_str(&why, answer->message);
	if (answer->status == 403)
		buf_add_fmt(&why,
			    " (the right that is missing: get pods/portforward in namespace %s; "
			    "from Kubernetes 1.35 on create, too)",
			    name_space);
	pump_failed(p, is_ours ? PUMP_BLAMES_NOBODY : PUMP_BLAMES_POD,
		    kube_status_errno(answer->status), buf_cstr(&why));
}

static void hear(struct pump *p)
{
	struct kube_upgrade answer;
	ssize_t n;

	do {
		n = receive(p);
		if (n > 0)
			buf_add(&p->in, p->forward->scratch, (size_t)n);
	} while (n > 0 && p->in.len < 2 * KUBE_UPGRADE_HEAD_MAX);
	switch (kube_upgrade_read(buf_span(&p->in), p->has_remote_ended, p->key,
				  KUBE_CHANNELS_PROTOCOL, &answer)) {
	case KUBE_UPGRADE_MORE: break;
	case KUBE_UPGRADE_DONE: opened(p, answer.used); break;
	case KUBE_UPGRADE_REFUSED: refused(p, &answer); break;
	case KUBE_UPGRADE_BROKEN:
		pump_failed(p, PUMP_BLAMES_NOBODY, -EPROTO, answer.message);
		break;
	}
}

/* ---- all of it ---- */

/* all was handed over, and nothing more comes */
static void ended(struct pump *p)
{
	const char *error = p->channels.error.len ? buf_cstr(&p->channels.error) : NULL;

	if (error)
		pump_refused(p, strstr(error, "refused") ? -ECONNREFUSED : -ECONNRESET, error);
	else if (!p->was_greeted)
		pump_refused(p, -ECONNRESET, "the API server closed the connection");
	else
		pump_end(p, 0, NULL);
}

static void update_watch(struct pump *p)
{
	bool is_open = p->state == PUMP_OPEN;
	uint32_t local =
		(is_open && !is_out_pending(p) && !p->has_local_ended ? (uint32_t)EPOLLIN : 0) |
		(is_open && is_in_pending(p) ? (uint32_t)EPOLLOUT : 0);
	uint32_t remote = (is_out_pending(p) ? (uint32_t)EPOLLOUT : 0) |
			  (p->state == PUMP_ASKS || !is_in_pending(p) ? (uint32_t)EPOLLIN : 0);

	watch_local(p, local);
	watch_remote(p, p->has_remote_ended ? 0 : remote);
}

void pump_go(struct pump *p, bool has_hung_up)
{
	if (p->state == PUMP_DEAD)
		return;
	if (has_hung_up) { /* the caller closed its end: there is nobody to tell */
		pump_end(p, 0, NULL);
		return;
	}
	if (p->state == PUMP_ASKS) {
		move_out(p);
		hear(p);
	}
	if (p->state == PUMP_OPEN) {
		move_in(p);
		if (p->state == PUMP_OPEN)
			move_out(p);
		if (p->state == PUMP_OPEN && p->has_remote_ended && !is_in_pending(p))
			ended(p);
	}
	if (p->state != PUMP_DEAD)
		update_watch(p);
}
