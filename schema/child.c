// SPDX-License-Identifier: Apache-2.0
/*
 * A record: kind, flags, two bytes of zero, stored bytes (4), true bytes (8), time (8), all little-endian,
 * then the stored bytes. Fixed fields, for the row is compressed as a whole and zeros cost nothing.
 */
#include "schema/child.h"

#include <errno.h>

enum child_flag {
	FLAG_FROM_SERVER = 1 << 0,
	FLAG_COMPRESSED = 1 << 1,
	FLAG_CUT = 1 << 2,
	FLAG_GAP = 1 << 3,
	FLAGS_ALL = (1 << 4) - 1,
};

static const char *const kind_names[CHILD_KIND_MAX + 1] = {
	[CHILD_WS_TEXT] = "text", [CHILD_WS_BINARY] = "binary", [CHILD_SSE] = "event",
	[CHILD_GRPC] = "message", [CHILD_WS_CLOSE] = "close",	[CHILD_WS_PING] = "ping",
	[CHILD_WS_PONG] = "pong",
};

static void put_le(uint8_t *to, unsigned bytes, uint64_t v)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_le(const uint8_t *from, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)from[i] << (8 * i);
	return v;
}

void child_encode_head(const struct child *c, uint8_t out[CHILD_HEAD_BYTES])
{
	out[0] = c->kind;
	out[1] = (uint8_t)((c->is_from_server ? FLAG_FROM_SERVER : 0) |
			   (c->is_compressed ? FLAG_COMPRESSED : 0) | (c->is_cut ? FLAG_CUT : 0) |
			   (c->has_gap ? FLAG_GAP : 0));
	out[2] = out[3] = 0;
	put_le(out + 4, 4, c->payload.len);
	put_le(out + 8, 8, c->bytes);
	put_le(out + 16, 8, c->time_ns);
}

int child_next(struct span *row, struct child *c)
{
	const uint8_t *p = row->ptr;
	uint64_t stored;

	if (row->len == 0)
		return 0;
	if (row->len < CHILD_HEAD_BYTES)
		return -EBADMSG;
	stored = get_le(p + 4, 4);
	if (stored > row->len - CHILD_HEAD_BYTES || p[0] > CHILD_KIND_MAX || (p[1] & ~FLAGS_ALL))
		return -EBADMSG;
	*c = (struct child){
		.kind = p[0],
		.is_from_server = p[1] & FLAG_FROM_SERVER,
		.is_compressed = p[1] & FLAG_COMPRESSED,
		.is_cut = p[1] & FLAG_CUT,
		.has_gap = p[1] & FLAG_GAP,
		.bytes = get_le(p + 8, 8),
		.time_ns = get_le(p + 16, 8),
		.payload = {p + CHILD_HEAD_BYTES, (size_t)stored},
	};
	*row = span_from(*row, CHILD_HEAD_BYTES + (size_t)stored);
	return 1;
}

const char *child_kind_name(unsigned kind)
{
	return kind <= CHILD_KIND_MAX && kind_names[kind] ? kind_names[kind] : "?";
}

unsigned child_close_code(const struct child *c)
{
	return c->payload.len < 2 ? 1005 : (unsigned)c->payload.ptr[0] << 8 | c->payload.ptr[1];
}

const char *child_close_name(unsigned code)
{
	/* the IANA registry of WebSocket close codes, from 1000 on */
	static const char *const names[] = {
		"normal closure",
		"going away",
		"protocol error",
		"unsupported data",
		NULL,
		"no status received",
		"abnormal closure",
		"invalid payload data",
		"policy violation",
		"message too big",
		"mandatory extension",
		"internal error",
		"service restart",
		"try again later",
		"bad gateway",
		"TLS handshake failed",
	};

	if (code >= 3000 && code < 5000)
		return code < 4000 ? "registered by a library" : "the application's own";
	return code >= 1000 && code - 1000 < COUNT_OF(names) ? names[code - 1000] : NULL;
}
