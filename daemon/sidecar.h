// SPDX-License-Identifier: Apache-2.0
/* sidecar.h - what differs for a container beside one application (tapeloopd --sidecar) */
#pragma once

#include "daemon/settings.h"

/* sidecar_defaults() - into @c, which holds the defaults; file, environment and flags are stronger */
int sidecar_defaults(struct chosen *c, struct err *e) MUST_USE;
