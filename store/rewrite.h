// SPDX-License-Identifier: Apache-2.0
/* rewrite.h - a sealed tape written anew, in its final form. Thread: any, of its own. */
#pragma once

#include "lib/err.h"

struct rewrite_config {
	int level; /* zstd level */
	/* asked now and then. Return: false ends it with -ECANCELED. May be NULL. */
	bool (*goes_on)(void *ctx);
	void *ctx;
};

/**
 * rewrite_pays() - is a sealed tape worth it?
 *
 * Yes when it is of an older version, when most of it is exchanges of more than a block each, or when its
 * blocks are small: little came between two
 * commits.
 *
 * Return: 1, 0, or a negative errno.
 */
int rewrite_pays(const char *path, struct err *e) MUST_USE;
/**
 * rewrite_tape() - put a tape's final form in its place
 *
 * Its messages go into full blocks, its indexes and statistics are made, all of it is checked, and
 * only then it takes the name. Until then @path is untouched, and who has it open reads on.
 *
 * Return: 0; -ECANCELED; -EBUSY it has a log: somebody writes it; -EBADMSG, -ENOSPC and others: it
 * is as before.
 */
int rewrite_tape(const char *path, const struct rewrite_config *config, struct err *e) MUST_USE;
