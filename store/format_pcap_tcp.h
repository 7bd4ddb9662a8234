// SPDX-License-Identifier: Apache-2.0
/*
 * format_pcap_tcp.h - bytes of conversations as the packets of a pcap file, in order of time
 *
 * Zero-initialised a struct pcap_tcp has no connection. Packets come out when nothing earlier can
 * come any more: pcap_tcp_advance().
 */
#pragma once

#include "lib/buf.h"
#include "schema/exchange.h"

struct pcap_flow;
struct pcap_event;

#define PCAP_FLOWS_MAX	 32768		    /* connections that are open at once */
#define PCAP_PENDING_MAX ((size_t)64 << 20) /* bytes of packets that wait for their time */

struct pcap_tcp {
	struct pcap_event **heap; /* the earliest first */
	size_t count, room, pending_bytes;
	uint64_t order;			   /* of events made */
	uint64_t written_ns;		   /* of the newest packet */
	struct pcap_flow **flows;	   /* by their addresses; PCAP_FLOWS_MAX slots */
	struct pcap_flow *oldest, *newest; /* by last use */
	size_t flow_count;
	uint64_t late_count; /* packets written behind later ones, for want of memory */
	bool is_failed;	     /* out of memory */
};

enum pcap_ending {
	PCAP_OPEN,	 /* nobody saw it end */
	PCAP_FIN_CLIENT, /* who closes first; the other follows */
	PCAP_FIN_SERVER,
	PCAP_RST_CLIENT,
	PCAP_RST_SERVER,
};

/* pcap_tcp_advance() - write what is earlier than @now_ns */
void pcap_tcp_advance(struct pcap_tcp *t, uint64_t now_ns, struct buf *out);
/**
 * pcap_tcp_flow() - the connection of an exchange, with its handshake when it is new
 * @has_handshake: its beginning was seen
 *
 * Return: borrowed until the next call; NULL without memory.
 */
struct pcap_flow *pcap_tcp_flow(struct pcap_tcp *t, const struct exchange *x, bool has_handshake,
				struct buf *out);
/* pcap_tcp_send() - @bytes by one side, the first at @first_ns, the last at @last_ns */
void pcap_tcp_send(struct pcap_tcp *t, struct pcap_flow *f, bool is_server, struct span bytes,
		   uint64_t first_ns, uint64_t last_ns);
/* pcap_tcp_lose() - @len bytes that were sent and are in no packet */
void pcap_tcp_lose(struct pcap_tcp *t, struct pcap_flow *f, bool is_server, uint64_t len,
		   uint64_t at_ns);
/* pcap_tcp_end() - when all that was sent before is out, and not before @at_ns */
void pcap_tcp_end(struct pcap_tcp *t, struct pcap_flow *f, enum pcap_ending how, uint64_t at_ns);
/* pcap_tcp_finish() - all that waits; connections that are whole are closed */
void pcap_tcp_finish(struct pcap_tcp *t, struct buf *out);
void pcap_tcp_fini(struct pcap_tcp *t);

/* What the layer above notes of a connection. */
struct pcap_notes {
	uint32_t last_stream; /* HTTP/2 */
	bool is_http2;	      /* both sides have begun; from now on times alone say the order */
	bool is_unfinished;   /* something in it never ended: nobody closes it */
};
struct pcap_notes *pcap_flow_notes(struct pcap_flow *f);
