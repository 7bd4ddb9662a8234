// SPDX-License-Identifier: Apache-2.0
/*
 * recorder.h - what becomes of an exchange after the decoder: named, judged, stored, committed
 *
 * Thread: recorder (decode only: the capture thread, where there is no other).
 */
#pragma once

#include "kube/census.h"
#include "record/identity.h"
#include "record/record.h"
#include "record/residents.h"
#include "record/tapconfigs.h"
#include "store/filter.h"

struct recorder;

#define RECORDER_BATCH_MAX 4096 /* exchanges in one commit */

/**
 * recorder_open() - open the store, unless it is for decoding only
 * @config:   borrowed until recorder_close()
 * @counters: the exchanges' counters; written by the calling thread
 * @e:        what store_open() and filter_parse() say
 */
int recorder_open(const struct record_config *config, struct counters *counters,
		  struct recorder **r_out, struct err *e) MUST_USE;
/**
 * recorder_take() - one exchange
 * @x:      borrowed; its id and identities are set here
 * @now_ns: monotonic
 *
 * Return: true when it is done with; false when the store does not take it now: offer it again
 * after recorder_tick(), or give it up with recorder_drop().
 */
bool recorder_take(struct recorder *r, struct exchange *x, uint64_t now_ns);
/* recorder_merge() - count an exchange that is part of another one (record/views.h) */
void recorder_merge(struct recorder *r);
/* recorder_drop() - count an exchange that could not be kept, by the store's last failure */
void recorder_drop(struct recorder *r);
/**
 * recorder_tick() - commit when it is time, try again when the store had failed
 *
 * Return: how long until there is something to do [ns]; UINT64_MAX when nothing waits.
 */
uint64_t recorder_tick(struct recorder *r, uint64_t now_ns);
/* What may change while it runs. */
struct recorder_change {
	struct store_config store;
	uint64_t commit_interval_ns;
	struct filter *filter;	       /* owned; NULL keeps all */
	struct sampler *sampler;       /* owned; NULL keeps all */
	struct identities *identities; /* owned; NULL: nobody is known */
};
void recorder_change_free(struct recorder_change *c); /* accepts NULL */
/* recorder_apply() - from now on. @c moves in; accepts NULL. */
void recorder_apply(struct recorder *r, struct recorder_change *c);
/* recorder_residents() - who lives in which namespace, from now on. @all moves in; NULL changes nothing. */
void recorder_residents(struct recorder *r, struct residents *all);
/* recorder_census() - what the API server says of who is who, from now on. @c moves in; NULL: nothing new. */
void recorder_census(struct recorder *r, const struct census *c);
/* recorder_tapconfigs() - what TapConfigs ask for, from now on. @t moves in; NULL: nothing new. */
void recorder_tapconfigs(struct recorder *r, struct tapconfigs *t);
/* recorder_is_failing() - the store does not work at present */
bool recorder_is_failing(const struct recorder *r);
/* recorder_close() - commit what is left and close the store. Return: 0 or why it could not. */
int recorder_close(struct recorder *r, uint64_t now_ns, struct err *e);
