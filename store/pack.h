// SPDX-License-Identifier: Apache-2.0
/*
 * pack.h - the messages of an exchange as one small blob, and back
 *
 * A pack leans on the columns of its row (times, sizes, target, flags): it holds what they do not
 * say. docs/tape.md has the layout.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "schema/exchange.h"

struct ZSTD_CDict_s;
struct ZSTD_DDict_s;

#define PACK_RAW_MAX (256u << 20) /* octets of all messages of one exchange */

/* Exchanges that hold the same bodies; 0: the pack holds the body itself. */
struct pack_elsewhere {
	uint64_t request, response; /* ids on the same tape */
};

/* --- writing --- */
struct packer;
/* packer_new() - @level: of zstd. NULL: no memory. Thread: one. */
struct packer *packer_new(int level) MUST_USE;
void packer_free(struct packer *p); /* accepts NULL */
void packer_set_level(struct packer *p, int level);
/**
 * packer_pack() - append the pack of @x to @out
 * @x:          x->id is set
 * @elsewhere:  which bodies need not be packed
 * @dictionary: NULL: none
 * @out:        on failure as before
 *
 * Return: 0; -E2BIG more than PACK_RAW_MAX; -ENOMEM.
 */
int packer_pack(struct packer *p, const struct exchange *x, const struct pack_elsewhere *elsewhere,
		const struct ZSTD_CDict_s *dictionary, struct buf *out, struct err *e) MUST_USE;
/* packer_raw() - what the last packer_pack() compressed: a sample to train with; until the next one
 */
struct span packer_raw(const struct packer *p);

/* --- reading --- */
/* A pack with its prefix read. */
struct pack {
	uint8_t form;
	struct pack_elsewhere elsewhere;
	uint64_t raw_bytes;
	uint64_t request_head, response_head; /* lengths; 0 with PACK_HEADS_END */
	uint64_t request_framing, response_framing, request_trailers, response_trailers;
	uint64_t request_body, response_body;
	uint64_t children;
	struct span payload; /* borrowed from the blob */
};
/**
 * pack_open() - read the prefix and set the times of both messages in @x
 * @x: id, start_ns, protocol, messages, method, target, flags and body_bytes of both messages are set, as from the row
 * @latency_ns: of the row
 *
 * Return: 0, or -EBADMSG with @p_out and @x in any state.
 */
int pack_open(struct span blob, struct exchange *x, uint64_t latency_ns,
	      struct pack *p_out) MUST_USE;

struct unpacker;
struct unpacker *unpacker_new(void) MUST_USE; /* NULL: no memory. Thread: one. */
void unpacker_free(struct unpacker *u);	      /* accepts NULL */
/**
 * unpacker_messages() - decompress a pack and set head, body, framing, trailers of both messages
 * @x:    as pack_open() left it; bodies that lie elsewhere are left empty
 * @room: cleared and filled; the spans of @x point into it
 *
 * Return: 0; -EBADMSG; -ENOMEM.
 */
int unpacker_messages(struct unpacker *u, const struct pack *p,
		      const struct ZSTD_DDict_s *dictionary, struct exchange *x,
		      struct buf *room) MUST_USE;
