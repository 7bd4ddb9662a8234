// SPDX-License-Identifier: Apache-2.0
/*
 * format_reader.h - exchanges out of a file of one of store/formats.tbl.h's formats, fed in pieces
 *
 * Memory is bounded by the longest entry, of which FORMAT_ENTRY_MAX are read. Thread: any, one at a
 * time.
 */
#pragma once

#include "schema/foreign.h"
#include "store/format.h"

struct format_reader;

#define FORMAT_ENTRY_MAX ((size_t)256 << 20) /* bytes of one entry */
#define FORMAT_PENDING_MAX                                                                         \
	((size_t)64 << 20) /* bytes of requests that wait for their responses  \
						*/

enum format_flaw {
#define FLAW(NAME, what) FORMAT_FLAW_##NAME,
#include "store/formats.tbl.h"
#undef FLAW
	FORMAT_FLAW_COUNT
};

/* format_found_fn - @f is borrowed for the call. Return: 0 to go on, or a negative errno, which
 * ends the reading. */
typedef int format_found_fn(void *ctx, const struct foreign *f);

/* format_recognise() - which format begins with @first, of which FORMAT_FIRST_BYTES suffice.
 * Return: NULL for none that can be read. */
#define FORMAT_FIRST_BYTES 24
const struct format *format_recognise(struct span first);

/* format_reader_new() - of a format that format_recognise() knows; NULL without memory */
struct format_reader *format_reader_new(const struct format *f, format_found_fn *fn,
					void *ctx) MUST_USE;
void format_reader_free(struct format_reader *r); /* accepts NULL */
AUTO_DEFINE(format_reader, format_reader_free)
/**
 * format_reader_feed() - the next bytes of the file
 *
 * An entry that makes no sense is left out and counted. Return: 0; what @fn returned; -E2BIG an
 * entry beyond FORMAT_ENTRY_MAX; -EBADMSG what follows cannot be made out; -ENOMEM.
 */
int format_reader_feed(struct format_reader *r, struct span bytes, struct err *e) MUST_USE;
/* format_reader_end() - the file ends. Return: 0; -ENODATA in the middle of an entry; others as
 * above. */
int format_reader_end(struct format_reader *r, struct err *e) MUST_USE;
/* format_flaw_count() - how many entries had @flaw, and the sentence for it */
uint64_t format_flaw_count(const struct format_reader *r, enum format_flaw flaw,
			   const char **what_out);
/* format_reader_first_error() - why the first entry that could not be read was left out; "" without
 * one */
const char *format_reader_first_error(const struct format_reader *r);
/* format_reader_note() - one more entry with @flaw, found by who was handed it */
void format_reader_note(struct format_reader *r, enum format_flaw flaw);
