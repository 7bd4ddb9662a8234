// SPDX-License-Identifier: Apache-2.0
/* node_name.h - what this node is called by the cluster */
#pragma once

#include "lib/base.h"

#define NODE_NAME_ROOM 256

/* node_name() - @setting unless it is "", else NODE_NAME of the environment, else the host's name, in @room. Return: one of
 * the three. Thread: main, while it is the only one. */
const char *node_name(const char *setting, char room[NODE_NAME_ROOM]);
