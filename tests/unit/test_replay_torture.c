// SPDX-License-Identifier: Apache-2.0
/* servers that answer in every way a server may, and in some that it may not */
#include "replay/replay.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "replay_kit.h"

static void rest_ms(unsigned ms)
{
	(void)poll(NULL, 0, (int)ms);
}

static void reset(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void say_slowly(int fd, const char *text)
{
	for (; *text; text++) {
		(void)!send(fd, text, 1, MSG_NOSIGNAL);
		rest_ms(1);
	}
}

#define OK "HTTP/1.1 200 OK\r\n"

struct behaviour {
	const char *path;  /* what the request asks for */
	const char *answer;
	bool is_slow;      /* byte by byte */
	bool ends_reset, ends_close, hangs;
	const char *method; /* GET */
	/* what should come of it; recorded: 200 with body "ok" */
	unsigned verdict, miss, status;
	unsigned connections; /* this exchange and one after it on its link: how many in all */
};

static const struct behaviour behaviours[] = {
	{.path = "/plain", .answer = OK "Content-Length: 2\r\n\r\nok", .verdict = VERDICT_SAME,
	 .status = 200, .connections = 1},
	{.path = "/slow", .answer = OK "Content-Length: 2\r\n\r\nok", .is_slow = true,
	 .verdict = VERDICT_SAME, .status = 200, .connections = 1},
	{.path = "/chunked", .answer = OK "Transfer-Encoding: chunked\r\n\r\n1;x=y\r\no\r\n1\r\nk\r\n0\r\nT: 1\r\n\r\n",
	 .verdict = VERDICT_SAME, .status = 200, .connections = 1},
	{.path = "/slow-chunked",
	 .answer = OK "Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", .is_slow = true,
	 .verdict = VERDICT_SAME, .status = 200, .connections = 1},
	{.path = "/close-delimited", .answer = OK "\r\nok", .ends_close = true, .verdict = VERDICT_SAME,
	 .status = 200, .connections = 2},
	{.path = "/says-close", .answer = OK "Connection: close\r\nContent-Length: 2\r\n\r\nok",
	 .verdict = VERDICT_SAME, .status = 200, .connections = 2},
	{.path = "/http10", .answer = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
	 .ends_close = true, .verdict = VERDICT_SAME, .status = 200, .connections = 2},
	{.path = "/closes-after", .answer = OK "Content-Length: 2\r\n\r\nok", .ends_close = true,
	 .verdict = VERDICT_SAME, .status = 200, .connections = 2},
	{.path = "/continue", .answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
	 OK "Content-Length: 2\r\n\r\nok", .verdict = VERDICT_SAME, .status = 200, .connections = 1},
	{.path = "/no-content", .answer = "HTTP/1.1 204 No\r\n\r\n", .verdict = VERDICT_CHANGED,
	 .status = 204, .connections = 1},
	{.path = "/not-modified", .answer = "HTTP/1.1 304 No\r\nContent-Length: 2\r\n\r\n",
	 .verdict = VERDICT_CHANGED, .status = 304, .connections = 1},
	{.path = "/head", .answer = OK "Content-Length: 2\r\n\r\n", .method = "HEAD",
	 .verdict = VERDICT_SAME, .status = 200, .connections = 1},
	{.path = "/lf", .answer = "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", .verdict = VERDICT_SAME,
	 .status = 200, .connections = 1},
	{.path = "/switch", .answer = "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nnoise",
	 .verdict = VERDICT_CHANGED, .status = 101, .connections = 2},
	{.path = "/error", .answer = "HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n",
	 .verdict = VERDICT_BROKEN, .status = 503, .connections = 1},
	{.path = "/hang", .hangs = true, .verdict = VERDICT_NO_ANSWER, .miss = MISS_TIMEOUT,
	 .connections = 2},
	{.path = "/half-hang", .answer = OK "Content-Length: 9\r\n\r\nok", .hangs = true,
	 .verdict = VERDICT_NO_ANSWER, .miss = MISS_TIMEOUT, .connections = 2},
	{.path = "/no-word", .ends_close = true, .verdict = VERDICT_NO_ANSWER, .miss = MISS_CLOSED,
	 .connections = 2},
	{.path = "/reset", .ends_reset = true, .verdict = VERDICT_NO_ANSWER, .miss = MISS_RESET,
	 .connections = 2},
	{.path = "/cut", .answer = OK "Content-Length: 9\r\n\r\nok", .ends_close = true,
	 .verdict = VERDICT_NO_ANSWER, .miss = MISS_CLOSED_EARLY, .connections = 2},
	{.path = "/cut-chunks", .answer = OK "Transfer-Encoding: chunked\r\n\r\n5\r\nok", .ends_close = true,
	 .verdict = VERDICT_NO_ANSWER, .miss = MISS_CLOSED_EARLY, .connections = 2},
	{.path = "/garbage", .answer = "SSH-2.0-OpenSSH_9.2\r\nand more of it, and more of it\r\n\r\n",
	 .verdict = VERDICT_NO_ANSWER, .miss = MISS_GARBAGE, .connections = 2},
	{.path = "/bad-chunk", .answer = OK "Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
	 .verdict = VERDICT_NO_ANSWER, .miss = MISS_GARBAGE, .connections = 2},
	{.path = "/two-answers", .answer = OK "Content-Length: 2\r\n\r\nok" OK "Content-Length: 3\r\n\r\nbad",
	 .verdict = VERDICT_SAME, .status = 200, .connections = 2},
};

static bool behave(struct kit_server *s, int fd, char *request, unsigned nth)
{
	(void)s;
	(void)nth;
	for (size_t i = 0; i < COUNT_OF(behaviours); i++) {
		const struct behaviour *b = &behaviours[i];
		char asked[64];

		(void)snprintf(asked, sizeof(asked), " %s ", b->path);
		if (!strstr(request, asked))
			continue;
		if (b->answer && b->is_slow)
			say_slowly(fd, b->answer);
		else if (b->answer)
			kit_say(fd, b->answer);
		if (b->hangs) {
			struct pollfd p = {.fd = fd, .events = POLLRDHUP};

			(void)poll(&p, 1, 5000); /* until the other side gives up */
			return false;
		}
		if (b->ends_reset)
			reset(fd);
		return !b->ends_close && !b->ends_reset;
	}
	kit_say(fd, OK "Content-Length: 2\r\n\r\nok");
	return true;
}

static void every_way_to_answer_has_its_verdict(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(behaviours); i++) {
		const struct behaviour *b = &behaviours[i];
		struct kit_exchange list[] = {
			{.id = 1, .connection = 1, .method = b->method ? b->method : "GET",
			 .target = b->path, .status = 200, .headers = "Content-Length: 2\r\n",
			 .body = b->method ? "" : "ok"},
			{.id = 2, .connection = 1, .method = "GET", .target = "/after", .status = 200,
			 .headers = "Content-Length: 2\r\n", .body = "ok"},
		};
		struct kit_server *server = kit_start(behave);
		struct kit_run *k = kit_run_new(list, COUNT_OF(list), server->port);

		k->config.timeout_ns = b->hangs ? 100 * NS_PER_MS : 5 * NS_PER_S;
		kit_play(k);
		if (k->r != 0 || k->count != 2 || k->results[0].verdict != b->verdict ||
		    k->results[0].miss != b->miss || k->results[0].status != b->status)
			fail_msg("%s: r %d %s, %zu results, verdict %s, miss %s, status %u", b->path,
				 k->r, k->err.why, k->count, verdict_name(k->results[0].verdict),
				 miss_name(k->results[0].miss), k->results[0].status);
		/* whatever happened, the next one on the link is answered */
		assert_int_equal(k->results[1].verdict, VERDICT_SAME);
		if (atomic_load(&server->connections) != b->connections)
			fail_msg("%s: %u connections, not %u", b->path,
				 atomic_load(&server->connections), b->connections);
		kit_run_free(k);
		kit_stop(server);
	}
}

