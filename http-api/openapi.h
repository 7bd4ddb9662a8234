// SPDX-License-Identifier: Apache-2.0
/* openapi.h - schema/openapi.yaml, which is part of the program, as JSON */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

/* openapi_json() - append the description. @e: the YAML is broken (a test sees that it is not) */
int openapi_json(struct buf *out, struct err *e) MUST_USE;
