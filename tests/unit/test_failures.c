// SPDX-License-Identifier: Apache-2.0
/* kinds of failures: from the counts of tapes, from the index and from each exchange they are the same */
#include "tests/unit/store_kit.h"

#include "store/filter.h"
#include "store/rollup.h"

#define MINUTE ROLLUP_MINUTE_NS

static struct endpoint some_end(uint64_t *seed, bool is_known)
{
	struct endpoint end = {.address = {[10] = 0xff, 0xff, 10, 0, 0, (uint8_t)(some_number(seed) % 4)},
			       .is_ipv4 = true,
			       .port = 80};

	if (is_known)
		end.who.service = span_str(some_chance(seed, 50) ? "cart" : "front");
	return end;
}

/* Failures of few kinds, over 40 minutes. */
static void add_failures(struct store *s, uint64_t *seed, size_t count)
{
	static const char *const errors[] = {"", "no item {}", "{\"error\":\"internal\"}"};
	uint8_t *room = malloc(SOME_ROOM);
	struct err e = {0};

	for (size_t i = 0; i < count; i++) {
		uint64_t at = START + i * 40 * MINUTE / count + some_number(seed) % MINUTE;
		struct exchange x = some_exchange(seed, at, room);

		x.route = span_str(some_chance(seed, 50) ? "/cart/{}" : "/pay");
		x.method = SPAN_LIT("GET");
		x.outcome = (uint8_t)(some_number(seed) % OUTCOME_COUNT);
		x.reason = x.outcome == OUTCOME_RESET ? REASON_RESET_SERVER : REASON_NONE;
		x.protocol = PROTOCOL_HTTP1;
		x.status = x.outcome == OUTCOME_SERVER_ERROR ? 500 : 0;
		x.has_grpc_status = false;
		x.grpc_status = x.close_code = 0;
		x.error = exchange_is_failed(&x) ? span_str(errors[some_number(seed) % 3])
						 : (struct span){0};
		x.src = some_end(seed, some_chance(seed, 50));
		x.dst = some_end(seed, true);
		if (store_add(s, &x, &e) < 0)
			fail_msg("%s", e.why);
		if (some_chance(seed, 3))
			commit(s);
	}
	free(room);
	commit(s);
}

struct list {
	struct failure all[512];
	size_t count;
	uint64_t total;
};

static struct span own(struct span s)
{
	uint8_t *copy = malloc(s.len + 1);

	memcpy(copy, s.len ? (const void *)s.ptr : "", s.len);
	return span_of(copy, s.len);
}

static int keep_failure(void *ctx, const struct failure *f)
{
	struct list *l = ctx;
	struct failure *to = &l->all[l->count++];

	assert_true(l->count < COUNT_OF(l->all));
	*to = *f;
	to->src_service = own(f->src_service);
	to->dst_service = own(f->dst_service);
	to->route = own(f->route);
	to->error = own(f->error);
	l->total += f->count;
	return 0;
}

static void list_fini(struct list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free((void *)(uintptr_t)l->all[i].src_service.ptr);
		free((void *)(uintptr_t)l->all[i].dst_service.ptr);
		free((void *)(uintptr_t)l->all[i].route.ptr);
		free((void *)(uintptr_t)l->all[i].error.ptr);
	}
	free(l);
}

static struct list *ask(struct reader *r, const char *filter, uint64_t since, uint64_t until,
			uint64_t new_ns)
{
	struct list *l = calloc(1, sizeof(*l));
	AUTO(filter) f = NULL;
	struct err e = {0};

	assert_non_null(l);
	assert_int_equal(filter_parse(span_str(filter), &f, &e), 0);
	if (reader_failures(r, &(struct query){.filter = f, .since_ns = since, .until_ns = until}, new_ns,
			    keep_failure, l, &e) < 0)
		fail_msg("%s", e.why);
	return l;
}

static void expect_same(const struct failure *a, const struct failure *b)
{
	uint64_t points = 0;

	assert_true(span_eq(a->src_service, b->src_service));
	assert_true(span_eq(a->dst_service, b->dst_service));
	assert_true(span_eq(a->route, b->route));
	assert_true(span_eq(a->error, b->error));
	assert_int_equal(a->outcome, b->outcome);
	assert_true(a->count == b->count && a->exemplar == b->exemplar);
	assert_true(a->first_ns == b->first_ns && a->last_ns == b->last_ns);
	assert_true(a->points_ns == b->points_ns && a->step_ns == b->step_ns);
	assert_int_equal(a->point_count, b->point_count);
	assert_memory_equal(a->points, b->points, sizeof(a->points));
	for (size_t i = 0; i < a->point_count; i++)
		points += a->points[i];
	assert_true(points == a->count);
}

