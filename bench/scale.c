// SPDX-License-Identifier: Apache-2.0
/*
 * bench/scale - does the store stay as fast as it grows?
 *
 *	build/bench/scale [MILLIONS [DIRECTORY [QUERY]]]	(make bench-store; 20 million by default)
 *
 * Small JSON exchanges of a shop are made and written as the daemon writes them: committed a
 * thousand at a time, tapes of a million sealed in this same thread, which counts. For each
 * million: CPU and bytes of an exchange. Twenty million are a day. Then queries, each some hundred
 * times with other values: alone, and while another thread writes 20,000 exchanges a second. Files
 * are in the page cache. Wall time is what a person waits; the CPU time of the asking thread beside
 * it says what of that was waiting for a CPU. A store that is there already is not written again.
 * With a part of a query's name only such are asked, alone: for a profiler.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "store/filter.h"
#include "store/reader.h"
#include "store/stats.h"
#include "store/store.h"

#define MILLION	      1000000u
#define FIRST_NS      UINT64_C(1764000000000000000)
#define STEP_NS	      UINT64_C(4320000) /* 20 million a day */
#define ROUNDS	      200
#define ROUNDS_MAX_NS (5 * NS_PER_S) /* of one query */
#define LOAD_PER_S    20000
#define SERVICES      30
#define ROUTES	      8
#define FAILS_ONE_IN  1000

static uint64_t mix(uint64_t i)
{
	i = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
	i = (i ^ i >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	i = (i ^ i >> 27) * UINT64_C(0x94d049bb133111eb);
	return i ^ i >> 31;
}

struct text {
	char request[400], response[300], body[700];
	char path[64], route[48], service[24], trace[33];
};

static size_t write_body(char *to, size_t room, uint64_t i)
{
	size_t n = (size_t)snprintf(to, room, "{\"id\":%" PRIu64 ",\"items\":[", mix(i) % 100000);

	for (unsigned k = 0; k < 3 + i % 4 && n + 100 < room; k++)
		n += (size_t)snprintf(to + n, room - n,
				      "%s{\"sku\":\"%06" PRIx64 "\",\"price\":%" PRIu64
				      ",\"in_stock\":%s}",
				      k ? "," : "", mix(i * 7 + k) & 0xffffff, mix(i + k) % 9999,
				      k & 1 ? "true" : "false");
	n += (size_t)snprintf(to + n, room - n, "],\"currency\":\"EUR\"}");
	return n;
}

static void write_texts(struct text *t, uint64_t i, bool is_failed)
{
	uint64_t service = mix(i) % SERVICES, route = mix(i * 3) % ROUTES;
	size_t body = write_body(t->body, sizeof(t->body), i);

	(void)snprintf(t->service, sizeof(t->service), "service-%02" PRIu64, service);
	(void)snprintf(t->route, sizeof(t->route), "/api/v1/things%" PRIu64 "/{}", route);
	(void)snprintf(t->path, sizeof(t->path), "/api/v1/things%" PRIu64 "/%" PRIu64, route,
		       mix(i) % 100000);
	(void)snprintf(t->trace, sizeof(t->trace), "%016" PRIx64 "%016" PRIx64, mix(i), mix(~i));
	(void)snprintf(t->request, sizeof(t->request),
		       "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: shop/1.7\r\nAccept: */*\r\n"
		       "traceparent: 00-%s-%016" PRIx64 "-01\r\n\r\n",
		       t->path, t->service, t->trace, mix(i + 5));
	(void)snprintf(t->response, sizeof(t->response),
		       "HTTP/1.1 %s\r\nServer: nginx\r\nContent-Type: application/json\r\n"
		       "Content-Length: %zu\r\nCache-Control: no-store\r\n\r\n",
		       is_failed ? "500 Internal Server Error" : "200 OK", body);
}

/* The @i th exchange; its texts lie in @t. */
static struct exchange make(uint64_t i, struct text *t)
{
	bool is_failed = mix(i * 11) % FAILS_ONE_IN == 0;
	uint64_t start = FIRST_NS + i * STEP_NS + mix(i) % STEP_NS;
	struct exchange x = {
		.start_ns = start,
		.connection = FIRST_NS + i / 4096 * 4096 * STEP_NS + i % 64,
		.sequence = (uint32_t)(i % 4096 / 64),
		.status = is_failed ? 500 : 200,
		.protocol = PROTOCOL_HTTP1,
		.outcome = is_failed ? OUTCOME_SERVER_ERROR : OUTCOME_OK,
		.src = {.port = (uint16_t)(32768 + i % 64), .is_ipv4 = true},
		.dst = {.port = 8080, .is_ipv4 = true},
		.method = SPAN_LIT("GET"),
	};
	uint64_t sent = start + 500000 + mix(i * 5) % 3000000;

	write_texts(t, i, is_failed);
	x.src.address[15] = (uint8_t)(i % 8);
	x.dst.address[15] = (uint8_t)(mix(i) % SERVICES);
	x.dst.who.service = span_str(t->service);
	x.target = x.path = span_str(t->path);
	x.route = span_str(t->route);
	x.host = span_str(t->service);
	x.trace_id = span_str(t->trace);
	x.request = (struct message){.head = span_str(t->request),
				     .first_ns = start,
				     .last_ns = start,
				     .flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
				     .version = 11};
	x.response = (struct message){.head = span_str(t->response),
				      .body = span_str(t->body),
				      .content_type = SPAN_LIT("application/json"),
				      .body_bytes = strlen(t->body),
				      .first_ns = sent,
				      .last_ns = sent,
				      .flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
				      .version = 11};
	return x;
}

static void check(int r, const struct err *e)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "%s\n", e->why);
	exit(3);
}

