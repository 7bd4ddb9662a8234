// SPDX-License-Identifier: Apache-2.0
/* late_split.h - a peer that turns out to be several, one after the other. Thread: writer. */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"

struct tape;

/* Whose an address was in [from, until). */
struct late_part {
	uint64_t from_ns, until_ns;
	const struct identity *who; /* borrowed; NULL: what the row says stays */
	bool is_final;
};

/* late_rename() - give row @peer the names of @part. Return: 0 or a negative errno. */
int late_rename(struct tape *t, uint64_t peer, const struct late_part *part,
		struct err *e) MUST_USE;

/* Those who name a peer, and when they began. */
struct late_span {
	uint64_t first_ns, last_ns; /* first above last: there are none */
};
int late_span_of(struct tape *t, uint64_t peer, uint64_t since_ns, uint64_t until_ns,
		 struct late_span *out, struct err *e) MUST_USE;

/**
 * late_split() - the first part keeps the row, each other one gets rows of its own
 * @parts: in order of time, 2 or more
 *
 * Exchanges, kinds, counts of minutes and of failures follow. Inside a transaction.
 */
int late_split(struct tape *t, uint64_t peer, const struct late_part *parts, size_t count,
	       struct err *e) MUST_USE;
