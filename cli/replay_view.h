// SPDX-License-Identifier: Apache-2.0
/* replay_view.h - a replay as people read it */
#pragma once

#include "cli/table.h"
#include "replay/noise.h"
#include "replay/replay.h"

struct replay_view {
	struct screen screen;
	/* exchanges shown of one verdict; the others are counted */
	uint64_t details_max;
	uint64_t shown[VERDICT_COUNT];
};

/* replay_view_entry() - one line of --dry-run */
void replay_view_entry(const struct replay_view *v, struct buf *out, const struct plan *p,
		       const struct plan_entry *entry, const struct exchange *x);
/* replay_view_plan() - what will be sent where, and what not */
void replay_view_plan(const struct replay_view *v, struct buf *out, const struct plan *p);
/* replay_view_result() - one exchange with its differences; nothing for what is as it should be */
void replay_view_result(struct replay_view *v, struct buf *out, const struct replay_result *r);
/* replay_view_summary() - @noise: sorted */
void replay_view_summary(const struct replay_view *v, struct buf *out, const char *run,
			 const struct replay_summary *s, const struct noise *noise);
