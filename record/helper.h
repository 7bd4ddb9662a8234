// SPDX-License-Identifier: Apache-2.0
/* helper.h - one thread that does slow work for another: training dictionaries, checkpoints */
#pragma once

#include "lib/err.h"

struct helper;

/* helper_start() - a thread that waits for work, at a lower priority than ours */
int helper_start(struct helper **h_out, struct err *e) MUST_USE;
/*
 * helper_run() - @work(@arg) on the helper's thread, one after the other. Any thread; does not
 * wait. Out of memory, or after helper_finish(), the work is done in the calling thread at once.
 * @ctx: a struct helper; the form is that of store_config.run
 */
void helper_run(void *ctx, void (*work)(void *arg), void *arg);
void helper_finish(struct helper *h); /* do what waits, end the thread; accepts NULL */
void helper_free(struct helper *h);   /* after helper_finish(); accepts NULL */
