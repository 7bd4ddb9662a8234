// SPDX-License-Identifier: Apache-2.0
/* What several daemons answer, as one: sums, percentiles of all, counts over time on one axis. */
#include "cli/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cli/leading.h"
#include "store/sketch.h"

#define MINUTE (60 * NS_PER_S)

/* ---- counts ---- */

struct seen_rows {
	size_t count;
	struct stats_row rows[8];
	char names[8][16];
	uint64_t points[8][STATS_POINTS];
};

static int see_row(void *ctx, const struct stats_row *r)
{
	struct seen_rows *s = ctx;

	assert_true(s->count < COUNT_OF(s->rows));
	(void)snprintf(s->names[s->count], sizeof(s->names[0]), "%.*s", (int)r->by[0].len,
		       (const char *)r->by[0].ptr);
	for (size_t i = 0; i < r->point_count; i++)
		s->points[s->count][i] = r->points[i];
	s->rows[s->count++] = *r;
	return 0;
}

static void add_row(struct stats_merge *m, const char *group, uint64_t count, uint64_t latency_ns)
{
	struct span by[STATS_BY_MAX] = {span_str(group)};
	uint64_t points[] = {count - 1, 1};
	struct sketch s = {0};
	AUTO_BUF sketch = {0};

	sketch_add(&s, latency_ns, count);
	sketch_write(&s, &sketch);
	assert_int_equal(stats_merge_add(m, &(struct stats_row){.by = by,
								.count = count,
								.failed = 1,
								.request_bytes = 10,
								.sketch = buf_span(&sketch),
								.points = points,
								.point_count = 2}),
			 0);
	sketch_fini(&s);
}

static void counts_of_daemons_add_up_and_percentiles_are_of_all(void **state)
{
	struct stats_query by = {.by_count = 1};
	struct stats_answer first = {.since_ns = 10 * MINUTE, .until_ns = 12 * MINUTE,
				     .step_ns = MINUTE, .count = 100, .is_rollup = true},
			    second = {.since_ns = 11 * MINUTE, .until_ns = 13 * MINUTE,
				      .step_ns = MINUTE, .count = 903, .is_sampled = true},
			    sum;
	struct stats_merge *m = stats_merge_new(&by);
	struct seen_rows seen = {0};

	(void)state;
	add_row(m, "cart", 100, NS_PER_MS);
	stats_merge_answer(m, &first);
	add_row(m, "pay", 3, NS_PER_S);
	add_row(m, "cart", 900, 100 * NS_PER_MS);
	stats_merge_answer(m, &second);
	stats_merge_answer(m, &(struct stats_answer){0}); /* one that has nothing */
	assert_int_equal(stats_merge_hand_out(m, 0, see_row, &seen, &sum), 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.names[0], "cart");
	assert_int_equal(seen.rows[0].count, 1000);
	assert_int_equal(seen.rows[0].failed, 2);
	assert_int_equal(seen.rows[0].latency_count, 1000);
	assert_true(seen.rows[0].p50_ns > 90 * NS_PER_MS); /* no mean of the two medians */
	assert_int_equal(seen.rows[0].max_ns, 100 * NS_PER_MS);
	assert_int_equal(seen.points[0][0], 99);
	assert_int_equal(seen.points[0][1], 1 + 899);
	assert_int_equal(seen.points[0][2], 1);
	assert_int_equal(sum.count, 1003);
	assert_int_equal(sum.group_count, 2);
	assert_int_equal(sum.since_ns, 10 * MINUTE);
	assert_int_equal(sum.until_ns, 13 * MINUTE);
	assert_true(sum.is_sampled && !sum.is_rollup);
	stats_merge_free(m);
}

static void the_limit_counts_groups_of_all(void **state)
{
	struct stats_query by = {.by_count = 1};
	struct stats_answer a = {.since_ns = MINUTE, .until_ns = 2 * MINUTE, .step_ns = MINUTE}, sum;
	struct stats_merge *m = stats_merge_new(&by);
	struct seen_rows seen = {0};

	(void)state;
	add_row(m, "a", 10, 1);
	add_row(m, "b", 6, 1);
	stats_merge_answer(m, &a);
	add_row(m, "b", 6, 1);
	stats_merge_answer(m, &a);
	assert_int_equal(stats_merge_hand_out(m, 1, see_row, &seen, &sum), 0);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.names[0], "b");
	stats_merge_free(m);
}

