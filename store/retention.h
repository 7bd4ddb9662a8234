// SPDX-License-Identifier: Apache-2.0
/* retention.h - which tapes leave a store, and when. Thread: writer. */
#pragma once

#include "lib/err.h"

struct share;

enum { SHARE_REST, SHARE_FAILURES, SHARE_COUNT };

struct retention_limits {
	uint64_t bytes_max;	   /* of the whole store; 0: none */
	unsigned failures_percent; /* of bytes_max, which failures may use whatever the rest does */
	uint64_t age_max_ns;	   /* of the rest; 0: none */
	uint64_t failures_age_max_ns; /* 0: none */
};

struct retention {
	struct share *const *shares; /* SHARE_COUNT of them; borrowed */
	const struct retention_limits *limits;
	uint64_t other_bytes; /* in the store's directory, besides tapes */
	uint64_t retired_tapes, retired_exchanges;
};

uint64_t retention_bytes(const struct retention *r); /* all that counts */
/**
 * retention_make_room() - let old tapes go until @more bytes fit into the quota
 * @e: -ENOSPC when no tape may go; it says how much is pinned
 */
int retention_make_room(struct retention *r, uint64_t more, struct err *e) MUST_USE;
/* retention_by_age() - let go what is too old at @now_ns [wall], which the caller trusts */
void retention_by_age(struct retention *r, uint64_t now_ns);

/*
 * Is the wall clock to be trusted? Yes once it went as the monotonic clock does for an hour: a
 * clock that is set wrong and set right again within that time costs no tape.
 */
struct steady_clock {
	uint64_t begun_ns; /* monotonic: since when it is steady */
	int64_t offset_ns; /* wall - monotonic */
	bool has_begun;
};
/*
 * steady_clock_look() - what both clocks say now
 * @newest_ns: time of the newest exchange; a clock within an hour of it is trusted at once. 0: none
 */
bool steady_clock_look(struct steady_clock *c, uint64_t wall_ns, uint64_t mono_ns,
		       uint64_t newest_ns);
