// SPDX-License-Identifier: Apache-2.0
#include "record/packet_ring.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "record/packet_socket.h"

/*
 * Theory of operation. TPACKET_V3 (Documentation/networking/packet_mmap.rst): the kernel fills blocks,
 * packets of any length one behind the other, and gives a block away when it is full or when poll_ns
 * have passed since its first packet. A block belongs to whom its status word says; the word is read
 * with acquire and written with release, since the other side is another processor.
 *
 * A block may be read in several turns, so that one namespace cannot hold the thread for long: what is
 * left is remembered here, and the kernel gets the block back when all of it was handed out.
 *
 * The kernel wrote what we read here, yet nothing is taken from a block that does not lie in it.
 */
#define MIN_BLOCKS 2

static struct tpacket_block_desc *block_at(const struct packet_ring *r, unsigned i)
{
	return (struct tpacket_block_desc *)(void *)(r->memory + i * PACKET_SOCKET_BLOCK);
}

int packet_ring_init(struct packet_ring *r, int fd, size_t bytes, uint64_t poll_ns)
{
	unsigned blocks = (unsigned)MAX(bytes / PACKET_SOCKET_BLOCK, MIN_BLOCKS);
	int version = TPACKET_V3;
	struct tpacket_req3 ask = {
		.tp_block_size = PACKET_SOCKET_BLOCK,
		.tp_frame_size = PACKET_SOCKET_BLOCK,
		.tp_block_nr = blocks,
		.tp_frame_nr = blocks,
		.tp_retire_blk_tov = (unsigned)MAX(poll_ns / NS_PER_MS, 1U),
	};
	void *memory;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ask, sizeof(ask)) < 0)
		return -errno;
	memory =
		mmap(NULL, blocks * PACKET_SOCKET_BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	*r = (struct packet_ring){
		.memory = memory,
		.bytes = blocks * PACKET_SOCKET_BLOCK,
		.block_count = blocks,
	};
	return 0;
}

void packet_ring_fini(struct packet_ring *r)
{
	if (r->memory)
		(void)munmap(r->memory, r->bytes);
	*r = (struct packet_ring){0};
}

static bool open_block(struct packet_ring *r, struct tpacket_block_desc *b)
{
	if (r->left)
		return true;
	if (!(__atomic_load_n(&b->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
		return false;
	r->left = b->hdr.bh1.num_pkts;
	r->offset = b->hdr.bh1.offset_to_first_pkt;
	return true;
}

static void give_back(struct packet_ring *r, struct tpacket_block_desc *b)
{
	r->left = 0;
	__atomic_store_n(&b->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	r->block = (r->block + 1) % r->block_count;
}

/* Return: false when what the header says does not lie in the block */
static bool give_packet(struct packet_ring *r, const uint8_t *block, handle_packet_fn *fn,
			void *ctx)
{
	const struct tpacket3_hdr *h =
		(const struct tpacket3_hdr *)(const void *)(block + r->offset);
	size_t end = PACKET_SOCKET_BLOCK - r->offset;

	if (r->offset > PACKET_SOCKET_BLOCK - sizeof(*h) || h->tp_net > end ||
	    h->tp_snaplen > end - h->tp_net)
		return false;
	fn(ctx, (uint64_t)h->tp_sec * NS_PER_S + h->tp_nsec,
	   span_of((const uint8_t *)h + h->tp_net, h->tp_snaplen), MAX(h->tp_len, h->tp_snaplen));
	r->left--;
	if (r->left && (h->tp_next_offset == 0 || h->tp_next_offset > end))
		return false;
	r->offset += h->tp_next_offset;
	return true;
}

int packet_ring_read(struct packet_ring *r, int most, handle_packet_fn *fn, void *ctx)
{
	int n = 0;

	while (n < most) {
		struct tpacket_block_desc *b = block_at(r, r->block);

		if (!open_block(r, b))
			break;
		for (; r->left && n < most; n++)
			if (UNLIKELY(!give_packet(r, (const uint8_t *)b, fn, ctx)))
				r->left = 0;
		if (r->left == 0)
			give_back(r, b);
	}
	return n;
}
