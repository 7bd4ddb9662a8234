// SPDX-License-Identifier: Apache-2.0
/*
 * ring.h - the bounded queue between two threads: records in one piece of memory, in order
 *
 * One producer, one consumer, no lock and no system call on the producer's side. A record is
 * contiguous and stays where it is until the consumer releases it: ownership moves, bytes do not.
 */
#pragma once

#include "lib/base.h"

struct ring;

/* ring_new() - @bytes is rounded up to pages; a record may take up to half of it. NULL: no memory.
 */
struct ring *ring_new(size_t bytes) MUST_USE;
void ring_free(struct ring *r);
AUTO_DEFINE(ring, ring_free)

/* producer */
/* ring_reserve() - room for a record, aligned to 16; at most one open. NULL when it does not fit
 * now. */
void *ring_reserve(struct ring *r, size_t bytes) MUST_USE;
/* ring_commit() - the reserved record is ready; the consumer may see it */
void ring_commit(struct ring *r);

/* consumer */
/* ring_peek() - the oldest record, or NULL when there is none; stays valid until ring_release() */
void *ring_peek(struct ring *r, size_t *bytes_out);
void ring_release(struct ring *r);
/* ring_ahead() - the oldest record that it has not given yet, or NULL; stays where it is until it is released */
void *ring_ahead(struct ring *r);

/* any thread */
size_t ring_used_bytes(const struct ring *r);
uint64_t ring_count(const struct ring *r); /* records waiting */
