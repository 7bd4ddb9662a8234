// SPDX-License-Identifier: Apache-2.0
#include "record/views.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define START_NS     (1764000000 * NS_PER_S)
#define WAIT_NS	     (250 * NS_PER_MS)
#define CLIENT_NETNS 7
#define SERVER_NETNS 8
#define WHOLE	     (MESSAGE_PRESENT | MESSAGE_COMPLETE)

static void set_address(struct endpoint *e, uint8_t last, uint16_t port)
{
	memcpy(e->address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x00\x00", 15);
	e->address[15] = last;
	e->is_ipv4 = true;
	e->port = port;
}

/* A request of 10.0.0.1 to the service 10.0.0.100, which is the pod 10.0.0.2, as the client's end sees it. */
static struct exchange clients_view(uint64_t key)
{
	struct exchange x = {
		.wire_key = key,
		.start_ns = START_NS,
		.connection = 1,
		.netns = CLIENT_NETNS,
		.status = 200,
		.method = SPAN_LIT("GET"),
		.target = SPAN_LIT("/cart"),
		.request = {.first_ns = START_NS, .last_ns = START_NS + 10, .flags = WHOLE},
		.response = {.first_ns = START_NS + 1000, .last_ns = START_NS + 1100, .flags = WHOLE},
	};

	set_address(&x.src, 1, 40000);
	set_address(&x.dst, 100, 80);
	return x;
}

static struct exchange servers_view(uint64_t key)
{
	struct exchange x = clients_view(key);

	x.connection = 2;
	x.netns = SERVER_NETNS;
	x.start_ns += 50;
	x.request.first_ns += 50;
	x.request.last_ns += 60;
	x.response.first_ns -= 100;
	x.response.last_ns -= 90;
	set_address(&x.dst, 2, 8080);
	return x;
}

/* How it goes with what waits: "one" is recorded, "told" is part of another. */
static const char *let_go(struct views *v, unsigned count, uint64_t now_ns)
{
	static char story[200];

	story[0] = 0;
	for (unsigned i = 0; i < count; i++) {
		if (views_wait_ns(v, now_ns))
			return strcat(story, "waits");
		(void)strcat(story, views_is_told(v) ? "told " : "one ");
		views_release(v);
	}
	return story;
}

static void both_views_become_one_whatever_comes_first(void **state)
{
	(void)state;
	for (unsigned servers_first = 0; servers_first < 2; servers_first++) {
		struct views *v = views_new(WAIT_NS);
		struct exchange client = clients_view(3), server = servers_view(3);

		views_add(v, servers_first ? &server : &client, 1000);
		assert_int_equal(views_wait_ns(v, 1000 + NS_PER_MS), WAIT_NS - NS_PER_MS);
		views_add(v, servers_first ? &client : &server, 2000);
		assert_string_equal(let_go(v, 2, 2000), servers_first ? "told one " : "one told ");
		assert_int_equal(client.request.first_ns, START_NS);
		assert_int_equal(client.request.server_first_ns, START_NS + 50);
		assert_int_equal(client.response.last_ns, START_NS + 1100);
		assert_int_equal(client.response.server_last_ns, START_NS + 1010);
		assert_int_equal(exchange_latency_ns(&client), 1100);
		assert_int_equal(exchange_server_latency_ns(&client), 960);
		assert_int_equal(client.dst.port, 8080);
		assert_int_equal(client.dst.address[15], 2);
		assert_true(client.asked.is_known && client.asked.port == 80 && client.asked.address[15] == 100);
		assert_int_equal(client.netns, CLIENT_NETNS);
		assert_int_equal(client.server_netns, SERVER_NETNS);
		assert_int_equal(client.connection, 1);
		views_free(v);
	}
}

static void the_view_that_saw_more_keeps_its_messages(void **state)
{
	struct views *v = views_new(WAIT_NS);
	struct exchange client = clients_view(3), server = servers_view(3);

	(void)state;
	client.status = 0;
	client.response = (struct message){0};
	views_add(v, &client, 0);
	views_add(v, &server, 0);
	assert_string_equal(let_go(v, 2, 0), "told one ");
	assert_int_equal(server.status, 200);
	assert_int_equal(server.start_ns, START_NS);
	assert_int_equal(server.request.first_ns, START_NS);
	assert_int_equal(server.response.last_ns, START_NS + 1010); /* nobody saw it at the client's */
	assert_int_equal(server.dst.address[15], 2);
	assert_int_equal(server.connection, 1);
	views_free(v);
}

static void what_waits_in_vain_is_recorded_alone(void **state)
{
	struct views *v = views_new(WAIT_NS);
	struct exchange x = clients_view(3);

	(void)state;
	views_add(v, &x, 1000);
	assert_string_equal(let_go(v, 1, 1000 + WAIT_NS - 1), "waits");
	assert_string_equal(let_go(v, 1, 1000 + WAIT_NS), "one ");
	assert_false(x.asked.is_known);
	assert_int_equal(exchange_server_latency_ns(&x), 0);
	views_free(v);
}

static void what_is_held_up_is_waited_for_but_not_for_ever(void **state)
{
	struct views *v = views_new(WAIT_NS);
	struct exchange client = clients_view(3), server = servers_view(3);

	(void)state;
	views_add(v, &client, 0);
	views_expect_late(v, 3 * NS_PER_S);
	assert_string_equal(let_go(v, 1, 3 * NS_PER_S - 1), "waits");
	views_add(v, &server, 3 * NS_PER_S - 1);
	assert_string_equal(let_go(v, 2, 3 * NS_PER_S - 1), "one told ");
	views_add(v, &client, 4 * NS_PER_S);
	views_expect_late(v, 1000 * NS_PER_S);
	assert_string_equal(let_go(v, 1, 10 * NS_PER_S), "waits");
	assert_string_equal(let_go(v, 1, 15 * NS_PER_S), "one ");
	views_free(v);
}

/* Each changes the server's view so that it is another exchange. */
static void other_key(struct exchange *x)
{
	x->wire_key++;
}
static void same_netns(struct exchange *x)
{
	x->netns = CLIENT_NETNS;
}
static void other_target(struct exchange *x)
{
	x->target = SPAN_LIT("/card");
}
static void other_method(struct exchange *x)
{
	x->method = SPAN_LIT("PUT");
}
static void other_status(struct exchange *x)
{
	x->status = 500;
}
static void much_later(struct exchange *x)
{
	x->start_ns += 2 * NS_PER_S;
}
static void other_stream(struct exchange *x)
{
	x->stream = 3;
}
static void a_later_part(struct exchange *x)
{
	x->anomalies = ANOMALY_BIT(CONTINUATION);
}

static void two_exchanges_stay_two(void **state)
{
	void (*const changes[])(struct exchange * x) = {other_key,    same_netns, other_target, other_method,
							other_status, much_later, other_stream, a_later_part};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		struct views *v = views_new(WAIT_NS);
		struct exchange client = clients_view(3), server = servers_view(3);

		changes[i](&server);
		views_add(v, &client, 0);
		views_add(v, &server, 0);
		assert_string_equal(let_go(v, 2, WAIT_NS), "one one ");
		views_free(v);
	}
}

