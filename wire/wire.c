// SPDX-License-Identifier: Apache-2.0
#include "wire/wire.h"

#include <stdlib.h>

#include "wire/flow.h"
#include "wire/fragment.h"
#include "wire/http2_head.h"

/*
 * Theory of operation
 *
 * A packet is decoded (packet.c), its fragments are put together (fragment.c), its segment goes to
 * its connection (flow.c), which delivers streams to the message layer (conn.c). Every packet ends
 * in one row of the packets account.
 *
 * memory_max is split once: the connection table may take up to half of it, reduced to fewer
 * connections if need be; the two scratch areas; and the pool, which is all the rest.
 *
 * Time is the newest packet's. It goes forward only, so that packets of several interfaces that come
 * in batches do not shake it, except when it falls back so far that the clock must have been set.
 * Packets tick it themselves, for files have no one who would: what a capture shows does not depend
 * on when somebody looked.
 */

#define TICK_NS	      (20 * NS_PER_MS)
#define CLOCK_BACK_NS (60 * NS_PER_S) /* further back than that the clock was set */
#define FRAGMENT_PART 8		      /* of the pool's blocks, for fragments */

struct wire_config wire_config_default(void)
{
	return (struct wire_config){
		.memory_max = 64 << 20,
		.flows_max = 65536,
		.body_max = 256 << 10,
		.head_max = 64 << 10,
		.exchange_timeout_ns = 60 * NS_PER_S,
		.flow_timeout_ns = 600 * NS_PER_S,
		.part_interval_ns = 60 * NS_PER_S,
		.part_messages = 10000,
		.is_redacting = true,
	};
}

static void fit_flows(struct wire_config *c)
{
	if (c->flows_max == 0)
		c->flows_max = 1;
	while (c->flows_max > 1 && flow_bytes(c->flows_max) > c->memory_max / 2)
		c->flows_max /= 2;
}

static bool start(struct wire *w)
{
	size_t fixed = flow_bytes(w->config.flows_max) + w->config.head_max +
		       HTTP2_BLOCK_BYTES(w->config.head_max) +
		       w->config.memory_max / WIRE_DECODER_SHARE;

	w->pool = pool_new(w->config.memory_max > fixed ? w->config.memory_max - fixed : 0);
	if (!w->pool)
		return false;
	w->flows = flow_table_new(w);
	w->fragments = fragment_table_new(w->pool, pool_left_blocks(w->pool) / FRAGMENT_PART);
	w->scratch = malloc(w->config.head_max);
	w->block = malloc(HTTP2_BLOCK_BYTES(w->config.head_max));
	return w->flows && w->fragments && w->scratch && w->block &&
	       wire_set_redaction(w, w->config.is_redacting, w->config.redact_headers,
				  w->config.redact_params) == 0;
}

struct wire *wire_new(const struct wire_config *config, const struct wire_sink *sink,
		      struct counters *counters)
{
	struct wire *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->config = *config;
	w->sink = *sink;
	w->counters = counters;
	list_init(&w->pending);
	list_init(&w->running);
	fit_flows(&w->config);
	if (!start(w)) {
		wire_free(w);
		return NULL;
	}
	w->config.redact_headers = w->config.redact_params = NULL; /* were borrowed */
	return w;
}

void wire_free(struct wire *w)
{
	if (!w)
		return;
	flow_table_free(w->flows);
	fragment_table_free(w->fragments);
	redactor_free(w->redactor);
	free(w->scratch);
	free(w->block);
	pool_free(w->pool);
	free(w);
}

static void set_now(struct wire *w, uint64_t ts_ns)
{
	if (LIKELY(ts_ns >= w->now_ns))
		w->now_ns = ts_ns;
	else if (UNLIKELY(w->now_ns - ts_ns > CLOCK_BACK_NS))
		w->now_ns = w->tick_due_ns = ts_ns;
}

/* decode, and as long as that makes a datagram whole, decode what it carries */
static enum packet_kind decode(struct wire *w, struct packet *p, int linktype, struct span bytes,
			       size_t length)
{
	enum packet_kind kind = packet_decode(p, linktype, bytes, length);
	struct span datagram;

	while (UNLIKELY(kind == PACKET_FRAGMENT)) {
		if (!fragment_add(w->fragments, p, w->now_ns, &datagram))
			break;
		kind = packet_resume(p, datagram);
	}
	return kind;
}

void wire_packet(struct wire *w, const struct wire_source *source, uint64_t ts_ns,
		 struct span bytes, size_t length)
{
	static const enum counter counter_of[PACKET_KIND_COUNT] = {
		[PACKET_NOT_TCP] = COUNTER_PACKETS_NOT_TCP,
		[PACKET_FRAGMENT] = COUNTER_PACKETS_FRAGMENT,
		[PACKET_NOT_IP] = COUNTER_PACKETS_NOT_IP,
		[PACKET_MALFORMED] = COUNTER_PACKETS_MALFORMED,
		[PACKET_CUT] = COUNTER_PACKETS_HEAD_CUT,
		[PACKET_LINKTYPE] = COUNTER_PACKETS_LINKTYPE,
	};
	struct packet p;
	enum packet_kind kind;

	counter_add(w->counters, COUNTER_PACKETS_IN, 1);
	if (UNLIKELY(length > bytes.len))
		counter_add(w->counters, COUNTER_PACKETS_SNAPLEN, 1);
	set_now(w, ts_ns);
	if (UNLIKELY(w->now_ns >= w->tick_due_ns))
		wire_tick(w, w->now_ns);
	kind = decode(w, &p, source->linktype, bytes, length);
	if (UNLIKELY(p.has_wrong_checksum))
		counter_add(w->counters, COUNTER_CHECKSUM_IGNORED, 1);
	if (LIKELY(kind == PACKET_TCP))
		flow_packet(w->flows, &p, source, ts_ns);
	else
		counter_add(w->counters, counter_of[kind], 1);
}

void wire_tick(struct wire *w, uint64_t now_ns)
{
	set_now(w, now_ns);
	w->tick_due_ns = w->now_ns + TICK_NS;
	flow_tick(w->flows, w->now_ns);
	fragment_tick(w->fragments, w->now_ns);
	conn_tick(w, w->now_ns);
}

void wire_flush(struct wire *w)
{
	flow_flush(w->flows, w->now_ns);
}

void wire_flush_netns(struct wire *w, uint32_t netns)
{
	flow_flush_netns(w->flows, netns, w->now_ns);
}
