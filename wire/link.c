// SPDX-License-Identifier: Apache-2.0
#include "wire/layers.h"

/*
 * Theory of operation
 *
 * From what libpcap calls the link type to the first IP header. Numbers are those of
 * tcpdump.org/linktypes.html; where a system's DLT_ number differs (raw IP) both are listed.
 * Each step reads only the field that says what comes next.
 *
 * Not handled: encrypted Wi-Fi frames, A-MSDU, and fragments of 802.11 frames.
 */

enum layer layer_of_linktype(int linktype)
{
	static const struct {
		int linktype;
		enum layer layer;
	} first[] = {
		{0, LAYER_NULL},       {1, LAYER_ETHERNET},
		{6, LAYER_TOKEN_RING}, {7, LAYER_ARCNET},
		{9, LAYER_PPP},	       {10, LAYER_FDDI},
		{12, LAYER_IP},	       {14, LAYER_IP},
		{50, LAYER_PPP},       {51, LAYER_PPPOE},
		{101, LAYER_IP},       {104, LAYER_HDLC},
		{105, LAYER_WIFI},     {108, LAYER_NULL},
		{109, LAYER_ENC},      {113, LAYER_SLL},
		{117, LAYER_PFLOG},    {119, LAYER_PRISM},
		{127, LAYER_RADIOTAP}, {129, LAYER_ARCNET_LINUX},
		{163, LAYER_AVS},      {228, LAYER_IPV4},
		{229, LAYER_IPV6},     {239, LAYER_NFLOG},
		{258, LAYER_PKTAP},    {276, LAYER_SLL2},
	};

	for (size_t i = 0; i < COUNT_OF(first); i++)
		if (first[i].linktype == linktype)
			return first[i].layer;
	return layer_end(PACKET_LINKTYPE);
}

enum layer layer_ETHERTYPE(struct layers *l)
{
	static const struct {
		uint16_t type;
		uint16_t layer;
	} next[] = {
		{0x0800, LAYER_IPV4},	  {0x86dd, LAYER_IPV6},	   {0x8100, LAYER_VLAN},
		{0x88a8, LAYER_VLAN},	  {0x9100, LAYER_VLAN},	   {0x9200, LAYER_VLAN},
		{0x8847, LAYER_MPLS},	  {0x8848, LAYER_MPLS},	   {0x8864, LAYER_PPPOE},
		{0x6558, LAYER_ETHERNET}, {0x88be, LAYER_ERSPAN2}, {0x22eb, LAYER_ERSPAN3},
		{0x880b, LAYER_PPP},	  {0x883e, LAYER_WCCP},	   {0x8926, LAYER_VNTAG},
		{0x894f, LAYER_NSH},
	};

	if (l->type < 0x0600) /* IEEE 802.3: a length */
		return LAYER_LLC;
	for (size_t i = 0; i < COUNT_OF(next); i++)
		if (next[i].type == l->type)
			return (enum layer)next[i].layer;
	return layer_end(PACKET_NOT_IP);
}

enum layer layer_ETHERNET(struct layers *l)
{
	uint16_t type;

	if (!layer_has(l, 14))
		return layer_short(l, 14);
	type = be16(l->at + 12);
	layer_skip(l, 14);
	if (LIKELY(type == 0x0800))
		return LAYER_IPV4;
	return layer_ethertype(l, type);
}

/* IEEE 802.2 with SNAP (RFC 1042), or without: LSAP 6 is IP */
enum layer layer_LLC(struct layers *l)
{
	uint16_t type;

	if (!layer_has(l, 3))
		return layer_short(l, 3);
	if (l->at[0] == 0x06 && l->at[1] == 0x06)
		return layer_skip_to(l, 3, LAYER_IP);
	if (l->at[0] != 0xaa || l->at[1] != 0xaa)
		return layer_end(PACKET_NOT_IP);
	if (!layer_has(l, 8))
		return layer_short(l, 8);
	type = be16(l->at + 6);
	layer_skip(l, 8);
	return type < 0x0600 ? layer_end(PACKET_NOT_IP) : layer_ethertype(l, type);
}

enum layer layer_VLAN(struct layers *l)
{
	uint16_t type;

	if (!layer_has(l, 4))
		return layer_short(l, 4);
	type = be16(l->at + 2);
	return layer_skip_to(l, 4, layer_ethertype(l, type));
}

enum layer layer_VNTAG(struct layers *l)
{
	uint16_t type;

	if (!layer_has(l, 6))
		return layer_short(l, 6);
	type = be16(l->at + 4);
	return layer_skip_to(l, 6, layer_ethertype(l, type));
}

/* pflog(4): its length, the address family, then much else */
enum layer layer_PFLOG(struct layers *l)
{
	size_t header;

