// SPDX-License-Identifier: Apache-2.0
/* nearest.h - which name was meant by a mistyped one */
#pragma once

#include "lib/base.h"

/*
 * nearest_name() - the name that takes the fewest changes of a letter to make from @word
 *
 * Return: one of @names; NULL when none is near: more than a third of the letters would change.
 */
const char *nearest_name(struct span word, const char *const *names, size_t count);
