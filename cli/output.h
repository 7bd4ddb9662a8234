// SPDX-License-Identifier: Apache-2.0
/*
 * output.h - a file that is there whole or not at all
 *
 * It is written beside its name and takes that name at the end. A name that ends in .gz is
 * compressed;
 * "-" is stdout. Thread: main.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

struct output;

/* output_open() - @path is copied. @e: what kept it from being made */
int output_open(const char *path, struct output **o_out, struct err *e) MUST_USE;
/* output_write() - @b to the file, and empty it. Return: 0; 1 nobody reads any more; -errno with @e
 * set. */
int output_write(struct output *o, struct buf *b, struct err *e) MUST_USE;
/* output_finish() - give it its name; frees @o in any case. Return: 0 or -errno with @e set: there
 * is then no file. */
int output_finish(struct output *o, struct err *e) MUST_USE;
void output_discard(struct output *o); /* no file is left; accepts NULL */
AUTO_DEFINE(output, output_discard)
