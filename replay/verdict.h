// SPDX-License-Identifier: Apache-2.0
/* verdict.h - one word for each exchange of a replay */
#pragma once

#include "replay/replay.h"

/**
 * verdict_judge() - fill in verdict and is_still_failing
 * @result:   its status, miss and diff are set
 * @recorded: how it went when recorded
 */
void verdict_judge(struct replay_result *result, const struct exchange *recorded);
