// SPDX-License-Identifier: Apache-2.0
/* codec.h - undo gzip, deflate, br and zstd, within limits */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

enum codec {
	CODEC_GZIP,    /* RFC 1952, several members too */
	CODEC_DEFLATE, /* RFC 1950; bare RFC 1951 as many servers send it */
	CODEC_BR,      /* RFC 7932 */
	CODEC_ZSTD,    /* RFC 8878, several frames too */
	CODEC_COUNT
};

struct codec_limits {
	size_t out_max; /* bytes that may come out */
	/* out may be so many times as long as in, once it is longer than 64 KiB */
	unsigned ratio_max;
};

/* codec_parse() - by its name as content coding (RFC 9110 8.4.1), any case, x-gzip too. Return: codec or -ENOENT. */
int codec_parse(struct span name);

/**
 * codec_decode() - append what @in decodes to
 * @out: on failure too it holds what came before the failure
 *
 * Return: 0; -EBADMSG damaged; -ENODATA @in ends too early; -E2BIG a limit was hit (a bomb);
 * -ENOMEM.
 */
int codec_decode(enum codec c, struct span in, const struct codec_limits *limits, struct buf *out,
		 struct err *e) MUST_USE;
