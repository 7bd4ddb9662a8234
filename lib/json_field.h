// SPDX-License-Identifier: Apache-2.0
/* json_field.h - fields of an object that jansson has read; of what is absent or odd the zero. Thread: any. */
#pragma once

#include <jansson.h>

#include "lib/base.h"

/* json_field_u64() - 0 for what is negative, too */
uint64_t json_field_u64(const json_t *object, const char *key);
/* json_field_time() - of a time as text (RFC 3339) [ns] */
uint64_t json_field_time(const json_t *object, const char *key);
