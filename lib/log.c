// SPDX-License-Identifier: Apache-2.0
#include "lib/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LOG_LINE_MAX 2048

enum log_level log_level = LOG_LEVEL_INFO;

static const char *const level_names[] = {"err", "warn", "info", "debug"};

void log_line(enum log_level level, const char *area, const char *fmt, ...)
{
	char text[LOG_LINE_MAX], line[LOG_LINE_MAX * 4];
	size_t n = 0;
	va_list ap;

	if (level > __atomic_load_n(&log_level, __ATOMIC_RELAXED))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = (size_t)snprintf(line, sizeof(line), "%s %s: ", level_names[level], area);
	for (const char *p = text; *p && n < sizeof(line) - 6; p++) {
		uint8_t c = (uint8_t)*p;

		if (c >= 0x20 && c != 0x7f)
			line[n++] = (char)c;
		else
			n += (size_t)snprintf(line + n, sizeof(line) - n, "\\x%02x", c);
	}
	line[n++] = '\n';
	/* one write, so that lines of several threads do not mix; a full pipe is not our trouble */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

int log_level_parse(const char *name, enum log_level *out)
{
	for (size_t i = 0; i < COUNT_OF(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}
