// SPDX-License-Identifier: Apache-2.0
#include "cli/store_option.h"

#include <stdlib.h>

const char *store_option(const char *given)
{
	const char *path = given ? given : getenv("TAPELOOP_STORE");

	return path && *path ? path : NULL;
}