	if (!layer_has(l, 4))
		return layer_short(l, 4);
	header = ((size_t)l->at[0] + 3) & ~(size_t)3;
	return layer_skip_to(l, header, LAYER_IP);
}

/* enc(4): family, SPI, flags */
enum layer layer_ENC(struct layers *l)
{
	return layer_skip_to(l, 12, LAYER_IP);
}

/* RFC 2516; a session's frames only (code 0) */
enum layer layer_PPPOE(struct layers *l)
{
	size_t length;

	if (!layer_has(l, 6))
		return layer_short(l, 6);
	if (l->at[0] != 0x11 || l->at[1] != 0)
		return layer_end(PACKET_NOT_IP);
	length = be16(l->at + 4);
	layer_skip(l, 6);
	if (length < l->wire)
		layer_trim(l, length);
	return LAYER_PPP;
}

/* RFC 1661 and 1662: address and control and the protocol's first byte may be left out */
enum layer layer_PPP(struct layers *l)
{
	uint16_t protocol;

	if (l->left >= 2 && (l->at[0] == 0xff || l->at[0] == 0x0f) && l->at[1] <= 3)
		layer_skip(l, 2);
	if (!layer_has(l, 2))
		return layer_short(l, 2);
	if (l->at[0] & 1) {
		protocol = l->at[0];
		layer_skip(l, 1);
	} else {
		protocol = be16(l->at);
		layer_skip(l, 2);
	}
	switch (protocol) {
	case 0x0021: return LAYER_IPV4;
	case 0x0057: return LAYER_IPV6;
	case 0x0281:
	case 0x0283: return LAYER_MPLS;
	case 0x0800: return LAYER_IPV4; /* an ethertype, after Cisco's HDLC address 0x0f */
	case 0x86dd: return LAYER_IPV6;
	default: return layer_end(PACKET_NOT_IP);
	}
}

/* Cisco HDLC: address, control, ethertype */
enum layer layer_HDLC(struct layers *l)
{
	uint16_t type;

	if (!layer_has(l, 4))
		return layer_short(l, 4);
	type = be16(l->at + 2);
	return layer_skip_to(l, 4, layer_ethertype(l, type));
}

enum layer layer_SLL(struct layers *l)
{
	uint16_t hardware, type;

	if (!layer_has(l, 16))
		return layer_short(l, 16);
	hardware = be16(l->at + 2);
	type = be16(l->at + 14);
	layer_skip(l, 16);
	if (hardware == 824 /* ARPHRD_NETLINK */)
		return layer_end(PACKET_NOT_IP);
	if (hardware == 778 /* ARPHRD_IPGRE: the type is GRE's */ && type < 0x0600)
		return layer_end(PACKET_NOT_IP);
	return layer_ethertype(l, type);
}

enum layer layer_SLL2(struct layers *l)
{
	uint16_t type;

	if (!layer_has(l, 20))
		return layer_short(l, 20);
	type = be16(l->at);
	return layer_skip_to(l, 20, layer_ethertype(l, type));
}

/* BSD loopback: the address family as 32 bits, of the capturing machine's byte order or the network's */
enum layer layer_NULL(struct layers *l)
{
	uint32_t family;

	if (!layer_has(l, 4))
		return layer_short(l, 4);
	family = be32(l->at);
	layer_skip(l, 4);
	if (family & 0xffff0000)
		family = family >> 24 | (family >> 8 & 0xff00);
	switch (family) {
	case 2: /* AF_INET everywhere; AF_INET6 is each system's own */
	case 10:
	case 23:
	case 24:
	case 28:
	case 30: return LAYER_IP;
	default: return layer_end(PACKET_NOT_IP);
	}
}

/*
 * The header's length is all we need of it, and whether 802.11 headers are padded to 4 bytes: flag
 * 0x20 of the flags field, which is present with bit 1, behind the extended bitmaps (bit 31) and
 * the 64-bit clock (bit 0).
 */
enum layer layer_RADIOTAP(struct layers *l)
{
	size_t header, at = 4;
	uint32_t present;

	if (!layer_has(l, 8))
		return layer_short(l, 8);
	header = le16(l->at + 2);
	if (header < 8)
		return layer_end(PACKET_MALFORMED);
	if (!layer_has(l, header))
		return layer_short(l, header);
	present = le32(l->at + 4);
	while (at + 8 <= header && le32(l->at + at) >> 31)
		at += 4;
	at += 4;
	if (present & 1)
		at = ((at + 7) & ~(size_t)7) + 8;
	l->type = (present & 2) && at < header ? l->at[at] & 0x20 : 0;
	layer_skip(l, header);
	return LAYER_WIFI;
}

