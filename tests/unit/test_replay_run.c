// SPDX-License-Identifier: Apache-2.0
#include "replay/replay.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "lib/clock.h"
#include "replay_kit.h"

#define OK_HEAD "Content-Length: 2\r\n"

/* what the path asks for */
static bool answer_by_path(struct kit_server *s, int fd, char *request, unsigned nth)
{
	(void)s;
	(void)nth;
	if (strstr(request, " /fail"))
		kit_say(fd, "HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\nbad");
	else if (strstr(request, " /changed"))
		kit_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother");
	else
		kit_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: now\r\n\r\nok");
	return true;
}

static void each_exchange_gets_its_verdict(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 1, .connection = 1, .method = "GET", .target = "/ok", .status = 200,
		 .headers = OK_HEAD "Date: then\r\n", .body = "ok"},
		{.id = 2, .connection = 1, .method = "GET", .target = "/was-broken", .status = 500,
		 .headers = OK_HEAD, .body = "no"},
		{.id = 3, .connection = 1, .method = "GET", .target = "/fail", .status = 200,
		 .headers = OK_HEAD, .body = "ok"},
		{.id = 4, .connection = 2, .method = "GET", .target = "/fail", .status = 500,
		 .headers = "Content-Length: 3\r\n", .body = "bad"},
		{.id = 5, .connection = 2, .method = "GET", .target = "/changed", .status = 200,
		 .headers = OK_HEAD, .body = "ok"},
		{.id = 6, .connection = 2, .method = "POST", .target = "/ok", .status = 200},
		{.id = 7, .connection = 3, .method = "GET", .target = "/ok"},
		{.id = 8, .connection = 3, .method = "GET", .target = "/fail"},
		{.id = 9, .connection = 3, .method = "GET", .target = "/ok", .status = 200,
		 .replay_of = "1/2"},
	};
	static const unsigned want[] = {
		VERDICT_SAME,    VERDICT_FIXED,   VERDICT_BROKEN, VERDICT_SAME,    VERDICT_CHANGED,
		VERDICT_SKIPPED, VERDICT_FIXED,   VERDICT_CHANGED, VERDICT_SKIPPED,
	};
	struct kit_server *server = kit_start(answer_by_path);
	struct kit_run *k = kit_run_new(list, COUNT_OF(list), server->port);

	(void)state;
	kit_play(k);
	assert_int_equal(k->r, 0);
	assert_int_equal(k->count, COUNT_OF(list));
	for (size_t i = 0; i < COUNT_OF(list); i++)
		assert_int_equal(kit_find(k, list[i].id)->verdict, want[i]);
	assert_int_equal(kit_find(k, 6)->skip, SKIP_UNSAFE);
	assert_int_equal(kit_find(k, 9)->skip, SKIP_REPLAYED);
	assert_int_equal(k->summary->still_failing, 2);
	assert_int_equal(k->summary->sent, 7);
	assert_true(replay_fails(k->summary));
	assert_int_equal(atomic_load(&server->requests), 7);
	kit_run_free(k);
	kit_stop(server);
}

static void a_request_goes_out_as_recorded_with_the_mark(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 77, .connection = 1, .method = "GET", .target = "/a?b=c", .status = 200,
		 .request_headers = "x-Odd-CASE:  two  blanks\r\nDup: 1\r\nDup: 2\r\n",
		 .headers = OK_HEAD, .body = "ok"},
	};
	struct kit_server *server = kit_start(answer_by_path);
	struct kit_run *k = kit_run_new(list, COUNT_OF(list), server->port);

	(void)state;
	kit_play(k);
	assert_int_equal(k->r, 0);
	assert_string_equal(server->log, "GET /a?b=c HTTP/1.1\r\nHost: shop.test\r\n"
					 "x-Odd-CASE:  two  blanks\r\nDup: 1\r\nDup: 2\r\n"
					 "Tapeloop-Replay: 0RUN/000000000002D\r\n\r\n\n");
	kit_run_free(k);
	kit_stop(server);
}

static void what_nobody_listens_for_is_said_before_anything_is_sent(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 1, .connection = 1, .method = "GET", .target = "/", .status = 200}};
	struct kit_server *server = kit_start(answer_by_path);
	uint16_t port = server->port;
	struct kit_run *k;

	(void)state;
	kit_stop(server);
	k = kit_run_new(list, 1, port);
	kit_play(k);
	assert_int_equal(k->r, -ECONNREFUSED);
	assert_non_null(strstr(k->err.why, "cannot be reached: Connection refused"));
	assert_int_equal(k->count, 0);
	kit_run_free(k);
}

static void order_is_kept_on_a_connection(void **state)
{
	struct kit_exchange list[60] = {0};
	char targets[60][16];
	struct kit_server *server = kit_start(answer_by_path);
	struct kit_run *k;
	size_t last[3] = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(list); i++) {
		(void)snprintf(targets[i], sizeof(targets[i]), "/n/%zu", i);
		list[i] = (struct kit_exchange){.id = i + 1, .connection = 1 + i % 3, .method = "GET",
						.target = targets[i], .status = 200,
						.headers = OK_HEAD "Date: x\r\n", .body = "ok"};
	}
	k = kit_run_new(list, COUNT_OF(list), server->port);
	kit_play(k);
	assert_int_equal(k->r, 0);
	assert_int_equal(k->count, 60);
	for (size_t i = 0; i < k->count; i++) {
		size_t link = (k->results[i].id - 1) % 3;

		assert_int_equal(k->results[i].verdict, VERDICT_SAME);
		assert_true(k->results[i].id > last[link]);
		last[link] = k->results[i].id;
	}
	assert_int_equal(atomic_load(&server->connections), 3);
	kit_run_free(k);
	kit_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_exchange_gets_its_verdict),
		cmocka_unit_test(a_request_goes_out_as_recorded_with_the_mark),
		cmocka_unit_test(what_nobody_listens_for_is_said_before_anything_is_sent),
		cmocka_unit_test(order_is_kept_on_a_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
