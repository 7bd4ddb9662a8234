// SPDX-License-Identifier: Apache-2.0
/* HTTP/2 frames and header blocks, from the preface on or joined midstream: tests/fuzz/conversation.h. */
#include "tests/fuzz/conversation.h"
#include "wire/h2frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct span hello[2] = {
		{(const uint8_t *)H2_PREFACE "\0\0\0\4\0\0\0\0\0",
		 H2_PREFACE_BYTES + H2_FRAME_HEAD_BYTES},
		{(const uint8_t *)"\0\0\0\4\0\0\0\0\0", H2_FRAME_HEAD_BYTES},
	};

	converse(data, size, hello);
	return 0;
}
