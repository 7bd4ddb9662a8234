// SPDX-License-Identifier: Apache-2.0
/* spark.h - numbers over time as a line of small bars */
#pragma once

#include "lib/buf.h"

/**
 * spark_add() - one column for each value; the highest bar is the largest of them, none is nothing
 * @is_ascii: without the block elements of Unicode
 */
void spark_add(struct buf *out, const uint64_t *values, size_t count, bool is_ascii);
/* spark_is_ascii() - LC_ALL, LC_CTYPE or LANG (the first that is set) name no UTF-8, or TERM is "linux" or "dumb" */
bool spark_is_ascii(void);