/* --- writing --- */

static struct store *open_store(const char *dir)
{
	struct store_config config = store_config_default();
	struct store *s;
	struct err e = {0};

	config.bytes_max = 0;
	config.tape_span_ns = UINT64_MAX / 2;
	check(store_open(dir, &config, &s, &e), &e);
	return s;
}

/* What making the exchanges costs, which is not the store's. */
static double making_us(void)
{
	uint64_t began = clock_cpu_ns(), sum = 0;
	struct text t;

	for (uint64_t i = 0; i < 100000; i++)
		sum += make(i, &t).id + strlen(t.request);
	return sum ? (double)(clock_cpu_ns() - began) / 1e8 : 0;
}

static void write_million(struct store *s, uint64_t million, double making)
{
	uint64_t began = clock_cpu_ns();
	struct store_stats before, after;
	struct err e = {0};
	struct text t;

	store_stats(s, &before);
	for (uint64_t i = million * MILLION; i < (million + 1) * MILLION; i++) {
		struct exchange x = make(i, &t);

		check(store_add(s, &x, &e), &e);
		if (i % 1000 == 999)
			check(store_commit(s, &e), &e);
	}
	check(store_commit(s, &e), &e);
	store_stats(s, &after);
	printf("| %" PRIu64 " | %.2f | %.1f |\n", million + 1,
	       (double)(clock_cpu_ns() - began) / MILLION / 1e3 - making,
	       (double)(after.bytes - before.bytes) / MILLION);
	(void)fflush(stdout);
}

static void write_all(const char *dir, uint64_t millions)
{
	struct store *s = open_store(dir);
	double making = making_us();
	struct err e = {0};

	printf("| million | us CPU an exchange, sealing included | bytes an exchange |\n"
	       "| --- | --- | --- |\n");
	for (uint64_t m = 0; m < millions; m++)
		write_million(s, m, making);
	check(store_close(s, &e), &e);
}

/* --- asking --- */

static int count_one(void *ctx, const struct exchange *x)
{
	uint64_t *n = ctx;

	*n += x->id != 0;
	return 0;
}

static uint64_t list(struct reader *r, const char *text, struct query *q)
{
	struct filter *f = NULL;
	struct err e = {0};
	uint64_t n = 0;

	if (text)
		check(filter_parse(span_str(text), &f, &e), &e);
	q->filter = f;
	check(reader_list(r, q, count_one, &n, &q->cursor, &e), &e);
	filter_free(f);
	return n;
}

struct ask {
	struct reader *r;
	uint64_t count; /* exchanges in the store */
	uint64_t cursor;
};

static uint64_t newest_failures(struct ask *a, uint64_t i)
{
	(void)i;
	return list(a->r, "failed()", &(struct query){.limit = 100});
}

static uint64_t service_route_hour(struct ask *a, uint64_t i)
{
	char text[128];
	uint64_t end = FIRST_NS + mix(i) % a->count * STEP_NS, hour = 3600 * NS_PER_S;

	(void)snprintf(text, sizeof(text),
		       "dst.service == \"service-%02" PRIu64
		       "\" && route == \"/api/v1/things%" PRIu64 "/{}\"",
		       mix(i * 3) % SERVICES, mix(i * 7) % ROUTES);
	return list(a->r, text,
		    &(struct query){.limit = 100,
				    .since_ns = end > FIRST_NS + hour ? end - hour : FIRST_NS,
				    .until_ns = end});
}

