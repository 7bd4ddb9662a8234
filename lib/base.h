// SPDX-License-Identifier: Apache-2.0
/* base.h - the few words every file uses: spans, ownership macros, compiler attributes */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MUST_USE	  __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define UNUSED		  __attribute__((unused))
#define ALWAYS_INLINE	  inline __attribute__((always_inline))
#define HOT		  __attribute__((hot))
#define COLD		  __attribute__((cold))
#define LIKELY(x)	  __builtin_expect(!!(x), 1)
#define UNLIKELY(x)	  __builtin_expect(!!(x), 0)

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)   ((a) < (b) ? (a) : (b))
#define MAX(a, b)   ((a) > (b) ? (a) : (b))

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/*
 * One-owner values. AUTO_DEFINE(tape, tape_free) in a header lets a caller write
 * `AUTO(tape) t = tape_new();`: t is freed on every return unless TAKE(t) hands it on.
 */
#define AUTO_DEFINE(name, free_fn)                                                                 \
	static inline void auto_##name##_cleanup(struct name **p)                                  \
	{                                                                                          \
		free_fn(*p);                                                                       \
	}
#define AUTO(name) __attribute__((cleanup(auto_##name##_cleanup))) struct name *
#define TAKE(p)                                                                                    \
	(__extension__({                                                                           \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	}))

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

/* Borrowed bytes; the field or argument that holds one names the lender. Not NUL-terminated. */
struct span {
	const uint8_t *ptr;
	size_t len;
};

#define SPAN_LIT(s) ((struct span){(const uint8_t *)("" s), sizeof(s) - 1})

static inline struct span span_of(const void *ptr, size_t len)
{
	return (struct span){(const uint8_t *)ptr, len};
}

static inline struct span span_str(const char *s)
{
	return (struct span){(const uint8_t *)s, s ? strlen(s) : 0};
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline struct span span_from(struct span s, size_t skip)
{
	return skip >= s.len ? (struct span){0} : (struct span){s.ptr + skip, s.len - skip};
}

/* Where @c, or @what, is first; NULL where it is not, in an empty span never. */
static inline const uint8_t *span_chr(struct span s, char c)
{
	return s.len ? memchr(s.ptr, c, s.len) : NULL;
}

static inline const uint8_t *span_find(struct span s, struct span what)
{
	return s.len ? memmem(s.ptr, s.len, what.ptr, what.len) : NULL;
}

/* ASCII case-insensitive, as header names compare (RFC 9110 section 5.1). */
bool span_ieq(struct span a, struct span b);
bool span_istarts(struct span s, struct span prefix);
struct span span_trim(struct span s); /* without leading and trailing SP and HTAB */

/* decimal() - digits of a number, no NUL behind them. Return: how many. */
#define DECIMAL_MAX 20
size_t decimal(uint64_t v, char out[]);
