// SPDX-License-Identifier: Apache-2.0
/* privileges.h - give away what is not needed once the handles are open */
#pragma once

#include "lib/err.h"

/**
 * privileges_drop() - no capability is left, and none can come back
 *
 * To be called while the process has one thread: capabilities belong to threads. The user stays;
 * root without capabilities is an ordinary user who happens to own root's files.
 */
int privileges_drop(struct err *e) MUST_USE;
