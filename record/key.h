// SPDX-License-Identifier: Apache-2.0
/* key.h - the secret that makes a store's redaction tags */
#pragma once

#include "lib/err.h"

#define KEY_BYTES 32

/**
 * key_load() - the key of a store, made and kept at its first use (redact.key, mode 0600)
 * @dir: directory of the store, made if need be; NULL: a random key that is kept nowhere
 *
 * Equal secrets keep equal tags for as long as the store lives. Nobody else can compute the tag of
 * a guessed secret without the key.
 *
 * Return: 0; -EBADMSG when the file is not KEY_BYTES long or others may read it; else from the file
 * system.
 */
int key_load(const char *dir, uint8_t key_out[KEY_BYTES], struct err *e) MUST_USE;
