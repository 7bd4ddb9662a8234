// SPDX-License-Identifier: Apache-2.0
/* backup.h - copy one tape, while it is written or read, as it is at one moment */
#pragma once

#include "lib/err.h"

struct backup_hooks {
	/* so many of so many pages. Return: false ends it with -ECANCELED. May be NULL */
	bool (*progress)(void *ctx, uint64_t done, uint64_t all);
	void *ctx;
};

/**
 * backup_tape() - copy @from to @to, whole: what was committed when it began
 *
 * It is written beside @to (.part), checked by SQLite, synced and only then named. @to is one file
 * without a log.
 *
 * Return: 0; -ENOENT there is no such tape (any more); -EBADMSG the tape or its copy is damaged;
 * -ENOSPC, -EACCES and others; -ECANCELED. @to is as it was then.
 */
int backup_tape(const char *from, const char *to, const struct backup_hooks *hooks,
		struct err *e) MUST_USE;
/* backup_is_there() - is @to a whole copy of @from already: a sealed tape, which never changes
 * again? */
bool backup_is_there(const char *from, const char *to);
