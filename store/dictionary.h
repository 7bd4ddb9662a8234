// SPDX-License-Identifier: Apache-2.0
/*
 * dictionary.h - zstd dictionaries, one for each class of exchanges, trained from the traffic
 * itself
 *
 * A class is a service and the media types of request and response. Thread: writer.
 */
#pragma once

#include "schema/exchange.h"

struct ZSTD_CDict_s;
struct jobs;

struct dictionaries;
struct dictionary;

/* dictionaries_new() - @jobs: where to train; borrowed. NULL: no memory. */
struct dictionaries *dictionaries_new(struct jobs *jobs, int level) MUST_USE;
/* no job of theirs may run any more; accepts NULL */
void dictionaries_free(struct dictionaries *d);
/* dictionaries_set_level() - for those trained from now on */
void dictionaries_set_level(struct dictionaries *d, int level);
uint64_t dictionaries_count(const struct dictionaries *d); /* trained */
/* dictionaries_leave_tape() - none of them is on the tape (any more) */
void dictionaries_leave_tape(struct dictionaries *d);

#define DICTIONARY_CLASSES 64
/* dictionary_index() - which class it is, below DICTIONARY_CLASSES */
size_t dictionary_index(const struct dictionaries *d, const struct dictionary *c);
/* dictionary_at() - the class of that index, which dictionary_index() has given */
struct dictionary *dictionary_at(struct dictionaries *d, size_t index);
/* dictionary_of() - the class of an exchange; NULL: there are too many classes */
struct dictionary *dictionary_of(struct dictionaries *d, const struct exchange *x);
/* dictionary_learn() - one more sample; trains when there are enough */
void dictionary_learn(struct dictionaries *d, struct dictionary *c, struct span sample);
/* dictionary_ready() - to compress with; NULL while it is not trained */
const struct ZSTD_CDict_s *dictionary_ready(struct dictionaries *d, struct dictionary *c);
/*
 * dictionary_note() - a block of the class went from @raw to @packed bytes; where that has become
 * worse for a while, the class is trained again
 */
void dictionary_note(struct dictionary *c, uint64_t raw, uint64_t packed);
struct span dictionary_bytes(const struct dictionary *c);
struct span dictionary_class(const struct dictionary *c); /* for people */
uint32_t *dictionary_number(struct dictionary *c);	  /* on the tape; 0: not there */
