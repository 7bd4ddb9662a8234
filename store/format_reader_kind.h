// SPDX-License-Identifier: Apache-2.0
/* format_reader_kind.h - what reading a format takes; for store/format_reader.c and the files that
 * implement one */
#pragma once

#include "store/format_reader.h"

struct format_reader_kind {
	const char *format;
	size_t state_bytes; /* of format_reader.state */
	bool (*recognises)(struct span first);
	int (*feed)(struct format_reader *r, struct span bytes, struct err *e);
	int (*end)(struct format_reader *r, struct err *e);
	void (*fini)(struct format_reader *r); /* may be NULL */
};

struct format_reader {
	const struct format_reader_kind *kind;
	format_found_fn *fn;
	void *ctx;
	void *state;	/* zeroed; owned */
	uint64_t entry; /* that is being read, from 1 */
	uint64_t flaws[FORMAT_FLAW_COUNT];
	struct err first_error; /* of an entry that was left out */
};

extern const struct format_reader_kind format_reader_har, format_reader_gor, format_reader_jsonl;

/* format_refuse() - the entry is left out: count it and keep the first reason */
void format_refuse(struct format_reader *r, const char *what, const struct err *why);
