// SPDX-License-Identifier: Apache-2.0
/* log.h - what a program says about itself on stderr; only daemon/, http-api/ and cli/ speak */
#pragma once

#include "lib/base.h"

enum log_level {
	LOG_LEVEL_ERR,	 /* someone must act */
	LOG_LEVEL_WARN,	 /* degraded but going on */
	LOG_LEVEL_INFO,	 /* once per state change */
	LOG_LEVEL_DEBUG, /* free; never per packet */
};

extern enum log_level log_level; /* set once at start, or by a reload of the settings */

/* log_line() - "level area: sentence"; what is not printable is escaped. Any thread. */
void log_line(enum log_level level, const char *area, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* log_level_parse() - "err", "warn", "info", "debug". Return: 0, or -EINVAL with @out untouched. */
int log_level_parse(const char *name, enum log_level *out);

#define log_err(area, ...)   log_line(LOG_LEVEL_ERR, area, __VA_ARGS__)
#define log_warn(area, ...)  log_line(LOG_LEVEL_WARN, area, __VA_ARGS__)
#define log_info(area, ...)  log_line(LOG_LEVEL_INFO, area, __VA_ARGS__)
#define log_debug(area, ...) log_line(LOG_LEVEL_DEBUG, area, __VA_ARGS__)
