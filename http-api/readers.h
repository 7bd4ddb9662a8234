// SPDX-License-Identifier: Apache-2.0
/* readers.h - readers of the store, kept open between requests and lent to one thread at a time */
#pragma once

#include "lib/err.h"
#include "store/reader.h"

struct readers;

/* readers_new() - for the store in @dir; a query of one may take @limit_ns. NULL: no memory. */
struct readers *readers_new(const char *dir, uint64_t limit_ns) MUST_USE;
void readers_free(struct readers *p); /* none may be lent out; accepts NULL */
AUTO_DEFINE(readers, readers_free)

/*
 * readers_borrow() - any thread; the reader is the caller's until readers_return()
 * @scope: what may be seen through it, as reader_restrict(); NULL: all
 * @e:     as reader_open()
 */
int readers_borrow(struct readers *p, const struct filter *scope, struct reader **r_out,
		   struct err *e) MUST_USE;
/* readers_return() - @result of what was asked: after a failure that is the store's it is closed */
void readers_return(struct readers *p, struct reader *r, int result);
