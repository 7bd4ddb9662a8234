// SPDX-License-Identifier: Apache-2.0
/* about.h - what a portable tape says of its making: who kept it, when, from where, which
 * exchanges, and why */
#pragma once

#include "lib/err.h"

struct about {
	const char *name;  /* "note", "made", "by", "from", "filter" ... */
	struct span value; /* UTF-8 */
};

/**
 * about_write() - put @rows on a whole tape that nobody has open; what it says already under these
 * names is replaced
 *
 * Return: 0, or what opening and writing gave.
 */
int about_write(const char *path, const struct about *rows, size_t count, struct err *e) MUST_USE;
/* about_read() - each row in the order of writing, borrowed for the call; none on a tape that says
 * nothing */
int about_read(const char *path, void (*fn)(void *ctx, const struct about *row), void *ctx,
	       struct err *e) MUST_USE;
