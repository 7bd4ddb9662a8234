// SPDX-License-Identifier: Apache-2.0
/* own.h - give the directories that the daemon writes to the user it runs as */
#pragma once

#include "daemon/settings.h"

/**
 * own_directories() - make store.dir and the sockets' directories, and hand them over
 * @who: "UID" or "UID:GID", numbers
 * @e:   what could not be done, naming it
 *
 * For `tapeloopd --own`, which runs as root and ends: where an orchestrator makes directories as
 * root. What lies in store.dir goes with it, as tapes of a daemon that ran as somebody else do.
 * Links are not followed.
 */
int own_directories(const struct settings *s, const char *who, struct err *e) MUST_USE;
