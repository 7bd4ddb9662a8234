// SPDX-License-Identifier: Apache-2.0
/* What tests/case cannot say: full queues, empty pools, reloads; the account must balance in each. */
#include "talk.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define GET(path)  ">>> GET " path " HTTP/1.1\n>>>\n"
#define OK(body)   "<<< HTTP/1.1 200 OK\n<<< Content-Length: 2\n<<<\n<<| " body "\n"
#define LONG_HEAD  "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"

static void say(struct talk *t, const char *text)
{
	char *copy = strdup(text), *rest = copy, *line;

	while ((line = strsep(&rest, "\n")))
		talk_take_line(t, line);
	talk_flush_segment(t);
	free(copy);
}

static void begin(struct talk *t, size_t memory_max)
{
	struct wire_config config = wire_config_default();

	config.is_redacting = false;
	config.flows_max = 16;
	config.head_max = 4096;
	config.memory_max = memory_max;
	talk_begin(t, &config, TALK_WHOLE);
}

static uint64_t count(const struct talk *t, enum counter which)
{
	return counter_get(&t->counters, which);
}

static void end(struct talk *t)
{
	talk_finish(t);
	assert_int_equal(counters_balance(&t->counters, COUNTER_ACCOUNT_REQUESTS), 0);
	assert_int_equal(count(t, COUNTER_REQUESTS_OPEN), 0);
	assert_int_equal(pool_used_bytes(t->wire->pool), 0);
	talk_free(t);
}

static void a_full_queue_drops_whole_exchanges_and_counts_them(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, 8 << 20);
	say(&t, GET("/1") OK("ok"));
	t.is_sink_full = true;
	say(&t, GET("/2") OK("ok") GET("/3"));
	assert_int_equal(t.exchange_count, 1);
	assert_int_equal(count(&t, COUNTER_REQUESTS_QUEUE_FULL), 1);
	t.is_sink_full = false;
	say(&t, OK("ok"));
	assert_int_equal(t.exchange_count, 2);
	assert_non_null(strstr(buf_cstr(&t.out), "\"/3\""));
	end(&t);
}

static void requests_open_counts_those_that_wait(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, 8 << 20);
	say(&t, GET("/1") "@segment\n" GET("/2") "@segment\n" GET("/3"));
	assert_int_equal(count(&t, COUNTER_REQUESTS_IN), 3);
	assert_int_equal(count(&t, COUNTER_REQUESTS_OPEN), 3);
	say(&t, OK("ok"));
	assert_int_equal(count(&t, COUNTER_REQUESTS_OPEN), 2);
	end(&t);
}

static void a_timeout_is_told_once_and_its_late_answer_is_counted(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, 8 << 20);
	say(&t, GET("/slow") "@wait 59s\n");
	assert_int_equal(t.exchange_count, 0);
	say(&t, "@wait 2s\n@wait 100s\n");
	assert_int_equal(t.exchange_count, 1);
	say(&t, OK("ok") GET("/next") OK("ok"));
	assert_int_equal(t.exchange_count, 2);
	assert_int_equal(count(&t, COUNTER_RESPONSES_LATE), 1);
	end(&t);
}

static void a_response_that_has_begun_is_no_timeout(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, 8 << 20);
	t.wire->config.part_interval_ns = 0;
	say(&t, GET("/sse") "<<< HTTP/1.1 200 OK\n<<<\n<<| data: 1\\n\\n\n@wait 1h\n<<| data: 2\\n\\n\n@fin <\n");
	assert_int_equal(t.exchange_count, 1);
	assert_non_null(strstr(buf_cstr(&t.out), "\"outcome\":\"ok\""));
	assert_non_null(strstr(buf_cstr(&t.out), "data: 1\\n\\ndata: 2\\n\\n"));
	end(&t);
}

static void an_empty_pool_loses_bodies_first_and_never_the_balance(void **state)
{
	(void)state;
	for (size_t blocks = 1; blocks < 40; blocks++) {
		struct talk t;
		struct wire_config config = wire_config_default();

		config.is_redacting = false;
		config.flows_max = 1;
		config.head_max = 1024;
		config.memory_max = (1 << 20) + blocks * POOL_BLOCK_BYTES;
		talk_begin(&t, &config, TALK_WHOLE);
		/* leave so many blocks and no more */
		while (pool_left_blocks(t.wire->pool) > blocks)
			if (!pool_take(t.wire->pool))
				break;
		for (int i = 0; i < 6; i++)
			say(&t, ">>> POST /x HTTP/1.1\n>>> " LONG_HEAD "\n>>> Content-Length: 5000\n>>>\n");
		for (int i = 0; i < 5000 / 50; i++)
			say(&t, ">>| 01234567890123456789012345678901234567890123456789\n");
		say(&t, OK("ok") OK("ok") GET("/y") OK("ok") "<<| \\x00junk\\n\n");
		talk_finish(&t);
		assert_int_equal(counters_balance(&t.counters, COUNTER_ACCOUNT_REQUESTS), 0);
		assert_int_equal(count(&t, COUNTER_REQUESTS_OPEN), 0);
		assert_int_equal(pool_left_blocks(t.wire->pool), blocks);
		talk_free(&t);
	}
}

