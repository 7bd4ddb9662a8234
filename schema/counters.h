// SPDX-License-Identifier: Apache-2.0
/* counters.h - what happened to every packet, byte, request and exchange, as atomic numbers */
#pragma once

#include "lib/base.h"

#include <stdatomic.h>

enum counter {
#define COUNTER(NAME, ACCOUNT, ROLE, metric, label, what) COUNTER_##NAME,
#include "schema/counters.tbl.h"
#undef COUNTER
	COUNTER_COUNT
};

enum counter_role { COUNTER_ROLE_IN, COUNTER_ROLE_OUT, COUNTER_ROLE_HELD, COUNTER_ROLE_NOTE };

enum counter_account {
	COUNTER_ACCOUNT_KERNEL,
	COUNTER_ACCOUNT_PACKETS,
	COUNTER_ACCOUNT_BYTES,
	COUNTER_ACCOUNT_CONNECTIONS,
	COUNTER_ACCOUNT_REQUESTS,
	COUNTER_ACCOUNT_EXCHANGES,
	COUNTER_ACCOUNT_COUNT
};

struct counter_row {
	const char *metric; /* without the tapeloop_ prefix and the _total ending */
	const char *label;  /* value of reason="..."; "" for none */
	const char *what;
	uint8_t account; /* enum counter_account */
	uint8_t role;	 /* enum counter_role */
};
extern const struct counter_row counter_rows[COUNTER_COUNT];
extern const char *const counter_account_names[COUNTER_ACCOUNT_COUNT];

/* One writer thread each (HELD ones too); any thread may read. */
struct counters {
	_Atomic uint64_t n[COUNTER_COUNT];
};

/* a plain add: correct because only the owner's thread writes, cheap because it is no locked
 * instruction */
static inline void counter_add(struct counters *c, enum counter which, uint64_t n)
{
	uint64_t was = atomic_load_explicit(&c->n[which], memory_order_relaxed);

	atomic_store_explicit(&c->n[which], was + n, memory_order_relaxed);
}

static inline void counter_sub(struct counters *c, enum counter which, uint64_t n)
{
	counter_add(c, which, (uint64_t)0 - n);
}

static inline void counter_set(struct counters *c, enum counter which, uint64_t n)
{
	atomic_store_explicit(&c->n[which], n, memory_order_relaxed);
}

static inline uint64_t counter_get(const struct counters *c, enum counter which)
{
	return atomic_load_explicit(&c->n[which], memory_order_relaxed);
}

/* counters_sum() - add all of @from to @to (a private snapshot of the caller) */
void counters_sum(struct counters *to, const struct counters *from);
/*
 * counters_balance() - IN - OUT - HELD of an account; 0 when the sums hold. A snapshot of running
 * threads may be off by what is in flight; once they have stopped it is exact.
 */
int64_t counters_balance(const struct counters *c, enum counter_account account);
/* counters_to_json() - members "counters" and "accounts" of an open object: the form of GET
 * /api/v1/counters */
struct json;
void counters_to_json(struct json *j, const struct counters *c);
