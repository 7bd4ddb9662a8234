// SPDX-License-Identifier: Apache-2.0
/* format_pcap_http2.h - an exchange of HTTP/2 as frames on a connection */
#pragma once

#include "store/format_pcap_tcp.h"

/* pcap_http2_can() - false: its fields are not all known, it was pushed, or it began as HTTP/1 */
bool pcap_http2_can(const struct exchange *x);
/* pcap_http2_send() - @room: scratch of the caller's */
void pcap_http2_send(struct pcap_tcp *t, struct pcap_flow *f, const struct exchange *x,
		     struct buf *room);
