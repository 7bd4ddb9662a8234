// SPDX-License-Identifier: Apache-2.0
#include "lib/array.h"

#include <stdlib.h>

#define ROOM_FIRST 64

bool array_room(void **array, size_t *room, size_t count, size_t item_bytes)
{
	size_t more = *room ? *room * 2 : ROOM_FIRST;
	void *grown;

	if (count < *room)
		return true;
	grown = reallocarray(*array, more, item_bytes);
	if (!grown)
		return false;
	memset((uint8_t *)grown + *room * item_bytes, 0, (more - *room) * item_bytes);
	*array = grown;
	*room = more;
	return true;
}
