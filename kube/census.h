// SPDX-License-Identifier: Apache-2.0
/*
 * census.h - who was at an address at a moment: an immutable snapshot of what the API server said
 *
 * Pods with the time in which an address was theirs (also gone ones, for a bounded while), services
 * by their cluster IPs, nodes. Made by the names thread (kube/register.h), asked by the
 * recorder, whose it is then. Thread: the owner's.
 */
#pragma once

#include "kube/pod.h"

struct census;

void census_free(const struct census *c); /* accepts NULL */

/**
 * census_find() - who was at an address at a moment
 * @c:       may be NULL
 * @at:      its port tells services and pods of the host's network apart; 0: unknown
 * @time_ns: [ns since 1970]
 *
 * Return: borrowed from @c; NULL when nobody is known there at that time. Where several may have
 * been meant, what they have in common, with certainty AMBIGUOUS.
 */
const struct identity *census_find(const struct census *c, const struct endpoint *at,
				   uint64_t time_ns);

/* census_holds_until() - census_find() says the same of all times from @time_ns up to this one */
uint64_t census_holds_until(const struct census *c, const struct endpoint *at, uint64_t time_ns);
/* census_find_uid() - who a pod is, by its UID (gone ones, too, while they are remembered); its
 * workload is the topmost one. Return: borrowed from @c; NULL when it is not known. */
const struct identity *census_find_uid(const struct census *c, struct span uid);

/* Walk the pods that were not gone: start with index 0; NULL at the end. */
const struct kube_pod *census_next(const struct census *c, size_t *index);

bool census_is_lost(const struct census *c);	 /* the API server was away when it was made ... */
uint64_t census_lost_ns(const struct census *c); /* ... since then [wall ns]; 0: it was there */
size_t census_count(const struct census *c);	 /* pods that are not gone */
