// SPDX-License-Identifier: Apache-2.0
/* route.h - the path with its variable parts as {}, so that requests of one kind count as one. Thread: any */
#pragma once

#include "lib/base.h"

#define ROUTE_BYTES_MAX 512 /* a longer route ends here, at a whole segment where there is one */

/**
 * route_of() - write the route of a path
 *
 * A segment becomes {} when it is a number (also a date, a version, a list of numbers), a UUID, a hash
 * in hexadecimal, or long and opaque as tokens and object ids are; a file name's ending stays:
 * /cart/17/items/9f86d081884c7d65.json -> /cart/{}/items/{}.json. Parameters of a segment (;x=y) are left out.
 *
 * Return: its length in @out; when nothing changed, the route is @path itself.
 */
size_t route_of(struct span path, uint8_t out[ROUTE_BYTES_MAX]);
