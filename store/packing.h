// SPDX-License-Identifier: Apache-2.0
/* packing.h - the messages of exchanges into blocks: which block, which dictionary, which bodies
 * are there already. Thread: one. */
#pragma once

#include "store/batch.h"

struct jobs;
struct packing;

/* packing_new() - @jobs: where dictionaries are trained; borrowed. NULL: no memory. */
struct packing *packing_new(struct jobs *jobs, int level) MUST_USE;
/* packing_set_thorough() - take the time that it takes to be small: for a tape's final form */
void packing_set_thorough(struct packing *p);
void packing_free(struct packing *p); /* accepts NULL */
void packing_set_level(struct packing *p, int level);
/* packing_begin_tape() - forget the tape before; numbers go on from these */
void packing_begin_tape(struct packing *p, uint32_t next_dictionary, uint64_t next_block);
/**
 * packing_add() - the messages of @x into a block
 * @row: kind is set; place and raw_bytes are filled in
 * @b:   a block that is full is appended, with its dictionary where it is new on the tape
 *
 * Return: 0; on failure (-ENOMEM, -E2BIG) nothing of @x is left, but packing_forget_bodies() is
 * due.
 */
int packing_add(struct packing *p, const struct exchange *x, struct row *row, struct batch *b,
		struct err *e) MUST_USE;
/* packing_move() - likewise, where it is known which bodies lie elsewhere on the tape */
int packing_move(struct packing *p, const struct exchange *x,
		 const struct pack_elsewhere *elsewhere, struct row *row, struct batch *b,
		 struct err *e) MUST_USE;
/* packing_flush() - append all open blocks to @b. What fails can be tried again. */
int packing_flush(struct packing *p, struct batch *b, struct err *e) MUST_USE;
void packing_forget_bodies(struct packing *p);
/* packing_discard() - what was added since the tape's last commit never came onto it */
void packing_discard(struct packing *p);
size_t packing_bytes(const struct packing *p);		/* in open blocks */
uint64_t packing_dictionaries(const struct packing *p); /* trained */
