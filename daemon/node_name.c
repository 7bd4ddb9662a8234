// SPDX-License-Identifier: Apache-2.0
#include "daemon/node_name.h"

#include <stdlib.h>
#include <unistd.h>

/* Theory of operation. A DaemonSet's pod is told it by the Downward API; a node has its host's name otherwise. */

const char *node_name(const char *setting, char room[NODE_NAME_ROOM])
{
	const char *told = getenv("NODE_NAME");

	if (*setting)
		return setting;
	if (told && *told)
		return told;
	room[0] = room[NODE_NAME_ROOM - 1] = '\0';
	(void)gethostname(room, NODE_NAME_ROOM - 1);
	return room;
}
