// SPDX-License-Identifier: Apache-2.0
/* what leaves a store and what stays: quota, failures' share, age, pins, clocks that jump */
#include "tests/unit/store_kit.h"

#include <glob.h>

#include "store/directory.h"
#include "store/retention.h"

/* In memory: nothing here depends on a disk. */
static int make_in_memory(void **state)
{
	char *dir = strdup("/dev/shm/test_retention.XXXXXX");

	if (dir && mkdtemp(dir)) {
		*state = dir;
		return 0;
	}
	free(dir);
	return make_directory(state);
}
#define IN_MEMORY(name) cmocka_unit_test_setup_teardown(name, make_in_memory, remove_directory)

#define HOUR (3600 * NS_PER_S)

/* An exchange of @bytes that no compressor makes smaller, at START + @at_ns. */
static int try_noise(struct store *s, uint64_t *seed, uint64_t at_ns, bool is_failed, struct err *e)
{
	uint8_t body[12000];
	struct exchange x = {
		.start_ns = START + at_ns,
		.outcome = is_failed ? OUTCOME_SERVER_ERROR : OUTCOME_OK,
		.src.is_ipv4 = true,
		.dst.is_ipv4 = true,
		.response.body = {body, sizeof(body)},
		.response.body_bytes = sizeof(body),
	};

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(some_number(seed) >> 24);
	return store_add(s, &x, e);
}

static void add_noise(struct store *s, uint64_t *seed, uint64_t at_ns, bool is_failed)
{
	struct err e = {0};

	if (try_noise(s, seed, at_ns, is_failed, &e) < 0)
		fail_msg("%s", e.why);
}

struct tally {
	uint64_t all, failures, first_ns;
};

static int tally_one(void *ctx, const struct exchange *x)
{
	struct tally *t = ctx;

	t->all++;
	t->failures += exchange_is_failed(x);
	t->first_ns = x->start_ns - START;
	return 0;
}

static struct tally tally(const char *dir)
{
	struct reader *r = open_reader(dir);
	struct tally t = {0};
	struct err e = {0};

	if (reader_list(r, &(struct query){0}, tally_one, &t, NULL, &e) < 0)
		fail_msg("%s", e.why);
	reader_close(r);
	return t;
}

static uint64_t disk_bytes(const char *dir)
{
	AUTO_BUF failures = {0};

	return directory_bytes(dir) + directory_bytes(directory_failures(&failures, dir));
}

static size_t count_files(const char *dir, const char *pattern)
{
	char path[256];
	glob_t found;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, pattern);
	n = glob(path, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	globfree(&found);
	return n;
}

/* Every tenth fails; a commit now and then. Return: how many were added. */
static uint64_t fill(struct store *s, uint64_t *seed, uint64_t from, uint64_t count,
		     unsigned failed_in)
{
	for (uint64_t i = from; i < from + count; i++) {
		add_noise(s, seed, i * NS_PER_MS, failed_in && i % failed_in == 0);
		if (i % 40 == 39)
			commit(s);
	}
	commit(s);
	return from + count;
}

static struct store_config small(void)
{
	struct store_config config = store_config_default();

	config.bytes_max = 16 << 20;
	return config;
}

/* --- by size --- */

static void failures_outlive_the_rest(void **state)
{
	struct store_config config = small();
	struct store *s = open_store(*state, &config);
	uint64_t seed = 88172645463325252;
	struct tally t;

	(void)fill(s, &seed, 0, 4000, 40); /* three quotas, of failures 1.2 MB */
	t = tally(*state);
	assert_int_equal(t.failures, 100);
	assert_true(t.all < 1500);
	assert_true(disk_bytes(*state) <= config.bytes_max);
	close_store(s);
	assert_int_equal(tally(*state).failures, 100);
}

static void a_storm_of_failures_leaves_the_rest_its_part(void **state)
{
	struct store_config config = small();
	struct store *s = open_store(*state, &config);
	uint64_t seed = 88172645463325252;
	struct tally t;

	(void)fill(s, &seed, 0, 600, 0); /* 10 MB */
	(void)fill(s, &seed, 600, 3000, 1);
	t = tally(*state);
	assert_int_equal(t.all - t.failures, 600);
	assert_true(t.failures > 150); /* a quarter of the quota, 4 MB, and what was free */
	assert_true(disk_bytes(*state) <= config.bytes_max);
	close_store(s);
}

static void without_a_share_failures_go_with_the_rest(void **state)
{
	struct store_config config = small();
	struct store *s;
	uint64_t seed = 88172645463325252;

	config.failures_percent = 0;
	s = open_store(*state, &config);
	(void)fill(s, &seed, 0, 3000, 40);
	assert_true(tally(*state).failures < 40);
	assert_int_equal(count_files(*state, "failures/*"), 0);
	close_store(s);
}

