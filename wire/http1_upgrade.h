// SPDX-License-Identifier: Apache-2.0
/* http1_upgrade.h - from HTTP/1 to the protocol that a 101 names (RFC 9110 7.8). Thread: capture */
#pragma once

#include "wire/pair.h"

/**
 * http1_upgrade() - the head of @pairs->answering is read, and a connection that is no HTTP/1 any more begins
 * @pairs: of HTTP/1 on @c
 *
 * Return: true when another protocol took @c over, @pairs with it; false: none that is understood here.
 */
bool http1_upgrade(struct conn *c, struct pairs *pairs, uint64_t ts_ns) MUST_USE;
