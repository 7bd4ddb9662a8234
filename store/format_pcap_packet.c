// SPDX-License-Identifier: Apache-2.0
#include "store/format_pcap_packet.h"

/*
 * Theory of operation (draft-ietf-opsawg-pcap, RFC 791, RFC 8200, RFC 9293). A file of nanoseconds
 * in this machine's byte order; Ethernet frames with addresses of nobody, since no link was
 * recorded. The window is as large as it can be: nobody waits for it.
 */
#define MTU	     1500
#define TCP_BYTES    20U
#define SYN_OPTIONS  8U /* MSS, window scale, a filler */
#define WINDOW	     65535
#define WINDOW_SCALE 7

static void put8(struct buf *out, unsigned v)
{
	buf_add_char(out, (char)v);
}

static void put16(struct buf *out, unsigned v)
{
	put8(out, v >> 8);
	put8(out, v);
}

static void put32(struct buf *out, uint32_t v)
{
	put16(out, v >> 16);
	put16(out, v & 0xffff);
}

static void put_native32(struct buf *out, uint64_t v)
{
	uint32_t n = (uint32_t)v;

	buf_add(out, &n, sizeof(n));
}

void pcap_packet_begin(struct buf *out)
{
	static const uint16_t version[] = {2, 4};

	put_native32(out, 0xa1b23c4d); /* nanoseconds */
	buf_add(out, version, sizeof(version));
	put_native32(out, 0);
	put_native32(out, 0);
	put_native32(out, 262144);
	put_native32(out, 1); /* Ethernet */
}

/* RFC 1071, one's complement, carried on from @sum */
static uint32_t sum16(uint32_t sum, const uint8_t *p, size_t len)
{
	for (; len > 1; p += 2, len -= 2)
		sum += (uint32_t)(p[0] << 8 | p[1]);
	if (len)
		sum += (uint32_t)(p[0] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void patch16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

size_t pcap_packet_payload_max(bool is_ipv4)
{
	return MTU - (is_ipv4 ? 40U : 60U);
}

/* --- a packet --- */

static void put_ethernet(struct buf *out, const struct pcap_packet *p)
{
	/* locally administered (IEEE 802): no link was recorded */
	static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};

	buf_add(out, mac[!p->from], 6);
	buf_add(out, mac[p->from], 6);
	put16(out, p->ends->is_ipv4 ? 0x0800 : 0x86dd);
}

static void put_ipv4(struct buf *out, const struct pcap_packet *p, size_t tcp_bytes)
{
	size_t at = out->len;

	put16(out, 0x4500);
	put16(out, (unsigned)(20 + tcp_bytes));
	put32(out, 0x4000);	 /* no identification, not to be fragmented */
	put16(out, 64 << 8 | 6); /* time to live, TCP */
	put16(out, 0);
	buf_add(out, p->ends->address[p->from] + 12, 4);
	buf_add(out, p->ends->address[!p->from] + 12, 4);
	if (!out->is_failed)
		patch16(out->ptr + at + 10, ~sum16(0, out->ptr + at, 20));
}

static void put_ipv6(struct buf *out, const struct pcap_packet *p, size_t tcp_bytes)
{
	put32(out, 0x60000000);
	put16(out, (unsigned)tcp_bytes);
	put16(out, 6 << 8 | 64); /* TCP, hop limit */
	buf_add(out, p->ends->address[p->from], 16);
	buf_add(out, p->ends->address[!p->from], 16);
}

static void put_syn_options(struct buf *out, const struct pcap_packet *p)
{
	put16(out, 2 << 8 | 4); /* MSS */
	put16(out, (unsigned)pcap_packet_payload_max(p->ends->is_ipv4));
	put32(out, 0x03030100 | WINDOW_SCALE << 8); /* window scale, no-operation */
}

/* the checksum's pseudo header (RFC 9293 3.1, RFC 8200 8.1) */
static uint32_t pseudo_sum(const struct pcap_packet *p, size_t tcp_bytes)
{
	size_t skip = p->ends->is_ipv4 ? 12 : 0;
	uint32_t sum = sum16((uint32_t)(6 + tcp_bytes), p->ends->address[0] + skip, 16 - skip);

	return sum16(sum, p->ends->address[1] + skip, 16 - skip);
}

static void put_tcp(struct buf *out, const struct pcap_packet *p, size_t tcp_bytes)
{
	bool is_syn = p->flags & PCAP_SYN, is_acking = p->flags & PCAP_ACK;
	size_t at = out->len;

	put16(out, p->ends->port[p->from]);
	put16(out, p->ends->port[!p->from]);
	put32(out, p->seq);
	put32(out, is_acking ? p->ack : 0);
	put16(out, (unsigned)(is_syn ? TCP_BYTES + SYN_OPTIONS : TCP_BYTES) / 4 << 12 | p->flags);
	put16(out, WINDOW);
	put32(out, 0); /* checksum, urgent pointer */
	if (is_syn)
		put_syn_options(out, p);
	buf_add_span(out, p->payload);
	if (!out->is_failed)
		patch16(out->ptr + at + 16,
			~sum16(pseudo_sum(p, tcp_bytes), out->ptr + at, tcp_bytes));
}

void pcap_packet_put(const struct pcap_packet *p, struct buf *out)
{
	size_t tcp = TCP_BYTES + (p->flags & PCAP_SYN ? SYN_OPTIONS : 0U) + p->payload.len;
	size_t frame = 14 + (p->ends->is_ipv4 ? 20U : 40U) + tcp;

	put_native32(out, p->time_ns / NS_PER_S);
	put_native32(out, p->time_ns % NS_PER_S);
	put_native32(out, frame);
	put_native32(out, frame);
	put_ethernet(out, p);
	if (p->ends->is_ipv4)
		put_ipv4(out, p, tcp);
	else
		put_ipv6(out, p, tcp);
	put_tcp(out, p, tcp);
}
