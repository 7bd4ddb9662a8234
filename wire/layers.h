// SPDX-License-Identifier: Apache-2.0
/* layers.h - between packet.c, link.c and tunnel.c: how one layer of a packet hands on to the next */
#pragma once

#include "wire/packet.h"

/* The layers that have a step of their own; below LAYER_FIRST: the decoding is over, enum packet_kind. */
// clang-format off
#define LAYERS(X)                                                                                  \
	X(ETHERNET) X(ETHERTYPE) X(LLC) X(VLAN) X(MPLS) X(PPPOE) X(PPP) X(HDLC) X(IP) X(IPV4)      \
	X(IPV6) X(PROTOCOL) X(IPV6_OPTIONS) X(IPV6_ROUTING) X(IPV6_FRAGMENT) X(AUTHENTICATION)     \
	X(TCP) X(UDP) X(GRE) X(ERSPAN2) X(ERSPAN3) X(WCCP) X(ETHERIP) X(VNTAG) X(NSH) X(VXLAN)     \
	X(VXLAN_GPE) X(GENEVE) X(GTP) X(TEREDO) X(AYIYA) X(SLL) X(SLL2) X(NULL) X(RADIOTAP)        \
	X(PRISM) X(AVS) X(WIFI) X(NFLOG) X(ARCNET_LINUX) X(ARCNET) X(FDDI) X(TOKEN_RING)           \
	X(PFLOG) X(ENC) X(PKTAP)
// clang-format on

enum layer {
	LAYER_FIRST = PACKET_KIND_COUNT,
	LAYER_BEFORE_FIRST = LAYER_FIRST - 1,
#define X(NAME) LAYER_##NAME,
	LAYERS(X)
#undef X
		LAYER_COUNT
};

/* Where the decoding stands. Every step moves on over its header and names the next layer. */
struct layers {
	struct packet *packet;
	const uint8_t *at; /* first byte not peeled off */
	size_t left;	   /* captured bytes from there */
	size_t wire;	   /* bytes from there on the wire, >= left */
	uint16_t type;	   /* for LAYER_ETHERTYPE: the type; for LAYER_PROTOCOL: the IP protocol */
};

#define X(NAME) enum layer layer_##NAME(struct layers *l);
LAYERS(X)
#undef X

/* layer_of_linktype() - where to begin; PACKET_LINKTYPE as a layer when it is not known */
enum layer layer_of_linktype(int linktype);

static inline uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[1] << 8 | p[0]);
}

static inline uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static inline enum layer layer_end(enum packet_kind kind)
{
	return (enum layer)kind;
}

/* layer_short() - what to return when fewer than @need bytes are left */
static inline enum layer layer_short(const struct layers *l, size_t need)
{
	return layer_end(l->wire < need ? PACKET_MALFORMED : PACKET_CUT);
}

static inline bool layer_has(const struct layers *l, size_t need)
{
	return LIKELY(l->left >= need);
}

/* layer_skip() - move on by @n <= left bytes */
static inline void layer_skip(struct layers *l, size_t n)
{
	l->at += n;
	l->left -= n;
	l->wire -= n;
}

/* layer_trim() - the layer ends @len bytes from here: what lies behind is padding */
static inline void layer_trim(struct layers *l, size_t len)
{
	l->wire = len;
	l->left = MIN(l->left, len);
}

/* layer_skip_to() - move on by @n bytes if they are there; Return: @next, or why not */
static inline enum layer layer_skip_to(struct layers *l, size_t n, enum layer next)
{
	if (!layer_has(l, n))
		return layer_short(l, n);
	layer_skip(l, n);
	return next;
}

static inline enum layer layer_ethertype(struct layers *l, uint16_t type)
{
	l->type = type;
	return LAYER_ETHERTYPE;
}

static inline enum layer layer_protocol(struct layers *l, uint8_t protocol)
{
	l->type = protocol;
	return LAYER_PROTOCOL;
}
