// SPDX-License-Identifier: Apache-2.0
/*
 * Names that come later: addresses are born, die and are used again by others while nobody knows; then
 * the truth is told, in pieces and in any order. Every exchange has the names of those who were there,
 * and what is counted is what is listed.
 */
#include "tests/unit/store_kit.h"

#include "store/check.h"
#include "store/stats.h"

#define MINUTE	  (60 * NS_PER_S)
#define ADDRESSES 5
#define OWNERS	  12 /* of an address, one after the other, at most */
#define WHILE_NS  (4 * MINUTE)

/* Who had an address from when on; a name of NULL: nobody. */
struct owner {
	uint64_t from_ns;
	const char *service, *pod;
};

struct world {
	struct owner owners[ADDRESSES][OWNERS];
	size_t owner_count[ADDRESSES];
	uint64_t told_ns; /* what was before is told */
	struct identity told[ADDRESSES][OWNERS];
};

static struct endpoint end_of(size_t address, uint16_t port)
{
	struct endpoint end = {.port = port, .is_ipv4 = true};

	end.address[10] = end.address[11] = 0xff;
	end.address[12] = 10;
	end.address[15] = (uint8_t)(address + 1);
	return end;
}

static size_t owner_at(const struct world *w, size_t address, uint64_t at)
{
	size_t i = w->owner_count[address] - 1;

	while (w->owners[address][i].from_ns > at)
		i--;
	return i;
}

static void make_world(struct world *w, uint64_t *seed)
{
	static const char *const services[] = {"cart", "shop", "pay", "mail", NULL};
	static const char *const pods[] = {"p-0", "p-1", "p-2", "p-3", "p-4", "p-5"};

	for (size_t a = 0; a < ADDRESSES; a++) {
		uint64_t at = 0;

		w->owner_count[a] = 0;
		for (size_t i = 0; i < OWNERS && at < START + WHILE_NS; i++) {
			struct owner *o = &w->owners[a][w->owner_count[a]++];

			*o = (struct owner){at, services[some_number(seed) % COUNT_OF(services)],
					    pods[some_number(seed) % COUNT_OF(pods)]};
			w->told[a][i] = (struct identity){.service = span_str(o->service),
							  .name_space = span_str("ns"),
							  .pod = span_str(o->pod),
							  .workload = span_str(o->service),
							  .source = IDENTITY_API,
							  .certainty = CERTAINTY_CERTAIN};
			at = MAX(at, START) + some_number(seed) % (2 * MINUTE);
		}
	}
}

static struct late_answer tell(void *ctx, const struct endpoint *at, uint64_t time_ns)
{
	struct world *w = ctx;
	size_t a = at->address[15] - 1U, i = owner_at(w, a, time_ns);
	uint64_t until = i + 1 < w->owner_count[a] ? w->owners[a][i + 1].from_ns : UINT64_MAX;

	assert_true(time_ns >= at->who.since_ns && time_ns < at->who.until_ns);
	if (time_ns >= w->told_ns)
		return (struct late_answer){NULL, UINT64_MAX, false};
	until = MIN(until, w->told_ns);
	return (struct late_answer){w->owners[a][i].service ? &w->told[a][i] : NULL, until, true};
}

/* The end waits, as the recorder writes it: from its first exchange to the end of the minute. */
static struct identity waiting(uint64_t seen[ADDRESSES][5], size_t address, uint64_t at)
{
	uint64_t minute = at / MINUTE * MINUTE, *since = &seen[address][(at - START) / MINUTE];

	if (*since == 0 || at < *since)
		*since = at;
	return (struct identity){.since_ns = *since, .until_ns = minute + MINUTE};
}

