// SPDX-License-Identifier: Apache-2.0
#include "record/handover.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/buf.h"
#include "record/record.h"
#include "record/reception.h"

#define UID_TEXT   "0f5c2a76-5d7e-4a1d-9d5d-0c6f2f6f9a11"
#define PATIENCE_S 20

/* A daemon with a store, whose peers are all of one pod. */
struct daemon {
	char dir[32], path[64];
	struct record *record;
	struct reception *reception;
	uint64_t committed;
};

static int peer_is_ours(int fd, char uid_out[POD_UID_MAX])
{
	(void)fd;
	(void)snprintf(uid_out, POD_UID_MAX, "%s", UID_TEXT);
	return 0;
}

static int peer_is_nobody(int fd, char uid_out[POD_UID_MAX])
{
	(void)fd, (void)uid_out;
	return -ENOENT;
}

static int listen_at(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	(void)unlink(path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int connect_to(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void start(struct daemon *d, int (*peer)(int, char[POD_UID_MAX]))
{
	struct record_config config = {.wire = wire_config_default(),
				       .store = store_config_default(),
				       .queue_bytes = 4 << 20,
				       .guest_bytes = 1 << 20,
				       .commit_interval_ns = 1000000};
	struct reception_config reception = {.peer = peer};
	struct err e = {0};

	*d = (struct daemon){.dir = "/tmp/tapeloop-handover-XXXXXX"};
	assert_non_null(mkdtemp(d->dir));
	(void)snprintf(d->path, sizeof(d->path), "%s/s", d->dir);
	config.store_dir = d->dir;
	if (record_start(&config, &d->record, &e) < 0)
		fail_msg("%s", e.why);
	reception.record = d->record;
	reception.fd = listen_at(d->path);
	assert_int_equal(reception_start(&reception, &d->reception, &e), 0);
}

static uint64_t counted(struct daemon *d, enum counter which)
{
	struct counters sum;

	record_counters(d->record, &sum);
	return counter_get(&sum, which);
}

static void finish(struct daemon *d)
{
	AUTO_BUF command = {0};
	struct counters sum;
	struct err e = {0};

	reception_stop(d->reception);
	assert_int_equal(record_stop(d->record, &e), 0);
	record_counters(d->record, &sum);
	assert_int_equal(counters_balance(&sum, COUNTER_ACCOUNT_EXCHANGES), 0);
	record_free(d->record);
	buf_add_fmt(&command, "rm -r %s", d->dir);
	assert_int_equal(system(buf_cstr(&command)), 0);
}

/* what a sidecar recorded: @uid is at the server's end */
static struct exchange an_exchange(uint64_t number, const char *uid)
{
	struct exchange x = {
		.start_ns = UINT64_C(1800000000000000000) + number,
		.connection = 7,
		.protocol = PROTOCOL_HTTP1,
		.status = 200,
		.method = SPAN_LIT("GET"),
		.target = SPAN_LIT("/cart"),
		.path = SPAN_LIT("/cart"),
		.src = {.address = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 1}, .port = 4000, .is_ipv4 = true},
		.dst = {.address = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 2}, .port = 80, .is_ipv4 = true},
		.request = {.head = SPAN_LIT("GET /cart HTTP/1.1\r\n\r\n"),
			    .flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
			    .version = 11},
		.response = {.head = SPAN_LIT("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"),
			     .body = SPAN_LIT("d\0n\n"),
			     .body_bytes = 4,
			     .flags = MESSAGE_PRESENT | MESSAGE_COMPLETE,
			     .version = 11},
	};

	x.request.first_ns = x.request.last_ns = x.start_ns;
	x.response.first_ns = x.response.last_ns = x.start_ns + 1000;
	x.dst.who = (struct identity){.pod = SPAN_LIT("cart-1"),
				      .pod_uid = span_str(uid),
				      .source = IDENTITY_DOWNWARD,
				      .certainty = CERTAINTY_CERTAIN};
	x.src.who = (struct identity){.pod = SPAN_LIT("somebody-else"), .source = IDENTITY_API};
	return x;
}

/* Until all is taken or lost, or the connection has ended. */
static struct handover_outcome settle(struct handover *h)
{
	struct handover_outcome sum = {0};
	struct err e;

	for (int i = 0; i < PATIENCE_S * 100; i++) {
		int failed = handover_tick(h, &e);
		struct handover_outcome since = handover_outcome(h);

		sum.taken += since.taken;
		sum.lost += since.lost;
		if (failed < 0 || !handover_waiting(h))
			return sum;
		(void)poll(NULL, 0, 10);
	}
	fail_msg("nothing became of them");
	return sum;
}

static void what_a_sidecar_sends_is_on_the_nodes_tape(void **state)
{
	struct handover_outcome outcome = {0};
	struct daemon d;
	struct handover *h;
	struct err e = {0};

	(void)state;
	start(&d, peer_is_ours);
	h = handover_new(d.path);
	for (uint64_t i = 0; i < 3000; i++) {
		struct exchange x = an_exchange(i, UID_TEXT);

		while (handover_add(h, &x, &e) < 0) { /* more than waits at once */
			assert_int_equal(e.code, -EAGAIN);
			(void)poll(NULL, 0, 1);
		}
	}
	outcome = settle(h);
	assert_int_equal(outcome.taken, 3000);
	assert_int_equal(outcome.lost, 0);
	handover_free(h);
	reception_stop(TAKE(d.reception));
	assert_int_equal(record_stop(d.record, &e), 0);
	assert_int_equal(counted(&d, COUNTER_EXCHANGES_STORED), 3000);
	record_free(d.record);
	{
		AUTO_BUF command = {0};

		buf_add_fmt(&command, "rm -r %s", d.dir);
		assert_int_equal(system(buf_cstr(&command)), 0);
	}
}

static void a_sidecar_speaks_for_its_own_pod_alone(void **state)
{
	struct exchange x = an_exchange(1, "11111111-2222-3333-4444-555555555555");
	struct reception_levels levels;
	struct daemon d;
	struct handover *h;
	struct err e = {0};

	(void)state;
	start(&d, peer_is_ours);
	h = handover_new(d.path);
	assert_int_equal(handover_add(h, &x, &e), 0);
	assert_int_equal(settle(h).taken, 1); /* done with, and counted there */
	reception_levels(d.reception, &levels);
	assert_int_equal(levels.malformed, 1);
	assert_int_equal(levels.exchanges, 0);
	handover_free(h);
	finish(&d);
}

static void who_is_of_no_pod_is_turned_away(void **state)
{
	struct exchange x = an_exchange(1, UID_TEXT);
	struct reception_levels levels;
	struct handover_outcome outcome;
	struct daemon d;
	struct handover *h;
	struct err e = {0};

	(void)state;
	start(&d, peer_is_nobody);
	h = handover_new(d.path);
	assert_int_equal(handover_add(h, &x, &e), 0);
	outcome = settle(h);
	assert_int_equal(outcome.taken, 0);
	assert_int_equal(outcome.lost, 1);
	reception_levels(d.reception, &levels);
	assert_int_equal(levels.refused, 1);
	handover_free(h);
	finish(&d);
}

static void nobody_there_is_said_at_once(void **state)
{
	struct exchange x = an_exchange(1, UID_TEXT);
	struct handover *h = handover_new("/nonexistent/handover.sock");
	struct err e = {0};

	(void)state;
	assert_int_equal(handover_add(h, &x, &e), -ENOENT);
	assert_non_null(strstr(e.why, "handover.to /nonexistent/handover.sock: No such file"));
	assert_int_equal(handover_waiting(h), 0);
	assert_int_equal(handover_outcome(h).lost, 0); /* it stays with who offered it */
	handover_free(h);
}

static const struct {
	const char *bytes;
	size_t len;
} garbage[] = {
	{"GET / HTTP/1.1\r\n\r\n", 18},
	{"\xff\xff\xff\xff", 4},
	{"\0\0\0\x02{}", 6},
	{"\0\0\0\x0e{\"handover\":2}", 18},
};

static void garbage_ends_the_connection_and_no_other(void **state)
{
	struct exchange x = an_exchange(1, UID_TEXT);
	struct daemon d;
	struct handover *h;
	struct err e = {0};

	(void)state;
	start(&d, peer_is_ours);
	h = handover_new(d.path);
	assert_int_equal(handover_add(h, &x, &e), 0);
	for (size_t i = 0; i < COUNT_OF(garbage); i++) {
		int fd = connect_to(d.path);
		struct pollfd p = {.fd = fd, .events = POLLIN};
		char byte;

		assert_int_equal(write(fd, garbage[i].bytes, garbage[i].len), garbage[i].len);
		assert_int_equal(poll(&p, 1, PATIENCE_S * 1000), 1);
		assert_true(read(fd, &byte, 1) <= 0);
		(void)close(fd);
	}
	assert_int_equal(settle(h).taken, 1);
	handover_free(h);
	finish(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_sidecar_sends_is_on_the_nodes_tape),
		cmocka_unit_test(a_sidecar_speaks_for_its_own_pod_alone),
		cmocka_unit_test(who_is_of_no_pod_is_turned_away),
		cmocka_unit_test(nobody_there_is_said_at_once),
		cmocka_unit_test(garbage_ends_the_connection_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
