// SPDX-License-Identifier: Apache-2.0
/* health.h - is it recording, and if not, why: one sentence that any thread may write and read */
#pragma once

#include "lib/base.h"

#define HEALTH_WHY_MAX 512

struct health;

struct health *health_new(void) MUST_USE; /* healthy; NULL: out of memory */
void health_free(struct health *h);
/* health_set() - @why: NULL when all is well */
void health_set(struct health *h, const char *why);
/* health_note() - it records, but somebody should look: said while nothing worse is. It stays. */
void health_note(struct health *h, const char *why);
/* health_get() - "" in @why_out when all is well. Return: it is recording. */
bool health_get(struct health *h, char *why_out, size_t why_bytes);
