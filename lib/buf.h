// SPDX-License-Identifier: Apache-2.0
/* buf.h - bytes that grow; a failed append is remembered, so callers check once at the end */
#pragma once

#include "lib/base.h"

struct buf {
	uint8_t *ptr;
	size_t len;
	size_t cap;
	bool is_failed; /* out of memory at some append; the content is then incomplete */
};

void buf_fini(struct buf *b);
static inline void buf_auto_fini(struct buf *b)
{
	buf_fini(b);
}
#define AUTO_BUF __attribute__((cleanup(buf_auto_fini))) struct buf

bool buf_grow(struct buf *b, size_t more); /* buf_reserve() when there is no room */
/* buf_reserve() - room for @more bytes after len. Return: false (and is_failed) without memory. */
static inline bool buf_reserve(struct buf *b, size_t more)
{
	return LIKELY(b->cap - b->len >= more) || buf_grow(b, more);
}

static inline void buf_add(struct buf *b, const void *ptr, size_t len)
{
	if (len == 0 || !buf_reserve(b, len))
		return;
	memcpy(b->ptr + b->len, ptr, len);
	b->len += len;
}

static inline void buf_add_char(struct buf *b, char c)
{
	if (buf_reserve(b, 1))
		b->ptr[b->len++] = (uint8_t)c;
}

static inline void buf_add_span(struct buf *b, struct span s)
{
	buf_add(b, s.ptr, s.len);
}

void buf_add_str(struct buf *b, const char *s);
void buf_add_u64(struct buf *b, uint64_t v); /* decimal */
void buf_add_fmt(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* buf_cstr() - the content with a NUL behind it (not counted in len); "" when out of memory. */
const char *buf_cstr(struct buf *b);

static inline void buf_clear(struct buf *b)
{
	b->len = 0;
	b->is_failed = false;
}

static inline struct span buf_span(const struct buf *b)
{
	return (struct span){b->ptr, b->len};
}
