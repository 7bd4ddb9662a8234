// SPDX-License-Identifier: Apache-2.0
/*
 * tapcache.h - the TapConfigs that were in force last, in a file beside the tapes
 *
 * For a daemon that starts while the API server is away: what was masked stays masked. Thread: any.
 */
#pragma once

#include <jansson.h>

#include "lib/err.h"

#define TAPCACHE_NAME	   "tapconfigs.json"
#define TAPCACHE_BYTES_MAX ((size_t)16 << 20)

/* tapcache_read() - a list of objects. Return: 0, to be json_decref()ed; -ENOENT; -EBADMSG; others. */
int tapcache_read(const char *dir, json_t **out, struct err *e) MUST_USE;
/* tapcache_write() - in its place, whole or not at all. Return: 0; -ENOMEM; what the disk says. */
int tapcache_write(const char *dir, const json_t *list, struct err *e) MUST_USE;
