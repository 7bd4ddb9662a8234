// SPDX-License-Identifier: Apache-2.0
/*
 * packets.h - frames for tests, built from the inside out: push the payload, then each header
 *
 * Lengths are filled in, checksums are not (nobody may rely on them) but for IPv4's header.
 */
#pragma once

#include "lib/base.h"
#include "wire/packet.h"

#include <assert.h>

#define FRAME_MAX 70000

struct frame {
	uint8_t memory[FRAME_MAX];
	size_t begin; /* grows downwards */
	size_t end;
};

static inline void frame_init(struct frame *f)
{
	f->begin = f->end = FRAME_MAX - 64;
}

static inline uint8_t *frame_push(struct frame *f, size_t len)
{
	assert(f->begin >= len);
	f->begin -= len;
	memset(f->memory + f->begin, 0, len);
	return f->memory + f->begin;
}

static inline void frame_push_bytes(struct frame *f, const void *bytes, size_t len)
{
	memcpy(frame_push(f, len), bytes, len);
}

/* padding or a trailer behind what is there */
static inline void frame_append(struct frame *f, size_t len, uint8_t with)
{
	assert(f->end + len <= FRAME_MAX);
	memset(f->memory + f->end, with, len);
	f->end += len;
}

static inline size_t frame_len(const struct frame *f)
{
	return f->end - f->begin;
}

static inline struct span frame_span(const struct frame *f)
{
	return span_of(f->memory + f->begin, frame_len(f));
}

static inline void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, size_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

struct tcp_fields {
	uint16_t src, dst;
	uint32_t seq, ack;
	uint8_t flags;
	uint8_t options; /* bytes of them, a multiple of 4 */
};

static inline void frame_tcp(struct frame *f, const struct tcp_fields *t)
{
	uint8_t *h = frame_push(f, 20 + (size_t)t->options);

	put16(h, t->src);
	put16(h + 2, t->dst);
	put32(h + 4, t->seq);
	put32(h + 8, t->ack);
	h[12] = (uint8_t)((20 + t->options) / 4 << 4);
	h[13] = t->flags;
	put16(h + 14, 65535);
	memset(h + 20, 1, t->options);
}

static inline void frame_udp(struct frame *f, uint16_t src, uint16_t dst)
{
	size_t len = frame_len(f) + 8;
	uint8_t *h = frame_push(f, 8);

	put16(h, src);
	put16(h + 2, dst);
	put16(h + 4, len);
}

static inline void ipv4_checksum(uint8_t *h)
{
	uint32_t sum = 0;

	put16(h + 10, 0);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(h[i] << 8 | h[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(h + 10, ~((sum & 0xffff) + (sum >> 16)) & 0xffff);
}

/* @where: fragment offset in 8 bytes, with the flags above it */
static inline void frame_ipv4_fragment(struct frame *f, uint8_t protocol, uint32_t src,
				       uint32_t dst, uint16_t id, uint16_t where)
{
	size_t len = frame_len(f) + 20;
	uint8_t *h = frame_push(f, 20);

	h[0] = 0x45;
	put16(h + 2, len);
	put16(h + 4, id);
	put16(h + 6, where);
	h[8] = 64;
	h[9] = protocol;
	put32(h + 12, src);
	put32(h + 16, dst);
	ipv4_checksum(h);
}

static inline void frame_ipv4(struct frame *f, uint8_t protocol, uint32_t src, uint32_t dst)
{
	frame_ipv4_fragment(f, protocol, src, dst, 7, 0x4000);
}

/* addresses fd00::<number> */
static inline void frame_ipv6(struct frame *f, uint8_t next, uint32_t src, uint32_t dst)
{
	size_t len = frame_len(f);
	uint8_t *h = frame_push(f, 40);

	h[0] = 0x60;
	put16(h + 4, len);
	h[6] = next;
	h[7] = 64;
	h[8] = h[24] = 0xfd;
	put32(h + 20, src);
	put32(h + 36, dst);
}

static inline void frame_ethernet(struct frame *f, uint16_t type)
{
	uint8_t *h = frame_push(f, 14);

	h[0] = h[6] = 2;
	put16(h + 12, type);
}

/* a tag before an ethertype: VLAN */
static inline void frame_vlan(struct frame *f, uint16_t id, uint16_t type)
{
	uint8_t *h = frame_push(f, 4);

	put16(h, id);
	put16(h + 2, type);
}

#define HOST_A 0x0a000001
#define HOST_B 0x0a000002

/* a segment from A:40000 to B:80 as IPv4 */
static inline void frame_segment(struct frame *f, const char *text)
{
	frame_init(f);
	frame_push_bytes(f, text, strlen(text));
	frame_tcp(f, &(struct tcp_fields){40000, 80, 1000, 2000, PACKET_ACK | PACKET_PSH, 0});
	frame_ipv4(f, 6, HOST_A, HOST_B);
}

/* numbers that are the same in every run */
static inline uint32_t any_number(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}
