// SPDX-License-Identifier: Apache-2.0
#include "store/retention.h"

#include <errno.h>
#include <inttypes.h>

#include "store/series.h"
#include "store/share.h"

/*
 * Theory of operation. Whole tapes go, so it costs an unlink whatever they hold. By size the oldest
 * tape of one share goes, in the order of making, which no clock changes:
 *
 *	failures use more than their part of the quota: theirs
 *	else: the rest's; where the rest has none, the failures'
 *
 * So each share has its part for certain, and what one leaves unused the other may use.
 *
 * By age a tape goes when its newest exchange is too old. A wall clock that jumps must not empty
 *the store, so it is believed only after it has been steady for an hour.
 */
#define STEADY_NS (3600 * NS_PER_S)
#define JUMP_NS	  (60 * NS_PER_S) /* less is NTP slewing, or a late look */

uint64_t retention_bytes(const struct retention *r)
{
	uint64_t sum = r->other_bytes;

	for (size_t i = 0; i < SHARE_COUNT; i++)
		sum += share_bytes(r->shares[i]);
	return sum;
}

static void count(struct retention *r, int64_t rows)
{
	r->retired_tapes++;
	r->retired_exchanges += (uint64_t)rows;
}

/* Return: 0; -ENOENT no tape of any share may go */
static int retire_one(struct retention *r)
{
	uint64_t failures = share_bytes(r->shares[SHARE_FAILURES]);
	bool is_over = failures > r->limits->bytes_max / 100 * r->limits->failures_percent;
	size_t first = is_over ? SHARE_FAILURES : SHARE_REST;
	int64_t rows = series_retire(share_series(r->shares[first]));

	if (rows < 0)
		rows = series_retire(share_series(r->shares[SHARE_COUNT - 1 - first]));
	if (rows < 0)
		return (int)rows;
	count(r, rows);
	return 0;
}

static int say_full(const struct retention *r, uint64_t more, struct err *e)
{
	uint64_t pinned = 0;

	for (size_t i = 0; i < SHARE_COUNT; i++)
		pinned += series_pinned_bytes(share_series(r->shares[i]));
	if (pinned)
		return err_set(e, -ENOSPC,
			       "the quota of %" PRIu64 " bytes is used up, %" PRIu64
			       " of them by pinned tapes: unpin some, or raise store.max",
			       r->limits->bytes_max, pinned);
	return err_set(e, -ENOSPC,
		       "the quota of %" PRIu64 " bytes has no room for %" PRIu64
		       " more, and there is no older tape to let go: raise store.max",
		       r->limits->bytes_max, more);
}

int retention_make_room(struct retention *r, uint64_t more, struct err *e)
{
	for (size_t i = 0; i < SHARE_COUNT; i++)
		share_measure(r->shares[i]);
	while (r->limits->bytes_max && retention_bytes(r) + more > r->limits->bytes_max)
		if (retire_one(r) < 0)
			return say_full(r, more, e);
	return 0;
}

void retention_by_age(struct retention *r, uint64_t now_ns)
{
	const uint64_t age_max_ns[SHARE_COUNT] = {
		[SHARE_REST] = r->limits->age_max_ns,
		[SHARE_FAILURES] = r->limits->failures_age_max_ns,
	};

	for (size_t i = 0; i < SHARE_COUNT; i++) {
		int64_t rows;

		if (!age_max_ns[i] || now_ns <= age_max_ns[i])
			continue;
		while ((rows = series_retire_older(share_series(r->shares[i]),
						   now_ns - age_max_ns[i], now_ns)) >= 0)
			count(r, rows);
	}
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

bool steady_clock_look(struct steady_clock *c, uint64_t wall_ns, uint64_t mono_ns,
		       uint64_t newest_ns)
{
	int64_t offset_ns = (int64_t)(wall_ns - mono_ns);
	bool is_first = !c->has_begun;

	if (is_first || distance((uint64_t)offset_ns, (uint64_t)c->offset_ns) > JUMP_NS) {
		bool is_near = is_first && newest_ns && distance(wall_ns, newest_ns) < STEADY_NS;

		c->begun_ns = is_near ? mono_ns - STEADY_NS : mono_ns; /* may wrap, and back */
	}
	c->has_begun = true;
	c->offset_ns = offset_ns;
	return mono_ns - c->begun_ns >= STEADY_NS;
}