/* By counts, by the index (the latency is no part of the counts), and one by one. */
static void expect_agreement(struct reader *r, uint64_t since, uint64_t until, uint64_t new_ns)
{
	struct list *counted = ask(r, "", since, until, new_ns);
	struct list *indexed = ask(r, "latency >= duration(\"0s\")", since, until, new_ns);
	struct list *listed = ask(r, "!response.body.contains(\"never there\")", since, until, new_ns);

	assert_int_equal(counted->count, indexed->count);
	assert_int_equal(counted->count, listed->count);
	for (size_t i = 0; i < counted->count; i++) {
		expect_same(&counted->all[i], &indexed->all[i]);
		expect_same(&counted->all[i], &listed->all[i]);
	}
	list_fini(counted);
	list_fini(indexed);
	list_fini(listed);
}

static void all_ways_to_count_agree(void **state)
{
	static const uint64_t times[][3] = {
		{0, 0, 0},
		{START + 5 * MINUTE, 0, 0},
		{START + 5 * MINUTE + 7777, START + 30 * MINUTE + 99, 0},
		{0, START + 10 * MINUTE, 0},
		{START + 20 * MINUTE, START + 20 * MINUTE + 30 * NS_PER_S, 0}, /* part of a minute */
		{START + 20 * MINUTE + 1, START + 23 * MINUTE + 1, 0},
		{0, 0, START + 20 * MINUTE + 5},
		{START + 10 * MINUTE, 0, START + 12 * MINUTE},
		{START + 1000 * MINUTE, 0, 0},
	};
	struct store_config config = store_config_default();
	uint64_t seed = 424242;
	struct store *s;
	struct reader *r;

	config.tape_rows = 700;
	s = open_store(*state, &config);
	add_failures(s, &seed, 2000);
	r = open_reader(*state);
	for (size_t i = 0; i < COUNT_OF(times); i++)
		expect_agreement(r, times[i][0], times[i][1], times[i][2]);
	reader_close(r);
	close_store(s);
}

static struct exchange one_failure(uint64_t at, const char *route, const char *error, uint8_t address)
{
	return (struct exchange){
		.start_ns = at,
		.method = SPAN_LIT("GET"),
		.target = span_str(route),
		.path = span_str(route),
		.route = span_str(route),
		.error = span_str(error),
		.status = 500,
		.outcome = OUTCOME_SERVER_ERROR,
		.src = {.address = {[10] = 0xff, 0xff, 10, 0, 0, address}, .is_ipv4 = true},
		.dst = {.address = {[10] = 0xff, 0xff, 10, 0, 0, 9}, .is_ipv4 = true, .port = 80},
	};
}

static void add_one(struct store *s, struct exchange x)
{
	struct err e = {0};

	if (store_add(s, &x, &e) < 0)
		fail_msg("%s", e.why);
}

static void new_kinds_are_those_not_seen_before(void **state)
{
	struct store *s = open_store(*state, NULL);
	struct reader *r;
	struct list *l;

	add_one(s, one_failure(START, "/cart", "old", 1));
	add_one(s, one_failure(START + 90 * MINUTE, "/cart", "old", 1));
	add_one(s, one_failure(START + 91 * MINUTE, "/cart", "new", 1));
	commit(s);
	r = open_reader(*state);
	l = ask(r, "", 0, 0, START + 80 * MINUTE);
	assert_int_equal(l->count, 1);
	assert_true(span_eq(l->all[0].error, SPAN_LIT("new")));
	list_fini(l);
	l = ask(r, "", START + 60 * MINUTE, 0, START + 80 * MINUTE); /* as far as one looks back */
	assert_int_equal(l->count, 2);
	list_fini(l);
	reader_close(r);
	close_store(s);
}

static void clients_without_names_make_one_kind(void **state)
{
	struct store *s = open_store(*state, NULL);
	struct reader *r;
	struct list *l;

	for (uint8_t i = 1; i < 6; i++)
		add_one(s, one_failure(START + i, "/cart", "", i));
	add_one(s, one_failure(START, "/pay", "", 7));
	commit(s);
	r = open_reader(*state);
	l = ask(r, "", 0, 0, 0);
	assert_int_equal(l->count, 2);
	assert_true(span_eq(l->all[0].src_service, SPAN_LIT("*")));
	assert_true(span_eq(l->all[1].src_service, SPAN_LIT("10.0.0.7")));
	assert_true(span_eq(l->all[1].dst_service, SPAN_LIT("10.0.0.9")));
	list_fini(l);
	reader_close(r);
	close_store(s);
}