/* answers the first request of a connection and closes without a word at the second */
static bool close_at_second(struct kit_server *s, int fd, char *request, unsigned nth)
{
	(void)s;
	(void)request;
	if (nth > 0)
		return false;
	kit_say(fd, OK "Content-Length: 2\r\n\r\nok");
	return true;
}

static void only_safe_requests_are_sent_again(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 1, .connection = 1, .method = "GET", .target = "/1", .status = 200,
		 .headers = "Content-Length: 2\r\n", .body = "ok"},
		{.id = 2, .connection = 1, .method = "GET", .target = "/2", .status = 200,
		 .headers = "Content-Length: 2\r\n", .body = "ok"},
		{.id = 3, .connection = 1, .method = "POST", .target = "/3", .status = 200,
		 .request_headers = "Content-Length: 2\r\n", .request_body = "hi"},
	};
	struct kit_server *server = kit_start(close_at_second);
	struct kit_run *k = kit_run_new(list, COUNT_OF(list), server->port);

	(void)state;
	k->config.rules.allows_unsafe = true;
	kit_play(k);
	assert_int_equal(k->r, 0);
	assert_int_equal(kit_find(k, 2)->verdict, VERDICT_SAME);
	assert_true(kit_find(k, 2)->was_retried);
	assert_int_equal(kit_find(k, 3)->verdict, VERDICT_NO_ANSWER);
	assert_int_equal(kit_find(k, 3)->miss, MISS_CLOSED);
	assert_int_equal(k->summary->client.retries, 1);
	/* 1, 2, 2 again, 3: the POST went out once */
	assert_int_equal(atomic_load(&server->requests), 4);
	kit_run_free(k);
	kit_stop(server);
}

