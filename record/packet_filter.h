// SPDX-License-Identifier: Apache-2.0
/* packet_filter.h - the kernel's filter of a socket that sees packets from their IP header on */
#pragma once

#include <linux/filter.h>

#include "lib/err.h"

struct packet_filter;

/**
 * packet_filter_new() - compile a filter for packet sockets of type SOCK_DGRAM
 * @text:    pcap filter; "" takes TCP and what may be TCP behind fragmentation or extension headers
 * @snaplen: bytes kept of a packet
 * @e:       -EINVAL with libpcap's words (there is no link layer here: "ether host" has no meaning)
 *
 * Other protocols than IP and the copy of a loopback packet that goes out are left out already.
 *
 * Return: immutable, any thread may use it; owned by the caller.
 */
int packet_filter_new(const char *text, size_t snaplen, struct packet_filter **f_out,
		      struct err *e) MUST_USE;
void packet_filter_free(struct packet_filter *f); /* accepts NULL */
AUTO_DEFINE(packet_filter, packet_filter_free)

/* packet_filter_attach() - packets that come from now on pass through it; NULL: none passes. Return: 0 or -errno. */
int packet_filter_attach(const struct packet_filter *f, int fd) MUST_USE;
