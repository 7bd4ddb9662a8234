// SPDX-License-Identifier: Apache-2.0
/* check_counts.h - does a tape's counting agree with what is on it? */
#pragma once

#include "lib/err.h"

struct tape;

/* check_counts_fn - something is wrong: a sentence, borrowed for the call */
typedef void check_counts_fn(void *ctx, const char *what);

/**
 * check_counts() - minutes, their entries, their sums and the failures against the exchanges
 *
 * A tape from which exchanges were removed counts more than it holds: nothing is compared then.
 *
 * Return: 0, whatever was found; a negative errno when it cannot be read.
 */
int check_counts(struct tape *t, check_counts_fn *found, void *ctx, struct err *e) MUST_USE;