static void add_unnamed(struct store *s, const struct world *w, struct kept *k, uint64_t *seed, size_t count)
{
	static const char *const routes[] = {"/cart/{}", "/", "/pay"};
	uint64_t seen[2][ADDRESSES][5] = {0};
	uint8_t *room = malloc(SOME_ROOM);
	struct err e = {0};

	for (size_t i = 0; i < count; i++) {
		uint64_t at = START + some_number(seed) % WHILE_NS;
		size_t src = some_number(seed) % ADDRESSES, dst = some_number(seed) % ADDRESSES;
		struct exchange x = some_exchange(seed, at, room);

		x.src = end_of(src, x.src.port);
		x.dst = end_of(dst, 8080);
		x.route = span_str(routes[some_number(seed) % COUNT_OF(routes)]);
		x.request.first_ns = at;
		x.response.last_ns = at + 1000 + some_number(seed) % NS_PER_S;
		x.response.body_bytes %= 100000;
		x.request.body_bytes %= 100000;
		if (some_chance(seed, 20) && w->owners[dst][owner_at(w, dst, at)].service)
			x.dst.who = w->told[dst][owner_at(w, dst, at)];
		else
			x.dst.who = waiting(seen[1], dst, at);
		x.src.who = waiting(seen[0], src, at);
		if (store_add(s, &x, &e) < 0)
			fail_msg("%s", e.why);
		keep(k, &x);
		if (some_chance(seed, 3))
			commit(s);
	}
	free(room);
	commit(s);
}

static void tell_all(struct store *s, struct world *w, unsigned rows_max, struct late_result *sum)
{
	struct late_config c = {.ask = tell, .ctx = w, .rows_max = rows_max};
	struct late_result result;
	unsigned calls = 0;
	struct err e = {0};

	sum->waiting = 0;
	do {
		assert_true(calls++ < 10000);
		if (store_name_late(s, &c, &result, &e) < 0)
			fail_msg("%s", e.why);
		sum->named += result.named;
		sum->never += result.never;
		sum->waiting += result.waiting;
	} while (result.has_more);
}

/* --- what comes of it --- */

struct count {
	char service[2][16];
	uint64_t count, failed, latency_count;
};

struct counts {
	struct count all[128];
	size_t count;
	const struct world *world;
};

static struct count *count_of(struct counts *c, struct span src, struct span dst)
{
	struct count *n = c->all;

	while (n < c->all + c->count &&
	       !(span_eq(span_str(n->service[0]), src) && span_eq(span_str(n->service[1]), dst)))
		n++;
	if (n == c->all + c->count) {
		assert_true(++c->count <= COUNT_OF(c->all));
		(void)snprintf(n->service[0], 16, "%.*s", (int)src.len, src.len ? (const char *)src.ptr : "");
		(void)snprintf(n->service[1], 16, "%.*s", (int)dst.len, dst.len ? (const char *)dst.ptr : "");
	}
	return n;
}

static void expect_who(const struct world *w, const struct endpoint *end, uint64_t at)
{
	size_t a = end->address[15] - 1U;
	const struct owner *o = &w->owners[a][owner_at(w, a, at)];

	assert_true(span_eq(end->who.service, span_str(o->service ? o->service : "")));
	if (o->service)
		assert_true(span_eq(end->who.pod, span_str(o->pod)));
	assert_int_equal(end->who.until_ns, 0);
}

static int count_listed(void *ctx, const struct exchange *x)
{
	struct counts *c = ctx;
	struct count *n = count_of(c, x->src.who.service, x->dst.who.service);

	expect_who(c->world, &x->src, x->start_ns);
	expect_who(c->world, &x->dst, x->start_ns);
	n->count += MAX(x->weight, 1);
	n->failed += exchange_is_failed(x) ? MAX(x->weight, 1) : 0;
	n->latency_count += exchange_latency_ns(x) ? MAX(x->weight, 1) : 0;
	return 0;
}

static int compare_count(void *ctx, const struct stats_row *row)
{
	struct count *n = count_of(ctx, row->by[0], row->by[1]);

	assert_int_equal(row->count, n->count);
	assert_int_equal(row->failed, n->failed);
	assert_int_equal(row->latency_count, n->latency_count);
	n->count = 0;
	return 0;
}

static int sum_failures(void *ctx, const struct failure *f)
{
	*(uint64_t *)ctx += f->count;
	assert_true(f->dst_service.len > 0);
	return 0;
}

static void say(void *ctx, const struct check_finding *f)
{
	(void)ctx;
	fail_msg("%s: %s", check_place_name(f->place), f->what);
}

