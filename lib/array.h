// SPDX-License-Identifier: Apache-2.0
/* array.h - arrays that grow. Thread: whoever owns the array. */
#pragma once

#include "lib/base.h"

/**
 * array_room() - room for one more item
 * @array: may move; items beyond the old room are zero
 * @room:  items that it has room for
 *
 * Return: false without memory, the array as before.
 */
bool array_room(void **array, size_t *room, size_t count, size_t item_bytes) MUST_USE;
