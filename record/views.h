// SPDX-License-Identifier: Apache-2.0
/*
 * views.h - an exchange that was captured at both ends is recorded once
 *
 * Where each pod of a node has a handle of its own, a request between two of them is seen in both.
 * The records wait a moment at the queue's end; two that are views of one exchange become one, which
 * has the times of both sides. Thread: recorder.
 */
#pragma once

#include "schema/exchange.h"

struct views;

/* views_new() - @wait_ns: how long an exchange waits for its other view. NULL: out of memory. */
struct views *views_new(uint64_t wait_ns) MUST_USE;
void views_free(struct views *v); /* accepts NULL */

/* views_are_full() - no more fit: the oldest must go before the next is added */
bool views_are_full(const struct views *v);
/**
 * views_add() - the next exchange of the queue
 * @x:      borrowed until views_release() has passed it; changed where it is one of two views
 * @now_ns: monotonic
 */
void views_add(struct views *v, struct exchange *x, uint64_t now_ns);
/* views_wait_ns() - how long the oldest should wait; 0: its other view is there, or will not come */
uint64_t views_wait_ns(const struct views *v, uint64_t now_ns);
/* views_expect_late() - other views may come until @until_ns, and what waits waits for them (some seconds at most) */
void views_expect_late(struct views *v, uint64_t until_ns);
/* views_is_told() - the oldest is part of another one: there is nothing to record */
bool views_is_told(const struct views *v);
void views_release(struct views *v); /* the oldest */
