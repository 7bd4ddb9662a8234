// SPDX-License-Identifier: Apache-2.0
#include "wire/layers.h"

/*
 * Theory of operation
 *
 * Packets inside packets: labels (MPLS), GRE and what it carries, and what runs over UDP. UDP
 * tunnels are known by their port and then by a header that makes sense; what makes none is plain
 * UDP, which is not ours (PACKET_NOT_TCP), and not malformed. GTP-U and Teredo also run on other
 * ports: there they must fit to the byte (type, version and length of header and inner packet).
 *
 * MPLS RFC 3032 and 4385, GRE RFC 2784, 2890, 2637 (PPTP), ERSPAN draft-foschiano-erspan-03, VXLAN
 * RFC 7348, Geneve RFC 8926, NSH RFC 8300, GTP-U 3GPP TS 29.281, Teredo RFC 4380, AYIYA
 * draft-massar-v6ops-ayiya-02, EtherIP RFC 3378.
 */

static const enum layer not_ours = (enum layer)PACKET_NOT_TCP;

/* does an IP packet begin here whose length fits what is there? */
static bool is_ip_here(const struct layers *l)
{
	if (l->left >= 20 && l->at[0] >> 4 == 4)
		return (l->at[0] & 15) >= 5 && be16(l->at + 2) >= 20 && be16(l->at + 2) <= l->wire;
	if (l->left >= 40 && l->at[0] >> 4 == 6)
		return (size_t)be16(l->at + 4) + 40 <= l->wire;
	return false;
}

/* labels down to the bottom of the stack; then IP, or Ethernet with or without a control word */
enum layer layer_MPLS(struct layers *l)
{
	bool is_bottom;

	do {
		if (!layer_has(l, 5))
			return layer_short(l, 5);
		is_bottom = l->at[2] & 1;
		layer_skip(l, 4);
	} while (!is_bottom);
	if (is_ip_here(l))
		return LAYER_IP;
	if (l->at[0] >> 4 == 0)
		return layer_skip_to(l, 4, is_ip_here(l) ? LAYER_IP : LAYER_ETHERNET);
	return LAYER_ETHERNET;
}

enum layer layer_GRE(struct layers *l)
{
	size_t header = 4;
	uint16_t flags, type;

	if (!layer_has(l, 4))
		return layer_short(l, 4);
	flags = be16(l->at);
	type = be16(l->at + 2);
	if ((flags & 7) > 1 || (flags & 0x4000)) /* another version; source routes (RFC 1701) */
		return not_ours;
	header += (flags & 0x8000) ? 4 : 0;			/* checksum */
	header += (flags & 0x2000) ? 4 : 0;			/* key */
	header += (flags & 0x1000) ? 4 : 0;			/* sequence number */
	header += (flags & 7) == 1 && (flags & 0x0080) ? 4 : 0; /* PPTP's acknowledgement */
	if (type == 0x88be && !(flags & 0x1000))		/* ERSPAN type I has no header */
		return layer_skip_to(l, header, LAYER_ETHERNET);
	if (type < 0x0600)
		return not_ours;
	return layer_skip_to(l, header, layer_ethertype(l, type));
}

enum layer layer_ERSPAN2(struct layers *l)
{
	return layer_skip_to(l, 8, LAYER_ETHERNET);
}

enum layer layer_ERSPAN3(struct layers *l)
{
	if (!layer_has(l, 12))
		return layer_short(l, 12);
	return layer_skip_to(l, l->at[11] & 1 ? 20 : 12, LAYER_ETHERNET);
}

/* version 2 puts a redirect header of 4 bytes before the packet */
enum layer layer_WCCP(struct layers *l)
{
	if (is_ip_here(l))
		return LAYER_IP;
	return layer_skip_to(l, 4, LAYER_IP);
}

enum layer layer_ETHERIP(struct layers *l)
{
	if (!layer_has(l, 2))
		return layer_short(l, 2);
	if (l->at[0] >> 4 != 3)
		return not_ours;
	return layer_skip_to(l, 2, LAYER_ETHERNET);
}

/* the "next protocol" numbers that NSH and VXLAN-GPE share but for their order */
static enum layer next_of(uint8_t protocol, const uint8_t numbers[4])
{
	static const enum layer layers[4] = {LAYER_IPV4, LAYER_IPV6, LAYER_ETHERNET, LAYER_MPLS};

	for (size_t i = 0; i < 4; i++)
		if (numbers[i] == protocol)
			return layers[i];
	return not_ours;
}

enum layer layer_NSH(struct layers *l)
{
	static const uint8_t numbers[4] = {1, 2, 3, 5};
	size_t header;

	if (!layer_has(l, 8))
		return layer_short(l, 8);
	header = (size_t)(l->at[1] & 0x3f) * 4;
	if (header < 8)
		return layer_end(PACKET_MALFORMED);
	return layer_skip_to(l, header, next_of(l->at[3], numbers));
}

