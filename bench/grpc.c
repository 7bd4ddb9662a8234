// SPDX-License-Identifier: Apache-2.0
/*
 * grpc [EXCHANGES]: CPU of wire/ for small unary gRPC calls, from the bytes of the streams to the exchange:
 * frames, header blocks, streams, pairing, redaction, one copy out. The calls are encoded once by libnghttp2.
 */
#include "lib/buf.h"
#include "lib/clock.h"
#include "wire/h2frame.h"
#include "wire/internal.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECTION_CALLS 1000 /* on each connection, encoded once and replayed to the decoder */

struct encoded {
	struct buf bytes[2];
	size_t ends[2][CONNECTION_CALLS]; /* of each call */
};

static void put_frame(struct buf *b, uint8_t type, uint8_t flags, uint32_t stream,
		      struct span payload)
{
	uint8_t head[H2_FRAME_HEAD_BYTES] = {
		(uint8_t)(payload.len >> 16),
		(uint8_t)(payload.len >> 8),
		(uint8_t)payload.len,
		type,
		flags,
		(uint8_t)(stream >> 24),
		(uint8_t)(stream >> 16),
		(uint8_t)(stream >> 8),
		(uint8_t)stream,
	};

	buf_add(b, head, sizeof(head));
	buf_add_span(b, payload);
}

#define NV(n, v)                                                                                   \
	{                                                                                          \
		(uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), sizeof(n) - 1, strlen(v),    \
			NGHTTP2_NV_FLAG_NONE                                                       \
	}

static void put_block(struct buf *b, nghttp2_hd_deflater *d, uint8_t flags, uint32_t stream,
		      const nghttp2_nv *nv, size_t count)
{
	uint8_t block[4096];
	ssize_t n = nghttp2_hd_deflate_hd(d, block, sizeof(block), nv, count);

	if (n < 0)
		abort();
	put_frame(b, H2_HEADERS, flags, stream, span_of(block, (size_t)n));
}

static void encode(struct encoded *e)
{
	nghttp2_hd_deflater *client, *server;
	char trace[64];
	struct span message = SPAN_LIT("\0\0\0\0\x10"
				       "0123456789abcdef");

	if (nghttp2_hd_deflate_new(&client, 4096) || nghttp2_hd_deflate_new(&server, 4096))
		abort();
	buf_add(&e->bytes[0], H2_PREFACE, H2_PREFACE_BYTES);
	for (uint32_t i = 0; i < CONNECTION_CALLS; i++) {
		(void)snprintf(trace, sizeof(trace), "00-%016x%016x-%016x-01", i * 2654435761U, i,
			       i * 40503U);
		nghttp2_nv request[] = {
			NV(":method", "POST"),
			NV(":scheme", "http"),
			NV(":path", "/shop.v1.Cart/AddItem"),
			NV(":authority", "cart.shop:50051"),
			NV("content-type", "application/grpc"),
			NV("te", "trailers"),
			NV("user-agent", "grpc-go/1.60.0"),
			NV("grpc-timeout", "1S"),
			NV("traceparent", trace),
		};
		nghttp2_nv response[] = {NV(":status", "200"),
					 NV("content-type", "application/grpc")};
		nghttp2_nv trailers[] = {NV("grpc-status", "0"), NV("grpc-message", "")};
		uint32_t stream = 2 * i + 1;

		put_block(&e->bytes[0], client, H2_FLAG_END_HEADERS, stream, request,
			  COUNT_OF(request));
		put_frame(&e->bytes[0], H2_DATA, H2_FLAG_END_STREAM, stream, message);
		put_block(&e->bytes[1], server, H2_FLAG_END_HEADERS, stream, response,
			  COUNT_OF(response));
		put_frame(&e->bytes[1], H2_DATA, 0, stream, message);
		put_block(&e->bytes[1], server, H2_FLAG_END_HEADERS | H2_FLAG_END_STREAM, stream,
			  trailers, COUNT_OF(trailers));
		e->ends[0][i] = e->bytes[0].len;
		e->ends[1][i] = e->bytes[1].len;
	}
	nghttp2_hd_deflate_del(client);
	nghttp2_hd_deflate_del(server);
}

struct receiver {
	uint8_t *memory;
	uint64_t count, statuses;
};

static void *reserve(void *ctx, size_t bytes)
{
	return bytes <= 65536 ? ((struct receiver *)ctx)->memory : NULL;
}

static void commit(void *ctx, struct exchange *x)
{
	struct receiver *r = ctx;

	r->count++;
	r->statuses += x->has_grpc_status && x->status == 200;
}

static void connection(struct wire *w, const struct encoded *e, uint64_t id)
{
	struct conn c = {.wire = w, .id = id, .client = 0};
	size_t at[2] = {0, 0};

	conn_open(&c, id);
	for (size_t i = 0; i < CONNECTION_CALLS; i++) {
		for (unsigned dir = 0; dir < 2; dir++) {
			size_t n = e->ends[dir][i] - at[dir];

			conn_data(&c, dir, at[dir], UINT64_MAX,
				  span_of(e->bytes[dir].ptr + at[dir], n), id + i);
			at[dir] += n;
		}
	}
	conn_end(&c, 0, CONN_END_CAPTURE, id);
	conn_close(&c);
}

int main(int argc, char **argv)
{
	uint64_t calls = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000, begin, ns;
	static struct encoded e;
	struct receiver r = {.memory = aligned_alloc(64, 65536)};
	struct counters counters = {0};
	struct wire_config config = wire_config_default();
	struct wire_sink sink = {&r, reserve, commit};
	struct wire *w;

	config.is_redacting = true;
	w = wire_new(&config, &sink, &counters);
	if (!w || !r.memory)
		return 3;
	encode(&e);
	begin = clock_cpu_ns();
	for (uint64_t id = 1; r.count < calls; id++)
		connection(w, &e, id);
	ns = clock_cpu_ns() - begin;
	printf("%llu calls, %llu with their status: %.3f us of CPU each, %.0f a second of CPU, %zu "
	       "bytes each on the wire\n",
	       (unsigned long long)r.count, (unsigned long long)r.statuses,
	       (double)ns / 1e3 / (double)r.count, (double)r.count * 1e9 / (double)ns,
	       (e.bytes[0].len + e.bytes[1].len) / CONNECTION_CALLS);
	wire_free(w);
	free(r.memory);
	buf_fini(&e.bytes[0]);
	buf_fini(&e.bytes[1]);
	return r.statuses == r.count ? 0 : 1;
}
