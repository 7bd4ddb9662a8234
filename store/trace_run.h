// SPDX-License-Identifier: Apache-2.0
/*
 * trace_run.h - where the exchanges of a trace are on a tape that is still written
 *
 * A sealed tape has an index instead.
 */
#pragma once

#include "lib/err.h"
#include "store/batch.h"
#include "store/id_ranges.h"

struct tape;

/* --- writing. Thread: writer --- */
struct trace_writer;
struct trace_writer *trace_writer_new(void) MUST_USE; /* NULL: no memory */
void trace_writer_free(struct trace_writer *w);	      /* accepts NULL */
/*
 * trace_writer_begin_tape() - what is written from now on goes to @t, if nothing is on it yet or all
 * that is on it was noted; else it goes without
 * @t: borrowed until the next call; NULL: none for now
 */
int trace_writer_begin_tape(struct trace_writer *w, struct tape *t, struct err *e) MUST_USE;
/**
 * trace_writer_write() - note the traces of a batch; inside the transaction that writes it
 *
 * Return: 0; on failure trace_writer_failed() is due, as when the transaction fails.
 */
int trace_writer_write(struct trace_writer *w, const struct batch *b, struct err *e) MUST_USE;
void trace_writer_written(struct trace_writer *w); /* it was committed */
void trace_writer_failed(struct trace_writer *w);  /* it was taken back */

/* --- sealing --- */
/* trace_run_drop() - an index is about to serve instead; inside a transaction */
int trace_run_drop(struct tape *t, struct err *e) MUST_USE;

/* --- asking --- */
/**
 * trace_run_find() - which exchanges may have a trace id
 * @trace: as the column keeps it, packed or as text
 * @out:   appended to: single ids, in no order
 *
 * Return: 1; 0 when the tape cannot say: all of it must be read; or a negative errno.
 */
int trace_run_find(struct tape *t, struct span trace, struct id_ranges *out,
		   struct err *e) MUST_USE;
/*
 * trace_run_check() - does each exchange with a trace id have its entry, in a run whose bits say so?
 * @why: of a tape that is not in order; room for some words
 *
 * Return: 1, also when the tape keeps none; 0 with @why; or a negative errno.
 */
int trace_run_check(struct tape *t, char why[128], struct err *e) MUST_USE;
