// SPDX-License-Identifier: Apache-2.0
#include "http2_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Two requests on one connection, the second behind or beside the first, and what becomes of the first. */
struct told {
	const char *path;
	unsigned recorded_status;
	const char *recorded_headers, *recorded_body;
	uint8_t protocol;
	unsigned recorded_grpc;
	const char *recorded_trailers;
	unsigned verdict, miss, connections;
	bool is_retried;
	uint64_t differences;
};

#define TEXT_PLAIN "content-type: text/plain\r\n"
#define GRPC       "content-type: application/grpc\r\n"

static const struct told tales[] = {
	{.path = "/ok", .recorded_body = "hello", .verdict = VERDICT_SAME, .connections = 1},
	{.path = "/ok", .recorded_body = "other", .verdict = VERDICT_CHANGED, .connections = 1, .differences = 1},
	{.path = "/ok", .recorded_status = 503, .recorded_body = "no", .verdict = VERDICT_FIXED,
	 .connections = 1, .differences = 2},
	{.path = "/hint", .recorded_body = "after", .verdict = VERDICT_SAME, .connections = 1},
	{.path = "/grpc0", .protocol = PROTOCOL_GRPC, .recorded_headers = GRPC, .recorded_trailers = "grpc-status: 0\r\n",
	 .verdict = VERDICT_SAME, .connections = 1},
	{.path = "/grpc0", .protocol = PROTOCOL_GRPC, .recorded_headers = GRPC, .recorded_grpc = 14,
	 .recorded_trailers = "grpc-status: 14\r\n", .verdict = VERDICT_FIXED, .connections = 1, .differences = 1},
	{.path = "/grpc9", .protocol = PROTOCOL_GRPC, .recorded_headers = GRPC, .recorded_trailers = "grpc-status: 0\r\n",
	 .verdict = VERDICT_BROKEN, .connections = 1, .differences = 1},
	{.path = "/grpc9", .protocol = PROTOCOL_GRPC, .recorded_headers = GRPC, .recorded_grpc = 9,
	 .recorded_trailers = "grpc-status: 9\r\ngrpc-message: sold\r\n", .verdict = VERDICT_CHANGED,
	 .connections = 1, .differences = 1},
	/* trailers-only, where headers and trailers were recorded */
	{.path = "/only", .protocol = PROTOCOL_GRPC, .recorded_headers = "", .recorded_grpc = 9, .recorded_body = "",
	 .recorded_trailers = "grpc-status: 9\r\n", .verdict = VERDICT_SAME, .connections = 1},
	/* a gRPC call that is answered without a status */
	{.path = "/ok", .protocol = PROTOCOL_GRPC, .recorded_headers = TEXT_PLAIN, .recorded_body = "hello",
	 .recorded_trailers = "grpc-status: 0\r\n", .verdict = VERDICT_BROKEN, .connections = 1, .differences = 1},
	{.path = "/reset", .verdict = VERDICT_NO_ANSWER, .miss = MISS_STREAM_RESET, .connections = 1},
	{.path = "/refuse-once", .recorded_body = "hello", .verdict = VERDICT_SAME, .connections = 1, .is_retried = true},
	{.path = "/refuse", .verdict = VERDICT_NO_ANSWER, .miss = MISS_STREAM_RESET, .connections = 1, .is_retried = true},
	{.path = "/goaway-once", .recorded_body = "hello", .verdict = VERDICT_SAME, .connections = 2, .is_retried = true},
	{.path = "/goaway", .verdict = VERDICT_NO_ANSWER, .miss = MISS_GOAWAY, .connections = 4, .is_retried = true},
	{.path = "/last", .recorded_body = "last", .verdict = VERDICT_SAME, .connections = 2},
	{.path = "/close", .verdict = VERDICT_NO_ANSWER, .miss = MISS_CLOSED, .connections = 2},
	{.path = "/half", .verdict = VERDICT_NO_ANSWER, .miss = MISS_CLOSED_EARLY, .connections = 2},
	{.path = "/hang", .verdict = VERDICT_NO_ANSWER, .miss = MISS_TIMEOUT, .connections = 1},
};

