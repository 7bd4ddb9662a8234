// SPDX-License-Identifier: Apache-2.0
/* name_list.h - a few names, each once */
#pragma once

#include "lib/base.h"

struct name_list {
	char **all; /* owned, and each of them */
	size_t count, room;
};

void name_list_fini(struct name_list *l);
bool name_list_has(const struct name_list *l, struct span name);
/* name_list_add() - a copy, unless it is there. Return: 0; -ENOMEM; -EINVAL a NUL in it */
int name_list_add(struct name_list *l, struct span name) MUST_USE;
