// SPDX-License-Identifier: Apache-2.0
/* huffman.h - strings in the code of HPACK (RFC 7541 5.2) */
#pragma once

#include "lib/base.h"

/* HUFFMAN_ROOM() - what @len coded bytes may become at most: the shortest code has 5 bits */
#define HUFFMAN_ROOM(len) ((size_t)(len)*8 / 5 + 1)

/**
 * huffman_decode() - undo the code
 * @out: HUFFMAN_ROOM(in.len) bytes
 *
 * Return: how many bytes it became; -EBADMSG: a code that does not exist, or padding that is not the beginning of EOS.
 */
int64_t huffman_decode(struct span in, uint8_t *out) MUST_USE;