static void check_tale(const struct told *t, bool is_beside)
{
	const struct kit_exchange list[] = {
		{.id = 1, .connection = 7, .method = "POST", .target = t->path,
		 .protocol = t->protocol ? t->protocol : PROTOCOL_HTTP2, .grpc_status = t->recorded_grpc,
		 .status = t->recorded_status ? t->recorded_status : 200,
		 .headers = t->recorded_headers ? t->recorded_headers : TEXT_PLAIN, .trailers = t->recorded_trailers},
		{.id = is_beside ? 2 : NS_PER_S, .connection = 7, .method = "GET", .target = "/ok?second",
		 .protocol = PROTOCOL_HTTP2, .status = 200, .headers = TEXT_PLAIN, .body = "hello"},
	};
	struct kit_exchange made[2] = {list[0], list[1]};
	struct kit2_server *s = kit2_start(0);
	struct kit_run *k;
	const struct kit_result *first, *second;

	made[0].body = t->recorded_body ? t->recorded_body : "";
	k = kit_run_new(made, 2, s->port);
	k->config.rules.allows_unsafe = true;
	k->config.timeout_ns = t->miss == MISS_TIMEOUT ? 300 * NS_PER_MS : 30 * NS_PER_S;
	kit_play(k);
	assert_int_equal(k->r, 0);
	first = kit_find(k, 1);
	second = kit_find(k, made[1].id);
	if (!first || first->verdict != t->verdict || first->miss != t->miss ||
	    first->was_retried != t->is_retried || first->differences != t->differences)
		fail_msg("%s recorded with %u: %s, %s, retried %d, %llu differences, at %s", t->path,
			 t->recorded_grpc, verdict_name(first ? first->verdict : 99),
			 miss_name(first ? first->miss : 99), first && first->was_retried,
			 first ? (unsigned long long)first->differences : 0, first ? first->first_where : "");
	assert_non_null(second);
	if (!is_beside && (second->verdict != VERDICT_SAME ||
			   atomic_load(&s->connections) != t->connections))
		fail_msg("behind %s: %s %s on %u connections", t->path, verdict_name(second->verdict),
			 miss_name(second->miss), atomic_load(&s->connections));
	kit_run_free(k);
	kit2_stop(s);
}

static void every_end_of_a_stream_is_told_for_what_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(tales); i++)
		check_tale(&tales[i], false);
}

static void beside_another_stream_too(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(tales); i++)
		check_tale(&tales[i], true);
}

static void what_was_recorded_is_what_arrives(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 1, .connection = 7, .method = "POST", .target = "/echo?a=1", .protocol = PROTOCOL_GRPC,
		 .request_headers = "content-type: application/grpc\r\nte: trailers\r\nx-b: 2\r\nx-a: 1\r\nx-b: 3\r\n",
		 .request_body = "some body", .request_trailers = "x-end: 1\r\nx-more: 2\r\n", .status = 200,
		 .headers = TEXT_PLAIN, .body = "some body", .trailers = ""},
	};
	struct kit2_server *s = kit2_start(0);
	struct kit_run *k = kit_run_new(list, 1, s->port);

	(void)state;
	k->config.rules.allows_unsafe = true;
	assert_int_equal(request_set_header(&k->config.edits, "X-A: one", NULL), 0);
	assert_int_equal(request_del_header(&k->config.edits, "x-none", NULL), 0);
	kit_play(k);
	assert_int_equal(k->r, 0);
	assert_int_equal(k->count, 1);
	assert_string_equal(s->log, ":method: POST\n:path: /echo?a=1\n:scheme: http\n:authority: shop.test\n"
				    "content-type: application/grpc\nte: trailers\nx-b: 2\nx-a: one\nx-b: 3\n"
				    "tapeloop-replay: 0RUN/0000000000001\n(some body)\nx-end: 1\nx-more: 2\n\n");
	kit_run_free(k);
	kit2_stop(s);
}

static void authority_is_rewritten_only_when_asked(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 1, .connection = 7, .method = "GET", .target = "/a/x", .protocol = PROTOCOL_HTTP2, .status = 200},
	};
	struct kit2_server *s = kit2_start(0);
	struct kit_run *k = kit_run_new(list, 1, s->port);
	char want[64];

	(void)state;
	k->config.edits.has_target_host = true;
	assert_int_equal(request_rewrite_path(&k->config.edits, "/a/=/b/", NULL), 0);
	kit_play(k);
	(void)snprintf(want, sizeof(want), ":path: /b/x\n:scheme: http\n:authority: 127.0.0.1:%u\n", s->port);
	assert_non_null(strstr(s->log, want));
	kit_run_free(k);
	kit2_stop(s);
}

static void streams_are_concurrent_as_recorded(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 1, .connection = 7, .method = "GET", .target = "/both", .protocol = PROTOCOL_HTTP2, .status = 200,
		 .headers = TEXT_PLAIN, .body = "b"},
		{.id = 2, .connection = 7, .method = "GET", .target = "/both", .protocol = PROTOCOL_HTTP2, .status = 200,
		 .headers = TEXT_PLAIN, .body = "b"},
		/* recorded when both had been answered: must not be sent before that */
		{.id = NS_PER_S, .connection = 7, .method = "GET", .target = "/ok", .protocol = PROTOCOL_HTTP2,
		 .status = 200, .headers = TEXT_PLAIN, .body = "hello"},
	};
	struct kit2_server *s = kit2_start(0);
	struct kit_run *k = kit_run_new(list, 3, s->port);

	(void)state;
	kit_play(k);
	assert_int_equal(k->summary->verdicts[VERDICT_SAME], 3);
	assert_int_equal(k->results[2].id, NS_PER_S);
	assert_int_equal(k->summary->client.in_flight_max, 2);
	assert_int_equal(atomic_load(&s->connections), 1);
	kit_run_free(k);
	kit2_stop(s);
}