static void nothing_of_anybody_is_nothing(void **state)
{
	struct stats_query by = {.by_count = 1};
	struct stats_merge *m = stats_merge_new(&by);
	struct failures_merge *f = failures_merge_new();
	struct seen_rows seen = {0};
	struct stats_answer sum;

	(void)state;
	stats_merge_answer(m, &(struct stats_answer){0});
	assert_int_equal(stats_merge_hand_out(m, 0, see_row, &seen, &sum), 0);
	assert_int_equal(failures_merge_hand_out(f, 0, 0, NULL, NULL), 0);
	assert_int_equal(seen.count, 0);
	stats_merge_free(m);
	failures_merge_free(f);
}

/* ---- kinds of failure ---- */

static struct failure a_failure(const char *service, uint64_t count, uint64_t minute)
{
	return (struct failure){.dst_service = span_str(service), .status = 503, .count = count,
				.first_ns = minute * MINUTE, .last_ns = minute * MINUTE + count,
				.exemplar = minute, .points_ns = minute * MINUTE, .step_ns = MINUTE,
				.point_count = 1, .points = {count}};
}

struct seen_failures {
	size_t count;
	struct failure all[4];
};

static int see_failure(void *ctx, const struct failure *f)
{
	struct seen_failures *s = ctx;

	assert_true(s->count < COUNT_OF(s->all));
	s->all[s->count++] = *f;
	return 0;
}

static void equal_kinds_become_one_with_the_newest_exemplar(void **state)
{
	struct failure all[] = {a_failure("cart", 5, 2), a_failure("pay", 7, 1), a_failure("cart", 4, 4)};
	struct failures_merge *m = failures_merge_new();
	struct seen_failures seen = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(all); i++)
		assert_int_equal(failures_merge_add(m, &all[i]), 0);
	assert_int_equal(failures_merge_hand_out(m, 0, 0, see_failure, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.all[0].count, 9);
	assert_int_equal(seen.all[0].exemplar, 4);
	assert_int_equal(seen.all[0].first_ns, 2 * MINUTE);
	assert_int_equal(seen.all[0].points_ns, MINUTE);
	assert_int_equal(seen.all[0].points[1], 5);
	assert_int_equal(seen.all[0].points[3], 4);
	assert_int_equal(seen.all[1].points[0], 7);
	failures_merge_free(m);
}

static void a_kind_is_new_when_no_daemon_saw_it_before(void **state)
{
	struct failure all[] = {a_failure("cart", 5, 2), a_failure("cart", 4, 9), a_failure("pay", 1, 9)};
	struct failures_merge *m = failures_merge_new();
	struct seen_failures seen = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(all); i++)
		assert_int_equal(failures_merge_add(m, &all[i]), 0);
	assert_int_equal(failures_merge_hand_out(m, 0, 5 * MINUTE, see_failure, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.all[0].count, 1);
	failures_merge_free(m);
}

/* ---- options before the subcommand ---- */

static const struct leading_case {
	const char *argv[8];
	bool is_plugin;
	const char *want[8];
} leading_cases[] = {
	{{"t", "ls", "-n", "5"}, false, {"t", "ls", "-n", "5"}},
	{{"t", "--kube", "-n", "shop", "ls", "-n", "5"}, false,
	 {"t", "ls", "--kube", "--namespace", "shop", "-n", "5"}},
	{{"t", "--context=a", "--kube", "ls"}, false, {"t", "ls", "--context=a", "--kube"}},
	{{"t", "--help"}, false, {"t", "--help"}},
	{{"t", "--kube"}, false, {"t", "--kube"}},
	{{"t"}, false, {"t"}},
	{{"k", "ls", "-n", "shop"}, true, {"k", "ls", "--kube", "--namespace", "shop"}},
	{{"k", "-n", "shop", "ls"}, true, {"k", "ls", "--kube", "--namespace", "shop"}},
	{{"k", "completion", "bash"}, true, {"k", "completion", "bash"}},
	{{"k", "--version"}, true, {"k", "--version"}},
};

static void options_may_stand_before_the_subcommand(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(leading_cases); i++) {
		const struct leading_case *c = &leading_cases[i];
		int argc = 0, count = 0;
		const char **words;

		while (c->argv[argc])
			argc++;
		words = leading_move(argc, c->argv, c->is_plugin, &count);
		assert_non_null(words);
		for (int k = 0; k < count; k++)
			if (!c->want[k] || strcmp(words[k], c->want[k]) != 0)
				fail_msg("case %zu: word %d is %s", i, k, words[k]);
		assert_null(c->want[count]);
		free(words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_of_daemons_add_up_and_percentiles_are_of_all),
		cmocka_unit_test(the_limit_counts_groups_of_all),
		cmocka_unit_test(nothing_of_anybody_is_nothing),
		cmocka_unit_test(equal_kinds_become_one_with_the_newest_exemplar),
		cmocka_unit_test(a_kind_is_new_when_no_daemon_saw_it_before),
		cmocka_unit_test(options_may_stand_before_the_subcommand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
