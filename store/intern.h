// SPDX-License-Identifier: Apache-2.0
/*
 * intern.h - give equal bytes the same small number, within bounded memory
 *
 * What no longer fits is forgotten all at once, and then gets a new number: a number means one
 * value, but a value may have several numbers. Thread: one.
 */
#pragma once

#include "lib/base.h"

struct intern;

/* intern_new() - @entries: remembered at most, a power of two; @bytes: of their keys. NULL: no
 * memory. */
struct intern *intern_new(size_t entries, size_t bytes) MUST_USE;
void intern_free(struct intern *n); /* accepts NULL */

/**
 * intern_number() - the number of @key
 * @is_new_out: true when it was not known: the number is the next one
 *
 * Return: from 1.
 */
uint64_t intern_number(struct intern *n, struct span key, bool *is_new_out);
/* intern_find() - the number that @key has; 0: none */
uint64_t intern_find(struct intern *n, struct span key);
/* intern_drop() - @key gets another number when it comes again */
void intern_drop(struct intern *n, struct span key);
void intern_forget(struct intern *n); /* forget all; numbers go on */
/* intern_restart() - forget all; numbers go on from @next */
void intern_restart(struct intern *n, uint64_t next);
