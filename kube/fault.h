// SPDX-License-Identifier: Apache-2.0
/* fault.h - what is wrong with an object that people wrote, and at which place of it. Thread: any. */
#pragma once

#include "lib/err.h"

#define FAULT_FIELD_MAX 128

struct fault {
	char field[FAULT_FIELD_MAX]; /* "spec.match[1]"; a longer one is cut */
	size_t line, column;	     /* in the field's text [from 1, characters]; 0: all of it */
	const char *reason;	     /* one word, as conditions have it: InvalidSpec; a constant */
	struct err err;		     /* one sentence, without the place; code 0: nothing is wrong */
};

/**
 * fault_set() - remember what is wrong, and in which field
 * @f: may be NULL
 *
 * Return: -EINVAL.
 */
int fault_set(struct fault *f, const char *reason, const char *field, const char *fmt, ...)
	PRINTF_LIKE(4, 5) COLD;
/* fault_no_memory() - Return: -ENOMEM */
int fault_no_memory(struct fault *f);
/* fault_text() - "spec.match[1]: line 2, column 7: no such field" into @out[@bytes] */
void fault_text(const struct fault *f, char *out, size_t bytes);
