// SPDX-License-Identifier: Apache-2.0
/* Segments of one text in any order, size and overlap: what is delivered is that text, with holes. */
#include "wire/stream.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzzed {
	struct stream stream;
	struct stream_host host;
	uint64_t end;
};

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 131 + (offset >> 8));
}

static void on_data(struct stream *s, uint64_t offset, uint64_t acked, struct span bytes,
		    uint64_t ts_ns)
{
	struct fuzzed *f = CONTAINER_OF(s, struct fuzzed, stream);

	(void)acked;
	(void)ts_ns;
	assert(offset == f->end && bytes.len > 0);
	for (size_t i = 0; i < bytes.len; i++)
		assert(bytes.ptr[i] == byte_at(offset + i));
	f->end += bytes.len;
}

static void on_gap(struct stream *s, uint64_t offset, uint64_t len, uint64_t ts_ns)
{
	struct fuzzed *f = CONTAINER_OF(s, struct fuzzed, stream);

	(void)ts_ns;
	assert(offset == f->end && len > 0);
	f->end += len;
}

static void on_overlap(struct stream *s)
{
	(void)s;
	abort(); /* the same bytes do not differ */
}

static void *on_take(struct stream *s)
{
	return pool_take(CONTAINER_OF(s, struct fuzzed, stream)->host.pool);
}

/* 8 bytes a step: what, where, how long, how much later */
static void step(struct fuzzed *f, const uint8_t *d, uint64_t *now_ns)
{
	static uint8_t text[16 * 256];
	uint64_t at = (uint64_t)d[1] << 8 | d[2];
	struct stream_segment seg = {
		.seq = f->stream.base + (uint32_t)at,
		.bytes = {text, d[3] * (size_t)(d[4] % 16)},
		.missing = d[0] & 8 ? d[5] : 0,
		.now_ns = *now_ns += d[6] * NS_PER_MS * 10,
	};

	switch (d[0] % 8) {
	case 0: (void)stream_ack(&f->stream, seg.seq); return;
	case 1: stream_fin(&f->stream, seg.seq); return;
	case 2: stream_check(&f->stream, &f->host, *now_ns); return;
	case 3: f->host.held_max = at; return;
	default: break;
	}
	for (size_t i = 0; i < seg.bytes.len; i++)
		text[i] = byte_at(at + i);
	counter_add(f->host.counters, COUNTER_BYTES_IN, seg.bytes.len);
	if (seg.bytes.len || seg.missing)
		(void)stream_feed(&f->stream, &f->host, &seg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct counters counters = {0};
	struct fuzzed f = {.host = {.data = on_data,
				    .gap = on_gap,
				    .overlap = on_overlap,
				    .take_block = on_take,
				    .pool = pool_new(8 * POOL_BLOCK_BYTES),
				    .counters = &counters,
				    .held_max = 1 << 16}};
	uint64_t now_ns = 1;

	assert(f.host.pool);
	stream_init(&f.stream, 0);
	stream_start(&f.stream, UINT32_MAX - 1000, true);
	for (; size >= 8; data += 8, size -= 8) {
		step(&f, data, &now_ns);
		assert(counters_balance(&counters, COUNTER_ACCOUNT_BYTES) == 0);
	}
	stream_finish(&f.stream, &f.host);
	assert(pool_used_bytes(f.host.pool) == 0);
	pool_free(f.host.pool);
	return 0;
}
