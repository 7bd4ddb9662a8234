// SPDX-License-Identifier: Apache-2.0
/* codec_stream.h - undo a coding of lib/codec.h while its octets come */
#pragma once

#include "lib/codec.h"

struct codec_stream;

/* codec_stream_bytes() - memory that one takes at most; what asks for more (a larger window) is -ENOMEM */
size_t codec_stream_bytes(enum codec c);
/* codec_stream_new() - Return: owned by the caller, free with codec_stream_free(); NULL when out of memory */
struct codec_stream *codec_stream_new(enum codec c) MUST_USE;
void codec_stream_free(struct codec_stream *s); /* accepts NULL */

/**
 * codec_stream_feed() - decode on
 * @in:       what was used up is taken from the beginning
 * @out:      @room bytes
 * @made_out: how many of them were filled; call again while they all were, or @in is not empty
 *
 * Return: 0; -EBADMSG damaged, or something follows the end; -ENOMEM.
 */
int codec_stream_feed(struct codec_stream *s, struct span *in, uint8_t *out, size_t room,
		      size_t *made_out) MUST_USE;