static uint64_t by_trace(struct ask *a, uint64_t i)
{
	char text[64];
	uint64_t at = mix(i) % a->count;

	(void)snprintf(text, sizeof(text), "trace_id == \"%016" PRIx64 "%016" PRIx64 "\"", mix(at),
		       mix(~at));
	return list(a->r, text, &(struct query){.limit = 10});
}

static uint64_t by_id(struct ask *a, uint64_t i)
{
	uint64_t at = mix(i * 13) % a->count, n = 0;
	struct err e = {0};

	check(reader_get(a->r, FIRST_NS + at * STEP_NS + mix(at) % STEP_NS, count_one, &n, &e), &e);
	return n;
}

static uint64_t first_page(struct ask *a, uint64_t i)
{
	(void)i;
	return list(a->r, NULL, &(struct query){.limit = 100});
}

static uint64_t later_page(struct ask *a, uint64_t i)
{
	struct query q = {.limit = 100, .cursor = a->cursor};
	uint64_t n = 0;

	(void)i;
	for (; a->cursor == 0 && n < 1000; n++) /* come to the thousandth */
		(void)list(a->r, NULL, &q);
	a->cursor = q.cursor ? q.cursor : a->cursor;
	q.cursor = a->cursor;
	return list(a->r, NULL, &q);
}

static int count_row(void *ctx, const struct stats_row *row)
{
	uint64_t *n = ctx;

	*n += row->count;
	return 0;
}

static uint64_t stats(struct ask *a, const char *by, uint64_t since_ns, uint64_t until_ns,
		      uint64_t every_ns)
{
	struct query select = {.since_ns = since_ns, .until_ns = until_ns};
	struct stats_query q = {.select = &select, .every_ns = every_ns};
	struct stats_answer answer;
	struct err e = {0};
	uint64_t n = 0;

	check(stats_parse_by(span_str(by), &q, &e), &e);
	check(reader_stats(a->r, &q, count_row, &n, &answer, &e), &e);
	if (!answer.is_rollup) {
		(void)fprintf(stderr, "not from the counts: %s\n", answer.why);
		exit(3);
	}
	return n;
}

#define HOUR_NS (3600 * NS_PER_S)

static uint64_t histogram_of_day(struct ask *a, uint64_t i)
{
	(void)i;
	return stats(a, "", FIRST_NS, FIRST_NS + 24 * HOUR_NS, 60 * NS_PER_S);
}

static uint64_t histogram_by_service(struct ask *a, uint64_t i)
{
	(void)i;
	return stats(a, "dst.service", FIRST_NS, FIRST_NS + 24 * HOUR_NS, 3600 * NS_PER_S);
}

static uint64_t percentiles_of_hour(struct ask *a, uint64_t i)
{
	uint64_t at = FIRST_NS + mix(i) % a->count * STEP_NS;

	return stats(a, "dst.service,route", at, at + HOUR_NS, 0);
}

static uint64_t percentiles_of_day(struct ask *a, uint64_t i)
{
	(void)i;
	return stats(a, "dst.service", FIRST_NS, FIRST_NS + 24 * HOUR_NS, 0);
}

static const struct {
	const char *name;
	uint64_t (*run)(struct ask *a, uint64_t i);
	double aim_ms;
} questions[] = {
	{"newest 100 failures", newest_failures, 5},
	{"service, route, one hour: newest 100", service_route_hour, 10},
	{"trace id", by_trace, 2},
	{"one by id, with messages", by_id, 1},
	{"per-minute histogram of all", histogram_of_day, 50},
	{"per-hour histogram by service", histogram_by_service, 50},
	{"percentiles of an hour by service, route", percentiles_of_hour, 10},
	{"percentiles of all by service", percentiles_of_day, 50},
	{"first page of 100", first_page, 0},
	{"1000th page of 100", later_page, 0},
};

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct times {
	double median_ms, p99_ms, cpu_median_ms, cpu_p99_ms;
};

static uint64_t thread_cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static double nth_ms(uint64_t *ns, uint64_t n, uint64_t at)
{
	qsort(ns, n, sizeof(ns[0]), by_value);
	return (double)ns[at] / 1e6;
}

static struct times ask(struct ask *a, size_t which)
{
	uint64_t ns[ROUNDS], cpu[ROUNDS], found = 0, first = clock_mono_ns(), n = 0;