static void the_quota_counts_whatever_lies_in_the_directory(void **state)
{
	struct store_config config = small();
	struct store *s;
	uint64_t seed = 88172645463325252;
	char command[256];

	(void)snprintf(command, sizeof(command), "head -c 4000000 /dev/zero > '%s/leftover'",
		       (char *)*state);
	assert_int_equal(system(command), 0);
	s = open_store(*state, &config);
	(void)fill(s, &seed, 0, 2000, 40);
	assert_true(disk_bytes(*state) <= config.bytes_max);
	assert_true(disk_bytes(*state) > config.bytes_max / 2);
	close_store(s);
}

static void a_smaller_quota_holds_at_the_next_tick_and_after_a_restart(void **state)
{
	struct store_config config = small();
	struct store *s = open_store(*state, &config);
	uint64_t seed = 88172645463325252;

	(void)fill(s, &seed, 0, 1200, 0);
	assert_true(disk_bytes(*state) > 10 << 20);
	config.bytes_max = 9 << 20;
	store_set_limits(s, &config);
	store_tick(s, START, NS_PER_S);
	assert_true(disk_bytes(*state) <= config.bytes_max);
	close_store(s);
	config.bytes_max = 7 << 20;
	s = open_store(*state, &config);
	store_tick(s, START, NS_PER_S);
	assert_true(disk_bytes(*state) <= config.bytes_max);
	close_store(s);
}

static void the_quota_holds_when_the_clock_is_set_back_and_forth(void **state)
{
	static const uint64_t jumps[] = {0, 1000 * HOUR, 10, 90000 * HOUR, 20, 1, 0};
	struct store_config config = small();
	struct store *s = open_store(*state, &config);
	uint64_t seed = 88172645463325252;

	for (size_t i = 0; i < COUNT_OF(jumps); i++) {
		for (uint64_t n = 0; n < 600; n++) {
			add_noise(s, &seed, jumps[i] + n * NS_PER_MS, n % 50 == 0);
			if (n % 50 == 0)
				commit(s);
		}
		commit(s);
		store_tick(s, START + jumps[i], i * NS_PER_S);
		assert_true(disk_bytes(*state) <= config.bytes_max);
	}
	assert_true(tally(*state).all > 400); /* and it is not emptied */
	close_store(s);
}

/* --- pins --- */

static void pin_all(const char *dir, bool is_pinned)
{
	struct tape_list l;
	AUTO_BUF path = {0};
	struct err e = {0};

	assert_int_equal(directory_list(dir, &l, &e), 0);
	for (size_t i = 0; i < l.count; i++)
		if (directory_pin(directory_path(&path, dir, l.numbers[i], false), is_pinned, &e) <
		    0)
			fail_msg("%s", e.why);
	tape_list_fini(&l);
}

static void a_pinned_tape_stays_and_a_store_full_of_them_says_so(void **state)
{
	struct store_config config = small();
	struct store *s = open_store(*state, &config);
	uint64_t seed = 88172645463325252, added, i;
	struct store_stats stats;
	struct err e = {0};
	int r = 0;

	added = fill(s, &seed, 0, 660, 0);
	pin_all(*state, true);
	for (i = 0; i < 2000 && r == 0; i++) {
		r = try_noise(s, &seed, (added + i) * NS_PER_MS, false, &e);
		if (r == 0 && i % 20 == 19)
			r = store_commit(s, &e);
	}
	assert_int_equal(r, -ENOSPC);
	assert_non_null(strstr(e.why, "pinned"));
	assert_true(tally(*state).first_ns == 0);
	assert_true(disk_bytes(*state) <= config.bytes_max);
	store_stats(s, &stats);
	assert_true(stats.pinned_bytes > config.bytes_max / 2);
	pin_all(*state, false);
	commit(s);
	assert_true(tally(*state).first_ns > 0);
	close_store(s);
	assert_int_equal(count_files(*state, "*.pin"), 0);
}

static void only_what_is_there_can_be_pinned(void **state)
{
	char path[256];
	struct err e = {0};

	(void)snprintf(path, sizeof(path), "%s/tape-00000001.tape", (char *)*state);
	assert_int_equal(directory_pin(path, true, &e), -ENOENT);
	assert_false(directory_is_pinned(path));
}

/* --- by age --- */

static void what_is_too_old_goes_and_failures_later(void **state)
{
	struct store_config config = small();
	struct store *s;
	uint64_t seed = 88172645463325252;
	struct tally t;

	config.tape_rows = 24;
	config.age_max_ns = 24 * HOUR;
	config.failures_age_max_ns = 72 * HOUR;
	s = open_store(*state, &config);
	for (uint64_t hour = 0; hour < 48; hour++) {
		for (uint64_t n = 0; n < 12; n++)
			add_noise(s, &seed, hour * HOUR + n, n == 0);
		commit(s);
	}
	store_tick(s, START + 48 * HOUR, 1000 * HOUR);
	t = tally(*state);
	assert_int_equal(t.failures, 48);
	assert_in_range(t.all - t.failures, 24 * 11, 24 * 11 + 24);
	/* nothing comes any more: what is on the tape that is written grows old as well */
	store_tick(s, START + 200 * HOUR, 1152 * HOUR);
	assert_int_equal(tally(*state).all, 0);
	close_store(s);
}

