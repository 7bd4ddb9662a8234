// SPDX-License-Identifier: Apache-2.0
/* json_diff.h - two JSON documents compared by structure: order of members and blanks do not count */
#pragma once

#include "replay/diff.h"
#include "replay/json_scan.h"

/**
 * json_diff() - add what differs to @d
 * @a: the recorded document
 * @b: the new one
 *
 * Return: 0; -E2BIG when the members' order differs so much that comparing would take too long (@d
 * may then hold some of the differences).
 */
int json_diff(struct diff *d, const struct ignore *rules, const struct json_scan *a,
	      const struct json_scan *b) MUST_USE;
