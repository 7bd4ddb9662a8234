// SPDX-License-Identifier: Apache-2.0
#include "lib/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST 256

void buf_fini(struct buf *b)
{
	free(b->ptr);
	*b = (struct buf){0};
}

bool buf_grow(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : BUF_FIRST;
	uint8_t *ptr;

	if (more > SIZE_MAX / 2 - b->len) {
		b->is_failed = true;
		return false;
	}
	while (cap - b->len < more)
		cap *= 2;
	ptr = realloc(b->ptr, cap);
	if (!ptr) {
		b->is_failed = true;
		return false;
	}
	b->ptr = ptr;
	b->cap = cap;
	return true;
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_add_u64(struct buf *b, uint64_t v)
{
	char digits[DECIMAL_MAX];

	buf_add(b, digits, decimal(v, digits));
}

void buf_add_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n >= 0 && buf_reserve(b, (size_t)n + 1)) {
		(void)vsnprintf((char *)b->ptr + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

const char *buf_cstr(struct buf *b)
{
	if (!buf_reserve(b, 1))
		return "";
	b->ptr[b->len] = '\0';
	return (const char *)b->ptr;
}
