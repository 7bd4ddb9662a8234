// SPDX-License-Identifier: Apache-2.0
/* Error bodies of failing services: whatever they send, the shape is short, is text, and is the
 * same each time. */
#include "schema/fingerprint.h"

#include "lib/utf8.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first octet chooses: a body as it is, a coding of it, a grpc-message. */
static const char *const heads[] = {
	"HTTP/1.1 500 X\r\n\r\n",
	"HTTP/1.1 500 X\r\nContent-Encoding: gzip\r\n\r\n",
	"HTTP/1.1 500 X\r\nContent-Encoding: br, deflate\r\n\r\n",
	"HTTP/1.1 500 X\r\nContent-Encoding: zstd\r\n\r\n",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fingerprint_room room = {0}, again = {0};
	struct exchange x = {.outcome = OUTCOME_SERVER_ERROR, .response.flags = MESSAGE_PRESENT};
	struct span a, b, rest = span_of(data + 1, size ? size - 1 : 0);

	if (size == 0)
		return 0;
	x.has_grpc_status = data[0] % 5 == 4;
	x.response.head = x.has_grpc_status ? rest : span_str(heads[data[0] % 5]);
	x.response.trailers = x.has_grpc_status ? rest : (struct span){0};
	x.response.body = rest;
	a = fingerprint_of(&x, &room);
	b = fingerprint_of(&x, &again);
	assert(a.len <= FINGERPRINT_BYTES_MAX && utf8_is_valid(a) && span_eq(a, b));
	for (size_t i = 0; i < a.len; i++)
		assert(a.ptr[i] >= ' ' && a.ptr[i] != 0x7f);
	fingerprint_room_fini(&room);
	fingerprint_room_fini(&again);
	return 0;
}
