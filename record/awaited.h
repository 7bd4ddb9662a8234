// SPDX-License-Identifier: Apache-2.0
/*
 * awaited.h - names that an exchange lacked when it was recorded, and that are put onto the tape later
 *
 * Thread: recorder.
 */
#pragma once

#include "kube/census.h"
#include "schema/counters.h"
#include "store/store.h"

struct awaited;

struct awaited *awaited_new(struct counters *counters) MUST_USE; /* borrowed; NULL: no memory */
void awaited_free(struct awaited *a);				 /* accepts NULL */

/* awaited_census() - there is something new to ask. @c: NULL: nobody has told anything yet */
void awaited_census(struct awaited *a, const struct census *c);
/**
 * awaited_note() - if the name of an end may still be learned, say so in it (since_ns, until_ns)
 * @end:       as it is named now
 * @is_client: its port does not count
 * @time_ns:   when the exchange began
 * @census:    by which it was named; NULL: none yet
 *
 * What is expected at one time is bounded; beyond, an end keeps the name it has, which is counted.
 */
void awaited_note(struct awaited *a, struct endpoint *end, bool is_client, uint64_t time_ns,
		  const struct census *census);
/**
 * awaited_look() - ask the census about some of those on the tape who wait
 * @store:   its batch is empty
 * @wall_ns, @mono_ns: now
 *
 * Return: how long until it should be called again [ns]; UINT64_MAX: nothing waits.
 */
uint64_t awaited_look(struct awaited *a, struct store *store, const struct census *census,
		      uint64_t wall_ns, uint64_t mono_ns);
/* awaited_finish() - a last look before the store is closed: a census of the next start does not know who
 * is gone by then */
void awaited_finish(struct awaited *a, struct store *store, const struct census *census,
		    uint64_t wall_ns);
