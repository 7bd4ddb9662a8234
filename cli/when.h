// SPDX-License-Identifier: Apache-2.0
/* when.h - times as people type and read them, in their own zone */
#pragma once

#include "lib/buf.h"

/**
 * when_parse() - a point in time
 * @s: what clock_parse() takes (RFC 3339, "10m" ago), or in the reader's zone "2026-11-22 03:00",
 *     "2026-11-22", "03:00" or "03:00:15" (the last one before @now_ns)
 *
 * Return: 0, or -EINVAL with @out_ns untouched.
 */
int when_parse(struct span s, uint64_t now_ns, uint64_t *out_ns) MUST_USE;
/* when_local() - "03:00:00.123" in the reader's zone; "2026-11-21 03:00:00" when not of @now's day */
void when_local(struct buf *out, uint64_t wall_ns, uint64_t now_ns);
/* when_full() - "2026-11-22 03:00:00.123456789 +0100" */
void when_full(struct buf *out, uint64_t wall_ns);
/* when_ago() - "12s ago", "3m ago", "5h ago", "2d ago" */
void when_ago(struct buf *out, uint64_t wall_ns, uint64_t now_ns);
/* when_duration() - three digits and a unit: "850us", "12.3ms", "1.50s", "2m05s" */
void when_duration(struct buf *out, uint64_t ns);
