// SPDX-License-Identifier: Apache-2.0
/* emit.h - a finished pair becomes an exchange in the receiver's memory; Thread: capture */
#pragma once

#include "wire/pair.h"

/* emit_pair() - hand @p out through wire->sink and count it; it is not changed */
void emit_pair(const struct pair *p, enum outcome outcome, enum reason reason);
