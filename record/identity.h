// SPDX-License-Identifier: Apache-2.0
/*
 * identity.h - who an address is: an immutable snapshot that is replaced whole
 *
 * A snapshot is built by one thread and then only read.
 */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"

struct identities;

/* An address that was found on an interface inside a network namespace. */
struct identity_seen {
	uint8_t address[16]; /* as in struct endpoint */
	const char *pod;     /* the namespace's name; borrowed for the call */
};

/**
 * identities_load() - from a YAML file and from what was seen on interfaces
 * @path: NULL or "" for none. The file lists rows under `identities`, each with an `address`
 *        ("10.0.0.1", "fd00::1" or a network "10.1.0.0/16"), optionally a `port`, and any of
 *        service, namespace, pod, pod_uid, container, workload, workload_kind, node, labels,
 *        annotations (the last two are mappings of texts).
 * @seen: where a row of the file names the address too, the row's fields win
 * @e:    "path:line:column: what was expected"
 *
 * A row with a port is stronger than one without, a longer prefix than a shorter one.
 */
int identities_load(const char *path, const struct identity_seen *seen, size_t seen_count,
		    struct identities **i_out, struct err *e) MUST_USE;
/**
 * identities_add() - one more row, before others look at the snapshot
 * @address: as in struct endpoint; @bits of it count, 1 to 128
 * @who:     copied
 *
 * Where a row for the same addresses is there already, that one stays. Return: 0 or -ENOMEM.
 */
int identities_add(struct identities *i, const uint8_t address[16], unsigned bits,
		   const struct identity *who) MUST_USE;
void identities_free(struct identities *i); /* accepts NULL */
AUTO_DEFINE(identities, identities_free)

/**
 * identities_find() - who was at an address at a moment
 * @i:           may be NULL
 * @time_ns:     of the exchange [ns since 1970]
 * @netns_inode: of the network namespace where it was captured; 0 when that is not known
 *
 * Return: borrowed from @i; NULL when nobody is known there.
 */
const struct identity *identities_find(const struct identities *i, const struct endpoint *at,
				       uint64_t time_ns, uint64_t netns_inode);
/* identities_is_exact() - it was found under its address, not under a network's */
bool identities_is_exact(const struct identities *i, const struct identity *found);
size_t identities_count(const struct identities *i);