static void the_target_s_limit_of_streams_is_kept(void **state)
{
	struct kit_exchange list[40];
	struct kit2_server *s = kit2_start(1);
	struct kit_run *k;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(list); i++)
		list[i] = (struct kit_exchange){
			.id = i + 1, .connection = 7, .method = "GET", .target = i % 3 ? "/ok" : "/hint",
			.protocol = PROTOCOL_HTTP2, .status = 200, .headers = TEXT_PLAIN,
			.body = i % 3 ? "hello" : "after"};
	k = kit_run_new(list, COUNT_OF(list), s->port);
	kit_play(k);
	assert_int_equal(k->summary->verdicts[VERDICT_SAME], COUNT_OF(list));
	assert_int_equal(atomic_load(&s->connections), 1);
	kit_run_free(k);
	kit2_stop(s);
}

static void large_bodies_pass_flow_control_both_ways(void **state)
{
	char *big = malloc(KIT2_BIG_BYTES + 1);
	struct kit2_server *s = kit2_start(0);
	struct kit_run *k;
	struct kit_exchange list[2];

	(void)state;
	assert_non_null(big);
	memset(big, 'x', KIT2_BIG_BYTES);
	big[KIT2_BIG_BYTES] = '\0';
	list[0] = (struct kit_exchange){.id = 1, .connection = 7, .method = "POST", .target = "/echo", .request_body = big,
					.protocol = PROTOCOL_HTTP2, .status = 200, .headers = TEXT_PLAIN, .body = big};
	list[1] = (struct kit_exchange){.id = 2, .connection = 7, .method = "GET", .target = "/big",
					.protocol = PROTOCOL_HTTP2, .status = 200, .headers = TEXT_PLAIN, .body = big};
	k = kit_run_new(list, 2, s->port);
	k->config.rules.allows_unsafe = true;
	kit_play(k);
	assert_int_equal(k->summary->verdicts[VERDICT_SAME], 2);
	kit_run_free(k);
	kit2_stop(s);
	free(big);
}

static bool say_http1(struct kit_server *s, int fd, char *request, unsigned nth)
{
	(void)s;
	(void)request;
	(void)nth;
	kit_say(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
	return true;
}

static void a_server_of_http1_is_no_answer(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 1, .connection = 7, .method = "GET", .target = "/a", .protocol = PROTOCOL_HTTP2, .status = 200},
		{.id = 2, .connection = 7, .method = "GET", .target = "/b", .protocol = PROTOCOL_HTTP2, .status = 200},
	};
	struct kit_server *s = kit_start(say_http1);
	struct kit_run *k = kit_run_new(list, 2, s->port);

	(void)state;
	kit_play(k);
	assert_int_equal(k->summary->misses[MISS_GARBAGE], 2);
	kit_run_free(k);
	kit_stop(s);
}

static void loops_go_on_on_the_same_connection(void **state)
{
	static const struct kit_exchange list[] = {
		{.id = 1, .connection = 7, .method = "GET", .target = "/ok", .protocol = PROTOCOL_HTTP2, .status = 200,
		 .headers = TEXT_PLAIN, .body = "hello"},
		{.id = 2, .connection = 8, .method = "GET", .target = "/ok", .protocol = PROTOCOL_HTTP2, .status = 200,
		 .headers = TEXT_PLAIN, .body = "hello"},
	};
	struct kit2_server *s = kit2_start(0);
	struct kit_run *k = kit_run_new(list, 2, s->port);

	(void)state;
	k->config.loops = 20;
	kit_play(k);
	assert_int_equal(k->summary->verdicts[VERDICT_SAME], 40);
	assert_int_equal(atomic_load(&s->connections), 2);
	kit_run_free(k);
	kit2_stop(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_recorded_is_what_arrives),
		cmocka_unit_test(authority_is_rewritten_only_when_asked),
		cmocka_unit_test(every_end_of_a_stream_is_told_for_what_it_is),
		cmocka_unit_test(beside_another_stream_too),
		cmocka_unit_test(streams_are_concurrent_as_recorded),
		cmocka_unit_test(the_target_s_limit_of_streams_is_kept),
		cmocka_unit_test(large_bodies_pass_flow_control_both_ways),
		cmocka_unit_test(a_server_of_http1_is_no_answer),
		cmocka_unit_test(loops_go_on_on_the_same_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
