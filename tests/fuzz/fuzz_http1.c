// SPDX-License-Identifier: Apache-2.0
/* A connection of hostile bytes through conn, http1, pair, redact and emit: tests/fuzz/conversation.h. */
#include "tests/fuzz/conversation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct span nothing[2];

	converse(data, size, nothing);
	return 0;
}
