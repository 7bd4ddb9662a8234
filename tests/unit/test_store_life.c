// SPDX-License-Identifier: Apache-2.0
/* what befalls a store: kill -9, full disks, quotas, second writers, other versions, readers beside
 * it */
#include "tests/unit/store_kit.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

static int count_one(void *ctx, const struct exchange *x)
{
	uint64_t *n = ctx;

	*n += x->id != 0;
	return 0;
}

static uint64_t count_all(const char *path)
{
	struct reader *r = open_reader(path);
	struct query q = {.wants_messages = true};
	struct err e = {0};
	uint64_t n = 0;

	if (reader_list(r, &q, count_one, &n, NULL, &e) < 0)
		fail_msg("%s", e.why);
	reader_close(r);
	return n;
}

static const char *tape_of(const char *dir, unsigned number)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/tape-%08u.tape", dir, number);
	return path;
}

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* An exchange of @bytes that no compressor makes smaller. */
static int add_noise(struct store *s, uint64_t *seed, size_t bytes, struct err *e)
{
	uint8_t *body = malloc(bytes);
	struct exchange x = {
		.start_ns = START + *seed % 1000000, .src.is_ipv4 = true, .dst.is_ipv4 = true};
	int r;

	for (size_t i = 0; i < bytes; i++)
		body[i] = (uint8_t)(some_number(seed) >> 24);
	x.response.body = span_of(body, bytes);
	x.response.body_bytes = bytes;
	r = store_add(s, &x, e);
	free(body);
	return r;
}

/* --- kill -9 --- */

/* Adds and commits without end; tells how many exchanges were acknowledged. */
static void write_for_ever(const char *dir, _Atomic uint64_t *acknowledged)
{
	struct store_config config = store_config_default();
	struct store *s;
	struct err e = {0};
	uint64_t seed = 88675123, added = 0;

	config.tape_rows = 700;
	if (store_open(dir, &config, &s, &e) < 0)
		_exit(3);
	for (;;) {
		for (uint64_t n = some_number(&seed) % 60; n > 0; n--, added++)
			if (add_noise(s, &seed, some_number(&seed) % 3000, &e) < 0)
				_exit(4);
		if (store_commit(s, &e) < 0)
			_exit(5);
		atomic_store(acknowledged, added);
	}
}

static void expect_whole(const char *dir)
{
	char command[256];

	(void)snprintf(
		command, sizeof(command),
		"for t in '%s'/*.tape; do sqlite3 $t 'PRAGMA integrity_check' | grep -qx ok || "
		"exit 1; done",
		dir);
	assert_int_equal(system(command), 0);
}

static void a_killed_writer_loses_nothing_that_was_committed(void **state)
{
	_Atomic uint64_t *acknowledged =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t seed = 5783321, before = 0;

	assert_true(acknowledged != MAP_FAILED);
	for (unsigned i = 0; i < 8; i++) {
		pid_t pid;
		int status;

		*acknowledged = 0;
		pid = fork();
		if (pid == 0)
			write_for_ever(*state, acknowledged);
		/* some way into its work, however slow the machine; then at any moment */
		for (unsigned ms = 0; ms < 10000 && *acknowledged < 30; ms++)
			(void)usleep(1000);
		(void)usleep((useconds_t)(some_number(&seed) % 100000));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_true(waitpid(pid, &status, 0) == pid);
		assert_true(WIFSIGNALED(status));
		assert_true(count_all(*state) >= before + *acknowledged);
		before = count_all(*state);
		expect_whole(*state);
	}
	assert_true(before > 100);
	(void)munmap(acknowledged, 4096);
}

/* --- disk and quota --- */

static void a_full_disk_stops_recording_and_room_resumes_it(void **state)
{
	struct store *s;
	struct err e = {0};
	uint64_t seed = 123459876, added = 0;
	static const char block[4096] = "x";
	char filler[128];
	FILE *f;

	if (mount("tapeloop-test", *state, "tmpfs", 0, "size=6m") < 0) {
		print_message("skipped: needs root to mount a small tmpfs\n");
		skip();
	}
	(void)snprintf(filler, sizeof(filler), "%s/filler", (char *)*state);
	s = open_store(*state, NULL);
	assert_int_equal(add_noise(s, &seed, 2000, &e), 0);
	commit(s);
	f = fopen(filler, "w");
	assert_non_null(f);
	while (fwrite(block, sizeof(block), 1, f) == 1 && fflush(f) == 0)
		;
	(void)fclose(f);
	for (added = 1; added < 100; added++)
		assert_int_equal(add_noise(s, &seed, 3000, &e), 0);
	assert_int_equal(store_commit(s, &e), -ENOSPC);
	assert_int_equal(store_commit(s, &e), -ENOSPC);
	assert_int_equal(count_all(*state), 1);
	assert_int_equal(unlink(filler), 0);
	commit(s);
	assert_int_equal(count_all(*state), added);
	close_store(s);
	expect_whole(*state);
	assert_int_equal(umount(*state), 0);
}

