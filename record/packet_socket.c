// SPDX-License-Identifier: Apache-2.0
#include "record/packet_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "record/packet_ring.h"

/*
 * Theory of operation. A packet socket that is not bound receives nothing, and to give it a filter, a
 * ring, and a binding to all interfaces of its namespace takes no privilege: only to make it does. So
 * who made it need not be trusted with parsing, and who parses need not have any privilege. Since the
 * filter is there before the binding, the kernel's account is exact from the first packet on.
 *
 * With a ring: record/packet_ring.c. Without one, recvmmsg() copies up to ROOM_PACKETS packets at once
 * into a room that all sockets of the thread share; the kernel's buffer grows with what waits in it and
 * is empty otherwise. Measured, 100 exchanges a second in each of 50 namespaces, read 100 times a
 * second: 5.3 us an exchange without rings, 1.2 with; 100 quiet namespaces: 54 MiB with the smallest
 * rings, nothing without (docs/decisions/0012-handles-of-pods.md).
 *
 * The kernel's counts are cleared when they are read, so they are added up here.
 */
#define ROOM_PACKETS 32
#define ROOM_BYTES   65536 /* of each: an IP packet is no longer */

struct packet_socket {
	int fd;
	struct packet_ring ring;
	struct handle_stats stats;
};

struct control {
	_Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(struct timespec))];
};

struct packet_room {
	struct mmsghdr messages[ROOM_PACKETS];
	struct iovec pieces[ROOM_PACKETS];
	struct control controls[ROOM_PACKETS];
	uint8_t bytes[ROOM_PACKETS][ROOM_BYTES]; /* touched as far as packets are long */
};

struct packet_room *packet_room_new(void)
{
	struct packet_room *r = malloc(sizeof(*r)); /* not calloc(): the pages need not exist */

	if (!r)
		return NULL;
	for (unsigned i = 0; i < ROOM_PACKETS; i++)
		r->pieces[i] = (struct iovec){.iov_base = r->bytes[i], .iov_len = ROOM_BYTES};
	return r;
}

void packet_room_free(struct packet_room *r)
{
	free(r);
}

static int set_buffer(int fd, size_t bytes)
{
	int on = 1, half = (int)MIN(bytes / 2, (size_t)1 << 30); /* the kernel doubles it */

	/* more than net.core.rmem_max only where the network is ours to administer */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &half, sizeof(half)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &half, sizeof(half)) < 0)
		return -errno;
	return setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0 ? -errno : 0;
}

static int prepare(struct packet_socket *s, const struct packet_socket_config *config)
{
	const struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int failed = packet_filter_attach(config->filter, s->fd);

	if (failed == 0)
		failed = config->ring_bytes ? packet_ring_init(&s->ring, s->fd, config->ring_bytes,
							       config->poll_ns)
					    : set_buffer(s->fd, config->buffer_bytes);
	if (failed == 0 && bind(s->fd, (const struct sockaddr *)&all, sizeof(all)) < 0)
		failed = -errno;
	return failed;
}

int packet_socket_open(int fd, const struct packet_socket_config *config,
		       struct packet_socket **s_out, struct err *e)
{
	struct packet_socket *s = calloc(1, sizeof(*s));
	int failed;

	if (!s) {
		(void)close(fd);
		return err_set(e, -ENOMEM, "packet socket: out of memory");
	}
	s->fd = fd;
	failed = prepare(s, config);
	if (failed < 0) {
		packet_socket_close(s);
		return err_set(e, failed, "packet socket%s: %s",
			       config->ring_bytes ? " with a ring" : "", strerror(-failed));
	}
	*s_out = s;
	return 0;
}

void packet_socket_close(struct packet_socket *s)
{
	if (!s)
		return;
	packet_ring_fini(&s->ring);
	(void)close(s->fd);
	free(s);
}

static uint64_t time_of(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	struct timespec t = {0};

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
		memcpy(&t, CMSG_DATA(c), sizeof(t));
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int receive(struct packet_socket *s, struct packet_room *r)
{
	for (unsigned i = 0; i < ROOM_PACKETS; i++)
		r->messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &r->pieces[i],
			.msg_iovlen = 1,
			.msg_control = r->controls[i].bytes,
			.msg_controllen = sizeof(r->controls[i].bytes),
		};
	/* MSG_TRUNC: the length is the packet's, also where it was cut */
	return recvmmsg(s->fd, r->messages, ROOM_PACKETS, MSG_DONTWAIT | MSG_TRUNC, NULL);
}

static int read_copies(struct packet_socket *s, struct packet_room *r, int most,
		       handle_packet_fn *fn, void *ctx)
{
	int n = 0, got = ROOM_PACKETS;

	while (n < most && got == ROOM_PACKETS) {
		got = receive(s, r);
		for (int i = 0; i < got; i++) {
			size_t length = r->messages[i].msg_len;

			fn(ctx, time_of(&r->messages[i].msg_hdr),
			   span_of(r->bytes[i], MIN(length, (size_t)ROOM_BYTES)), length);
		}
		n += MAX(got, 0);
	}
	return got < 0 && n == 0 && errno != EAGAIN && errno != EINTR ? -errno : n;
}

int packet_socket_read(struct packet_socket *s, struct packet_room *room, int most,
		       handle_packet_fn *fn, void *ctx)
{
	return s->ring.memory ? packet_ring_read(&s->ring, most, fn, ctx)
			      : read_copies(s, room, most, fn, ctx);
}

void packet_socket_shut(struct packet_socket *s)
{
	if (packet_filter_attach(NULL, s->fd) < 0)
		return; /* without memory for one instruction: who reads the rest has a bound */
}

int packet_socket_fd(const struct packet_socket *s)
{
	return s->fd;
}

bool packet_socket_has_ring(const struct packet_socket *s)
{
	return s->ring.memory;
}

unsigned packet_socket_fill(const struct packet_socket *s)
{
	uint32_t now[SK_MEMINFO_VARS] = {0};
	socklen_t bytes = sizeof(now);

	if (s->ring.memory || getsockopt(s->fd, SOL_SOCKET, SO_MEMINFO, now, &bytes) < 0 ||
	    now[SK_MEMINFO_RCVBUF] == 0)
		return 0;
	return (unsigned)((uint64_t)now[SK_MEMINFO_RMEM_ALLOC] * 100 / now[SK_MEMINFO_RCVBUF]);
}

void packet_socket_stats(struct packet_socket *s, struct handle_stats *out)
{
	struct tpacket_stats_v3 now = {0}; /* begins as struct tpacket_stats */
	socklen_t bytes = s->ring.memory ? sizeof(now) : sizeof(struct tpacket_stats);

	if (getsockopt(s->fd, SOL_PACKET, PACKET_STATISTICS, &now, &bytes) == 0) {
		s->stats.received += now.tp_packets;
		s->stats.dropped += now.tp_drops;
	}
	*out = s->stats;
}
