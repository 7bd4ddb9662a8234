// SPDX-License-Identifier: Apache-2.0
/*
 * packet.h - what one captured packet says: who sent which bytes of which TCP connection to whom
 *
 * Link layers and tunnels are peeled off down to the innermost IP packet. Nothing is copied and
 * nothing is remembered from packet to packet; IP fragments are put together by wire/fragment.h.
 * Thread: any.
 */
#pragma once

#include "lib/base.h"

/* What a packet turned out to be. */
enum packet_kind {
	PACKET_NOT_TCP,	  /* IP that carries something else */
	PACKET_TCP,	  /* a TCP segment: all fields but fragment are set */
	PACKET_FRAGMENT,  /* part of an IP datagram: src, dst, fragment, payload, missing are set */
	PACKET_NOT_IP,	  /* no IP in it */
	PACKET_MALFORMED, /* headers that contradict themselves or the packet's length */
	PACKET_CUT,	  /* the capture cut it inside its headers */
	PACKET_LINKTYPE,  /* a link type that is not known */
	PACKET_KIND_COUNT
};

enum packet_flag {
	PACKET_FIN = 0x01,
	PACKET_SYN = 0x02,
	PACKET_RST = 0x04,
	PACKET_PSH = 0x08,
	PACKET_ACK = 0x10,
	PACKET_URG = 0x20,
};

struct packet_fragment {
	uint32_t id;
	uint32_t offset; /* of the payload in the datagram's [bytes] */
	uint8_t protocol;
	bool has_more;
	bool is_ipv6;
};

struct packet {
	uint8_t src[16], dst[16]; /* innermost IP layer; IPv4 as ::ffff:a.b.c.d */
	uint16_t src_port, dst_port;
	uint16_t window;
	bool is_ipv4;
	uint8_t flags; /* enum packet_flag */
	uint32_t seq, ack;
	struct span payload; /* borrowed from the packet's bytes */
	size_t missing;	     /* payload bytes behind it that were on the wire but not captured */
	bool has_wrong_checksum; /* of an IPv4 header */
	uint8_t depth;		 /* layers peeled off so far */
	bool has_ip;
	struct packet_fragment fragment;
};

/**
 * packet_decode() - peel a packet down to TCP
 * @p:        filled in as far as the kind returned says
 * @linktype: DLT_ or LINKTYPE_ number
 * @bytes:    as captured; @p->payload borrows from it
 * @length:   on the wire [bytes]; less than bytes.len counts as bytes.len
 */
enum packet_kind packet_decode(struct packet *p, int linktype, struct span bytes,
			       size_t length) HOT;

/**
 * packet_resume() - go on with a datagram that was put together
 * @p:        as packet_decode() left it with PACKET_FRAGMENT
 * @datagram: all bytes behind the IP header and, for IPv6, the fragment header
 */
enum packet_kind packet_resume(struct packet *p, struct span datagram);
