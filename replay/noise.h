// SPDX-License-Identifier: Apache-2.0
/* noise.h - which differences come again and again: what a reader may want to --ignore, or to mend first */
#pragma once

#include "replay/diff.h"

#define NOISE_MAX      256 /* kinds of differences told apart */
#define NOISE_TEXT_MAX 128

struct noise_row {
	uint64_t count; /* exchanges in which it was seen */
	uint8_t kind;	/* enum diff_kind */
	/* as --ignore takes it: "$.items[*].id", "header:Server", "status", "body" */
	char where[NOISE_TEXT_MAX];
};

/* Zero-initialised it is empty. */
struct noise {
	struct noise_row rows[NOISE_MAX];
	size_t count;
	uint64_t others; /* differences beyond NOISE_MAX kinds, or too long to name */
};

/* noise_add() - the differences of one exchange; places that differ in an index are one */
void noise_add(struct noise *n, const struct diff *d);
/* noise_sort() - most frequent first */
void noise_sort(struct noise *n);
