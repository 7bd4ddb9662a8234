// SPDX-License-Identifier: Apache-2.0
/* repair.h - a damaged tape is moved aside, and what of it can be read is written anew */
#pragma once

#include "lib/err.h"

struct repair_result {
	uint64_t saved; /* exchanges on the new tape; 0: there is none */
	uint64_t lost;	/* of which only the row was found, or that the tape says it had */
	bool is_renewed;
};

/**
 * repair_tape() - move @path to the directory `damaged` beside it, and save what can be read
 *
 * The new tape takes the old one's name; without an exchange that can be read there is none. Its
 * pin stays. Nobody else may have the store open for writing. A crash in between leaves either the
 * old tape in its place or the new one.
 *
 * Return: 0; -ENOSPC and others: the tape is where it was.
 */
int repair_tape(const char *path, struct repair_result *out, struct err *e) MUST_USE;
