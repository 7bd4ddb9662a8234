// SPDX-License-Identifier: Apache-2.0
/* format_har_scan.h - the entries of a HAR one after another, without the document around them */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

/* Zero-initialised it stands before the document. */
struct har_scan {
	struct buf entry; /* the one that is being read */
	size_t entry_max; /* bytes */
	uint64_t depth;	  /* brackets that are open */
	uint8_t word[8];  /* the last string outside of entries, its beginning */
	uint8_t word_len;
	bool is_in_string, is_escaped, is_key, is_in_log, is_in_entries, is_in_entry;
	bool has_entries; /* log.entries was seen */
	uint64_t count;	  /* entries begun */
};

/* har_entry_fn - one entry's JSON text, borrowed. Return: 0 to go on, or a negative errno. */
typedef int har_entry_fn(void *ctx, struct span entry);

/**
 * har_scan_feed() - the next bytes of the document
 * @e: -EBADMSG no JSON object; -E2BIG an entry longer than entry_max; -ENOMEM; what @fn returned
 */
int har_scan_feed(struct har_scan *s, struct span bytes, har_entry_fn *fn, void *ctx,
		  struct err *e) MUST_USE;
/* har_scan_end() - Return: 0; -ENODATA the document is not whole; -EBADMSG it has no log.entries */
int har_scan_end(const struct har_scan *s, struct err *e) MUST_USE;
void har_scan_fini(struct har_scan *s);