static void a_clock_that_jumps_costs_no_tape(void **state)
{
	struct store_config config = small();
	struct store *s;
	uint64_t seed = 88172645463325252, mono = 5 * HOUR;

	config.age_max_ns = 24 * HOUR;
	s = open_store(*state, &config);
	(void)fill(s, &seed, 0, 100, 0);
	store_tick(s, START, mono);
	/* years ahead for half an hour, back again, then years behind */
	store_tick(s, START + 90000 * HOUR, mono += 10 * NS_PER_S);
	store_tick(s, START + 90000 * HOUR + HOUR / 2, mono += HOUR / 2);
	store_tick(s, START + HOUR, mono += HOUR / 2);
	store_tick(s, START - 90000 * HOUR, mono += HOUR / 2);
	store_tick(s, START - 89990 * HOUR, mono += 10 * HOUR);
	assert_int_equal(tally(*state).all, 100);
	/* a day passes in earnest */
	store_tick(s, START + 26 * HOUR, mono += HOUR);
	assert_int_equal(tally(*state).all, 100);
	store_tick(s, START + 27 * HOUR, mono += HOUR);
	assert_int_equal(tally(*state).all, 0);
	close_store(s);
}

static void a_tape_from_the_future_goes_with_its_successors(void **state)
{
	struct store_config config = small();
	struct store *s;
	uint64_t seed = 88172645463325252;

	config.tape_rows = 10;
	config.age_max_ns = 24 * HOUR;
	s = open_store(*state, &config);
	for (uint64_t n = 0; n < 10; n++)
		add_noise(s, &seed, 90000 * HOUR + n, false);
	commit(s);
	for (uint64_t n = 0; n < 10; n++)
		add_noise(s, &seed, n, false);
	commit(s);
	for (uint64_t n = 0; n < 5; n++)
		add_noise(s, &seed, 40 * HOUR + n, false);
	commit(s);
	store_tick(s, START + 41 * HOUR, HOUR);
	store_tick(s, START + 42 * HOUR, 2 * HOUR);
	assert_int_equal(tally(*state).all, 5);
	close_store(s);
}

static void a_clock_is_believed_once_it_was_steady_for_an_hour(void **state)
{
	struct steady_clock c = {0};

	(void)state;
	assert_false(steady_clock_look(&c, START, HOUR, 0));
	assert_false(steady_clock_look(&c, START + HOUR / 2, HOUR + HOUR / 2, 0));
	assert_true(steady_clock_look(&c, START + HOUR, 2 * HOUR, 0));
	assert_false(steady_clock_look(&c, START, 2 * HOUR + 1, 0));
	c = (struct steady_clock){0};
	assert_true(steady_clock_look(&c, START, 1, START - HOUR / 2));	     /* as the tapes say */
	assert_true(steady_clock_look(&c, START + 30 * NS_PER_S, 2, START)); /* slewed */
	assert_false(steady_clock_look(&c, START + HOUR, 3, START));
}

/* --- damage --- */

static void a_damaged_tape_stops_nothing_and_is_named(void **state)
{
	struct store_config config = small();
	struct store *s;
	uint64_t seed = 88172645463325252;
	char command[512];
	struct err why = {0};

	config.tape_rows = 20;
	s = open_store(*state, &config);
	for (uint64_t i = 0; i < 100; i += 20)
		(void)fill(s, &seed, i, 20, 0);
	close_store(s);
	/* the newest is noise, another is cut short */
	(void)snprintf(
		command, sizeof(command),
		"cd '%s' && set -- *.tape && head -c 9000 /dev/urandom > $(ls *.tape | tail -1) && "
		"truncate -s 3000 $1",
		(char *)*state);
	assert_int_equal(system(command), 0);
	s = open_store(*state, &config);
	assert_true(store_take_warning(s, &why));
	assert_non_null(strstr(why.why, ".tape"));
	assert_true(store_take_warning(s, &why));
	assert_false(store_take_warning(s, &why));
	(void)fill(s, &seed, 200, 100, 0);
	close_store(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MEMORY(failures_outlive_the_rest),
		IN_MEMORY(a_storm_of_failures_leaves_the_rest_its_part),
		IN_MEMORY(without_a_share_failures_go_with_the_rest),
		IN_MEMORY(the_quota_counts_whatever_lies_in_the_directory),
		IN_MEMORY(a_smaller_quota_holds_at_the_next_tick_and_after_a_restart),
		IN_MEMORY(the_quota_holds_when_the_clock_is_set_back_and_forth),
		IN_MEMORY(a_pinned_tape_stays_and_a_store_full_of_them_says_so),
		IN_MEMORY(only_what_is_there_can_be_pinned),
		IN_MEMORY(what_is_too_old_goes_and_failures_later),
		IN_MEMORY(a_clock_that_jumps_costs_no_tape),
		IN_MEMORY(a_tape_from_the_future_goes_with_its_successors),
		IN_MEMORY(a_clock_is_believed_once_it_was_steady_for_an_hour),
		IN_MEMORY(a_damaged_tape_stops_nothing_and_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
