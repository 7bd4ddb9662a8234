// SPDX-License-Identifier: Apache-2.0
#include "cli/spark.h"

#include <stdlib.h>

/*
 * Theory of operation. Eight heights, U+2581 to U+2588. What is not nothing has at least the lowest
 * bar, however large the others are: one failure among thousands is what one looks for.
 */
#define HEIGHTS 8

static const char *const bars[HEIGHTS] = {
	"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
	"\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88",
};
static const char ascii[] = "_.:-=+*#";

static size_t height_of(uint64_t v, uint64_t max)
{
	return (size_t)((double)v / (double)max * (HEIGHTS - 1) + 0.5);
}

void spark_add(struct buf *out, const uint64_t *values, size_t count, bool is_ascii)
{
	uint64_t max = 0;

	for (size_t i = 0; i < count; i++)
		max = MAX(max, values[i]);
	for (size_t i = 0; i < count; i++) {
		if (values[i] == 0)
			buf_add_char(out, ' ');
		else if (is_ascii)
			buf_add_char(out, ascii[height_of(values[i], max)]);
		else
			buf_add_str(out, bars[height_of(values[i], max)]);
	}
}

bool spark_is_ascii(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	const char *term = getenv("TERM"), *locale = NULL;

	for (size_t i = 0; i < COUNT_OF(names) && !(locale && *locale); i++)
		locale = getenv(names[i]);
	if (term && (strcmp(term, "linux") == 0 || strcmp(term, "dumb") == 0))
		return true;
	return locale && *locale && !strcasestr(locale, "utf-8") && !strcasestr(locale, "utf8");
}
