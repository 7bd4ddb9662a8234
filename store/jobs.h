// SPDX-License-Identifier: Apache-2.0
/* jobs.h - work for another thread, and waiting until all of it is done */
#pragma once

#include "lib/base.h"

struct jobs;

/*
 * jobs_new() - @run(@ctx, work, arg) runs work(arg) once on a thread of the caller's, or NULL: then
 * jobs run where they are started. NULL: no memory.
 */
struct jobs *jobs_new(void (*run)(void *ctx, void (*work)(void *arg), void *arg),
		      void *ctx) MUST_USE;
void jobs_free(struct jobs *j); /* waits for all; accepts NULL */
/* jobs_start() - Return: 0, or -ENOMEM: @work is then not run */
int jobs_start(struct jobs *j, void (*work)(void *arg), void *arg) MUST_USE;
/*
 * jobs_start_slow() - likewise for what takes seconds: on a thread of its own where there are others,
 * at the lowest priority, one at a time
 */
int jobs_start_slow(struct jobs *j, void (*work)(void *arg), void *arg) MUST_USE;
void jobs_wait(struct jobs *j); /* until none is left */