/* a connection that is closed while nothing is asked of it is no reason to fail or to retry */
static bool close_when_idle(struct kit_server *s, int fd, char *request, unsigned nth)
{
	(void)s;
	(void)nth;
	(void)request;
	kit_say(fd, OK "Content-Length: 2\r\n\r\nok");
	return false;
}

static void a_connection_closed_in_between_is_made_anew(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 1, .connection = 1, .method = "POST", .target = "/1", .status = 200,
		 .headers = "Content-Length: 2\r\n", .body = "ok"},
		{.id = 1 + 100 * NS_PER_MS, .connection = 1, .method = "POST", .target = "/2",
		 .status = 200, .headers = "Content-Length: 2\r\n", .body = "ok"},
	};
	struct kit_server *server = kit_start(close_when_idle);
	struct kit_run *k = kit_run_new(list, COUNT_OF(list), server->port);

	(void)state;
	k->config.schedule.speed = 1;
	k->config.rules.allows_unsafe = true;
	kit_play(k);
	assert_int_equal(k->r, 0);
	assert_int_equal(k->summary->verdicts[VERDICT_SAME], 2);
	assert_int_equal(k->summary->client.retries, 0);
	assert_int_equal(k->summary->client.reconnects, 1);
	kit_run_free(k);
	kit_stop(server);
}

/* every connection is accepted and reset before a word */
static void a_server_that_resets_every_connection_ends_the_run(void **state)
{
	struct kit_exchange list[20];
	struct kit_server *server = kit_start(behave);
	struct kit_run *k;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(list); i++)
		list[i] = (struct kit_exchange){.id = i + 1, .connection = 1 + i % 2, .method = "GET",
						.target = "/reset", .status = 200};
	k = kit_run_new(list, COUNT_OF(list), server->port);
	kit_play(k);
	assert_int_equal(k->r, 0);
	assert_int_equal(k->summary->misses[MISS_RESET] + k->summary->misses[MISS_CLOSED], 20);
	kit_run_free(k);
	kit_stop(server);
}

static bool answer_after_a_while(struct kit_server *s, int fd, char *request, unsigned nth)
{
	(void)nth;
	(void)request;
	rest_ms(20);
	kit_begin_answer(s);
	kit_say(fd, OK "Content-Length: 2\r\n\r\nok");
	return true;
}

static void never_more_are_in_flight_than_allowed(void **state)
{
	struct kit_exchange list[40];
	struct kit_server *server = kit_start(answer_after_a_while);
	struct kit_run *k;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(list); i++)
		list[i] = (struct kit_exchange){.id = i + 1, .connection = 1 + i % 20, .method = "GET",
						.target = "/", .status = 200,
						.headers = "Content-Length: 2\r\n", .body = "ok"};
	k = kit_run_new(list, COUNT_OF(list), server->port);
	k->config.concurrency = 3;
	kit_play(k);
	assert_int_equal(k->summary->verdicts[VERDICT_SAME], 40);
	assert_int_equal(k->summary->client.in_flight_max, 3);
	assert_true(atomic_load(&server->in_flight_max) <= 3);
	assert_true(k->summary->client.held > 0);
	kit_run_free(k);
	kit_stop(server);
}

/*
 * Nobody is answered before all have asked: requests that waited for answers would wait for ever, and each other's
 * answer is the last event that any of them waits for. No clock is needed to see it.
 */
static bool answer_when_all_have_asked(struct kit_server *s, int fd, char *request, unsigned nth)
{
	(void)nth;
	(void)request;
	while (atomic_load(&s->in_flight_max) < 30)
		rest_ms(1);
	kit_begin_answer(s);
	kit_say(fd, OK "Content-Length: 2\r\n\r\nok");
	return true;
}

