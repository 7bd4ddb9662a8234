// SPDX-License-Identifier: Apache-2.0
/* format_pcap_packet.h - one TCP segment as a record of a pcap file */
#pragma once

#include "lib/buf.h"

enum {
	PCAP_FIN = 0x01,
	PCAP_SYN = 0x02,
	PCAP_RST = 0x04,
	PCAP_PSH = 0x08,
	PCAP_ACK = 0x10,
};

/* Both ends of a connection: the client, the server. */
struct pcap_ends {
	uint8_t address[2][16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port[2];
	bool is_ipv4;
};

struct pcap_packet {
	const struct pcap_ends *ends;
	unsigned from;	/* 0: sent by the client, 1: by the server */
	unsigned flags; /* PCAP_FIN ... */
	uint32_t seq, ack;
	struct span payload; /* at most pcap_packet_payload_max() */
	uint64_t time_ns;
};

void pcap_packet_begin(struct buf *out); /* the file's header */
void pcap_packet_put(const struct pcap_packet *p, struct buf *out);
size_t pcap_packet_payload_max(bool is_ipv4); /* [bytes] */
