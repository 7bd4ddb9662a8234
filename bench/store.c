// SPDX-License-Identifier: Apache-2.0
/*
 * bench/store - what the store costs: CPU and bytes for each exchange of a capture
 *
 *	build/bench/store CAPTURE.pcap [live|bulk|growing] [DIRECTORY]
 *
 * The exchanges are decoded into memory first, so that only the store is measured: added, committed
 * a thousand at a time, sealed with its indexes, closed. Training runs in the same thread and
 * counts; a growing tape is left as it is. Then every exchange is read back, summaries and messages.
 */
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "store/reader.h"
#include "store/store.h"
#include "wire/wire.h"

struct collected {
	struct exchange **all;
	size_t count, room;
	uint64_t bytes; /* of messages */
};

static void *reserve(void *ctx, size_t bytes)
{
	(void)ctx;
	return malloc(bytes);
}

static void collect(void *ctx, struct exchange *x)
{
	struct collected *c = ctx;

	if (c->count == c->room) {
		c->room = c->room ? 2 * c->room : 1024;
		c->all = realloc(c->all, c->room * sizeof(*c->all));
		if (!c->all)
			exit(3);
	}
	c->bytes += x->request.head.len + x->request.body.len + x->response.head.len +
		    x->response.body.len;
	c->all[c->count++] = x;
}

static void decode(const char *path, struct collected *c)
{
	struct wire_config config = wire_config_default();
	struct wire_sink sink = {c, reserve, collect};
	struct counters *counters = calloc(1, sizeof(*counters));
	struct wire *w = wire_new(&config, &sink, counters);
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, why);
	struct pcap_pkthdr *h;
	const uint8_t *bytes;

	if (!p || !w) {
		(void)fprintf(stderr, "%s: %s\n", path, p ? "out of memory" : why);
		exit(3);
	}
	while (pcap_next_ex(p, &h, &bytes) == 1)
		wire_packet(w, &(struct wire_source){.linktype = pcap_datalink(p)},
			    (uint64_t)h->ts.tv_sec * NS_PER_S + (uint64_t)h->ts.tv_usec,
			    span_of(bytes, h->caplen), h->len);
	wire_flush(w);
	wire_free(w);
	free(counters);
	pcap_close(p);
}

static void check(int r, const struct err *e)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "%s\n", e->why);
	exit(3);
}

static void write_all(const struct collected *c, const char *dir, const char *how)
{
	bool is_bulk = strcmp(how, "bulk") == 0, is_growing = strcmp(how, "growing") == 0;
	struct store_config config = store_config_default();
	struct store *s;
	struct store_stats stats;
	struct err e = {0};
	uint64_t began = clock_cpu_ns();
	double n = (double)c->count;

	config.is_bulk = is_bulk;
	config.tape_rows = is_bulk ? config.tape_rows : c->count; /* live: sealed at the end too */
	if (is_growing)
		config.tape_rows = config.tape_span_ns = UINT64_MAX / 2;
	check(store_open(dir, &config, &s, &e), &e);
	for (size_t i = 0; i < c->count; i++) {
		check(store_add(s, c->all[i], &e), &e);
		if (i % 1000 == 999)
			check(store_commit(s, &e), &e);
	}
	check(store_commit(s, &e), &e);
	check(store_commit(s, &e), &e);
	store_stats(s, &stats);
	printf("  written: %.2f us CPU an exchange", (double)(clock_cpu_ns() - began) / n / 1e3);
	check(store_close(s, &e), &e);
	printf(", %.2f closed and sealed\n", (double)(clock_cpu_ns() - began) / n / 1e3);
	printf("  packs: %.1f bytes an exchange, %" PRIu64 " dictionaries\n",
	       (double)stats.packed_bytes / n, stats.dictionary_count);
}

static int count_one(void *ctx, const struct exchange *x)
{
	uint64_t *n = ctx;

	*n += 1;
	return x->id ? 0 : 1;
}

static int add_bytes(void *ctx, const struct tape_info *t)
{
	uint64_t *n = ctx;

	*n += t->bytes;
	return 0;
}

static void read_all(const struct collected *c, const char *dir, bool wants_messages)
{
	struct query q = {.wants_messages = wants_messages};
	uint64_t began = clock_cpu_ns(), n = 0, bytes = 0;
	struct reader *r;
	struct err e = {0};

	check(reader_open(dir, &r, &e), &e);
	check(reader_list(r, &q, count_one, &n, NULL, &e), &e);
	printf("  read back %s: %" PRIu64 " exchanges, %.2f us CPU each\n",
	       wants_messages ? "with messages" : "without messages", n,
	       (double)(clock_cpu_ns() - began) / (double)n / 1e3);
	check(reader_tapes(r, add_bytes, &bytes, &e), &e);
	if (!wants_messages)
		printf("  on disk: %.1f bytes an exchange\n", (double)bytes / (double)c->count);
	reader_close(r);
}

int main(int argc, char **argv)
{
	struct collected c = {0};
	char made[] = "/tmp/bench-store.XXXXXX";
	const char *dir = argc > 3 ? argv[3] : mkdtemp(made);
	char command[64];

	if (argc < 2 || !dir)
		return 2;
	decode(argv[1], &c);
	printf("%s: %zu exchanges, %.0f bytes of messages each\n", argv[1], c.count,
	       (double)c.bytes / (double)c.count);
	write_all(&c, dir, argc > 2 ? argv[2] : "live");
	read_all(&c, dir, false);
	read_all(&c, dir, true);
	if (argc > 3)
		return 0;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", made);
	return system(command) == 0 ? 0 : 3;
}
