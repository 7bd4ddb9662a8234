// SPDX-License-Identifier: Apache-2.0
/*
 * shares.h - how much of the queue each pod takes, so that a loud one cannot silence the others
 *
 * Two threads: one puts in and asks, the other takes out.
 */
#pragma once

#include "lib/base.h"

struct shares;

/* shares_new() - @bytes_max: of the queue. NULL: out of memory. */
struct shares *shares_new(size_t bytes_max) MUST_USE;
void shares_free(struct shares *s); /* accepts NULL */

/* Thread: the one that puts in. @used: bytes in the queue now. @share: 0 belongs to nobody, and always may. */
bool shares_may_take(struct shares *s, uint16_t share, size_t bytes, size_t used);
void shares_took(struct shares *s, uint16_t share, size_t bytes);
/* Thread: the one that takes out. */
void shares_release(struct shares *s, uint16_t share, size_t bytes);
