// SPDX-License-Identifier: Apache-2.0
/* err.h - why something failed, in one line for the person who reads it */
#pragma once

#include "lib/base.h"

#define ERR_WHY_MAX 512

struct err {
	int code;	       /* negative errno */
	char why[ERR_WHY_MAX]; /* what, where, and what was expected */
};

/**
 * err_set() - remember why a call failed
 * @e:    filled in; may be NULL
 * @code: negative errno
 *
 * Return: @code, so that a caller writes `return err_set(e, -EINVAL, ...)`.
 */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4) COLD;

/* err_wrap() - put "<prefix>: " before what @e already says. Return: e->code. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3) COLD;
