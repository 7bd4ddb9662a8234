// SPDX-License-Identifier: Apache-2.0
#include "replay/verdict.h"

/*
 *                 now: no answer   now: fails (5xx)          now: fine
 * was failing     no_answer *      same * if equal, else     fixed
 *                                  changed *
 * was fine        no_answer        broken                    same if equal, else changed
 *
 * * counted as still failing. `failing` when recorded is what failed() says of an exchange; now it
 * is a status of 500 or more. An exchange that was recorded without an answer (reset, time-out)
 * and gets one now that fails is `changed`: it fails in another way. 4xx is fine here, as it is
 * for failed(): 200 that becomes 404 is `changed`. A gRPC call fails when its grpc-status is not 0,
 * or when it has none. A WebSocket fails by its close code, as the recorder judges it: 1006 (it broke) and the
 * server's own errors.
 */

static const char *const verdict_names[] = {
#define VERDICT(NAME, name, what) name,
#include "replay/verdicts.tbl.h"
#undef VERDICT
};

const char *verdict_name(unsigned verdict)
{
	return verdict < VERDICT_COUNT ? verdict_names[verdict] : "?";
}

static bool conversation_fails(const struct answer *a)
{
	return a && (a->close_code == 1006 || (a->close_code >= 1011 && a->close_code <= 1014));
}

static bool answer_fails(const struct replay_result *result, const struct exchange *recorded)
{
	return conversation_fails(result->conversation) || result->status >= 500 ||
	       (recorded->protocol == PROTOCOL_GRPC && result->grpc_status != 0);
}

void verdict_judge(struct replay_result *result, const struct exchange *recorded)
{
	bool was_failing = exchange_is_failed(recorded);
	/* who leaves as the recorded client left has seen what that one saw, and nothing else */
	bool is_failing = result->miss != MISS_NONE ||
			  (result->is_left ? was_failing : answer_fails(result, recorded));
	bool is_equal = result->diff && result->diff->count == 0;

	result->is_still_failing = was_failing && is_failing;
	if (result->miss != MISS_NONE)
		result->verdict = VERDICT_NO_ANSWER;
	else if (was_failing && !is_failing)
		result->verdict = VERDICT_FIXED;
	else if (!was_failing && is_failing)
		result->verdict = VERDICT_BROKEN;
	else
		result->verdict = is_equal ? VERDICT_SAME : VERDICT_CHANGED;
}