static void a_slow_target_does_not_slow_the_schedule(void **state)
{
	struct kit_exchange list[30];
	struct kit_server *server = kit_start(answer_when_all_have_asked);
	uint64_t last_due_ns = 0; /* results come in the order of their answers */
	struct kit_run *k;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(list); i++)
		list[i] = (struct kit_exchange){.id = 1 + i * 5 * NS_PER_MS, .connection = 1 + i,
						.method = "GET", .target = "/", .status = 200,
						.headers = "Content-Length: 2\r\n", .body = "ok"};
	k = kit_run_new(list, COUNT_OF(list), server->port);
	k->config.schedule.speed = 1;
	k->config.timeout_ns = 60 * NS_PER_S;
	kit_play(k);
	assert_int_equal(k->summary->verdicts[VERDICT_SAME], 30);
	assert_int_equal(k->summary->client.in_flight_max, 30);
	for (size_t i = 0; i < COUNT_OF(list); i++) {
		last_due_ns = MAX(last_due_ns, k->results[i].due_ns);
		/* lateness is of the request, whatever its answer took */
		assert_true(k->results[i].late_ns < k->summary->duration_ns);
	}
	assert_int_equal(last_due_ns, 29 * 5 * NS_PER_MS);
	assert_true(k->summary->duration_ns >= last_due_ns);
	kit_run_free(k);
	kit_stop(server);
}

/* on one connection the answers come after 20 ms, the requests are due every 5 ms: lateness grows */
static void lateness_is_told_where_a_connection_is_busy(void **state)
{
	struct kit_exchange list[10];
	struct kit_server *server = kit_start(answer_after_a_while);
	struct kit_run *k;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(list); i++)
		list[i] = (struct kit_exchange){.id = 1 + i * 5 * NS_PER_MS, .connection = 1,
						.method = "GET", .target = "/", .status = 200,
						.headers = "Content-Length: 2\r\n", .body = "ok"};
	k = kit_run_new(list, COUNT_OF(list), server->port);
	k->config.schedule.speed = 1;
	kit_play(k);
	assert_true(k->results[9].late_ns > 9 * 14 * NS_PER_MS);
	assert_true(histogram_percentile(&k->summary->from_due, 100) >=
		    histogram_percentile(&k->summary->now, 100));
	kit_run_free(k);
	kit_stop(server);
}

/* the server answers two requests only when it has both */
static bool answer_in_pairs(struct kit_server *s, int fd, char *request, unsigned nth)
{
	(void)s;
	(void)request;
	if (nth % 2 == 1)
		kit_say(fd, OK "Content-Length: 1\r\n\r\na" OK "Content-Length: 1\r\n\r\nb");
	return true;
}

static void what_was_recorded_pipelined_is_pipelined(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 1, .connection = 1, .method = "GET", .target = "/a", .status = 200,
		 .headers = "Content-Length: 1\r\n", .body = "a"},
		{.id = 2, .connection = 1, .method = "GET", .target = "/b", .status = 200,
		 .headers = "Content-Length: 1\r\n", .body = "b", .anomalies = ANOMALY_BIT(PIPELINED)},
	};
	struct kit_server *server = kit_start(answer_in_pairs);
	struct kit_run *k = kit_run_new(list, COUNT_OF(list), server->port);

	(void)state;
	kit_play(k);
	assert_int_equal(k->r, 0);
	assert_int_equal(k->summary->verdicts[VERDICT_SAME], 2);
	assert_int_equal(atomic_load(&server->connections), 1);
	kit_run_free(k);
	kit_stop(server);
}

static bool answer_at_once(struct kit_server *s, int fd, char *request, unsigned nth)
{
	(void)s;
	(void)nth;
	(void)request;
	kit_say(fd, OK "Content-Length: 2\r\n\r\nok");
	return true;
}

static void loops_go_on_on_the_same_connections(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 10, .connection = 1, .method = "GET", .target = "/1", .status = 200,
		 .headers = "Content-Length: 2\r\n", .body = "ok"},
		{.id = 20, .connection = 2, .method = "POST", .target = "/2", .status = 200},
		{.id = 30, .connection = 2, .method = "GET", .target = "/3", .status = 200,
		 .headers = "Content-Length: 2\r\n", .body = "ok"},
	};
	struct kit_server *server = kit_start(answer_at_once);
	struct kit_run *k = kit_run_new(list, COUNT_OF(list), server->port);

	(void)state;
	k->config.loops = 5;
	kit_play(k);
	assert_int_equal(k->summary->verdicts[VERDICT_SAME], 10);
	assert_int_equal(k->summary->verdicts[VERDICT_SKIPPED], 1); /* told once, not in every loop */
	assert_int_equal(atomic_load(&server->connections), 2);
	kit_run_free(k);
	kit_stop(server);
}

