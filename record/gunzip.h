// SPDX-License-Identifier: Apache-2.0
/* gunzip.h - a file's bytes, decompressed when it is gzip (RFC 1952), several members too */
#pragma once

#include "record/file.h"

struct gunzip;

#define GUNZIP_PIECE_BYTES ((size_t)64 << 10)

/* gunzip_new() - @f is borrowed, nothing of it read but its first bytes; NULL without memory */
struct gunzip *gunzip_new(struct file *f) MUST_USE;
void gunzip_free(struct gunzip *g); /* accepts NULL */
AUTO_DEFINE(gunzip, gunzip_free)
/**
 * gunzip_next() - the next bytes, at most GUNZIP_PIECE_BYTES; @out is borrowed until the next call
 *
 * Return: 0, with @out empty at the end; -ENODATA it ends in the middle; -EBADMSG damaged; -errno
 * of reading.
 */
int gunzip_next(struct gunzip *g, struct span *out, struct err *e) MUST_USE;
