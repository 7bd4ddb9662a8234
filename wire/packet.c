// SPDX-License-Identifier: Apache-2.0
#include "wire/packet.h"

#include "wire/layers.h"

/*
 * Theory of operation
 *
 * A packet is a pile of layers. Each layer has a step: it checks that its header lies inside what
 * was captured, moves on over it and names the next layer, or ends the decoding with a kind. One
 * loop runs the steps; PACKET_DEPTH_MAX bounds it, so a packet that wraps itself again and again
 * costs no more than that. Link layers are in link.c, tunnels in tunnel.c, IP and TCP here.
 *
 * Two lengths go along: `left` bytes were captured, `wire` bytes were sent. IP's own length ends
 * the layer (an Ethernet trailer pads short frames) unless it is 0, as on the giants that
 * segmentation offload makes, which end with the frame. If IP says more than the frame had, the
 * frame was cut before it was captured: the rest counts as missing.
 *
 * Checksums are not believed: an offloading sender's packets are captured before the card fills
 * them in. A wrong IPv4 header checksum is noted, TCP's is not even computed (it would cost more
 * than all the rest).
 *
 * RFC 791, 8200 (extension headers), 4302 (AH), 8754 (segment routing), 9293 (TCP).
 */

#define PACKET_DEPTH_MAX 32

typedef enum layer layer_step_fn(struct layers *l);

static layer_step_fn *const steps[LAYER_COUNT] = {
#define X(NAME) [LAYER_##NAME] = layer_##NAME,
	LAYERS(X)
#undef X
};

static enum packet_kind run(struct layers *l, enum layer layer)
{
	struct packet *p = l->packet;

	while (layer >= LAYER_FIRST) {
		if (UNLIKELY(p->depth++ >= PACKET_DEPTH_MAX))
			return PACKET_MALFORMED;
		layer = steps[layer](l);
	}
	if (layer == (enum layer)PACKET_NOT_IP && p->has_ip)
		return PACKET_NOT_TCP;
	return (enum packet_kind)layer;
}

enum packet_kind packet_decode(struct packet *p, int linktype, struct span bytes, size_t length)
{
	struct layers l = {
		.packet = p,
		.at = bytes.ptr,
		.left = bytes.len,
		.wire = MAX(length, bytes.len),
	};

	p->depth = 0;
	p->has_ip = false;
	p->has_wrong_checksum = false;
	return run(&l, LIKELY(linktype == 1) ? LAYER_ETHERNET : layer_of_linktype(linktype));
}

enum packet_kind packet_resume(struct packet *p, struct span datagram)
{
	struct layers l = {
		.packet = p,
		.at = datagram.ptr,
		.left = datagram.len,
		.wire = datagram.len,
		.type = p->fragment.protocol,
	};

	return run(&l, LAYER_PROTOCOL);
}

enum layer layer_IP(struct layers *l)
{
	if (!layer_has(l, 1))
		return layer_short(l, 1);
	switch (l->at[0] >> 4) {
	case 4: return LAYER_IPV4;
	case 6: return LAYER_IPV6;
	default: return layer_end(PACKET_NOT_IP);
	}
}

/* RFC 1071: the sum of 32-bit words folds to that of 16-bit words, in any byte order */
static bool is_wrong_checksum(const uint8_t *header, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i += 4) {
		uint32_t word;

		memcpy(&word, header + i, 4);
		sum += word;
	}
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return ((sum >> 16) + (sum & 0xffff)) != 0xffff;
}

/* as two whole words: whoever reads them next does not wait for halves to be put together */
static void set_ipv4(uint8_t to[16], const uint8_t *from)
{
	static const uint8_t mapped[8] = {[2] = 0xff, [3] = 0xff};
	uint64_t low;
	uint8_t bytes[8];

	memcpy(bytes, mapped, 4);
	memcpy(bytes + 4, from, 4);
	memcpy(&low, bytes, 8);
	memset(to, 0, 8);
	memcpy(to + 8, &low, 8);
}

/* what lies behind the header as part of a datagram; the caller has set id, offset and has_more */
static enum layer end_as_fragment(struct layers *l, uint8_t protocol, bool is_ipv6)
{
	struct packet *p = l->packet;

	p->fragment.protocol = protocol;
	p->fragment.is_ipv6 = is_ipv6;
	p->payload = span_of(l->at, l->left);
	p->missing = l->wire - l->left;
	return layer_end(PACKET_FRAGMENT);
}

enum layer layer_IPV4(struct layers *l)
{
	struct packet *p = l->packet;
	const uint8_t *ip = l->at;
	size_t header, total;
	uint16_t fragment;

	if (!layer_has(l, 20))
		return layer_short(l, 20);
	header = (size_t)(ip[0] & 15) * 4;
	total = be16(ip + 2);
	if (ip[0] >> 4 != 4 || header < 20 || (total && total < header))
		return layer_end(PACKET_MALFORMED);
	if (!layer_has(l, header))
		return layer_short(l, header);
	p->has_ip = true;
	p->is_ipv4 = true;
	p->has_wrong_checksum |= is_wrong_checksum(ip, header);
	set_ipv4(p->src, ip + 12);
	set_ipv4(p->dst, ip + 16);
	if (total)
		layer_trim(l, total);
	layer_skip(l, header);
	fragment = be16(ip + 6);
	if (LIKELY((fragment & 0x3fff) == 0)) {
		if (LIKELY(ip[9] == 6))
			return LAYER_TCP;
		return layer_protocol(l, ip[9]);
	}
	p->fragment.id = be16(ip + 4);
	p->fragment.offset = (uint32_t)(fragment & 0x1fff) * 8;
	p->fragment.has_more = fragment & 0x2000;
	return end_as_fragment(l, ip[9], false);
}

