// SPDX-License-Identifier: Apache-2.0
/* learned.h - route rules between the writer's memory and its tapes. Thread: writer. */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"

struct learned;
struct route_rules;
struct tape;

/* learned_new() - @rules: borrowed; several may write them to their tapes. NULL: no memory. */
struct learned *learned_new(struct route_rules *rules) MUST_USE;
void learned_free(struct learned *l); /* accepts NULL */

/* learned_read() - take over the rules of a tape */
int learned_read(struct learned *l, struct tape *t, struct err *e) MUST_USE;
/* learned_begin_tape() - all rules have to be written to @t; NULL: none for now */
int learned_begin_tape(struct learned *l, struct tape *t, struct err *e) MUST_USE;
/* learned_route() - x->route by the rules, and learn from it; lives until the next call */
void learned_route(struct route_rules *rules, struct exchange *x);
/* learned_write() - the rules that the tape lacks; inside a transaction */
int learned_write(struct learned *l, struct err *e) MUST_USE;
/* learned_written() - what learned_write() wrote is committed */
void learned_written(struct learned *l);