static int check_next(void *ctx, const struct tape_info *t)
{
	struct check_hooks hooks = {.found = say};
	struct check_result result;
	struct err e = {0};

	(void)ctx;
	assert_int_equal(check_tape(t->path, &hooks, &result, &e), 0);
	assert_int_equal(result.findings, 0);
	return 0;
}

static void expect_truth(const char *dir, const struct world *w, size_t count, bool is_counted)
{
	struct reader *r = open_reader(dir);
	struct counts listed = {.world = w};
	struct stats_query q = {.select = &(struct query){0}, .by = {FIELD_SRC_SERVICE, FIELD_DST_SERVICE}, .by_count = 2};
	struct stats_answer answer = {0};
	uint64_t total = 0, failures = 0;
	struct err e = {0};

	assert_int_equal(reader_list(r, &(struct query){0}, count_listed, &listed, NULL, &e), 0);
	for (size_t i = 0; i < listed.count; i++)
		total += listed.all[i].count;
	assert_true(total >= count);
	assert_int_equal(reader_stats(r, &q, compare_count, &listed, &answer, &e), 0);
	assert_int_equal(answer.is_rollup, is_counted);
	assert_int_equal(answer.count, total);
	for (size_t i = 0; i < listed.count; i++)
		assert_int_equal(listed.all[i].count, 0);
	assert_int_equal(reader_failures(r, &(struct query){0}, 0, sum_failures, &failures, &e), 0);
	assert_true(failures > 0);
	assert_int_equal(reader_tapes(r, check_next, NULL, &e), 0);
	reader_close(r);
}

/* Told in several pieces, between commits, with few at once; the last of it after a restart. */
static void every_exchange_gets_the_names_of_those_who_were_there(void **state)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		uint64_t random = seed * 7919;
		char dir[160];
		struct world w = {.told_ns = START};
		struct late_result sum = {0};
		struct kept k = {0};
		struct store *s;

		(void)snprintf(dir, sizeof(dir), "%s/%llu", (char *)*state, (unsigned long long)seed);
		make_world(&w, &random);
		s = open_store(dir, NULL);
		for (size_t i = 0; i < 3; i++) {
			add_unnamed(s, &w, &k, &random, 300);
			w.told_ns = START + WHILE_NS / 4 * (i + 1);
			tell_all(s, &w, some_chance(&random, 50) ? 7 : 100, &sum);
			if (i == 1) {
				close_store(s);
				s = open_store(dir, NULL);
			}
		}
		assert_true(sum.waiting > 0);
		w.told_ns = UINT64_MAX;
		tell_all(s, &w, 1000, &sum);
		assert_int_equal(sum.waiting, 0);
		assert_true(sum.named > 20);
		expect_truth(dir, &w, k.count, true);
		close_store(s);
		expect_truth(dir, &w, k.count, true);
		kept_fini(&k);
	}
}

static int keep_next(void *ctx, const struct exchange *x)
{
	keep(ctx, x);
	return 0;
}

/* A reader that has looked before sees the names that came since. */
static void who_reads_along_sees_names_as_they_come(void **state)
{
	uint64_t random = 4711;
	struct world w = {.told_ns = START};
	struct late_result sum = {0};
	struct kept k = {0}, before = {0};
	struct counts after = {.world = &w};
	struct store *s = open_store(*state, NULL);
	struct reader *r;
	struct err e = {0};

	make_world(&w, &random);
	add_unnamed(s, &w, &k, &random, 200);
	r = open_reader(*state);
	assert_int_equal(reader_list(r, &(struct query){0}, keep_next, &before, NULL, &e), 0);
	assert_int_equal(before.count, 200);
	for (size_t i = 0; i < before.count; i++)
		assert_int_equal(before.all[i]->src.who.service.len, 0);
	w.told_ns = UINT64_MAX;
	tell_all(s, &w, 100, &sum);
	assert_int_equal(reader_list(r, &(struct query){0}, count_listed, &after, NULL, &e), 0);
	reader_close(r);
	close_store(s);
	kept_fini(&before);
	kept_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_exchange_gets_the_names_of_those_who_were_there,
						make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(who_reads_along_sees_names_as_they_come, make_directory,
						remove_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