enum layer layer_VXLAN(struct layers *l)
{
	if (!layer_has(l, 8) || !(l->at[0] & 0x08))
		return not_ours;
	return layer_skip_to(l, 8, LAYER_ETHERNET);
}

enum layer layer_VXLAN_GPE(struct layers *l)
{
	static const uint8_t numbers[4] = {1, 2, 3, 5};
	enum layer next;

	if (!layer_has(l, 8) || !(l->at[0] & 0x08))
		return not_ours;
	if (!(l->at[0] & 0x04))
		return LAYER_VXLAN;
	next = l->at[3] == 4 ? LAYER_NSH : next_of(l->at[3], numbers);
	return layer_skip_to(l, 8, next);
}

enum layer layer_GENEVE(struct layers *l)
{
	uint16_t type;
	size_t header;

	if (!layer_has(l, 8) || l->at[0] >> 6 != 0)
		return not_ours;
	header = 8 + (size_t)(l->at[0] & 0x3f) * 4;
	type = be16(l->at + 2);
	return layer_skip_to(l, header, layer_ethertype(l, type));
}

/* version 1, protocol type GTP, message 255 (G-PDU); extension headers in units of 4 bytes */
enum layer layer_GTP(struct layers *l)
{
	uint8_t flags, extension;

	if (!layer_has(l, 12) || l->at[0] >> 4 != 3 || l->at[1] != 255)
		return not_ours;
	flags = l->at[0];
	extension = flags & 4 ? l->at[11] : 0;
	layer_skip(l, flags & 7 ? 12 : 8);
	while (extension) {
		size_t length = l->left ? (size_t)l->at[0] * 4 : 0;

		if (length == 0 || !layer_has(l, length))
			return not_ours;
		extension = l->at[length - 1];
		layer_skip(l, length);
	}
	return is_ip_here(l) ? LAYER_IP : not_ours;
}

/* authentication and origin may come first */
enum layer layer_TEREDO(struct layers *l)
{
	if (layer_has(l, 4) && be16(l->at) == 1) {
		size_t length = 13 + (size_t)l->at[2] + l->at[3];

		if (!layer_has(l, length))
			return not_ours;
		layer_skip(l, length);
	}
	if (layer_has(l, 8) && be16(l->at) == 0)
		layer_skip(l, 8);
	return layer_has(l, 40) && is_ip_here(l) ? LAYER_IP : not_ours;
}

enum layer layer_AYIYA(struct layers *l)
{
	size_t header;
	uint8_t next;

	if (!layer_has(l, 8) || (l->at[2] & 15) != 1) /* operation 1: forward */
		return not_ours;
	header = 8 + ((size_t)1 << (l->at[0] >> 4)) + (size_t)(l->at[1] >> 4) * 4;
	next = l->at[3];
	if (next != 41 && next != 4)
		return not_ours;
	return layer_skip_to(l, header, layer_protocol(l, next));
}

static enum layer layer_of_port(uint16_t port)
{
	static const struct {
		uint16_t port;
		uint16_t layer;
	} tunnels[] = {
		{4789, LAYER_VXLAN},  {8472, LAYER_VXLAN}, {4790, LAYER_VXLAN_GPE},
		{6081, LAYER_GENEVE}, {2152, LAYER_GTP},   {3544, LAYER_TEREDO},
		{5072, LAYER_AYIYA},  {4754, LAYER_GRE},   {6635, LAYER_MPLS},
	};

	for (size_t i = 0; i < COUNT_OF(tunnels); i++)
		if (tunnels[i].port == port)
			return (enum layer)tunnels[i].layer;
	return not_ours;
}

static bool is_teredo_address(const uint8_t *a)
{
	return be32(a) == 0x20010000;
}

/* GTP-U or Teredo on a port of its own choice: only if every length fits */
static enum layer guess_tunnel(const struct layers *l)
{
	const uint8_t *h = l->at;

	if (l->left >= 28 && h[0] >> 4 == 3 && h[1] == 255 && be16(h + 2) + (size_t)8 == l->wire)
		return LAYER_GTP;
	if (l->left >= 40 && h[0] >> 4 == 6 && be16(h + 4) + (size_t)40 == l->wire &&
	    (is_teredo_address(h + 8) || is_teredo_address(h + 24)))
		return LAYER_TEREDO;
	return not_ours;
}

enum layer layer_UDP(struct layers *l)
{
	enum layer next;
	size_t length;

	if (!layer_has(l, 8))
		return layer_short(l, 8);
	length = be16(l->at + 4);
	if (length >= 8 && length < l->wire)
		layer_trim(l, length);
	next = layer_of_port(be16(l->at + 2));
	if (next == not_ours)
		next = layer_of_port(be16(l->at));
	layer_skip(l, 8);
	return next == not_ours ? guess_tunnel(l) : next;
}