static void parts_find_the_part_that_holds_the_same_messages(void **state)
{
	struct views *v = views_new(WAIT_NS);
	struct exchange x[4] = {clients_view(3), clients_view(3), servers_view(3), servers_view(3)};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		x[i].anomalies = ANOMALY_BIT(CONTINUATION) | (i < 2 ? ANOMALY_BIT(MIDSTREAM) : 0);
		x[i].messages[1] = 10 + i % 2;
		views_add(v, &x[i], 0);
	}
	assert_string_equal(let_go(v, 4, 0), "one one told told ");
	assert_int_equal(x[0].server_netns, SERVER_NETNS);
	views_free(v);
}

static void what_never_left_its_pod_does_not_wait(void **state)
{
	struct views *v = views_new(WAIT_NS);
	struct exchange at_home = clients_view(3), unplaced = clients_view(4), keyless = clients_view(0);

	(void)state;
	set_address(&at_home.dst, 1, 8080);
	unplaced.netns = 0;
	views_add(v, &at_home, 0);
	views_add(v, &unplaced, 0);
	views_add(v, &keyless, 0);
	assert_string_equal(let_go(v, 3, 0), "one one one ");
	views_free(v);
}

/* many at once, with keys that share buckets; one more than fits is for the caller to hold back */
static void any_number_may_wait_up_to_the_limit(void **state)
{
	enum { MOST = 20000 };
	struct views *v = views_new(WAIT_NS);
	struct exchange *x = calloc(MOST, sizeof(*x));
	unsigned added = 0, told = 0, alone = 0;

	(void)state;
	for (unsigned released = 0; released < MOST; released++) {
		for (; added < MOST && !views_are_full(v); added++) {
			uint64_t key = (added / 2) * 64 + 1;

			x[added] = added % 2 ? servers_view(key) : clients_view(key);
			views_add(v, &x[added], added);
		}
		assert_int_equal(views_wait_ns(v, added), 0);
		told += views_is_told(v);
		alone += !x[released].server_netns && !views_is_told(v);
		views_release(v);
	}
	assert_int_equal(told, MOST / 2);
	assert_int_equal(alone, 0);
	free(x);
	views_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_views_become_one_whatever_comes_first),
		cmocka_unit_test(the_view_that_saw_more_keeps_its_messages),
		cmocka_unit_test(what_waits_in_vain_is_recorded_alone),
		cmocka_unit_test(what_is_held_up_is_waited_for_but_not_for_ever),
		cmocka_unit_test(two_exchanges_stay_two),
		cmocka_unit_test(parts_find_the_part_that_holds_the_same_messages),
		cmocka_unit_test(what_never_left_its_pod_does_not_wait),
		cmocka_unit_test(any_number_may_wait_up_to_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