enum layer layer_PRISM(struct layers *l)
{
	if (!layer_has(l, 8))
		return layer_short(l, 8);
	if (be32(l->at) >> 12 == 0x80211) /* really an AVS header */
		return LAYER_AVS;
	l->type = 0;
	return layer_skip_to(l, 144, LAYER_WIFI);
}

enum layer layer_AVS(struct layers *l)
{
	if (!layer_has(l, 8))
		return layer_short(l, 8);
	l->type = 0;
	return layer_skip_to(l, be32(l->at + 4), LAYER_WIFI);
}

/* IEEE 802.11 data frames that are not encrypted; l->type: whether the header is padded */
enum layer layer_WIFI(struct layers *l)
{
	const uint8_t *h = l->at;
	size_t header = 24;
	bool is_qos;

	if (!layer_has(l, 24))
		return layer_short(l, 24);
	is_qos = h[0] & 0x80;
	if ((h[0] & 0x0c) != 0x08 || (h[0] & 0x40) ||
	    (h[1] & 0x40)) /* data; not null; not secret */
		return layer_end(PACKET_NOT_IP);
	if ((h[1] & 3) == 3)
		header += 6; /* a fourth address */
	if (is_qos)
		header += (h[1] & 0x80) ? 6 : 2; /* QoS control, HT control */
	if (l->type)
		header = (header + 3) & ~(size_t)3;
	return layer_skip_to(l, header, LAYER_LLC);
}

/* TLVs in the capturing machine's byte order; the packet is type 9 (NFULA_PAYLOAD) */
enum layer layer_NFLOG(struct layers *l)
{
	if (!layer_has(l, 4))
		return layer_short(l, 4);
	layer_skip(l, 4);
	while (layer_has(l, 4)) {
		size_t length = le16(l->at);
		uint16_t type = le16(l->at + 2) & 0x7fff;

		if ((length > l->wire || length < 4) && be16(l->at) <= l->wire) {
			length = be16(l->at);
			type = be16(l->at + 2) & 0x7fff;
		}
		if (length < 4)
			return layer_end(PACKET_MALFORMED);
		if (type == 9) {
			layer_skip(l, 4);
			return LAYER_IP;
		}
		length = (length + 3) & ~(size_t)3;
		if (!layer_has(l, length))
			break;
		layer_skip(l, length);
	}
	return layer_end(PACKET_NOT_IP);
}

/* ARCnet protocol ids of RFC 1201 and 1051 */
static enum layer arcnet_next(uint8_t id)
{
	switch (id) {
	case 212:
	case 240: return LAYER_IPV4;
	case 196: return LAYER_IPV6;
	default: return layer_end(PACKET_NOT_IP);
	}
}

static bool is_rfc1201(uint8_t id)
{
	return id == 212 || id == 196;
}

/* source, destination, offset (2), protocol, then for RFC 1201 a split flag and a sequence number */
enum layer layer_ARCNET_LINUX(struct layers *l)
{
	uint8_t id;

	if (!layer_has(l, 8))
		return layer_short(l, 8);
	id = l->at[4];
	if (is_rfc1201(id) && l->at[5]) /* a split frame: rare, not put together */
		return layer_end(l->at[5] == 0xff ? PACKET_NOT_IP : PACKET_MALFORMED);
	return layer_skip_to(l, is_rfc1201(id) ? 8 : 5, arcnet_next(id));
}

enum layer layer_ARCNET(struct layers *l)
{
	uint8_t id;

	if (!layer_has(l, 6))
		return layer_short(l, 6);
	id = l->at[2];
	return layer_skip_to(l, is_rfc1201(id) ? 6 : 3, arcnet_next(id));
}

enum layer layer_FDDI(struct layers *l)
{
	return layer_skip_to(l, 13, LAYER_LLC);
}

/* IEEE 802.5: a routing field follows when the source address has its first bit set */
enum layer layer_TOKEN_RING(struct layers *l)
{
	size_t header = 14;

	if (!layer_has(l, 16))
		return layer_short(l, 16);
	if (l->at[8] & 0x80)
		header += l->at[14] & 0x1f;
	return layer_skip_to(l, header, LAYER_LLC);
}

/* macOS: its length, a record type (1: packet), the link type inside */
enum layer layer_PKTAP(struct layers *l)
{
	enum layer inside;

	if (!layer_has(l, 12))
		return layer_short(l, 12);
	if (le32(l->at + 4) != 1 || le32(l->at + 8) > INT32_MAX)
		return layer_end(PACKET_NOT_IP);
	inside = layer_of_linktype((int)le32(l->at + 8));
	l->type = 0;
	return layer_skip_to(l, le32(l->at), inside);
}
