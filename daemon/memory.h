// SPDX-License-Identifier: Apache-2.0
/* memory.h - memory_max, divided among those that use it */
#pragma once

#include "lib/err.h"
#include "schema/settings.h"

struct memory {
	size_t ring_bytes;  /* of each capture handle */
	size_t queue_bytes; /* between decoder and recorder */
	size_t wire_bytes;  /* the decoder: connections, held segments, messages */
	size_t fixed_bytes; /* program, libraries, store, API: what they take at most */
};

/**
 * memory_divide() - who gets how much
 * @handles: capture handles that are there from the beginning to the end
 * @pods:    rings of pods, all together [bytes]; 0 without
 * @e:       -EINVAL: it does not fit; says what would
 */
int memory_divide(const struct settings *s, size_t handles, size_t pods, struct memory *out,
		  struct err *e) MUST_USE;