static void endless_heads_and_bodies_take_bounded_memory(void **state)
{
	struct talk t;
	size_t most = 0;

	(void)state;
	begin(&t, 8 << 20);
	t.wire->config.body_max = 8192;
	say(&t, ">>> GET / HTTP/1.1\n");
	for (int i = 0; i < 2000; i++)
		say(&t, ">>> " LONG_HEAD "\n");
	most = pool_used_bytes(t.wire->pool);
	assert_true(most <= 4096 + 5 * POOL_BLOCK_BYTES);
	say(&t, ">>>\n<<< HTTP/1.1 200 OK\n<<< Transfer-Encoding: chunked\n<<<\n");
	for (int i = 0; i < 20000; i++)
		say(&t, "<<< 1;extension\n<<< x\n");
	assert_true(pool_used_bytes(t.wire->pool) <= most + 2 * 8192 + 4 * POOL_BLOCK_BYTES);
	say(&t, "<<< 0\n<<<\n");
	assert_int_equal(t.exchange_count, 1);
	assert_non_null(strstr(buf_cstr(&t.out), "\"bytes\":20000"));
	assert_non_null(strstr(buf_cstr(&t.out), "head_cut"));
	end(&t);
}

static void new_rules_hold_for_what_is_already_being_read(void **state)
{
	static const char *const headers[] = {"X-Mine", NULL};
	struct talk t;

	(void)state;
	begin(&t, 8 << 20);
	say(&t, ">>> GET / HTTP/1.1\n>>> X-Mine: 5ecret\n>>>\n");
	assert_int_equal(wire_set_redaction(t.wire, true, headers, NULL), 0);
	say(&t, OK("ok"));
	assert_int_equal(t.exchange_count, 1);
	assert_null(strstr(buf_cstr(&t.out), "5ecret"));
	assert_int_equal(count(&t, COUNTER_REDACTIONS), 1);
	assert_int_equal(wire_set_redaction(t.wire, false, NULL, NULL), 0);
	say(&t, ">>> GET / HTTP/1.1\n>>> X-Mine: 5ecret\n>>>\n" OK("ok"));
	assert_non_null(strstr(buf_cstr(&t.out), "5ecret"));
	end(&t);
}

static void a_connection_ends_in_its_row(void **state)
{
	static const struct {
		const char *talk;
		enum counter kind;
	} rows[] = {
		{GET("/"), COUNTER_CONNECTIONS_HTTP1},
		{">>| \\x16\\x03\\x01\\x00\\x05hello\n", COUNTER_CONNECTIONS_TLS},
		{">>| \\x16\n@segment\n>>| \\x03\n@segment\n>>| \\x01\n", COUNTER_CONNECTIONS_TLS},
		{"@midstream\n<<| \\x17\\x03\\x03\\x00\\x05hello\n", COUNTER_CONNECTIONS_TLS},
		{"<<| 220 hello\\r\\n\n>>| QUIT\\r\\n\n", COUNTER_CONNECTIONS_OTHER},
		{">>| P\n", COUNTER_CONNECTIONS_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct talk t;

		begin(&t, 8 << 20);
		say(&t, rows[i].talk);
		assert_int_equal(conn_kind(&t.conn), rows[i].kind);
		end(&t);
	}
}

static void nothing_is_wanted_of_what_is_not_understood(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, 8 << 20);
	say(&t, ">>> GET /ws HTTP/1.1\n>>> Upgrade: x\n>>>\n<<< HTTP/1.1 101 S\n<<<\n");
	assert_int_equal(t.exchange_count, 1);
	assert_false(conn_wants_data(&t.conn, 0));
	assert_false(conn_wants_data(&t.conn, 1));
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_queue_drops_whole_exchanges_and_counts_them),
		cmocka_unit_test(requests_open_counts_those_that_wait),
		cmocka_unit_test(a_timeout_is_told_once_and_its_late_answer_is_counted),
		cmocka_unit_test(a_response_that_has_begun_is_no_timeout),
		cmocka_unit_test(an_empty_pool_loses_bodies_first_and_never_the_balance),
		cmocka_unit_test(endless_heads_and_bodies_take_bounded_memory),
		cmocka_unit_test(new_rules_hold_for_what_is_already_being_read),
		cmocka_unit_test(a_connection_ends_in_its_row),
		cmocka_unit_test(nothing_is_wanted_of_what_is_not_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
