// SPDX-License-Identifier: Apache-2.0
/* WebSocket frames behind their handshake: tests/fuzz/conversation.h. */
#include "tests/fuzz/conversation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ASKED "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
#define ANSWERED                                                                                   \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: "     \
	"permessage-deflate\r\n\r\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct span handshake[2] = {
		{(const uint8_t *)ASKED, sizeof(ASKED) - 1},
		{(const uint8_t *)ANSWERED, sizeof(ANSWERED) - 1},
	};

	converse(data, size, handshake);
	return 0;
}
