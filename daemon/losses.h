// SPDX-License-Identifier: Apache-2.0
/* losses.h - the log says what was lost, not too often. Thread: main */
#pragma once

#include "schema/counters.h"

struct losses {
	uint64_t seen, said_ns; /* all lost until then; 0: nothing was said yet */
};

/* losses_say() - log each kind of loss, if there is more than last time and that was a while ago */
void losses_say(struct losses *l, const struct counters *sum, uint64_t now_ns);
