// SPDX-License-Identifier: Apache-2.0
/*
 * format.h - exchanges in the file formats of docs/formats.md: one table, one way to write them all
 *
 * A writer appends to a buffer that its caller empties when it likes, so a million exchanges need
 * no more memory than one. What a format cannot hold is counted. Thread: any, one at a time.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "schema/exchange.h"

struct format;
struct format_writer;

enum format_loss {
#define LOSS(NAME, what) FORMAT_LOSS_##NAME,
#include "store/formats.tbl.h"
#undef LOSS
	FORMAT_LOSS_COUNT
};

/* format_find() - by name: "har". Return: NULL when there is none. */
const struct format *format_find(struct span name);
/* format_of_path() - by a file's ending, .gz behind it not counted. Return: NULL when it is none of
 * ours. */
const struct format *format_of_path(const char *path);
const struct format *format_at(size_t index); /* NULL behind the last */
const char *format_name(const struct format *f);
const char *format_media_type(const struct format *f);
const char *format_what(const struct format *f);
/* format_wants_messages() - false: what a summary has is enough */
bool format_wants_messages(const struct format *f);

/**
 * format_writer_new() - begin a file
 * @to: for commands in a script: where they send to, "http://localhost:8080"; NULL: the server of
 * the recording
 *
 * Return: owned by the caller, free with format_writer_free(); NULL when out of memory.
 */
struct format_writer *format_writer_new(const struct format *f, const char *to) MUST_USE;
void format_writer_free(struct format_writer *w); /* accepts NULL */
AUTO_DEFINE(format_writer, format_writer_free)
/* format_add() - append @x to @out, oldest first; see out->is_failed */
void format_add(struct format_writer *w, const struct exchange *x, struct buf *out);
/* format_end() - append what ends the file */
void format_end(struct format_writer *w, struct buf *out);
uint64_t format_count(const struct format_writer *w); /* exchanges that were written */
/* format_lost() - how many exchanges lost @loss, and the sentence for it */
uint64_t format_lost(const struct format_writer *w, enum format_loss loss, const char **what_out);