static void what_left_the_tape_meanwhile_is_told(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 1, .connection = 1, .method = "GET", .target = "/1", .status = 200,
		 .headers = "Content-Length: 2\r\n", .body = "ok"},
		{.id = 2, .connection = 1, .method = "GET", .target = "/2", .status = 200},
		{.id = 3, .connection = 2, .method = "GET", .target = "/3", .status = 200},
	};
	struct kit_server *server = kit_start(answer_at_once);
	struct kit_run *k = kit_run_new(list, COUNT_OF(list), server->port);

	(void)state;
	k->source.gone_after = 1;
	kit_play(k);
	assert_int_equal(k->r, 0);
	assert_int_equal(kit_find(k, 1)->verdict, VERDICT_SAME);
	assert_int_equal(kit_find(k, 2)->skip, SKIP_GONE);
	assert_int_equal(kit_find(k, 3)->skip, SKIP_GONE);
	kit_run_free(k);
	kit_stop(server);
}

static void many_exchanges_pass_through_little_memory(void **state)
{
	struct kit_exchange list[200];
	struct kit_server *server = kit_start(answer_at_once);
	struct kit_run *k;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(list); i++)
		list[i] = (struct kit_exchange){.id = i + 1, .connection = 1 + i % 4, .method = "GET",
						.target = "/", .status = 200,
						.headers = "Content-Length: 2\r\n", .body = "ok"};
	k = kit_run_new(list, COUNT_OF(list), server->port);
	k->config.memory_max = 4096;
	kit_play(k);
	assert_int_equal(k->summary->verdicts[VERDICT_SAME], 200);
	kit_run_free(k);
	kit_stop(server);
}

static unsigned stop_after; /* answers; tests run one at a time */
static struct kit_run *stoppable;

static bool is_stopped(void)
{
	return stoppable && stoppable->count >= stop_after;
}

static void a_stop_ends_with_a_partial_report(void **state)
{
	struct kit_exchange list[100];
	struct kit_server *server = kit_start(answer_after_a_while);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(list); i++)
		list[i] = (struct kit_exchange){.id = 1 + i * 20 * NS_PER_MS, .connection = 1 + i % 4,
						.method = "GET", .target = "/", .status = 200,
						.headers = "Content-Length: 2\r\n", .body = "ok"};
	stoppable = kit_run_new(list, COUNT_OF(list), server->port);
	stop_after = 3;
	stoppable->config.schedule.speed = 1;
	stoppable->config.is_stopped = is_stopped;
	kit_play(stoppable);
	assert_int_equal(stoppable->r, 0);
	assert_true(stoppable->summary->is_interrupted);
	assert_true(stoppable->count >= 3 && stoppable->count < 10);
	assert_true(stoppable->summary->not_reached > 0);
	kit_run_free(stoppable);
	stoppable = NULL;
	kit_stop(server);
}

static void a_duration_ends_it_and_counts_what_was_not_reached(void **state)
{
	struct kit_exchange list[50];
	struct kit_server *server = kit_start(answer_at_once);
	struct kit_run *k;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(list); i++)
		list[i] = (struct kit_exchange){.id = 1 + i * 20 * NS_PER_MS, .connection = 1,
						.method = "GET", .target = "/", .status = 200,
						.headers = "Content-Length: 2\r\n", .body = "ok"};
	k = kit_run_new(list, COUNT_OF(list), server->port);
	k->config.schedule.speed = 1;
	k->config.duration_ns = 110 * NS_PER_MS;
	kit_play(k);
	assert_int_equal(k->r, 0);
	assert_false(k->summary->is_interrupted);
	assert_true(k->summary->sent >= 1 && k->summary->sent <= 7);
	assert_int_equal(k->summary->sent + k->summary->not_reached, 50);
	kit_run_free(k);
	kit_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way_to_answer_has_its_verdict),
		cmocka_unit_test(only_safe_requests_are_sent_again),
		cmocka_unit_test(a_connection_closed_in_between_is_made_anew),
		cmocka_unit_test(a_server_that_resets_every_connection_ends_the_run),
		cmocka_unit_test(never_more_are_in_flight_than_allowed),
		cmocka_unit_test(a_slow_target_does_not_slow_the_schedule),
		cmocka_unit_test(lateness_is_told_where_a_connection_is_busy),
		cmocka_unit_test(what_was_recorded_pipelined_is_pipelined),
		cmocka_unit_test(loops_go_on_on_the_same_connections),
		cmocka_unit_test(what_left_the_tape_meanwhile_is_told),
		cmocka_unit_test(many_exchanges_pass_through_little_memory),
		cmocka_unit_test(a_stop_ends_with_a_partial_report),
		cmocka_unit_test(a_duration_ends_it_and_counts_what_was_not_reached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
