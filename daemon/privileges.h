// SPDX-License-Identifier: Apache-2.0
/* privileges.h - use what we may, and give it away once the handles are open */
#pragma once

#include "lib/err.h"

/* privileges_raise() - use the capabilities that we may have: those of the file come unused (=p),
 * so that the same program starts where fewer are allowed. To be called with one thread. */
int privileges_raise(struct err *e) MUST_USE;
/**
 * privileges_drop() - no capability is left, and none can come back
 *
 * To be called while the process has one thread: capabilities belong to threads. The user stays;
 * root without capabilities is an ordinary user who happens to own root's files.
 */
int privileges_drop(struct err *e) MUST_USE;

/* privileges_keep_opener() - likewise, but what it takes to make sockets in pods' namespaces stays (record/opener.h) */
int privileges_keep_opener(struct err *e) MUST_USE;
