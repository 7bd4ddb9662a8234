// SPDX-License-Identifier: Apache-2.0
/*
 * make_tapes - the tapes of tests/tapes/vN, made by the program of that version
 *
 *	build/tests/tools/make_tapes tests/tapes/vN
 *
 * Run it once, from the last commit that writes schema version N, and never again: what it writes
 *is there to show that later programs read what this one wrote. It makes
 *
 *	store/   tape 1 sealed, with every case of tests/case and a service that got dictionaries;
 *	         tape 2 as a killed writer leaves it: not sealed, half of it in its log only
 *	bulk/    one tape of an import
 *	expect.jsonl.zst   every exchange that was put in: exchange_to_json(), EXCHANGE_JSON_EXACT
 */
#include "tests/unit/talk.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zstd.h>

#include "schema/exchange_json.h"
#include "store/store.h"
#include "tests/unit/some_exchange.h"

#define START	     UINT64_C(1764000000000000000)
#define SAME_SERVICE 260 /* exchanges of one service: enough for a dictionary */
#define SOME	     20

struct maker {
	struct store *store;
	struct buf expect;
	const char *name; /* of the case */
	uint64_t start_ns;
};

static void must(int r, const struct err *e)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "make_tapes: %s\n", e->why);
	exit(3);
}

/* JSON tells times of this age only, anomalies that have a name, texts that are not empty. */
static void tame_message(struct message *m)
{
	if (m->content_type.len == 0)
		m->content_type = (struct span){0};
	if (m->first_ns > 2 * START)
		m->first_ns = START;
	if (m->last_ns > 2 * START)
		m->last_ns = START;
}

static void tame(struct exchange *x)
{
	tame_message(&x->request);
	tame_message(&x->response);
	if (x->host.len == 0)
		x->host = (struct span){0};
	x->anomalies &= (UINT64_C(1) << ANOMALY_COUNT) - 1;
}

static void put(struct maker *m, struct exchange *x)
{
	struct json j = json_to(&m->expect);
	struct err e = {0};

	tame(x);
	must(store_add(m->store, x, &e), &e);
	exchange_to_json(&j, x, EXCHANGE_JSON_EXACT);
	buf_add_char(&m->expect, '\n');
}

static struct maker *case_maker; /* the sink of talk.h has no room for a second context */

