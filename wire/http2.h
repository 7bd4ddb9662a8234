// SPDX-License-Identifier: Apache-2.0
/* http2.h - HTTP/2 on one connection: both directions' frames into streams, streams into exchanges */
#pragma once

#include "wire/conn.h"

/* What the door of wire/conn.c calls; the contracts are those of conn_*() in wire/conn.h. */
extern const struct conn_protocol http2_conn_protocol;
/**
 * http2_join() - a connection joined midstream turned out to be HTTP/2
 * @dir: h2_find() is certain about c->finders[@dir]; both are taken, and this one is read
 *
 * Afterwards c->protocol is that of HTTP/2, or without memory conn_protocol_other.
 */
void http2_join(struct conn *c, unsigned dir);
struct draft;
/**
 * http2_upgraded() - HTTP/1.1 became HTTP/2 (RFC 7540 3.2); call after conn_become()
 * @request: the request that asked for it, taken: the response comes on stream 1
 */
void http2_upgraded(struct conn *c, struct draft *request, uint64_t ts_ns);
