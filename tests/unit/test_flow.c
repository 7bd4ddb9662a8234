// SPDX-License-Identifier: Apache-2.0
/* The message layer is played here: conn_*() write down what they are told. */
#include "wire/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "packets.h"
#include "wire/stream.h"

#define MS NS_PER_MS

static char story[65536]; /* what the message layer was told, one word an event */
static bool is_deaf;      /* conn_wants_data() says no */
static unsigned hungry;   /* blocks that each conn_data() takes */

static void note(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void note(const char *fmt, ...)
{
	size_t len = strlen(story);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(story + len, sizeof(story) - len, fmt, ap);
	va_end(ap);
}

/* the client is 'c', the server 's'; unknown directions are 'l' for the lower end, 'h' for the higher */
static char name(const struct conn *c, unsigned dir)
{
	if (c->client < 0)
		return dir ? 'h' : 'l';
	return dir == (unsigned)c->client ? 'c' : 's';
}

void conn_open(struct conn *c, uint64_t ts_ns)
{
	(void)ts_ns;
	note("%s ", c->is_midstream ? "join" : "open");
}

struct meal {
	struct meal *next;
};

void conn_data(struct conn *c, unsigned dir, uint64_t offset, uint64_t acked, struct span bytes,
	       uint64_t ts_ns)
{
	(void)ts_ns;
	note("%c%llu:%.*s", name(c, dir), (unsigned long long)offset, (int)MIN(bytes.len, (size_t)40),
	     (const char *)bytes.ptr);
	if (acked != UINT64_MAX)
		note("/%llu", (unsigned long long)acked);
	note(" ");
	for (unsigned n = 0; n < hungry; n++) {
		struct meal *m = wire_block(c->wire, c);

		if (!m)
			return;
		m->next = c->state;
		c->state = m;
	}
}

void conn_gap(struct conn *c, unsigned dir, uint64_t offset, uint64_t len, uint64_t ts_ns)
{
	(void)ts_ns;
	note("%c%llu:gap%llu ", name(c, dir), (unsigned long long)offset, (unsigned long long)len);
}

void conn_end(struct conn *c, unsigned dir, enum conn_end how, uint64_t ts_ns)
{
	static const char *const names[] = {"fin", "rst", "idle", "evicted", "reused", "capture"};

	(void)ts_ns;
	if (how == CONN_END_FIN || how == CONN_END_RST)
		note("%c:", name(c, dir));
	note("%s ", names[how]);
}

void conn_close(struct conn *c)
{
	struct meal *m;

	while ((m = c->state)) {
		c->state = m->next;
		pool_give(c->wire->pool, m);
	}
	note("close ");
}

void conn_overlap(struct conn *c, unsigned dir)
{
	note("%c:overlap ", name(c, dir));
}

bool conn_wants_data(const struct conn *c, unsigned dir)
{
	(void)c;
	(void)dir;
	return !is_deaf;
}

enum counter conn_kind(const struct conn *c)
{
	(void)c;
	return COUNTER_CONNECTIONS_OTHER;
}

/* --- the table under test --- */

static struct wire wire;
static bool are_apart;  /* sources */
static uint16_t share; /* likewise */
static struct counters counters;

static void begin_with(size_t flows_max, size_t blocks)
{
	counters = (struct counters){0};
	wire = (struct wire){
		.config = {.flows_max = flows_max,
			   .memory_max = 16 << 20,
			   .flow_timeout_ns = 600 * NS_PER_S,
			   .hash_seed = 1},
		.counters = &counters,
		.pool = pool_new(blocks * POOL_BLOCK_BYTES),
		.now_ns = NS_PER_S,
	};
	wire.flows = flow_table_new(&wire);
	assert_non_null(wire.flows);
	story[0] = 0;
	is_deaf = false;
	hungry = 0;
}

static void begin(void)
{
	begin_with(16, 64);
}

static uint64_t total(enum counter which)
{
	return counter_get(&counters, which);
}

static void pass(uint64_t ns)
{
	wire.now_ns += ns;
	flow_tick(wire.flows, wire.now_ns);
}

static uint64_t packets_out(void)
{
	return total(COUNTER_PACKETS_DATA) + total(COUNTER_PACKETS_CONTROL) +
	       total(COUNTER_PACKETS_DUPLICATE) + total(COUNTER_PACKETS_NO_FLOW);
}

/* end the capture; all accounts must balance and all memory be back */
static void end(void)
{
	flow_flush(wire.flows, wire.now_ns);
	assert_int_equal(packets_out(), total(COUNTER_PACKETS_IN));
	assert_int_equal(counters_balance(&counters, COUNTER_ACCOUNT_BYTES), 0);
	assert_int_equal(counters_balance(&counters, COUNTER_ACCOUNT_CONNECTIONS), 0);
	assert_int_equal(total(COUNTER_CONNECTIONS_OPEN), 0);
	assert_int_equal(total(COUNTER_BYTES_HELD), 0);
	assert_int_equal(pool_used_bytes(wire.pool), 0);
	flow_table_free(wire.flows);
	pool_free(wire.pool);
}

static void check_story(const char *want)
{
	assert_string_equal(story, want);
}

enum { FIN = PACKET_FIN, SYN = PACKET_SYN, RST = PACKET_RST, ACK = PACKET_ACK };

static struct packet packet_of(uint32_t from, uint32_t to, uint16_t from_port, uint16_t to_port)
{
	struct packet p = {.src = {[10] = 0xff, [11] = 0xff},
			   .dst = {[10] = 0xff, [11] = 0xff},
			   .src_port = from_port,
			   .dst_port = to_port,
			   .is_ipv4 = true};

	put32(p.src + 12, from);
	put32(p.dst + 12, to);
	return p;
}

static void send_in(struct packet *p, uint32_t netns, uint8_t flags, uint32_t seq, uint32_t ack,
		    const char *text)
{
	p->flags = flags;
	p->seq = seq;
	p->ack = ack;
	p->payload = span_str(text);
	counter_add(&counters, COUNTER_PACKETS_IN, 1);
	flow_packet(wire.flows, p, &(struct wire_source){.netns = netns, .is_apart = are_apart, .share = share}, wire.now_ns);
}

/* client and server of one connection; their numbers begin at 100 and 500 */
static void c(uint8_t flags, uint32_t seq, uint32_t ack, const char *text)
{
	struct packet p = packet_of(HOST_B, HOST_A, 40000, 80);

	send_in(&p, 0, flags, seq, ack, text);
}

static void s(uint8_t flags, uint32_t seq, uint32_t ack, const char *text)
{
	struct packet p = packet_of(HOST_A, HOST_B, 80, 40000);

	send_in(&p, 0, flags, seq, ack, text);
}

static void handshake(void)
{
	c(SYN, 99, 0, "");
	s(SYN | ACK, 499, 100, "");
	c(ACK, 100, 500, "");
}

static void a_connection_from_syn_to_fin(void **state)
{
	(void)state;
	begin();
	handshake();
	c(ACK, 100, 500, "ask");
	s(ACK, 500, 103, "answer");
	c(ACK, 103, 506, "again");
	s(ACK | FIN, 506, 108, "bye");
	c(ACK | FIN, 108, 510, "");
	s(ACK, 510, 109, "");
	check_story("open c0:ask/0 s0:answer/3 c3:again/6 s6:bye/8 s:fin c:fin close ");
	assert_int_equal(total(COUNTER_CONNECTIONS_OTHER), 1);
	end();
}

static void a_second_copy_of_everything_changes_nothing(void **state)
{
	(void)state;
	begin();
	for (int copy = 0; copy < 2; copy++) {
		handshake();
		c(ACK, 100, 500, "ask");
		s(ACK | FIN, 500, 103, "answer");
		c(ACK | FIN, 103, 507, "");
		s(ACK, 507, 104, "");
		wire.now_ns += 20 * MS;
	}
	check_story("open c0:ask/0 s0:answer/3 s:fin c:fin close ");
	assert_int_equal(total(COUNTER_PACKETS_DUPLICATE), 2);
	assert_int_equal(total(COUNTER_BYTES_DUPLICATE), 9);
	assert_int_equal(total(COUNTER_CONNECTIONS_IN), 1);
	end();
}

static void the_same_ports_with_other_numbers_are_another_connection(void **state)
{
	(void)state;
	begin();
	handshake();
	c(ACK, 100, 500, "ask");
	c(SYN, 90000, 0, "");
	s(SYN | ACK, 70000, 90001, "");
	c(ACK, 90001, 70001, "new");
	check_story("open c0:ask/0 reused close open c0:new/0 ");
	end();
	begin();
	handshake();
	c(ACK | FIN, 100, 500, "");
	s(ACK | FIN, 500, 101, "");
	c(SYN, 99, 0, ""); /* a late copy */
	check_story("open c:fin s:fin close ");
	c(SYN, 120, 0, ""); /* however near */
	check_story("open c:fin s:fin close open ");
	end();
}

static void a_new_connection_is_known_without_its_syn(void **state)
{
	(void)state;
	begin();
	handshake();
	c(ACK | FIN, 100, 500, "");
	s(ACK | FIN, 500, 101, "");
	c(ACK, 0x70000000, 0x60000000, "ask");
	s(ACK, 0x60000000, 0x70000003, "");
	check_story("open c:fin s:fin close join h0:ask/0 ");
	end();
	begin();
	handshake();
	c(ACK, 100, 500, "ask");
	s(SYN | ACK, 0x60000000, 0x70000001, ""); /* it answers a SYN that was not captured */
	check_story("open c0:ask/0 reused close open ");
	end();
}

static void a_connection_joined_midstream_is_followed(void **state)
{
	(void)state;
	begin();
	c(ACK, 7000, 9000, "ask");
	s(ACK, 9000, 7003, "answer");
	c(ACK, 7003, 9006, "");
	check_story("join h0:ask/0 l0:answer/3 ");
	end();
}

static void the_acknowledgement_shows_what_was_lost_before_the_first_byte(void **state)
{
	(void)state;
	begin();
	c(ACK, 7000, 9000, "ask");
	s(ACK, 9003, 7003, "wer");
	c(ACK, 7003, 9006, "");
	pass(100 * MS);
	pass(101 * MS);
	check_story("join h0:ask/0 l0:gap3 l3:wer/3 ");
	end();
}

static void acknowledgements_alone_and_resets_open_nothing(void **state)
{
	(void)state;
	begin();
	c(ACK, 1, 2, "");
	s(RST, 1, 0, "");
	s(ACK | FIN, 1, 2, "");
	c(ACK, 1, 2, "\0"); /* nothing at all */
	{
		struct packet p = packet_of(HOST_A, HOST_B, 80, 40000);

		p.flags = ACK;
		p.payload = span_of("\0", 1); /* what some probes carry */
		counter_add(&counters, COUNTER_PACKETS_IN, 1);
		flow_packet(wire.flows, &p, &(struct wire_source){0}, wire.now_ns);
	}
	check_story("");
	assert_int_equal(total(COUNTER_PACKETS_CONTROL), 5);
	end();
}

static void a_reset_ends_both_ways_a_moment_later(void **state)
{
	(void)state;
	begin();
	handshake();
	c(ACK, 100, 500, "ask");
	c(RST, 103, 0, "");
	s(ACK, 500, 103, "answer"); /* it crossed the reset */
	check_story("open c0:ask/0 s0:answer/3 ");
	pass(101 * MS);
	check_story("open c0:ask/0 s0:answer/3 c:rst close ");
	s(ACK, 506, 103, "more");
	check_story("open c0:ask/0 s0:answer/3 c:rst close ");
	end();
}

/* the first segment that is seen waits for the next packet: it may have overtaken the one before it */
static void a_joined_connection_may_begin_with_its_second_segment(void **state)
{
	(void)state;
	begin();
	c(ACK, 7003, 9000, "ing");
	check_story("join ");
	c(ACK, 7000, 9000, "ask");
	check_story("join h0:ask/0 h3:ing/0 ");
	end();
	begin();
	c(ACK, 7003, 9000, "ing"); /* nothing comes before it */
	pass(200 * MS);
	check_story("join h0:ing/0 ");
	c(ACK, 7000, 9000, "ask");
	check_story("join h0:ing/0 ");
	end();
}

static void a_stray_reset_does_not_end_a_connection(void **state)
{
	(void)state;
	begin();
	handshake();
	c(ACK, 100, 500, "ask");
	s(RST, 500 + (2 << 20), 0, ""); /* out of every window */
	s(RST | ACK, 500, 103, "");     /* in the window, but its sender goes on */
	s(ACK, 500, 103, "answer");
	pass(200 * MS);
	check_story("open c0:ask/0 s0:answer/3 ");
	s(RST | ACK, 506, 103, "");
	pass(200 * MS);
	s(ACK, 506, 103, "more"); /* too late to doubt it */
	c(ACK, 103, 510, "");
	check_story("open c0:ask/0 s0:answer/3 s:rst close join l0:more/0 ");
	end();
}

static void a_refused_connection_is_over_at_once(void **state)
{
	(void)state;
	begin();
	c(SYN, 99, 0, "");
	s(RST | ACK, 0, 100, "");
	check_story("open s:rst close ");
	assert_int_equal(total(COUNTER_CONNECTIONS_EMPTY), 1);
	end();
}

static void bytes_in_the_syn_are_the_first(void **state)
{
	(void)state;
	begin();
	c(SYN, 99, 0, "ask");
	s(SYN | ACK, 499, 103, "");
	s(ACK, 500, 103, "answer");
	c(ACK, 103, 506, "!");
	check_story("open c0:ask s0:answer/3 c3:!/6 ");
	end();
}

static void a_keep_alive_probe_is_control(void **state)
{
	(void)state;
	begin();
	handshake();
	c(ACK, 100, 500, "ask");
	c(ACK, 102, 500, "\1");
	assert_int_equal(total(COUNTER_PACKETS_CONTROL), 4);
	assert_int_equal(total(COUNTER_BYTES_DUPLICATE), 1);
	check_story("open c0:ask/0 ");
	end();
}

static void a_hole_is_waited_for_and_then_told(void **state)
{
	(void)state;
	begin();
	handshake();
	s(ACK, 500, 100, "one");
	s(ACK, 506, 100, "three");
	c(ACK, 100, 511, "");
	pass(100 * MS);
	check_story("open s0:one/0 ");
	pass(100 * MS + 1);
	pass(100 * MS + 1);
	check_story("open s0:one/0 s3:gap3 s6:three/0 ");
	s(ACK | FIN, 514, 100, ""); /* before it, something is missing */
	c(ACK | FIN, 100, 515, "");
	pass(100 * MS + 1);
	for (int i = 0; i < 10; i++)
		pass(100 * MS + 1);
	check_story("open s0:one/0 s3:gap3 s6:three/0 c:fin s11:gap3 s:fin close ");
	end();
}

static void a_silent_connection_is_forgotten(void **state)
{
	(void)state;
	begin();
	handshake();
	c(ACK, 100, 500, "ask");
	pass(599 * NS_PER_S);
	c(ACK, 103, 500, "ing");
	pass(599 * NS_PER_S);
	check_story("open c0:ask/0 c3:ing/0 ");
	pass(2 * NS_PER_S);
	check_story("open c0:ask/0 c3:ing/0 idle close ");
	s(ACK, 500, 106, "late");
	c(ACK, 106, 504, "");
	check_story("open c0:ask/0 c3:ing/0 idle close join l0:late/0 ");
	end();
}

static void syn_from(uint32_t host)
{
	struct packet p = packet_of(host, HOST_B, 1234, 80);

	send_in(&p, 0, SYN, 1, 0, "");
}

static void a_flood_of_syns_drowns_itself(void **state)
{
	(void)state;
	begin_with(16, 64);
	handshake();
	c(ACK, 100, 500, "ask");
	for (uint32_t i = 0; i < 1000; i++) {
		wire.now_ns += 200 * MS;
		syn_from(0x0b000000 + i);
	}
	assert_int_equal(total(COUNTER_CONNECTIONS_EVICTED), 1001 - 16);
	story[0] = 0;
	s(ACK, 500, 103, "answer");
	check_story("s0:answer/3 ");
	end();
}

static void closed_connections_make_room_first(void **state)
{
	(void)state;
	begin_with(2, 64);
	handshake();
	c(ACK, 100, 500, "ask");
	syn_from(HOST_B + 1);
	{
		struct packet p = packet_of(HOST_B, HOST_B + 1, 80, 1234);

		send_in(&p, 0, RST | ACK, 0, 2, "");
	}
	syn_from(HOST_B + 2);
	assert_int_equal(total(COUNTER_CONNECTIONS_EVICTED), 0);
	syn_from(HOST_B + 3);
	assert_int_equal(total(COUNTER_CONNECTIONS_EVICTED), 1);
	check_story("open c0:ask/0 open s:rst close open evicted close open ");
	end();
}

static void the_longest_silent_gives_its_memory_up(void **state)
{
	(void)state;
	begin_with(16, 5);
	hungry = 2;
	for (uint32_t i = 0; i < 3; i++) {
		struct packet p = packet_of(0x0b000000 + i, HOST_B, 1234, 80);
		struct packet answer = packet_of(HOST_B, 0x0b000000 + i, 80, 1234);

		wire.now_ns += 200 * MS;
		send_in(&p, 0, ACK, 1, 0, "ask");
		send_in(&answer, 0, ACK, 0, 4, "");
	}
	check_story("join h0:ask/0 join h0:ask/0 join h0:ask/0 evicted close ");
	hungry = 100; /* more than there is: it gets what it can, and nothing breaks */
	c(ACK, 100, 500, "ask");
	assert_int_equal(pool_left_blocks(wire.pool), 0);
	end();
}

static void bytes_that_nobody_wants_are_counted(void **state)
{
	(void)state;
	begin();
	handshake();
	c(ACK, 100, 500, "ask");
	is_deaf = true;
	c(ACK, 103, 500, "secret");
	s(ACK, 600, 109, "secret");
	c(ACK | FIN, 109, 606, "");
	s(ACK | FIN, 606, 110, "");
	check_story("open c0:ask/0 c:fin s:fin close ");
	assert_int_equal(total(COUNTER_BYTES_IGNORED), 12);
	end();
}

static void loopback_is_another_host_in_each_namespace(void **state)
{
	struct packet p = packet_of(0x7f000001, 0x7f000001, 40000, 80);

	(void)state;
	begin();
	send_in(&p, 1, SYN, 1, 0, "");
	send_in(&p, 2, SYN, 1, 0, "");
	send_in(&p, 1, SYN, 1, 0, "");
	check_story("open open ");
	p = packet_of(HOST_A, HOST_B, 40000, 80);
	send_in(&p, 1, SYN, 1, 0, "");
	send_in(&p, 2, SYN, 1, 0, "");
	check_story("open open open ");
	end();
}

static void ask_from(uint32_t host)
{
	struct packet p = packet_of(host, HOST_B, 1234, 80);

	send_in(&p, 0, SYN, 99, 0, "");
	send_in(&p, 0, ACK, 100, 500, "ask");
}

static void a_loud_pod_gives_its_own_memory_up(void **state)
{
	struct packet quiet = packet_of(0x0a000001, HOST_B, 1234, 80);

	(void)state;
	begin_with(16, 8);
	hungry = 2;
	share = 1;
	ask_from(0x0a000001);
	share = 2;
	for (uint32_t i = 0; i < 9; i++)
		ask_from(0x0b000000 + i);
	assert_int_equal(total(COUNTER_CONNECTIONS_EVICTED), 6);
	story[0] = 0;
	hungry = 0;
	share = 1;
	send_in(&quiet, 0, ACK, 103, 500, "more"); /* the one that was silent longest is still there */
	check_story("c3:more/0 ");
	share = 0;
	end();
}

/* one connection, seen in the client's pod (7) and in the server's (8); then 7 ends */
static void what_is_apart_is_seen_from_each_side_and_ends_with_its_namespace(void **state)
{
	struct packet p = packet_of(HOST_B, HOST_A, 40000, 80);

	(void)state;
	begin();
	are_apart = true;
	for (uint32_t netns = 7; netns <= 8; netns++) {
		send_in(&p, netns, SYN, 99, 0, "");
		send_in(&p, netns, ACK, 100, 500, "ask");
	}
	check_story("open c0:ask/0 open c0:ask/0 ");
	story[0] = 0;
	flow_flush_netns(wire.flows, 7, wire.now_ns);
	check_story("capture close ");
	assert_int_equal(total(COUNTER_CONNECTIONS_OPEN), 1);
	flow_flush_netns(wire.flows, 7, wire.now_ns);
	send_in(&p, 7, SYN, 199, 0, ""); /* the same ports, another pod */
	check_story("capture close open ");
	are_apart = false;
	end();
}

static void the_handshake_may_be_captured_in_any_order(void **state)
{
	(void)state;
	begin();
	s(SYN | ACK, 499, 100, "");
	s(ACK, 500, 103, "answer");
	c(SYN, 99, 0, "");
	c(ACK, 100, 500, "ask");
	check_story("open s0:answer/3 c0:ask/0 ");
	end();
}

static void a_second_answer_to_the_syn_does_not_count_once_the_first_was_taken(void **state)
{
	(void)state;
	begin();
	handshake();
	s(SYN | ACK, 70000, 100, "");
	c(ACK, 100, 500, "ask");
	s(ACK, 500, 103, "answer");
	check_story("open c0:ask/0 s0:answer/3 ");
	end();
	begin();
	c(SYN, 99, 0, "");
	s(SYN | ACK, 70000, 100, ""); /* never acknowledged */
	s(SYN | ACK, 499, 100, "");
	c(ACK, 100, 500, "ask");
	s(ACK, 500, 103, "answer");
	check_story("open c0:ask/0 s0:answer/3 ");
	end();
}

static void any_packets_in_any_order_keep_the_accounts(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: example\r\n\r\n0123456789";
	uint64_t seed = 3;

	(void)state;
	for (int round = 0; round < 50; round++) {
		begin_with(1 + any_number(&seed) % 20, 8);
		hungry = (unsigned)round % 3;
		for (int i = 0; i < 2000; i++) {
			uint32_t a = any_number(&seed) % 4, b = any_number(&seed) % 4;
			struct packet p = packet_of(a, b, (uint16_t)(a + 1), (uint16_t)(b + 1));
			uint32_t far = any_number(&seed) % 50 ? 0 : any_number(&seed);
			size_t from = any_number(&seed) % sizeof(text);

			p.missing = any_number(&seed) % 20 ? 0 : any_number(&seed) % 100;
			is_deaf = any_number(&seed) % 20 == 0;
			send_in(&p, 0, (uint8_t)(any_number(&seed) % 64), any_number(&seed) % 300 + far,
				any_number(&seed) % 300, text + from);
			story[0] = 0;
			if (any_number(&seed) % 10 == 0)
				pass(any_number(&seed) % 200 * MS);
			assert_int_equal(counters_balance(&counters, COUNTER_ACCOUNT_BYTES), 0);
			assert_int_equal(counters_balance(&counters, COUNTER_ACCOUNT_CONNECTIONS), 0);
		}
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_from_syn_to_fin),
		cmocka_unit_test(a_second_copy_of_everything_changes_nothing),
		cmocka_unit_test(the_same_ports_with_other_numbers_are_another_connection),
		cmocka_unit_test(a_new_connection_is_known_without_its_syn),
		cmocka_unit_test(a_connection_joined_midstream_is_followed),
		cmocka_unit_test(a_joined_connection_may_begin_with_its_second_segment),
		cmocka_unit_test(the_acknowledgement_shows_what_was_lost_before_the_first_byte),
		cmocka_unit_test(acknowledgements_alone_and_resets_open_nothing),
		cmocka_unit_test(a_reset_ends_both_ways_a_moment_later),
		cmocka_unit_test(a_stray_reset_does_not_end_a_connection),
		cmocka_unit_test(a_refused_connection_is_over_at_once),
		cmocka_unit_test(bytes_in_the_syn_are_the_first),
		cmocka_unit_test(a_keep_alive_probe_is_control),
		cmocka_unit_test(a_hole_is_waited_for_and_then_told),
		cmocka_unit_test(a_silent_connection_is_forgotten),
		cmocka_unit_test(a_flood_of_syns_drowns_itself),
		cmocka_unit_test(closed_connections_make_room_first),
		cmocka_unit_test(the_longest_silent_gives_its_memory_up),
		cmocka_unit_test(bytes_that_nobody_wants_are_counted),
		cmocka_unit_test(loopback_is_another_host_in_each_namespace),
		cmocka_unit_test(a_loud_pod_gives_its_own_memory_up),
		cmocka_unit_test(what_is_apart_is_seen_from_each_side_and_ends_with_its_namespace),
		cmocka_unit_test(the_handshake_may_be_captured_in_any_order),
		cmocka_unit_test(a_second_answer_to_the_syn_does_not_count_once_the_first_was_taken),
		cmocka_unit_test(any_packets_in_any_order_keep_the_accounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