static uint64_t disk_bytes(const char *dir)
{
	char command[160];
	unsigned long long n = 0;
	FILE *p;

	(void)snprintf(command, sizeof(command), "du -s -B1 --apparent-size '%s'", dir);
	p = popen(command, "r");
	assert_non_null(p);
	assert_int_equal(fscanf(p, "%llu", &n), 1);
	(void)pclose(p);
	return n;
}

static void the_quota_holds_and_the_oldest_tapes_go(void **state)
{
	struct store_config config = store_config_default();
	struct store *s;
	struct store_stats stats;
	struct err e = {0};
	uint64_t seed = 362436069;

	config.bytes_max = 16 << 20;
	s = open_store(*state, &config);
	for (unsigned i = 0; i < 3000; i++) {
		assert_int_equal(add_noise(s, &seed, 15000, &e), 0);
		if (i % 50 == 49)
			commit(s);
		if (i % 500 == 499)
			assert_true(disk_bytes(*state) <= config.bytes_max);
	}
	commit(s);
	store_stats(s, &stats);
	assert_true(stats.retired_tapes > 3 && stats.tape_count > 2);
	assert_int_equal(count_all(*state), 3000 - stats.retired_exchanges);
	close_store(s);
	assert_true(disk_bytes(*state) <= config.bytes_max);
}

static void what_is_larger_than_the_quota_is_refused_and_nothing_is_lost(void **state)
{
	struct store_config config = store_config_default();
	struct store *s = open_store(*state, NULL);
	struct err e = {0};
	uint64_t seed = 11;

	assert_int_equal(add_noise(s, &seed, 400000, &e), 0);
	commit(s);
	assert_int_equal(add_noise(s, &seed, 1000, &e), 0);
	config.bytes_max = 500000;
	store_set_limits(s, &config);
	assert_int_equal(store_commit(s, &e), -ENOSPC);
	assert_non_null(strstr(e.why, "quota"));
	store_set_limits(s, &(struct store_config){.bytes_max = 1 << 30,
						   .tape_rows = 100000,
						   .tape_span_ns = UINT64_MAX,
						   .level = 3});
	commit(s);
	assert_int_equal(count_all(*state), 2);
	close_store(s);
}

static void a_batch_that_is_given_up_leaves_no_trace(void **state)
{
	struct store *s = open_store(*state, NULL);
	struct kept k = {0};
	uint64_t seed = 99;
	struct err e = {0};
	uint8_t *room = malloc(SOME_ROOM);

	for (unsigned i = 0; i < 40; i++) {
		struct exchange x = some_exchange(&seed, START + i, room);

		assert_int_equal(store_add(s, &x, &e), 0);
	}
	free(room);
	assert_int_equal(store_discard(s), 40);
	add_some(s, &k, &seed, 200);
	assert_int_equal(count_all(*state), 200);
	close_store(s);
	kept_fini(&k);
}

/* --- writers, versions, files --- */

static void a_second_writer_is_told_who_writes(void **state)
{
	struct store *s = open_store(*state, NULL), *second;
	struct store_config config = store_config_default();
	struct err e = {0};
	char pid[32];

	(void)snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	assert_int_equal(store_open(*state, &config, &second, &e), -EBUSY);
	assert_non_null(strstr(e.why, pid));
	close_store(s);
	close_store(open_store(*state, NULL));
}

static void make_tape(const char *dir)
{
	struct store *s = open_store(dir, NULL);
	struct err e = {0};
	uint64_t seed = 4;

	assert_int_equal(add_noise(s, &seed, 100, &e), 0);
	close_store(s);
}

static void a_tape_of_a_newer_version_is_refused(void **state)
{
	struct store_config config = store_config_default();
	struct store *s;
	struct reader *r;
	struct err e = {0};

	make_tape(*state);
	run_sql(tape_of(*state, 1), "PRAGMA user_version = 99");
	assert_int_equal(store_open(*state, &config, &s, &e), -EPROTONOSUPPORT);
	assert_non_null(strstr(e.why, "newer"));
	assert_int_equal(reader_open(*state, &r, &e), -EPROTONOSUPPORT);
	assert_int_equal(reader_open(tape_of(*state, 1), &r, &e), -EPROTONOSUPPORT);
	assert_non_null(strstr(e.why, "99"));
}

