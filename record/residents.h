// SPDX-License-Identifier: Apache-2.0
/*
 * residents.h - who lives in which network namespace of this node: an immutable snapshot
 *
 * What the node knows by itself, without any address that two pods could both have had. Thread: built by
 * one, then any.
 */
#pragma once

#include "schema/exchange.h"

struct residents;

#define RESIDENT_ADDRESSES_MAX 16

struct resident {
	uint32_t netns;		    /* its inode; numbers are used again */
	uint64_t from_ns, until_ns; /* when it was there [ns since 1970]; until 0: it still is */
	const uint8_t (*addresses)[16];
	size_t address_count;
	struct identity who;
};

/* residents_new() - a copy of everything. NULL: out of memory. */
struct residents *residents_new(const struct resident *rows, size_t count) MUST_USE;
void residents_free(struct residents *r); /* accepts NULL */

/*
 * residents_find() - who has an address, in the namespace where it was seen: loopback, or one of its own;
 * residents_at() - who has it in any of them, loopback apart: the other end, if it is on this node
 * Return: borrowed from @r; NULL when nobody. @r may be NULL.
 */
const struct identity *residents_at(const struct residents *r, const struct endpoint *at,
				    uint64_t time_ns);
const struct identity *residents_find(const struct residents *r, uint32_t netns,
				      const struct endpoint *at, uint64_t time_ns);
