// SPDX-License-Identifier: Apache-2.0
/* writer.h - exchanges into a batch of rows, and a batch onto a tape. Thread: writer. */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"
#include "store/late.h"

struct jobs;
struct route_rules;
struct writer;
struct tape;

struct writer_totals {
	uint64_t exchanges, raw_bytes, packed_bytes; /* committed, since writer_new() */
};

/* writer_new() - @jobs: where dictionaries are trained; @rules: of routes; borrowed. NULL: no memory. */
struct writer *writer_new(struct jobs *jobs, struct route_rules *rules, int level) MUST_USE;
void writer_free(struct writer *w); /* accepts NULL */
AUTO_DEFINE(writer, writer_free)
void writer_set_level(struct writer *w, int level);

/**
 * writer_begin_tape() - the next batch goes to @t
 * @t: borrowed until the next call; NULL: none for now. The batch must be empty.
 */
int writer_begin_tape(struct writer *w, struct tape *t, struct err *e);
/* writer_learn() - go on with the routes that were learned on @t */
int writer_learn(struct writer *w, struct tape *t, struct err *e);
/* writer_add() - pack @x (id set) into the batch. On failure nothing is added. */
int writer_add(struct writer *w, const struct exchange *x, struct err *e) MUST_USE;
/* writer_write() - the batch onto the tape, in one transaction. On failure the batch is kept. */
int writer_write(struct writer *w, struct err *e) MUST_USE;
/*
 * writer_name_late() - ask about those on the tape that wait for their names; the batch is empty. Return: 0,
 * also without a tape; on failure the tape is as before
 */
int writer_name_late(struct writer *w, const struct late_config *c, struct late_result *out,
		     struct err *e) MUST_USE;
/* writer_discard() - give up the batch. Return: how many exchanges it held. */
uint64_t writer_discard(struct writer *w);

bool writer_has_id(const struct writer *w, uint64_t id); /* in the batch */
bool writer_tape_has_id(struct writer *w, uint64_t id);	 /* on the tape */
size_t writer_batch_bytes(const struct writer *w);
size_t writer_batch_rows(const struct writer *w);
uint64_t writer_dictionaries(const struct writer *w); /* trained */
struct writer_totals writer_totals(const struct writer *w);
