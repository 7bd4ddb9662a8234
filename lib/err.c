// SPDX-License-Identifier: Apache-2.0
#include "lib/err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	e->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(e->why, sizeof(e->why), fmt, ap);
	va_end(ap);
	return code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char prefix[ERR_WHY_MAX], was[ERR_WHY_MAX];
	va_list ap;

	if (!e)
		return -1;
	va_start(ap, fmt);
	(void)vsnprintf(prefix, sizeof(prefix), fmt, ap);
	va_end(ap);
	memcpy(was, e->why, sizeof(was));
	if (snprintf(e->why, sizeof(e->why), "%s: %s", prefix, was) >= (int)sizeof(e->why))
		e->why[sizeof(e->why) - 1] = '\0';
	return e->code;
}
