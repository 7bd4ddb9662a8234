// SPDX-License-Identifier: Apache-2.0
/* failure_json.h - the stable JSON form of a kind of failure, the same from REST and the command
 * line */
#pragma once

#include "lib/json.h"
#include "store/reader.h"

/* failure_to_json() - one object: see docs/json.md */
void failure_to_json(struct json *j, const struct failure *f);
/**
 * failures_from_json() - read a list: {"failures": [...]}, as REST and `failures -o json` write it
 * @fn: its failure is borrowed for the call; return 0 to go on, 1 to stop, or a negative errno
 *
 * Return: 0; -EINVAL when the text is no such list (@fn may have seen its beginning); what @fn
 * returned when negative.
 */
int failures_from_json(struct span text, reader_failure_fn *fn, void *ctx, struct err *e) MUST_USE;
