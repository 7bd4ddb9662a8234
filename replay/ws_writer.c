// SPDX-License-Identifier: Apache-2.0
#include "replay/ws_writer.h"

#include <stdlib.h>
#include <zlib.h>

/*
 * A frame (RFC 6455 5.2): FIN and RSV1 for a compressed message, the opcode, the length in 7, 16 or 64 bits,
 * the mask, the payload. A compressed payload is raw deflate ended by a flush whose last four bytes are left
 * out (RFC 7692 7.2.1). zlib has no window of 8 bits: who asks for one gets messages as they are, which is
 * always allowed.
 */

#define FLAG_FINAL	0x80
#define FLAG_COMPRESSED 0x40
#define TAIL_BYTES	4
#define STEP_BYTES	4096

struct ws_writer {
	struct ws_agreement agreed;
	z_stream z;
	bool is_open; /* z */
	struct buf packed;
};

struct ws_writer *ws_writer_new(const struct ws_agreement *agreed)
{
	struct ws_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->agreed = *agreed;
	w->agreed.deflates &= agreed->client_bits > 8;
	return w;
}

void ws_writer_free(struct ws_writer *w)
{
	if (!w)
		return;
	if (w->is_open)
		(void)deflateEnd(&w->z);
	buf_fini(&w->packed);
	free(w);
}

static bool open_deflate(struct ws_writer *w)
{
	if (!w->is_open)
		w->is_open =
			deflateInit2(&w->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
				     -(int)w->agreed.client_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK;
	else if (w->agreed.takes_no_context)
		(void)deflateReset(&w->z);
	return w->is_open;
}

/* Return: false without memory */
static bool pack(struct ws_writer *w, struct span payload)
{
	buf_clear(&w->packed);
	if (payload.len > UINT32_MAX / 2 || !open_deflate(w))
		return false;
	w->z.next_in = (z_const Bytef *)(uintptr_t)payload.ptr;
	w->z.avail_in = (uInt)payload.len;
	do {
		if (!buf_reserve(&w->packed, STEP_BYTES))
			return false;
		w->z.next_out = w->packed.ptr + w->packed.len;
		w->z.avail_out = STEP_BYTES;
		(void)deflate(&w->z, Z_SYNC_FLUSH); /* Z_BUF_ERROR: there was nothing left to do */
		w->packed.len += STEP_BYTES - w->z.avail_out;
	} while (w->z.avail_out == 0);
	if (w->packed.len <= TAIL_BYTES)
		buf_clear(&w->packed); /* nothing to say: RFC 7692 7.2.3.6 */
	else
		w->packed.len -= TAIL_BYTES;
	if (w->packed.len == 0)
		buf_add_char(&w->packed, '\0');
	return !w->packed.is_failed;
}

void ws_write(struct ws_writer *w, const struct child *message, struct buf *out)
{
	struct span payload = message->payload;
	uint8_t first = (uint8_t)(FLAG_FINAL | message->kind);

	if (message->is_compressed && w->agreed.deflates && message->kind <= CHILD_WS_BINARY &&
	    pack(w, payload)) {
		payload = buf_span(&w->packed);
		first |= FLAG_COMPRESSED;
	}
	ws_frame_new(out, first, payload);
}
