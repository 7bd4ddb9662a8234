// SPDX-License-Identifier: Apache-2.0
/* rollup_writer.h - a batch into the counts of its minutes and of its failures. Thread: writer. */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"
#include "store/batch.h"

struct rollup_writer;
struct tape;

struct rollup_writer *rollup_writer_new(void) MUST_USE; /* NULL: no memory */
void rollup_writer_free(struct rollup_writer *w);	/* accepts NULL */

/* rollup_writer_begin_tape() - as writer_begin_tape(); @t may be NULL */
int rollup_writer_begin_tape(struct rollup_writer *w, struct tape *t, struct err *e) MUST_USE;
/* rollup_writer_forget() - the batch was given up, and the keys in it */
void rollup_writer_forget(struct rollup_writer *w);
/**
 * rollup_writer_key() - the number of the exchange's rollup key; a new one is added to @b
 * @kind, @src, @dst: their numbers; the first two say with the outcome all that a key holds
 *
 * Return: 0 without memory.
 */
uint32_t rollup_writer_key(struct rollup_writer *w, const struct exchange *x, uint64_t kind,
			   uint64_t src, uint64_t dst, struct batch *b) MUST_USE;
/* rollup_writer_write() - the sums of the batch's rows onto the tape; inside its transaction, and
 * again when that was rolled back */
int rollup_writer_write(struct rollup_writer *w, const struct batch *b, struct err *e) MUST_USE;
