// SPDX-License-Identifier: Apache-2.0
/* places.h - the network namespaces of this node, and what is known of each; Thread: pods */
#pragma once

#include "node/cgroup.h"
#include "node/cri.h"
#include "record/opener.h"
#include "record/residents.h"
#include "wire/wire.h"

enum place_state {
	PLACE_UNKNOWN,	/* captured, but held: whose it is must be found out first */
	PLACE_CAPTURED, /* selected */
	PLACE_REFUSED,	/* not selected, or it cannot be opened */
	PLACE_ENDED,	/* remembered for the exchanges that are still on their way */
};

struct place {
	struct place *next;
	uint32_t inode;
	uint16_t share; /* 0: none, it is not captured */
	enum place_state state;
	unsigned names;		       /* files that name it */
	char path[NAMESPACE_PATH_MAX]; /* one of them, or a process's */
	pid_t pid;		       /* whose namespace it is, where it has no name; else 0 */
	uint64_t since_ns;	       /* when it was met [mono] */
	uint64_t from_ns, until_ns;    /* when it was there [wall]; until 0: it still is */
	bool is_open, has_ring;	       /* the capture thread has a socket of it */
	bool was_captured;
	bool was_met; /* in the look at processes that is under way */
	/* to be told to the capture thread, once residents are known there */
	bool must_read, must_remove;
	const struct cri_pod *cri; /* NULL: the runtime does not know it (yet) */
	struct cgroup_owner owner; /* of a process in it; empty: not known */
	uint8_t addresses[OPENER_ADDRESSES_MAX][16];
	size_t address_count;
};

struct places {
	struct place *first;
	uint64_t shares[WIRE_SHARES / 64]; /* bits of those in use */
};

void places_fini(struct places *p);
/* places_add() - NULL: out of memory */
struct place *places_add(struct places *p, uint32_t inode, const char *path, uint64_t mono_ns,
			 uint64_t wall_ns);
/* one that has not ended, or NULL */
struct place *places_find(const struct places *p, uint32_t inode);
/* places_forget() - those that ended before @before_ns [wall] and are not open. Return: how many. */
size_t places_forget(struct places *p, uint64_t before_ns);
size_t places_count(const struct places *p, enum place_state state);
/* a number below WIRE_SHARES, 0 when all are in use; and back */
uint16_t places_take_share(struct places *p);
void places_give_share(struct places *p, uint16_t share);

/* place_who() - what the node knows of it; borrowed from @p. @node: this node's name. */
struct identity place_who(const struct place *p, struct span node);
/* place_is_known() - by namespace and name: it can be judged */
bool place_is_known(const struct place *p);
/* places_residents() - of all that were captured. NULL: out of memory. */
struct residents *places_residents(const struct places *p, struct span node) MUST_USE;
/* place_take_cri() - @pod is its sandbox */
void place_take_cri(struct place *p, const struct cri_pod *pod);
