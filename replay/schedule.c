// SPDX-License-Identifier: Apache-2.0
#include "replay/schedule.h"

/*
 * The schedule knows nothing of answers: it is open-loop. What a slow target does to it shows as
 * lateness (run.c measures it), never as a later plan. Offsets are kept as double: 2^53 ns are 104
 * days at full precision.
 */

static double recorded_step(struct schedule *s, uint64_t start_ns)
{
	uint64_t gap = s->count > 0 && start_ns > s->last_ns ? start_ns - s->last_ns : 0;

	if (s->config.max_gap_ns > 0 && gap > s->config.max_gap_ns) {
		s->squeezed++;
		s->squeezed_ns += gap - s->config.max_gap_ns;
		gap = s->config.max_gap_ns;
	}
	return s->config.speed > 0 ? (double)gap / s->config.speed : 0;
}

uint64_t schedule_next(struct schedule *s, uint64_t start_ns)
{
	if (s->config.rate_per_s > 0)
		s->at = (double)s->count * (double)NS_PER_S / s->config.rate_per_s;
	else
		s->at += recorded_step(s, start_ns);
	s->count++;
	s->last_ns = MAX(s->last_ns, start_ns);
	return (uint64_t)s->at;
}

uint64_t schedule_period_ns(const struct schedule *s)
{
	if (s->config.rate_per_s > 0)
		return (uint64_t)((double)s->count * (double)NS_PER_S / s->config.rate_per_s);
	if (s->count < 2)
		return (uint64_t)s->at;
	return (uint64_t)(s->at + s->at / (double)(s->count - 1));
}