/* --- routes that were learned --- */

static struct span routed(struct store *s, const char *path)
{
	struct exchange x = one_failure(START, path, "", 1);

	store_route(s, &x);
	return x.route;
}

static void learn_users(struct store *s)
{
	for (unsigned i = 0; i < 150; i++) {
		char path[32];

		(void)snprintf(path, sizeof(path), "/users/%c%c", 'a' + (char)(i % 26),
			       'a' + (char)(i / 26));
		(void)routed(s, path);
	}
	add_one(s, one_failure(START + 1, "/", "", 1));
	commit(s);
}

static void routes_keep_their_names_over_restarts_and_tapes(void **state)
{
	struct store_config config = store_config_default();
	struct store *s;
	char first[128];

	config.tape_rows = 1;
	s = open_store(*state, &config);
	learn_users(s);
	assert_true(span_eq(routed(s, "/users/ann"), SPAN_LIT("/users/{}")));
	add_one(s, one_failure(START + 2, "/", "", 1)); /* another tape */
	commit(s);
	close_store(s);
	(void)snprintf(first, sizeof(first), "%s/failures/tape-00000001.tape", (char *)*state);
	assert_int_equal(unlink(first), 0);
	s = open_store(*state, &config);
	assert_true(span_eq(routed(s, "/users/bob"), SPAN_LIT("/users/{}")));
	assert_true(span_eq(routed(s, "/pay"), SPAN_LIT("/pay")));
	close_store(s);
}

static uint64_t clock_ticks(void)
{
	static uint64_t now;

	return now += NS_PER_S;
}

static void a_count_that_runs_out_of_time_says_how_far_it_came(void **state)
{
	struct store_config config = store_config_default();
	uint64_t seed = 5;
	struct store *s;
	struct reader *r;
	struct list l = {0};
	struct err e = {0};

	config.tape_rows = 200;
	s = open_store(*state, &config);
	add_failures(s, &seed, 2000);
	close_store(s);
	r = open_reader(*state);
	reader_limit_ns(r, 2 * NS_PER_S, clock_ticks);
	assert_int_equal(reader_failures(r, &(struct query){0}, 0, keep_failure, &l, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.why, "were counted; ask"));
	assert_int_equal(l.count, 0);
	reader_close(r);
}

static void errors_that_never_repeat_make_few_kinds(void **state)
{
	struct store_config config = store_config_default();
	struct store *s;
	struct reader *r;
	struct list *l;
	struct err e = {0};
	char error[32];

	s = open_store(*state, &config);
	for (uint64_t i = 0; i < 3000; i++) {
		struct exchange x = {.start_ns = START + i,
				     .status = 500,
				     .outcome = OUTCOME_SERVER_ERROR,
				     .protocol = PROTOCOL_HTTP1,
				     .method = SPAN_LIT("GET"),
				     .route = i % 3 ? SPAN_LIT("/pay") : SPAN_LIT("/cart"),
				     .dst.who.service = SPAN_LIT("shop")};

		(void)snprintf(error, sizeof(error), "unlucky %c%c%c", (char)('a' + i % 26),
			       (char)('a' + i / 26 % 26), (char)('a' + i / 676));
		x.error = i % 3 == 2 ? SPAN_LIT("always the same") : span_str(error);
		if (store_add(s, &x, &e) < 0 || (i % 500 == 0 && store_commit(s, &e) < 0))
			fail_msg("%s", e.why);
	}
	commit(s);
	r = open_reader(*state);
	l = ask(r, "", 0, 0, 0);
	assert_true(l->total == 3000);
	assert_int_equal(l->count, 2 * (64 + 1)); /* of two routes, and "*" of each */
	list_fini(l);
	reader_close(r);
	close_store(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_ways_to_count_agree),
		TEST(new_kinds_are_those_not_seen_before),
		TEST(clients_without_names_make_one_kind),
		TEST(a_count_that_runs_out_of_time_says_how_far_it_came),
		TEST(errors_that_never_repeat_make_few_kinds),
		TEST(routes_keep_their_names_over_restarts_and_tapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
