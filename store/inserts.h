// SPDX-License-Identifier: Apache-2.0
/* inserts.h - a batch onto a tape, in one transaction. Thread: writer. */
#pragma once

#include "store/batch.h"
#include "store/chunk.h"
#include "store/learned.h"
#include "store/rollup_writer.h"
#include "store/trace_run.h"

struct inserts;

/*
 * inserts_new() - the statements for @t are prepared; all are borrowed
 * @counts, @learned, @traces: NULL for a copy, which has what they would write
 */
int inserts_new(struct tape *t, struct rollup_writer *counts, struct learned *learned,
		struct trace_writer *traces, struct inserts **out, struct err *e) MUST_USE;
void inserts_free(struct inserts *n);		     /* accepts NULL */
bool inserts_has_id(struct inserts *n, uint64_t id); /* on the tape */
/**
 * inserts_write() - all rows of a batch, and what the tape says about itself
 * @b:   sorted
 * @end: of the tape's chunks: moved on when it is committed
 *
 * Return: 0; on failure the tape is as before.
 */
int inserts_write(struct inserts *n, const struct batch *b, struct chunk_end *end,
		  struct err *e) MUST_USE;
