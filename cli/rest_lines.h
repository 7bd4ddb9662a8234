// SPDX-License-Identifier: Apache-2.0
/* rest_lines.h - an answer that is lines of text, as it comes */
#pragma once

#include "lib/buf.h"

#define REST_LINE_MAX_MIB 512 /* a longer line is not an exchange */

/* Lines of an answer, each handed on whole. */
struct rest_lines {
	struct buf rest; /* of a line whose end has not come */
	int (*fn)(void *ctx, struct span line);
	void *ctx;
};

/*
 * rest_on_lines() - for struct rest_get: @ctx is a struct rest_lines, whose rest is the caller's to
 * free. Return: what fn returned when it was not 0; -E2BIG for a line of more than REST_LINE_MAX_MIB; -ENOMEM.
 */
int rest_on_lines(void *ctx, struct span bytes);
