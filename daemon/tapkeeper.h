// SPDX-License-Identifier: Apache-2.0
/*
 * tapkeeper.h - TapConfigs of all namespaces: watched, read, given to the recorder; their status written back
 *
 * Thread: names, but for what says otherwise.
 */
#pragma once

#include "kube/census.h"
#include "kube/client.h"
#include "kube/tapspec.h"
#include "lib/buf.h"

struct record;
struct tapkeeper;

#define TAPKEEPER_MAX 500 /* TapConfigs that are applied, of all namespaces; the oldest */
#define TAPKEEPER_TRACKED_MAX                                                                      \
	5000 /* that are known at all, so that the others learn that they are not */

struct tapkeeper_config {
	struct kube_client *client; /* borrowed */
	struct record *record;	    /* borrowed */
	const char *node;	    /* borrowed */
	/* what is in force is remembered there for the next start; NULL: it is not */
	const char *dir;
	struct tapspec_retention retention;
	uint64_t period_ns; /* the numbers of one TapConfig's status are written once in so long */
};

/* tapkeeper_new() - asks nobody yet; what was in force in the last run is, again. NULL: no memory. */
struct tapkeeper *tapkeeper_new(const struct tapkeeper_config *config) MUST_USE;
void tapkeeper_free(struct tapkeeper *k); /* before its client; accepts NULL */
/* tapkeeper_tick() - begin what is due. Return: how long until there may be something [ns]. */
uint64_t tapkeeper_tick(struct tapkeeper *k, uint64_t now_ns);
/* tapkeeper_wants_census() - pods are to be counted anew, for a TapConfig that is new */
bool tapkeeper_wants_census(const struct tapkeeper *k);
/* counts the pods in it; borrowed */
void tapkeeper_census(struct tapkeeper *k, const struct census *c);
/* tapkeeper_is_told() - a whole list was applied, or the API server has none to give (yet). Any thread. */
bool tapkeeper_is_told(const struct tapkeeper *k);
/* tapkeeper_set_retention() - the settings are others. Any thread. */
void tapkeeper_set_retention(struct tapkeeper *k, const struct tapspec_retention *r);
/* lines for /metrics; any thread */
void tapkeeper_gauges(const struct tapkeeper *k, struct buf *out);
