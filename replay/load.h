// SPDX-License-Identifier: Apache-2.0
/*
 * load.h - fetch exchanges ahead of their time, in a thread of its own, within a limit of memory
 *
 * A slow disk or daemon must not delay a send: the loader runs ahead of the schedule and makes the
 * bytes of each request, the thread that sends (Thread: replay) takes finished items.
 */
#pragma once

#include "lib/err.h"
#include "replay/item.h"
#include "replay/plan.h"
#include "replay/source.h"

struct load;

struct load_config {
	const char *run;   /* RUN in Tapeloop-Replay: RUN/ID; borrowed */
	uint32_t loops;	   /* times the plan is gone through; at least 1 */
	size_t memory_max; /* bytes of items not yet released; one item always fits */
	int wake_fd;	   /* eventfd, written when items are ready, and at the end */
	const struct request_edits *edits; /* borrowed */
};

/* load_start() - @source and @plan are borrowed until load_stop() */
int load_start(const struct load_config *config, const struct replay_source *source,
	       const struct plan *plan, struct load **l_out, struct err *e) MUST_USE;
/* load_stop() - end the thread, free what was not taken. NULL is fine. */
void load_stop(struct load *l);
AUTO_DEFINE(load, load_stop)

/*
 * load_take() - append all finished items to @to, in order of time; each is freed by load_release()
 *
 * Return: true while more will come.
 */
bool load_take(struct load *l, struct list *to);
/* load_release() - free an item; makes room for another */
void load_release(struct load *l, struct item *item);
/* load_error() - why it ended early: 0, or a negative errno with @e filled in. After load_take() was false. */
int load_error(struct load *l, struct err *e);
