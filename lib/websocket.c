// SPDX-License-Identifier: Apache-2.0
#include "lib/websocket.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

/*
 * The opening handshake's proof (RFC 6455 1.3) and the head of a frame (5.2): FIN, RSV and opcode, the length
 * in 7, 16 or 64 bits, the mask, fresh for each frame (5.3).
 */

#define GUID	    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define SHA1_BYTES  20
#define FLAG_MASKED 0x80
#define HEAD_MAX    14

bool ws_new_key(char out[WS_KEY_BYTES + 1])
{
	unsigned char bytes[16];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	return EVP_EncodeBlock((unsigned char *)out, bytes, sizeof(bytes)) == WS_KEY_BYTES;
}

void ws_accept_of(struct span key, struct buf *out)
{
	AUTO_BUF joined = {0};
	unsigned char hash[SHA1_BYTES];
	unsigned char text[SHA1_BYTES * 2];
	unsigned hash_bytes = 0;

	buf_add_span(&joined, key);
	buf_add_str(&joined, GUID);
	if (joined.is_failed ||
	    EVP_Digest(joined.ptr, joined.len, hash, &hash_bytes, EVP_sha1(), NULL) != 1) {
		out->is_failed = true;
		return;
	}
	buf_add(out, text, (size_t)EVP_EncodeBlock(text, hash, (int)hash_bytes));
}

static void add_head(struct buf *out, uint8_t first, size_t length, const uint8_t mask[4])
{
	unsigned bytes = length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8;
	uint8_t marks = bytes == 0 ? (uint8_t)length : bytes == 2 ? 126 : 127;

	buf_add_char(out, (char)first);
	buf_add_char(out, (char)(FLAG_MASKED | marks));
	while (bytes--)
		buf_add_char(out, (char)((uint64_t)length >> (8 * bytes)));
	buf_add(out, mask, 4);
}

void ws_frame_new(struct buf *out, uint8_t first, struct span payload)
{
	uint8_t mask[4];
	size_t at;

	if (RAND_bytes(mask, sizeof(mask)) != 1 || !buf_reserve(out, payload.len + HEAD_MAX)) {
		out->is_failed = true;
		return;
	}
	add_head(out, first, payload.len, mask);
	at = out->len;
	buf_add_span(out, payload);
	for (size_t i = 0; i < payload.len; i++)
		out->ptr[at + i] ^= mask[i & 3];
}
