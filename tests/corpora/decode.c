// SPDX-License-Identifier: Apache-2.0
/*
 * decode.c - a capture file through wire/ alone: exchanges in the form of the corpora's FORMAT.md
 *
 * decode [-c CUT] [-s] [-r] FILE...
 *   -c bytes, -c SEED   give the parsers single bytes (the first 4096 of each call), or random pieces
 *   -s                  counters on standard error; exit status 1 when an account does not balance
 *   -r                  with redaction
 *   -q                  no exchanges
 *
 * Linked with -Wl,--wrap=conn_data, so that the cuts lie between TCP and HTTP.
 */
#include "lib/clock.h"
#include "lib/json.h"
#include "record/file.h"
#include "wire/conn.h"
#include "wire/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum { CUT_NONE, CUT_BYTES, CUT_RANDOM } cut;
static uint64_t cut_seed;

void __real_conn_data(struct conn *c, unsigned dir, uint64_t offset, uint64_t acked,
		      struct span bytes, uint64_t ts_ns);
void __wrap_conn_data(struct conn *c, unsigned dir, uint64_t offset, uint64_t acked,
		      struct span bytes, uint64_t ts_ns);

static size_t next_piece(size_t done, size_t len)
{
	if (cut == CUT_NONE || (cut == CUT_BYTES && done >= 4096))
		return len;
	if (cut == CUT_BYTES)
		return 1;
	cut_seed = cut_seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return MIN(len, (size_t)(cut_seed >> 33) % (cut_seed >> 60 ? 40 : 1500) + 1);
}

void __wrap_conn_data(struct conn *c, unsigned dir, uint64_t offset, uint64_t acked,
		      struct span bytes, uint64_t ts_ns)
{
	size_t done = 0;

	while (done < bytes.len && (done == 0 || conn_wants_data(c, dir))) {
		size_t n = next_piece(done, bytes.len - done);

		__real_conn_data(c, dir, offset + done, acked, span_of(bytes.ptr + done, n), ts_ns);
		done += n;
	}
}

struct out {
	void *memory;
	size_t count;
	bool is_quiet;
};

static void *reserve(void *ctx, size_t bytes)
{
	struct out *o = ctx;

	free(o->memory);
	o->memory = malloc(bytes);
	return o->memory;
}

static void put_end(struct json *j, const char *key, const struct endpoint *e)
{
	char text[ENDPOINT_TEXT_MAX], whole[ENDPOINT_TEXT_MAX + 16];

	(void)snprintf(whole, sizeof(whole), e->is_ipv4 ? "%s:%u" : "[%s]:%u",
		       endpoint_text(e, text), e->port);
	json_key_str(j, key, whole);
}

static void put_text(struct json *j, const char *key, struct span s)
{
	if (s.ptr)
		json_key_text(j, key, s);
	else
		json_key_str(j, key, NULL);
}

static void put_length(struct json *j, const char *key, const struct message *m)
{
	json_key(j, key);
	if (m->flags & MESSAGE_COMPLETE)
		json_u64(j, m->body_bytes);
	else
		json_none(j);
}

static void put_version(struct json *j, const struct exchange *x)
{
	unsigned v = x->request.flags & MESSAGE_PRESENT ? x->request.version : x->response.version;
	char text[8];

	(void)snprintf(text, sizeof(text), "%u.%u", v / 10 % 10, v % 10);
	json_key_str(j, "version", text);
}

static void commit(void *ctx, struct exchange *x)
{
	struct out *o = ctx;
	AUTO_BUF b = {0};
	struct json j = json_to(&b);

	o->count++;
	if (o->is_quiet)
		return;
	json_object_begin(&j);
	put_end(&j, "src", &x->src);
	put_end(&j, "dst", &x->dst);
	put_text(&j, "method", x->method);
	put_text(&j, "target", x->target);
	put_text(&j, "host", x->host);
	put_version(&j, x);
	json_key(&j, "status");
	if (x->status)
		json_u64(&j, x->status);
	else
		json_none(&j);
	put_length(&j, "req_body_len", &x->request);
	put_length(&j, "resp_body_len", &x->response);
	put_text(&j, "resp_content_type", x->response.content_type);
	json_key_str(&j, "outcome", outcome_name(x->outcome));
	json_key_str(&j, "reason", reason_name(x->reason));
	json_key(&j, "anomalies");
	json_array_begin(&j);
	for (unsigned i = 0; i < ANOMALY_COUNT; i++)
		if (x->anomalies >> i & 1)
			json_str(&j, anomaly_name(i));
	json_array_end(&j);
	json_object_end(&j);
	printf("%s\n", buf_cstr(&b));
}

static int decode(struct wire *w, const char *path)
{
	AUTO(file) f = NULL;
	struct packet p;
	struct err e;
	int r = file_open(path, &f, &e);

	while (r >= 0 && (r = file_next(f, &p, &e)) > 0) {
		struct wire_source source = {.linktype = p.linktype};

		wire_packet(w, &source, p.ts_ns, p.bytes, p.length);
	}
	if (r < 0)
		fprintf(stderr, "%s\n", e.why);
	return r == -ENODATA ? 0 : r;
}

static int print_accounts(const struct counters *n)
{
	int bad = 0;

	for (size_t i = 0; i < COUNTER_COUNT; i++)
		if (counter_get(n, (enum counter)i))
			fprintf(stderr, "%-24s %-14s %llu\n", counter_rows[i].metric,
				counter_rows[i].label,
				(unsigned long long)counter_get(n, (enum counter)i));
	for (unsigned a = COUNTER_ACCOUNT_PACKETS; a <= COUNTER_ACCOUNT_REQUESTS; a++) {
		if (counters_balance(n, (enum counter_account)a) == 0)
			continue;
		fprintf(stderr, "account %s: off by %lld\n", counter_account_names[a],
			(long long)counters_balance(n, (enum counter_account)a));
		bad = 1;
	}
	return bad;
}

int main(int argc, char **argv)
{
	struct wire_config config = wire_config_default();
	struct out o = {0};
	struct wire_sink sink = {.ctx = &o, .reserve = reserve, .commit = commit};
	struct counters n = {0};
	bool has_stats = false;
	struct wire *w;
	int c, r = 0;

	config.is_redacting = false;
	config.part_interval_ns = 0; /* the truth has one exchange for each request */
	while ((c = getopt(argc, argv, "c:srq")) != -1) {
		if (c == 'c') {
			cut = strcmp(optarg, "bytes") == 0 ? CUT_BYTES : CUT_RANDOM;
			cut_seed = strtoull(optarg, NULL, 10);
		}
		has_stats |= c == 's';
		config.is_redacting |= c == 'r';
		o.is_quiet |= c == 'q';
	}
	w = wire_new(&config, &sink, &n);
	if (!w)
		return 3;
	for (int i = optind; i < argc && r == 0; i++)
		r = decode(w, argv[i]);
	wire_flush(w);
	wire_free(w);
	free(o.memory);
	if (r < 0)
		return 3;
	if (has_stats)
		fprintf(stderr, "cpu ns per exchange %.0f\n",
			(double)clock_cpu_ns() / (double)(o.count ? o.count : 1));
	return has_stats ? print_accounts(&n) : 0;
}
