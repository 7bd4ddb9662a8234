// SPDX-License-Identifier: Apache-2.0
/* bodies.h - which exchange of the tape holds the same body already; bounded memory. Thread: one.
 */
#pragma once

#include "lib/base.h"

#define BODIES_LENGTH_MIN 48 /* shorter ones cost less than naming another exchange [bytes] */

struct bodies;
enum bodies_side {
	BODIES_REQUEST,
	/* told apart: whoever reads must know which */
	BODIES_RESPONSE
};

struct bodies *bodies_new(void) MUST_USE; /* NULL: no memory */
void bodies_free(struct bodies *b);	  /* accepts NULL */
void bodies_forget(struct bodies *b);	  /* a new tape, or a batch that was given up */
/*
 * bodies_find() - the exchange that holds @body, or 0 when none is known: then it is remembered
 * that @id does
 */
uint64_t bodies_find(struct bodies *b, enum bodies_side side, struct span body, uint64_t id);
