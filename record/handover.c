// SPDX-License-Identifier: Apache-2.0
#include "record/handover.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/buf.h"
#include "schema/exchange_json.h"

/*
 * Theory of operation. Frames are written into one buffer and from there into the socket, as far as
 * it takes them. While much waits in the buffer no more is taken: after a moment's patience exchanges
 * wait in the recorder's queue, where the oldest are given up and counted when it is half full. Numbers that
 * come back say how many were taken; what was not when a connection ends is lost, and counted as
 * such: it may have been taken all the same, but never is twice.
 */
#define WAITING_MAX                                                                                \
	((size_t)256 << 10) /* octets in the buffer; one more exchange may come on top */
#define PATIENCE_MS 100	    /* for who reads, but slower than we write */
#define LAST_MS	    1000
#define NUMBER	    8

struct handover {
	struct sockaddr_un address;
	int fd; /* -1: not connected */
	struct buf out;
	size_t sent;	       /* octets of out */
	uint64_t added, taken; /* exchanges of this connection */
	uint8_t number[NUMBER];
	size_t number_bytes;
	struct handover_outcome outcome;
};

struct handover *handover_new(const char *path)
{
	struct handover *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->fd = -1;
	h->address.sun_family = AF_UNIX;
	(void)snprintf(h->address.sun_path, sizeof(h->address.sun_path), "%s", path);
	return h;
}

void handover_free(struct handover *h)
{
	if (!h)
		return;
	if (h->fd >= 0)
		(void)close(h->fd);
	buf_fini(&h->out);
	free(h);
}

static int hang_up(struct handover *h, int why, struct err *e)
{
	if (h->fd >= 0)
		(void)close(h->fd);
	h->fd = -1;
	h->outcome.lost += h->added - h->taken;
	h->added = h->taken = 0;
	h->sent = h->number_bytes = 0;
	buf_clear(&h->out);
	return err_set(e, why, "handover.to %s: %s", h->address.sun_path,
		       why == -ENODATA ? "the node's daemon hung up" : strerror(-why));
}

static void put_length(uint8_t *to, size_t n)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(n >> (24 - 8 * i));
}

static int open_connection(struct handover *h, struct err *e)
{
	static const char hello[] = HANDOVER_HELLO;
	uint8_t length[4];

	if (h->fd >= 0)
		return 0;
	h->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->fd < 0 ||
	    connect(h->fd, (const struct sockaddr *)&h->address, sizeof(h->address)) < 0)
		return hang_up(h, -errno, e);
	put_length(length, sizeof(hello) - 1);
	buf_add(&h->out, length, sizeof(length));
	buf_add(&h->out, hello, sizeof(hello) - 1);
	return h->out.is_failed ? hang_up(h, -ENOMEM, e) : 0;
}

/* What was sent makes room, once it is as much as what waits: each octet moves once. */
static void compact(struct handover *h)
{
	size_t left = h->out.len - h->sent;

	if (h->sent < left)
		return;
	memmove(h->out.ptr, h->out.ptr + h->sent, left);
	h->out.len = left;
	h->sent = 0;
}

static int send_waiting(struct handover *h, struct err *e)
{
	while (h->sent < h->out.len) {
		ssize_t n = send(h->fd, h->out.ptr + h->sent, h->out.len - h->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return hang_up(h, -errno, e);
		if (n <= 0)
			break;
		h->sent += (size_t)n;
	}
	compact(h);
	return 0;
}

static int take_number(struct handover *h, struct err *e)
{
	uint64_t taken = 0;

	for (size_t i = 0; i < NUMBER; i++)
		taken = taken << 8 | h->number[i];
	h->number_bytes = 0;
	if (taken < h->taken || taken > h->added)
		return hang_up(h, -EPROTO, e);
	h->outcome.taken += taken - h->taken;
	h->taken = taken;
	return 0;
}

static int read_numbers(struct handover *h, struct err *e)
{
	for (;;) {
		ssize_t n = recv(h->fd, h->number + h->number_bytes, NUMBER - h->number_bytes,
				 MSG_DONTWAIT);
		int failed = 0;

		if (n == 0)
			return hang_up(h, -ENODATA, e);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : hang_up(h, -errno, e);
		h->number_bytes += (size_t)n;
		if (h->number_bytes == NUMBER)
			failed = take_number(h, e);
		if (failed < 0)
			return failed;
	}
}

int handover_tick(struct handover *h, struct err *e)
{
	int failed = h->fd < 0 ? 0 : send_waiting(h, e);

	return failed < 0 || h->fd < 0 ? failed : read_numbers(h, e);
}

/* behind what waits. Return: false: it is not there. */
static bool add_frame(struct handover *h, const struct exchange *x)
{
	size_t begin = h->out.len;
	struct json j = json_to(&h->out);

	buf_add(&h->out, "\0\0\0\0", 4);
	exchange_to_json(&j, x, EXCHANGE_JSON_EXACT);
	if (h->out.is_failed || h->out.len - begin - 4 > HANDOVER_FRAME_MAX) {
		h->out.len = begin;
		h->out.is_failed = false;
		return false;
	}
	put_length(h->out.ptr + begin, h->out.len - begin - 4);
	return true;
}

static bool is_full(const struct handover *h)
{
	return h->out.len - h->sent > WAITING_MAX;
}

/* as a commit to a slow disk would take its time */
static int wait_for_room(struct handover *h, struct err *e)
{
	struct pollfd p = {.fd = h->fd, .events = POLLOUT};
	int failed = handover_tick(h, e);

	if (failed < 0 || !is_full(h))
		return failed;
	(void)poll(&p, 1, PATIENCE_MS);
	return handover_tick(h, e);
}

int handover_add(struct handover *h, const struct exchange *x, struct err *e)
{
	int failed = open_connection(h, e);

	if (failed == 0 && is_full(h))
		failed = wait_for_room(h, e);
	if (failed < 0)
		return failed;
	if (is_full(h))
		return err_set(e, -EAGAIN, "handover.to %s: the node's daemon does not keep up",
			       h->address.sun_path);
	if (add_frame(h, x))
		h->added++;
	else
		h->outcome.lost++;
	return 0;
}

uint64_t handover_waiting(const struct handover *h)
{
	return h->added - h->taken;
}

struct handover_outcome handover_outcome(struct handover *h)
{
	struct handover_outcome since = h->outcome;

	h->outcome = (struct handover_outcome){0};
	return since;
}

void handover_close(struct handover *h)
{
	struct err e;

	for (int ms = 0; h && ms < LAST_MS && handover_waiting(h); ms += LAST_MS / 20) {
		struct pollfd p = {.fd = h->fd, .events = POLLIN};

		if (handover_tick(h, &e) < 0 || h->fd < 0)
			return;
		if (handover_waiting(h))
			(void)poll(&p, 1, LAST_MS / 20);
	}
	if (h && handover_waiting(h))
		(void)hang_up(h, -ETIMEDOUT, &e);
}
