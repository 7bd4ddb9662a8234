// SPDX-License-Identifier: Apache-2.0
#include "lib/ring.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Theory of operation. One mapping holds records one behind the other, each with a header of 16
 * bytes. Positions are bytes since the start and never wrap; a position modulo the size is a place
 * in the mapping. A record does not lie across the end of the mapping: what is left there is
 * skipped by a header that says so, and since a record is at most half the ring it always fits at
 * one of the two sides once the consumer has caught up.
 *
 *	memory:  [......|hdr record|hdr record|hdr record|.....]
 *	                ^ tail (consumer)                ^ head (producer)
 *
 * Each position has one writer. The producer publishes a record with a release store of head, the
 * consumer gives room back with a release store of tail; the acquire loads of the other side pair
 * with them. The producer keeps the last tail it saw, so that it touches the consumer's cache line
 * only when the ring looks full.
 */
#define CACHE_LINE   64
#define RECORD_ALIGN 16
#define IS_SKIP	     UINT64_MAX

struct header {
	uint64_t bytes; /* asked for; IS_SKIP: nothing more until the end of the mapping */
	uint64_t next;	/* position behind this record */
};
_Static_assert(sizeof(struct header) == RECORD_ALIGN, "the header keeps a record aligned");

struct ring {
	uint8_t *memory;
	size_t size;

	_Alignas(CACHE_LINE) _Atomic uint64_t head; /* written by the producer */
	_Atomic uint64_t committed;		    /* records, written by the producer */
	uint64_t tail_seen;			    /* producer's copy of tail */
	uint64_t open_next;			    /* head after ring_commit(); 0: none reserved */

	_Alignas(CACHE_LINE) _Atomic uint64_t tail; /* written by the consumer */
	_Atomic uint64_t released;		    /* records, written by the consumer */
	uint64_t ahead;				    /* consumer's: what ring_ahead() gives next */
};

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

struct ring *ring_new(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct ring *r;
	void *memory;

	if (bytes == 0 || bytes > SIZE_MAX / 4)
		return NULL;
	bytes = round_up(bytes, page);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	r = aligned_alloc(CACHE_LINE, round_up(sizeof(*r), CACHE_LINE));
	if (!r) {
		(void)munmap(memory, bytes);
		return NULL;
	}
	*r = (struct ring){.memory = memory, .size = bytes};
	return r;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	(void)munmap(r->memory, r->size);
	free(r);
}

static struct header *header_at(const struct ring *r, uint64_t position)
{
	return (struct header *)(void *)(r->memory + position % r->size);
}

/* Is there room up to position @next? Asks the consumer's side only when it looks full. */
static bool has_room(struct ring *r, uint64_t next)
{
	if (next - r->tail_seen <= r->size)
		return true;
	r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
	return next - r->tail_seen <= r->size;
}

void *ring_reserve(struct ring *r, size_t bytes)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed), at = head;
	size_t left = r->size - (size_t)(head % r->size), need;
	struct header *h;

	assert(r->open_next == 0);
	if (bytes > r->size / 2 - sizeof(*h))
		return NULL;
	need = sizeof(*h) + round_up(bytes, RECORD_ALIGN);
	if (need > left)
		at += left;
	if (!has_room(r, at + need))
		return NULL;
	if (at != head)
		*header_at(r, head) = (struct header){.bytes = IS_SKIP, .next = at};
	h = header_at(r, at);
	*h = (struct header){.bytes = bytes, .next = at + need};
	r->open_next = h->next;
	return h + 1;
}

void ring_commit(struct ring *r)
{
	uint64_t count = atomic_load_explicit(&r->committed, memory_order_relaxed);

	assert(r->open_next != 0);
	atomic_store_explicit(&r->committed, count + 1, memory_order_relaxed);
	atomic_store_explicit(&r->head, r->open_next, memory_order_release);
	r->open_next = 0;
}

void *ring_peek(struct ring *r, size_t *bytes_out)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	struct header *h;

	if (atomic_load_explicit(&r->head, memory_order_acquire) == tail)
		return NULL;
	h = header_at(r, tail);
	if (h->bytes == IS_SKIP) { /* published together with the record behind it */
		tail = h->next;
		atomic_store_explicit(&r->tail, tail, memory_order_release);
		h = header_at(r, tail);
	}
	*bytes_out = (size_t)h->bytes;
	return h + 1;
}

void *ring_ahead(struct ring *r)
{
	uint64_t at = MAX(r->ahead, atomic_load_explicit(&r->tail, memory_order_relaxed));
	struct header *h;

	if (atomic_load_explicit(&r->head, memory_order_acquire) == at)
		return NULL;
	h = header_at(r, at);
	if (h->bytes == IS_SKIP)
		h = header_at(r, h->next);
	r->ahead = h->next;
	return h + 1;
}

void ring_release(struct ring *r)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint64_t count = atomic_load_explicit(&r->released, memory_order_relaxed);

	atomic_store_explicit(&r->released, count + 1, memory_order_relaxed);
	atomic_store_explicit(&r->tail, header_at(r, tail)->next, memory_order_release);
}

size_t ring_used_bytes(const struct ring *r)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);

	/* tail first: head only grows meanwhile, so the difference is never negative */
	return (size_t)MIN(atomic_load_explicit(&r->head, memory_order_acquire) - tail, r->size);
}

uint64_t ring_count(const struct ring *r)
{
	uint64_t released = atomic_load_explicit(&r->released, memory_order_acquire);

	return atomic_load_explicit(&r->committed, memory_order_acquire) - released;
}
