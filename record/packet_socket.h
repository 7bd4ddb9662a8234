// SPDX-License-Identifier: Apache-2.0
/*
 * packet_socket.h - all packets of one network namespace, from their IP header on, through a socket
 * that somebody with the privilege made there
 *
 * Two kinds: one with a ring, which costs memory and next to nothing for a packet; one without, which
 * costs no memory while it is quiet, and a copy for each packet.
 * Thread: opened and closed by whoever has the time (both may wait for the kernel, some 10 ms), else capture.
 */
#pragma once

#include "record/handle.h"
#include "record/packet_filter.h"

struct packet_socket;

struct packet_socket_config {
	const struct packet_filter *filter; /* borrowed for the call */
	/* 0: without a ring; else rounded down to blocks, 2 at least */
	size_t ring_bytes;
	/* without a ring: what the kernel may hold, if it lets us */
	size_t buffer_bytes;
	/* ring: how long the kernel may collect before it wakes us */
	uint64_t poll_ns;
};

#define PACKET_SOCKET_LINKTYPE 101 /* LINKTYPE_RAW: packets begin with their IP header */
#define PACKET_SOCKET_BLOCK                                                                        \
	((size_t)128 << 10) /* of a ring: the largest packet, 64 KiB, fits into one */

/**
 * packet_socket_open() - capture from now on
 * @fd: AF_PACKET, SOCK_DGRAM, protocol 0, not bound; moves in, in any case. Needs no privilege any more.
 * @e:  -ENOMEM, or what the kernel says to an option
 */
int packet_socket_open(int fd, const struct packet_socket_config *config,
		       struct packet_socket **s_out, struct err *e) MUST_USE;
void packet_socket_close(struct packet_socket *s); /* accepts NULL; what was not read is gone */
AUTO_DEFINE(packet_socket, packet_socket_close)

/* Where packets are copied that come without a ring; one for all sockets of a thread. */
struct packet_room;
struct packet_room *packet_room_new(void) MUST_USE; /* NULL: out of memory */
void packet_room_free(struct packet_room *r);	    /* accepts NULL */

/**
 * packet_socket_read() - hand out the packets that are there now, about @most at most; does not wait
 * Return: how many, or a negative errno.
 */
int packet_socket_read(struct packet_socket *s, struct packet_room *room, int most,
		       handle_packet_fn *fn, void *ctx) MUST_USE HOT;
/*
 * packet_socket_shut() - the kernel takes nothing more; what it has can still be read. With a ring it
 * is all there after poll_ns.
 */
void packet_socket_shut(struct packet_socket *s);
int packet_socket_fd(const struct packet_socket *s); /* readable when there are packets */
bool packet_socket_has_ring(const struct packet_socket *s);
/* packet_socket_fill() - how full the kernel's buffer is [per cent]; with a ring always 0 */
unsigned packet_socket_fill(const struct packet_socket *s);
void packet_socket_stats(struct packet_socket *s, struct handle_stats *out);
