// SPDX-License-Identifier: Apache-2.0
/*
 * rollup_digest.h - sums of a sealed tape's counts: of all in a minute, and of each key in an hour
 *
 * What they say is what the minutes say (store/rollup.h), sooner.
 */
#pragma once

#include "store/rollup.h"

struct tape;

#define ROLLUP_DIGEST_HOUR 60 /* minutes */

/* One row of a minute's total or of an hour's keys. */
struct rollup_digest {
	uint64_t failed;
	bool is_sampled;
	struct span entries; /* as a minute's; a total is one entry. Borrowed from the statement. */
};

/**
 * rollup_digest_build() - make them; inside the transaction that seals the tape
 *
 * Return: 0, also when the counts are not whole or damaged: then there are none.
 */
int rollup_digest_build(struct tape *t, struct err *e) MUST_USE;

/* Asks for sums. Thread: the reader's. */
struct rollup_digests;
/*
 * rollup_digests_open() - @t: borrowed
 *
 * Return: 1; 0 with NULL: the tape has none; or a negative errno.
 */
int rollup_digests_open(struct tape *t, struct rollup_digests **out, struct err *e) MUST_USE;
void rollup_digests_close(struct rollup_digests *s); /* accepts NULL */
/**
 * rollup_digests_find() - the first sum of @minutes minutes that begins in [@from, @to) minutes
 * @out: borrows until the next call
 *
 * Return: 1 with @at_out; 0 none; or a negative errno.
 */
int rollup_digests_find(struct rollup_digests *s, unsigned minutes, uint64_t from, uint64_t to,
			uint64_t *at_out, struct rollup_digest *out, struct err *e) MUST_USE;
