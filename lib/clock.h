// SPDX-License-Identifier: Apache-2.0
/* clock.h - the only place that reads time; wire/, store/ and replay/diff get it as an argument */
#pragma once

#include "lib/buf.h"

uint64_t clock_wall_ns(void); /* ns since 1970, UTC */
uint64_t clock_mono_ns(void); /* ns, for durations */
uint64_t clock_cpu_ns(void);  /* ns of CPU this process has used */

/* clock_format_utc() - RFC 3339 with nanoseconds and Z: 2026-11-22T03:00:00.123456789Z */
void clock_format_utc(struct buf *out, uint64_t wall_ns);
/**
 * clock_parse() - read a point in time
 * @s:   RFC 3339 ("2026-11-22T03:00:00Z", offset or fraction allowed) or a duration before
 *       @now_ns ("90s", "10m", "1h30m", "7d")
 *
 * Return: 0, or -EINVAL with @out_ns untouched.
 */
int clock_parse(struct span s, uint64_t now_ns, uint64_t *out_ns) MUST_USE;
/* clock_parse_duration() - "300ms", "1.5s", "1h30m"; units ns us ms s m h d. Return: 0 or -EINVAL. */
int clock_parse_duration(struct span s, uint64_t *out_ns) MUST_USE;
