// SPDX-License-Identifier: Apache-2.0
/* packet_ring.h - a TPACKET_V3 ring that is shared with the kernel; for packet_socket.c alone */
#pragma once

#include "record/handle.h"

struct packet_ring {
	uint8_t *memory; /* NULL: there is none */
	size_t bytes;
	unsigned block_count, block; /* the one that is read, or will be next */
	/* packets in it that were not handed out yet; 0: it is not open */
	uint32_t left;
	uint32_t offset; /* of the next of them in the block */
};

/* packet_ring_init() - ask the kernel for a ring on a socket that is not bound. Return: 0 or a negative errno. */
int packet_ring_init(struct packet_ring *r, int fd, size_t bytes, uint64_t poll_ns) MUST_USE;
void packet_ring_fini(struct packet_ring *r);
/* packet_ring_read() - see packet_socket_read() */
int packet_ring_read(struct packet_ring *r, int most, handle_packet_fn *fn, void *ctx) HOT;