enum layer layer_IPV6(struct layers *l)
{
	struct packet *p = l->packet;
	const uint8_t *ip = l->at;
	size_t payload;

	if (!layer_has(l, 40))
		return layer_short(l, 40);
	if (ip[0] >> 4 != 6)
		return layer_end(PACKET_MALFORMED);
	p->has_ip = true;
	p->is_ipv4 = false;
	memcpy(p->src, ip + 8, 16);
	memcpy(p->dst, ip + 24, 16);
	payload = be16(ip + 4); /* 0: a jumbogram (RFC 2675) or an offloading sender's giant */
	layer_skip(l, 40);
	if (payload)
		layer_trim(l, payload);
	return layer_protocol(l, ip[6]);
}

enum layer layer_PROTOCOL(struct layers *l)
{
	/* IP protocol numbers; those not named end as PACKET_NOT_TCP, which is 0 */
	static const uint8_t next[256] = {
		[0] = LAYER_IPV6_OPTIONS, /* hop-by-hop */
		[4] = LAYER_IPV4,	    [6] = LAYER_TCP,
		[17] = LAYER_UDP,	    [41] = LAYER_IPV6,
		[43] = LAYER_IPV6_ROUTING,  [44] = LAYER_IPV6_FRAGMENT,
		[47] = LAYER_GRE,	    [51] = LAYER_AUTHENTICATION,
		[60] = LAYER_IPV6_OPTIONS,  /* destination options */
		[97] = LAYER_ETHERIP,	    /* RFC 3378 */
		[135] = LAYER_IPV6_OPTIONS, /* mobility */
		[137] = LAYER_MPLS,	    /* RFC 4023 */
		[139] = LAYER_IPV6_OPTIONS, /* HIP */
		[140] = LAYER_IPV6_OPTIONS, /* Shim6 */
		[143] = LAYER_ETHERNET,	    /* RFC 8986 */
	};
	_Static_assert(PACKET_NOT_TCP == 0, "the table's default");

	return (enum layer)next[l->type & 0xff];
}

enum layer layer_IPV6_OPTIONS(struct layers *l)
{
	size_t header;
	uint8_t next;

	if (l->packet->is_ipv4)
		return layer_end(PACKET_NOT_TCP);
	if (!layer_has(l, 8))
		return layer_short(l, 8);
	next = l->at[0];
	header = 8 + (size_t)l->at[1] * 8;
	return layer_skip_to(l, header, layer_protocol(l, next));
}

/* with hops still to go, the header names the destination that the connection is known by */
enum layer layer_IPV6_ROUTING(struct layers *l)
{
	const uint8_t *h = l->at;
	size_t header, final;

	if (!layer_has(l, 8))
		return layer_short(l, 8);
	header = 8 + (size_t)h[1] * 8;
	if (!layer_has(l, header))
		return layer_short(l, header);
	final = h[2] == 0 ? header - 16 : 8; /* last of type 0, first of types 2 and 4 */
	if (h[3] > 0 && header >= 24 && (h[2] == 0 || h[2] == 2 || h[2] == 4))
		memcpy(l->packet->dst, h + final, 16);
	return layer_skip_to(l, header, layer_protocol(l, h[0]));
}

enum layer layer_IPV6_FRAGMENT(struct layers *l)
{
	struct packet *p = l->packet;
	const uint8_t *h = l->at;
	uint16_t where;

	if (p->is_ipv4)
		return layer_end(PACKET_NOT_TCP);
	if (!layer_has(l, 8))
		return layer_short(l, 8);
	where = be16(h + 2);
	layer_skip(l, 8);
	if ((where & 0xfff9) == 0) /* alone in its datagram (RFC 6946) */
		return layer_protocol(l, h[0]);
	p->fragment.id = be32(h + 4);
	p->fragment.offset = where & 0xfff8;
	p->fragment.has_more = where & 1;
	return end_as_fragment(l, h[0], true);
}

enum layer layer_AUTHENTICATION(struct layers *l)
{
	uint8_t next;

	if (!layer_has(l, 12))
		return layer_short(l, 12);
	next = l->at[0];
	return layer_skip_to(l, (size_t)(l->at[1] + 2) * 4, layer_protocol(l, next));
}

enum layer layer_TCP(struct layers *l)
{
	struct packet *p = l->packet;
	const uint8_t *tcp = l->at;
	size_t header, skip;

	if (!layer_has(l, 20))
		return layer_short(l, 20);
	header = (size_t)(tcp[12] >> 4) * 4;
	if (header < 20 || header > l->wire)
		return layer_end(PACKET_MALFORMED);
	p->src_port = be16(tcp);
	p->dst_port = be16(tcp + 2);
	p->seq = be32(tcp + 4);
	p->ack = be32(tcp + 8);
	p->flags = tcp[13];
	p->window = be16(tcp + 14);
	skip = MIN(header, l->left); /* options cut off do no harm */
	p->payload = span_of(tcp + skip, l->left - skip);
	p->missing = l->wire - header - p->payload.len;
	return layer_end(PACKET_TCP);
}
