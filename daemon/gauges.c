// SPDX-License-Identifier: Apache-2.0
#include "daemon/gauges.h"

#include <inttypes.h>

#include "daemon/names.h"
#include "daemon/pods.h"
#include "record/reception.h"
#include "record/record.h"

/* What the recorder last said of the store, in the order of gauges_take_store(). */
static const struct {
	const char *name, *type, *what;
} store_gauges[] = {
	{"store_bytes", "gauge", "Bytes of the store on disk, everything counted."},
	{"store_failures_bytes", "gauge", "Of these: tapes of failures."},
	{"store_pinned_bytes", "gauge", "Of these: pinned tapes."},
	{"store_tapes", "gauge", "Tapes."},
	{"store_retired_tapes_total", "counter", "Tapes removed for the quota or their age."},
	{"store_retired_exchanges_total", "counter", "Exchanges that were on them."},
};
_Static_assert(COUNT_OF(store_gauges) == GAUGES_STORE, "each has its place");

void gauges_take_store(struct gauges *g, const struct store_stats *stats)
{
	const uint64_t now[GAUGES_STORE] = {
		stats->bytes,	   stats->failures_bytes, stats->pinned_bytes,
		stats->tape_count, stats->retired_tapes,  stats->retired_exchanges,
	};

	for (size_t i = 0; i < GAUGES_STORE; i++)
		atomic_store_explicit(&g->store[i], now[i], memory_order_relaxed);
}

static void put_one(struct buf *out, const char *name, const char *type, const char *what,
		    uint64_t value)
{
	buf_add_fmt(out, "# HELP tapeloop_%s %s\n# TYPE tapeloop_%s %s\ntapeloop_%s %" PRIu64 "\n",
		    name, what, name, type, name, value);
}

static void put_reception(struct reception *reception, struct buf *out)
{
	struct reception_levels l;

	reception_levels(reception, &l);
	buf_add_fmt(out,
		    "# HELP tapeloop_handover_total What sidecars of this node handed over.\n"
		    "# TYPE tapeloop_handover_total counter\n"
		    "tapeloop_handover_total{what=\"connections\"} %" PRIu64 "\n"
		    "tapeloop_handover_total{what=\"refused\"} %" PRIu64 "\n"
		    "tapeloop_handover_total{what=\"exchanges\"} %" PRIu64 "\n"
		    "tapeloop_handover_total{what=\"malformed\"} %" PRIu64 "\n",
		    l.connections, l.refused, l.exchanges, l.malformed);
}

void gauges_put(const struct gauges *g, const struct gauged *of, struct buf *out)
{
	struct record_levels levels;

	record_levels(of->record, &levels);
	put_one(out, "queue_bytes", "gauge", "Octets on their way to the recorder.",
		levels.queue_bytes);
	put_one(out, "queue_exchanges", "gauge", "Exchanges on their way to the recorder.",
		levels.queue_count);
	put_one(out, "interfaces", "gauge", "Interfaces that are captured, without those of pods.",
		of->interfaces);
	put_one(out, "memory_max_bytes", "gauge", "The promise for the whole process.",
		of->memory_max);
	for (size_t i = 0; i < GAUGES_STORE; i++)
		put_one(out, store_gauges[i].name, store_gauges[i].type, store_gauges[i].what,
			atomic_load_explicit(&g->store[i], memory_order_relaxed));
	put_one(out, "store_max_bytes", "gauge", "The quota.", of->store_max);
	if (of->pods)
		pods_gauges(of->pods, out);
	if (of->reception)
		put_reception(of->reception, out);
	if (of->names)
		names_gauges(of->names, out);
}