static void put_case(void *ctx, struct exchange *x)
{
	(void)ctx;
	x->dst.is_ipv4 = x->src.is_ipv4 = true;
	memcpy(x->src.address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1", 16);
	memcpy(x->dst.address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\2", 16);
	x->src.who = (struct identity){.service = span_str("web"), .name_space = span_str("shop")};
	x->dst.who = (struct identity){.service = span_str(case_maker->name),
				       .name_space = span_str("shop"),
				       .pod = span_str("cart-7f9c"),
				       .workload = span_str("cart"),
				       .node = span_str("n1")};
	put(case_maker, x);
}

static void run_case(struct maker *m, const char *name)
{
	static char text[1 << 20];
	struct wire_config config = wire_config_default();
	struct talk t;
	char path[512], *rest = text, *line;
	FILE *f;

	(void)snprintf(path, sizeof(path), "tests/case/%s/input.talk", name);
	f = fopen(path, "r");
	if (!f)
		return;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	(void)fclose(f);
	m->name = name;
	case_maker = m;
	config.is_redacting = false;
	config.memory_max = 8 << 20;
	config.flows_max = 64;
	talk_begin(&t, &config, TALK_WHOLE);
	t.wire->sink.commit = put_case;
	t.now_ns = m->start_ns += NS_PER_S;
	while ((line = strsep(&rest, "\n")))
		talk_take_line(&t, line);
	talk_finish(&t);
	talk_free(&t);
}

static void run_cases(struct maker *m)
{
	struct dirent **entries;
	int n = scandir("tests/case", &entries, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.')
			run_case(m, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

/* One service, JSON, some bodies again and again: dictionaries, bodies that lie elsewhere. */
static void run_service(struct maker *m)
{
	char head[300], body[1200];

	for (int i = 0; i < SAME_SERVICE; i++) {
		struct exchange x = {
			.start_ns = m->start_ns += NS_PER_MS,
			.connection = 77,
			.sequence = (uint32_t)i,
			.status = 201,
			.protocol = PROTOCOL_HTTP1,
			.method = span_str("POST"),
			.target = span_str("/orders/17?now"),
			.path = span_str("/orders/17"),
			.route = span_str("/orders/{}"),
			.trace_id = span_str("80f198ee56343ba864fe8b2a57d3eff7"),
			.outcome = (uint8_t)(i % 20 == 0 ? OUTCOME_RESET : OUTCOME_OK),
			.dst = {.port = 80, .is_ipv4 = true, .who.service = span_str("orders")},
			.src = {.port = 4000, .is_ipv4 = true, .who.pod = span_str("web-1")},
		};
		int n = 0;

		(void)snprintf(head, sizeof(head),
			       "POST /orders/%d HTTP/1.1\r\nHost: orders\r\nX-Request-Id: %d-%d\r\n"
			       "Content-Type: application/json\r\n\r\n",
			       i, i * 7919, i);
		for (int line = 0; line < 16; line++)
			n += snprintf(body + n, sizeof(body) - (size_t)n,
				      "{\"sku\":\"A-%05d\",\"quantity\":%d,\"price\":\"%d.%02d\"},",
				      (i * 31 + line * 977) % 100000, 1 + line % 7, i % 50, line);
		x.request = (struct message){.head = span_str(head),
					     .body = span_str(body),
					     .body_bytes = (uint64_t)n,
					     .flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
					     .version = 11,
					     .content_type = span_str("application/json"),
					     .first_ns = x.start_ns,
					     .last_ns = x.start_ns + 1000};
		x.response = (struct message){
			.head = span_str("HTTP/1.1 201 Created\r\nContent-Length: 16\r\n\r\n"),
			.body = span_str("{\"ordered\":true}"),
			.body_bytes = 16,
			.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
			.version = 11,
			.first_ns = x.start_ns + 2000,
			.last_ns = x.start_ns + 3000};
		put(m, &x);
	}
}

static void run_some(struct maker *m, uint64_t *seed, int count)
{
	uint8_t *room = malloc(SOME_ROOM);

	for (int i = 0; i < count; i++) {
		struct exchange x =
			some_exchange(seed, m->start_ns + some_number(seed) % 1000, room);

		put(m, &x);
	}
	m->start_ns += NS_PER_S;
	free(room);
}

static void open_in(struct maker *m, const char *dir, const char *name, bool is_bulk)
{
	struct store_config config = store_config_default();
	struct err e = {0};
	char path[512];

	config.is_bulk = is_bulk;
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	must(store_open(path, &config, &m->store, &e), &e);
}

static void close_it(struct maker *m)
{
	struct err e = {0};

	must(store_close(m->store, &e), &e);
}

/* Committed twice; what was committed last is in the log alone when the writer is killed. */
static void run_killed(struct maker *m, const char *dir, uint64_t *seed)
{
	struct err e = {0};

	open_in(m, dir, "store", false);
	run_some(m, seed, SOME);
	must(store_commit(m->store, &e), &e);
	close_it(m);
	open_in(m, dir, "store", false);
	run_some(m, seed, SOME);
	must(store_commit(m->store, &e), &e);
}

static void seal_next_time(struct maker *m)
{
	struct store_config config = store_config_default();
	struct err e = {0};

	config.tape_rows = 1;
	store_set_limits(m->store, &config);
	must(store_commit(m->store, &e), &e);
}

static void write_expected(const struct maker *m, const char *dir)
{
	char path[512];
	size_t room = ZSTD_compressBound(m->expect.len);
	void *packed = malloc(room);
	size_t n = ZSTD_compress(packed, room, m->expect.ptr, m->expect.len, 19);
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/expect.jsonl.zst", dir);
	f = fopen(path, "w");
	if (!f || ZSTD_isError(n) || fwrite(packed, 1, n, f) != n || fclose(f) != 0)
		exit(3);
	free(packed);
}

int main(int argc, char **argv)
{
	struct maker m = {.start_ns = START};
	uint64_t seed = 42;

	if (argc != 2)
		return 2;
	open_in(&m, argv[1], "store", false);
	run_service(&m); /* first: the classes of dictionaries are few */
	run_cases(&m);
	run_some(&m, &seed, SOME);
	seal_next_time(&m);
	close_it(&m);
	open_in(&m, argv[1], "bulk", true);
	run_some(&m, &seed, SOME);
	close_it(&m);
	run_killed(&m, argv[1], &seed);
	write_expected(&m, argv[1]);
	_exit(0); /* as if killed: the log stays */
}
