// SPDX-License-Identifier: Apache-2.0
/* block.h - the packs of many exchanges compressed as one, and back. docs/tape.md has the layout.
 */
#pragma once

#include "store/pack.h"

struct ZSTD_CDict_s;
struct ZSTD_DDict_s;

#define BLOCK_EXCHANGES_MAX 64
#define BLOCK_RAW_MAX	    (32u << 10) /* a longer exchange has a block of its own [bytes] */
#define BLOCK_PLACES	    256		/* exchange.place = number * this + place in the block */

/* What the tape says of a block. */
struct block_info {
	uint64_t number;
	uint64_t at;	    /* where it begins in what the chunks hold together */
	uint64_t bytes;	    /* as stored */
	uint64_t raw_bytes; /* before compression; as bytes: it is not compressed */
	uint64_t exchanges;
	uint64_t dictionary; /* 0: none */
	uint64_t checksum;   /* XXH3 of its bytes as stored */
};

/* --- writing: a block that still takes exchanges. Zero-initialised it is empty. --- */
struct block_draft {
	uint64_t number; /* on the tape; the caller's */
	uint32_t exchanges;
	struct buf prefixes, raw;
};
void block_draft_fini(struct block_draft *d);
static inline size_t block_draft_bytes(const struct block_draft *d)
{
	return d->prefixes.len + d->raw.len;
}
void block_draft_clear(struct block_draft *d);
/* block_draft_has_room() - may an exchange of @bytes be added? An empty one takes any. */
bool block_draft_has_room(const struct block_draft *d, size_t bytes);

struct block_packer;
/* block_packer_new() - @level: of zstd. NULL: no memory. Thread: one. */
struct block_packer *block_packer_new(int level) MUST_USE;
void block_packer_free(struct block_packer *p); /* accepts NULL */
void block_packer_set_level(struct block_packer *p, int level);
/* block_packer_set_thorough() - blocks of large exchanges are compressed in several ways */
void block_packer_set_thorough(struct block_packer *p);
/**
 * block_pack() - append a block to @out and empty the draft
 * @dictionary: NULL: none
 * @bytes:      of the dictionary, or empty
 * @info_out:   number, bytes, raw_bytes, exchanges, checksum are set
 *
 * Return: 0; -ENOMEM: nothing has changed.
 */
int block_pack(struct block_packer *p, struct block_draft *d, const struct ZSTD_CDict_s *dictionary,
	       struct span bytes, struct buf *out, struct block_info *info_out) MUST_USE;

/* --- reading --- */
struct unpacker;
struct unpacker *unpacker_new(void) MUST_USE; /* NULL: no memory. Thread: one. */
void unpacker_free(struct unpacker *u);	      /* accepts NULL */
/**
 * unpacker_decompress() - one zstd frame
 * @raw_bytes: how long it must be
 * @out:       cleared and filled
 *
 * Return: 0; -EBADMSG; -ENOMEM.
 */
int unpacker_decompress(struct unpacker *u, struct span frame, uint64_t raw_bytes,
			const struct ZSTD_DDict_s *dictionary, struct buf *out) MUST_USE;

/* A block that was read. Zero-initialised it is none. */
struct block {
	uint64_t number; /* 0: none */
	uint32_t exchanges;
	struct buf raw;
	struct {
		uint32_t prefix, raw; /* offsets in raw */
	} places[BLOCK_PLACES + 1];
};
void block_fini(struct block *b);
/**
 * block_open() - check, decompress and take apart
 * @bytes: as stored
 *
 * Return: 0; -EBADMSG damaged; -ENOMEM; @b is then none.
 */
int block_open(struct block *b, struct unpacker *u, const struct block_info *info,
	       struct span bytes, const struct ZSTD_DDict_s *dictionary) MUST_USE;
/* block_take() - the pack at a place; @raw lives in @b. Return: 0; -EBADMSG no such place. */
int block_take(const struct block *b, unsigned place, struct pack *p_out,
	       struct span *raw) MUST_USE;