	for (; n < ROUNDS && clock_mono_ns() - first < ROUNDS_MAX_NS; n++) {
		uint64_t began = clock_mono_ns(), cpu_began = thread_cpu_ns();

		found += questions[which].run(a, n);
		ns[n] = clock_mono_ns() - began;
		cpu[n] = thread_cpu_ns() - cpu_began;
	}
	if (found == 0) {
		(void)fprintf(stderr, "%s: nothing was found\n", questions[which].name);
		exit(3);
	}
	return (struct times){nth_ms(ns, n, n / 2), nth_ms(ns, n, n * 99 / 100),
			      nth_ms(cpu, n, n / 2), nth_ms(cpu, n, n * 99 / 100)};
}

struct load {
	const char *dir;
	uint64_t next;
	atomic_bool is_over;
};

static void *write_on(void *arg)
{
	struct load *l = arg;
	struct store *s = open_store(l->dir);
	uint64_t began = clock_mono_ns(), done = 0;
	struct err e = {0};
	struct text t;

	while (!atomic_load(&l->is_over)) {
		uint64_t due = (clock_mono_ns() - began) * LOAD_PER_S / NS_PER_S;

		for (; done < due; done++) {
			struct exchange x = make(l->next++, &t);

			check(store_add(s, &x, &e), &e);
		}
		check(store_commit(s, &e), &e);
		(void)nanosleep(&(struct timespec){.tv_nsec = 100 * NS_PER_MS}, NULL);
	}
	check(store_close(s, &e), &e);
	return NULL;
}

static void print_question(size_t which, const struct times *quiet, const struct times *busy)
{
	printf("| %s | %.2f (%.2f) | %.2f (%.2f) | %.2f (%.2f) | %.2f (%.2f) |",
	       questions[which].name, quiet->median_ms, quiet->cpu_median_ms, quiet->p99_ms,
	       quiet->cpu_p99_ms, busy->median_ms, busy->cpu_median_ms, busy->p99_ms,
	       busy->cpu_p99_ms);
	if (questions[which].aim_ms > 0)
		printf(" %.0f |\n", questions[which].aim_ms);
	else
		printf(" |\n");
	(void)fflush(stdout);
}

static void ask_some(const char *dir, uint64_t millions, const char *name)
{
	struct ask a = {.count = millions * MILLION};
	struct err e = {0};

	check(reader_open(dir, &a.r, &e), &e);
	for (size_t i = 0; i < COUNT_OF(questions); i++) {
		struct times t;

		if (!strstr(questions[i].name, name))
			continue;
		(void)questions[i].run(&a, 1);
		t = ask(&a, i);
		printf("%s: %.2f ms, CPU %.2f; p99 %.2f, CPU %.2f\n", questions[i].name,
		       t.median_ms, t.cpu_median_ms, t.p99_ms, t.cpu_p99_ms);
	}
	reader_close(a.r);
}

static void ask_all(const char *dir, uint64_t millions)
{
	struct ask a = {.count = millions * MILLION};
	struct load load = {.dir = dir, .next = millions * MILLION};
	struct times quiet[COUNT_OF(questions)], busy;
	struct err e = {0};
	pthread_t thread;

	check(reader_open(dir, &a.r, &e), &e);
	for (size_t i = 0; i < COUNT_OF(questions); i++) {
		(void)questions[i].run(&a, 1); /* into the page cache */
		quiet[i] = ask(&a, i);
	}
	atomic_init(&load.is_over, false);
	if (pthread_create(&thread, NULL, write_on, &load) != 0)
		exit(3);
	printf("\n| query | median ms (CPU) | p99 ms (CPU) | beside %d/s written: median (CPU) | "
	       "p99 (CPU)"
	       " | aim ms |\n| --- | --- | --- | --- | --- | --- |\n",
	       LOAD_PER_S);
	for (size_t i = 0; i < COUNT_OF(questions); i++) {
		busy = ask(&a, i);
		print_question(i, &quiet[i], &busy);
	}
	atomic_store(&load.is_over, true);
	(void)pthread_join(thread, NULL);
	reader_close(a.r);
}

int main(int argc, char **argv)
{
	uint64_t millions = argc > 1 ? strtoull(argv[1], NULL, 10) : 20;
	char made[] = "/tmp/bench-scale.XXXXXX", command[64];
	const char *dir = argc > 2 ? argv[2] : mkdtemp(made);

	if (millions < 1 || millions > 1000 || !dir)
		return 2;
	if (argc <= 2 || access(dir, F_OK) < 0)
		write_all(dir, millions);
	if (argc > 3)
		ask_some(dir, millions, argv[3]);
	else
		ask_all(dir, millions);
	if (argc > 2)
		return 0;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", made);
	return system(command) == 0 ? 0 : 3;
}
