// SPDX-License-Identifier: Apache-2.0
/* What a WebSocket's server says to a replay: handshake lines up to the first NUL, then frames, also cut in two. */
#include <assert.h>
#include <stdlib.h>

#include "replay/ws_handshake.h"
#include "replay/ws_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t read_all(struct ws_reader *r, struct span in)
{
	uint64_t sum = 0;
	struct child c;

	while (ws_read(r, &in, &c) == WS_READ_MESSAGE) {
		sum = sum * 31 + c.kind;
		for (size_t i = 0; i < c.payload.len; i++)
			sum = sum * 31 + c.payload.ptr[i];
	}
	assert(in.len == 0 || ws_reader_why(r));
	return sum;
}

static struct span exact_copy(struct span s)
{
	uint8_t *p = malloc(s.len ? s.len : 1); /* so that ASan sees the end */

	assert(p);
	if (s.len)
		memcpy(p, s.ptr, s.len);
	return span_of(p, s.len);
}

static void release(struct span s)
{
	free((void *)(uintptr_t)s.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char asked[] = "GET / HTTP/1.1\r\nSec-WebSocket-Key: "
				    "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: a\r\n"
				    "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	size_t head_bytes = end ? (size_t)(end - data) : size;
	struct span head = exact_copy(span_of(data, head_bytes));
	struct span frames = exact_copy(span_from(span_of(data, size), head_bytes + 1));
	struct message answer = {.head = head};
	struct ws_agreement agreed;
	struct ws_reader *whole = ws_reader_new(&answer);

	if (!ws_check(span_str(asked), &answer, &agreed))
		assert(agreed.client_bits >= 8 && agreed.client_bits <= 15);
	assert(whole);
	(void)read_all(whole, frames);
	for (size_t cut = 0; cut < frames.len; cut += 1 + frames.len / 3) {
		struct ws_reader *r = ws_reader_new(&answer);
		struct span first = exact_copy(span_of(frames.ptr, cut)),
			    rest = exact_copy(span_from(frames, cut));

		(void)read_all(r, first);
		(void)read_all(r, rest);
		assert(!ws_reader_why(r) == !ws_reader_why(whole));
		release(first);
		release(rest);
		ws_reader_free(r);
	}
	ws_reader_free(whole);
	release(head);
	release(frames);
	return 0;
}
