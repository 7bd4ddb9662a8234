// SPDX-License-Identifier: Apache-2.0
#include "kube/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Theory of operation. Who reads a refusal has the object before them: the place is said apart from the reason. */

int fault_set(struct fault *f, const char *reason, const char *field, const char *fmt, ...)
{
	va_list ap;

	if (!f)
		return -EINVAL;
	*f = (struct fault){.reason = reason, .err.code = -EINVAL};
	(void)snprintf(f->field, sizeof(f->field), "%s", field);
	va_start(ap, fmt);
	(void)vsnprintf(f->err.why, sizeof(f->err.why), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int fault_no_memory(struct fault *f)
{
	if (!f)
		return -ENOMEM;
	*f = (struct fault){.reason = "OutOfMemory"};
	return err_set(&f->err, -ENOMEM, "a daemon is out of memory and will try again");
}

void fault_text(const struct fault *f, char *out, size_t bytes)
{
	char place[64] = "";

	if (f->line > 1)
		(void)snprintf(place, sizeof(place), "line %zu, column %zu: ", f->line, f->column);
	else if (f->column)
		(void)snprintf(place, sizeof(place), "column %zu: ", f->column);
	(void)snprintf(out, bytes, "%s%s%s%s", f->field, *f->field ? ": " : "", place, f->err.why);
}