static void what_is_no_tape_is_refused(void **state)
{
	struct reader *r;
	struct err e = {0};
	FILE *f = fopen(tape_of(*state, 1), "w");

	assert_true(fputs("this is not a tape, whatever it is called; it goes on for a while so "
			  "that it "
			  "is longer than the head of a database, which takes a hundred bytes\n",
			  f) > 0);
	(void)fclose(f);
	assert_int_equal(reader_open(tape_of(*state, 1), &r, &e), -EBADMSG);
	run_sql(tape_of(*state, 2), "CREATE TABLE notes (id INTEGER PRIMARY KEY)");
	assert_int_equal(reader_open(tape_of(*state, 2), &r, &e), -EBADMSG);
	assert_non_null(strstr(e.why, "not a tape"));
	assert_int_equal(reader_open(tape_of(*state, 3), &r, &e), -ENOENT);
}

static void a_store_on_a_read_only_disk_is_read_but_not_written(void **state)
{
	struct store_config config = store_config_default();
	struct store *s;
	struct err e = {0};
	char copy[300];

	if (mount("tapeloop-test", *state, "tmpfs", 0, "size=6m") < 0) {
		print_message("skipped: needs root to mount a read-only tmpfs\n");
		skip();
	}
	make_tape(*state);
	/* one as a crash leaves it: with its log mode on */
	(void)snprintf(copy, sizeof(copy), "cp '%s' '%s/x'", tape_of(*state, 1), (char *)*state);
	assert_int_equal(system(copy), 0);
	assert_int_equal(rename(strcat(strcpy(copy, *state), "/x"), tape_of(*state, 2)), 0);
	run_sql(tape_of(*state, 2),
		"PRAGMA journal_mode = WAL; UPDATE exchange SET id = id + 1;"
		"UPDATE tape SET first_id = first_id + 1, last_id = last_id + 1");
	assert_int_equal(mount(NULL, *state, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_int_equal(count_all(*state), 2);
	assert_int_equal(store_open(*state, &config, &s, &e), -EROFS);
	assert_int_equal(umount(*state), 0);
}

static void an_import_leaves_what_is_there_and_what_it_left_is_removed(void **state)
{
	struct store_config config = store_config_default();
	struct kept k = {0};
	struct store *s;
	uint64_t seed = 77;
	char part[300];
	pid_t pid;

	make_tape(*state);
	config.is_bulk = true;
	pid = fork();
	if (pid == 0) { /* an import that is killed */
		struct err e = {0};

		if (store_open(*state, &config, &s, &e) < 0 || add_noise(s, &seed, 5000, &e) < 0 ||
		    store_commit(s, &e) < 0)
			_exit(3);
		(void)raise(SIGKILL);
	}
	assert_true(waitpid(pid, NULL, 0) == pid);
	(void)snprintf(part, sizeof(part), "%s.part", tape_of(*state, 2));
	assert_int_equal(access(part, F_OK), 0);
	assert_int_equal(count_all(*state), 1);
	s = open_store(*state, &config);
	assert_int_equal(access(part, F_OK), -1);
	add_some(s, &k, &seed, 300);
	assert_int_equal(count_all(*state), 1);
	close_store(s);
	assert_int_equal(count_all(*state), 301);
	kept_fini(&k);
}

/* --- beside readers and jobs --- */

static void *run_in_thread(void *arg)
{
	void **job = arg;
	void (*work)(void *) = (void (*)(void *))(uintptr_t)job[0];

	work(job[1]);
	free(job);
	return NULL;
}

/* A thread for each job; the store waits for them. */
static void run_job(void *ctx, void (*work)(void *arg), void *arg)
{
	void **job = malloc(2 * sizeof(*job));
	pthread_t thread;

	(void)ctx;
	job[0] = (void *)(uintptr_t)work;
	job[1] = arg;
	assert_int_equal(pthread_create(&thread, NULL, run_in_thread, job), 0);
	assert_int_equal(pthread_detach(thread), 0);
}

struct beside {
	const char *dir;
	atomic_bool is_over;
	uint64_t lists;
};

static void *read_beside(void *arg)
{
	struct beside *b = arg;
	struct reader *r = open_reader(b->dir);
	struct err e = {0};

	while (!atomic_load(&b->is_over)) {
		struct query q = {.limit = 200, .wants_messages = true, .is_reverse = b->lists % 2};
		uint64_t n = 0;

		if (reader_list(r, &q, count_one, &n, NULL, &e) < 0)
			fail_msg("%s", e.why);
		b->lists++;
	}
	reader_close(r);
	return NULL;
}

static void readers_are_not_disturbed_by_a_writer_that_seals_and_retires(void **state)
{
	struct store_config config = store_config_default();
	struct beside b = {.dir = *state};
	struct kept k = {0};
	struct store *s;
	struct store_stats stats;
	pthread_t reader;
	uint64_t seed = 2463534242;

	config.tape_rows = 300;
	config.bytes_max = 12 << 20; /* names of both ends take a good part */
	config.run = run_job;
	s = open_store(*state, &config);
	assert_int_equal(pthread_create(&reader, NULL, read_beside, &b), 0);
	for (unsigned i = 0; i < 8; i++) {
		add_some(s, &k, &seed, 400);
		(void)usleep(5000);
	}
	atomic_store(&b.is_over, true);
	assert_int_equal(pthread_join(reader, NULL), 0);
	assert_true(b.lists > 0);
	store_stats(s, &stats);
	close_store(s);
	assert_int_equal(count_all(*state), k.count - stats.retired_exchanges);
	expect_whole(*state);
	kept_fini(&k);
}

/* --- dictionaries --- */

/* What a service says all day: much the same, never the same. */
static void add_order(struct store *s, struct kept *k, uint64_t *seed)
{
	char request[300], response[300], body[200];
	struct err e = {0};
	unsigned long long a = some_number(seed), b = some_number(seed);
	struct exchange x = {.start_ns = START + k->count * 1000,
			     .method = SPAN_LIT("GET"),
			     .status = 200,
			     .dst.who.service = SPAN_LIT("orders")};

	(void)snprintf(request, sizeof(request),
		       "GET /orders HTTP/1.1\r\nHost: orders\r\nUser-Agent: shop/1.7\r\n"
		       "X-Request-Id: %016llx\r\nAccept: application/json\r\n\r\n",
		       a);
	(void)snprintf(body, sizeof(body),
		       "{\"order\":\"%016llx\",\"state\":\"paid\",\"lines\":[%llu],"
		       "\"currency\":\"EUR\",\"customer\":{\"name\":\"%llx\"}}",
		       b, a % 97, a ^ b);
	(void)snprintf(response, sizeof(response),
		       "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: application/json\r\n"
		       "Content-Length: %zu\r\nCache-Control: no-store\r\n\r\n",
		       strlen(body));
	x.request = (struct message){.head = span_str(request), .flags = MESSAGE_PRESENT};
	x.response = (struct message){.head = span_str(response),
				      .body = span_str(body),
				      .body_bytes = strlen(body),
				      .flags = MESSAGE_PRESENT};
	assert_int_equal(store_add(s, &x, &e), 0);
	keep(k, &x);
}

static void a_dictionary_comes_with_the_traffic_and_stays_on_its_tape(void **state)
{
	struct store_config config = store_config_default();
	struct kept k = {0};
	struct store *s;
	struct store_stats early, late;
	uint64_t seed = 314159;

	config.tape_rows = 1500; /* the second tape needs the dictionary too */
	s = open_store(*state, &config);
	for (unsigned i = 0; i < 2000; i++) {
		if (i == 100)
			store_stats(s, &early);
		add_order(s, &k, &seed);
		commit(s); /* one alone: nothing but a dictionary makes it smaller */
	}
	store_stats(s, &late);
	close_store(s);
	assert_int_equal(late.dictionary_count, 1);
	assert_int_equal(late.exchange_count, 2000);
	assert_true(late.packed_bytes / 2000 < early.packed_bytes / 100 / 2);
	expect_kept(*state, &k);
	assert_int_equal(unlink(tape_of(*state, 1)), 0);
	assert_int_equal(count_all(*state), 500);
	kept_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_killed_writer_loses_nothing_that_was_committed),
		TEST(a_full_disk_stops_recording_and_room_resumes_it),
		TEST(the_quota_holds_and_the_oldest_tapes_go),
		TEST(what_is_larger_than_the_quota_is_refused_and_nothing_is_lost),
		TEST(a_batch_that_is_given_up_leaves_no_trace),
		TEST(a_second_writer_is_told_who_writes),
		TEST(a_tape_of_a_newer_version_is_refused),
		TEST(what_is_no_tape_is_refused),
		TEST(a_store_on_a_read_only_disk_is_read_but_not_written),
		TEST(an_import_leaves_what_is_there_and_what_it_left_is_removed),
		TEST(a_dictionary_comes_with_the_traffic_and_stays_on_its_tape),
		TEST(readers_are_not_disturbed_by_a_writer_that_seals_and_retires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
