// SPDX-License-Identifier: Apache-2.0
/*
 * fragment.h - IP datagrams from their fragments
 *
 * Bounded in datagrams, bytes and time; what came first stays where fragments overlap.
 * Thread: capture.
 */
#pragma once

#include "wire/packet.h"
#include "wire/pool.h"

struct fragment_table;

/* fragment_table_new() - @blocks_max blocks of @pool at most. Return: NULL when out of memory. */
struct fragment_table *fragment_table_new(struct pool *pool, size_t blocks_max) MUST_USE;
void fragment_table_free(struct fragment_table *t); /* accepts NULL; gives its blocks back */
/**
 * fragment_add() - a packet that packet_decode() called PACKET_FRAGMENT
 * @datagram_out: when the datagram is whole: all of it, valid until the next call
 *
 * Return: whether it is whole; go on with packet_resume() then.
 */
bool fragment_add(struct fragment_table *t, const struct packet *p, uint64_t now_ns,
		  struct span *datagram_out);
/* fragment_tick() - give up datagrams whose fragments do not come */
void fragment_tick(struct fragment_table *t, uint64_t now_ns);
