// SPDX-License-Identifier: Apache-2.0
/* Any pcap file through the whole decoder: no packet may break it, and all accounts balance. */
#include "wire/wire.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *reserve(void *ctx, size_t bytes)
{
	(void)ctx;
	return malloc(bytes);
}

static void commit(void *ctx, struct exchange *x)
{
	(void)ctx;
	free(x);
}

static uint32_t le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct counters counters = {0};
	struct wire_config config = wire_config_default();
	struct wire_sink sink = {.reserve = reserve, .commit = commit};
	struct wire_source source = {0};
	struct wire *w;

	if (size < 24)
		return 0;
	config.memory_max = 1 << 20;
	config.flows_max = 64;
	config.body_max = config.head_max = 4096;
	w = wire_new(&config, &sink, &counters);
	assert(w);
	source.linktype = (int)(le32(data + 20) & 0xffff);
	for (size_t at = 24; at + 16 <= size;) {
		uint64_t ts_ns = le32(data + at) * NS_PER_S + le32(data + at + 4) * NS_PER_US;
		size_t len = MIN((size_t)le32(data + at + 8), size - at - 16);

		wire_packet(w, &source, ts_ns, span_of(data + at + 16, len), le32(data + at + 12));
		at += 16 + len;
	}
	wire_flush(w);
	for (int a = COUNTER_ACCOUNT_PACKETS; a <= COUNTER_ACCOUNT_REQUESTS; a++)
		assert(counters_balance(&counters, (enum counter_account)a) == 0);
	wire_free(w);
	return 0;
}
