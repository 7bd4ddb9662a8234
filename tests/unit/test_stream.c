// SPDX-License-Identifier: Apache-2.0
#include "wire/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "packets.h"

#define TEXT_MAX 40000

/* what one stream gave its host */
struct tape {
	struct stream stream;
	struct stream_host host;
	struct counters counters;
	uint8_t bytes[TEXT_MAX];
	bool is_there[TEXT_MAX];
	uint64_t acked[TEXT_MAX];
	uint64_t ts_ns[TEXT_MAX];
	uint64_t end; /* of what was given: data and gaps join on */
	uint64_t gap_bytes;
	unsigned gaps, overlaps;
	uint64_t now_ns;
};

static struct tape *tape_of(struct stream *s)
{
	return CONTAINER_OF(s, struct tape, stream);
}

static void on_data(struct stream *s, uint64_t offset, uint64_t acked, struct span bytes,
		    uint64_t ts_ns)
{
	struct tape *t = tape_of(s);

	assert_int_equal(offset, t->end);
	assert_true(bytes.len > 0 && offset + bytes.len <= TEXT_MAX);
	for (size_t i = 0; i < bytes.len; i++) {
		t->bytes[offset + i] = bytes.ptr[i];
		t->is_there[offset + i] = true;
		t->acked[offset + i] = acked;
		t->ts_ns[offset + i] = ts_ns;
	}
	t->end += bytes.len;
}

static void on_gap(struct stream *s, uint64_t offset, uint64_t len, uint64_t ts_ns)
{
	struct tape *t = tape_of(s);

	(void)ts_ns;
	assert_int_equal(offset, t->end);
	assert_true(len > 0);
	t->end += len;
	t->gap_bytes += len;
	t->gaps++;
}

static void on_overlap(struct stream *s)
{
	tape_of(s)->overlaps++;
}

static void *on_take(struct stream *s)
{
	return pool_take(tape_of(s)->host.pool);
}

static struct tape *begin_with(uint32_t seq, bool is_certain, size_t blocks)
{
	struct tape *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->host = (struct stream_host){
		.data = on_data,
		.gap = on_gap,
		.overlap = on_overlap,
		.take_block = on_take,
		.pool = pool_new(blocks * POOL_BLOCK_BYTES),
		.counters = &t->counters,
		.held_max = 1 << 20,
	};
	t->now_ns = 1;
	stream_init(&t->stream, 0);
	stream_start(&t->stream, seq, is_certain);
	return t;
}

static struct tape *begin(uint32_t seq)
{
	return begin_with(seq, true, 256);
}

static enum stream_verdict feed_cut(struct tape *t, uint32_t seq, const void *bytes, size_t len,
				    size_t missing)
{
	const struct stream_segment seg = {
		.seq = seq,
		.bytes = span_of(bytes, len),
		.missing = missing,
		.acked = t->now_ns * 10,
		.ts_ns = t->now_ns,
		.now_ns = t->now_ns,
	};

	counter_add(&t->counters, COUNTER_BYTES_IN, len);
	return stream_feed(&t->stream, &t->host, &seg);
}

static enum stream_verdict feed(struct tape *t, uint32_t seq, const char *bytes)
{
	return feed_cut(t, seq, bytes, strlen(bytes), 0);
}

static void pass(struct tape *t, uint64_t ns)
{
	t->now_ns += ns;
	stream_check(&t->stream, &t->host, t->now_ns);
}

static void check_accounts(const struct tape *t)
{
	assert_int_equal(counters_balance(&t->counters, COUNTER_ACCOUNT_BYTES), 0);
}

/* all that came, with '-' for what is missing */
static void check_text(struct tape *t, const char *want)
{
	static char got[TEXT_MAX + 1];

	for (uint64_t i = 0; i < t->end; i++)
		got[i] = t->is_there[i] ? (char)t->bytes[i] : '-';
	got[t->end] = 0;
	assert_string_equal(got, want);
	check_accounts(t);
}

static void end(struct tape *t)
{
	stream_finish(&t->stream, &t->host);
	check_accounts(t);
	assert_int_equal(counter_get(&t->counters, COUNTER_BYTES_HELD), 0);
	assert_int_equal(pool_used_bytes(t->host.pool), 0);
	pool_free(t->host.pool);
	free(t);
}

static void segments_in_order_pass_through(void **state)
{
	struct tape *t = begin(100);

	(void)state;
	assert_int_equal(feed(t, 100, "GET "), STREAM_NEW);
	assert_int_equal(feed(t, 104, "/ HTTP"), STREAM_NEW);
	check_text(t, "GET / HTTP");
	end(t);
}

static void a_late_segment_fills_the_hole(void **state)
{
	struct tape *t = begin(100);

	(void)state;
	t->now_ns = 5;
	feed(t, 103, "def");
	check_text(t, "");
	t->now_ns = 6;
	feed(t, 106, "gh");
	t->now_ns = 7;
	feed(t, 100, "abc");
	check_text(t, "abcdefgh");
	assert_int_equal(t->ts_ns[0], 7); /* each byte keeps its own packet's time and acknowledgement */
	assert_int_equal(t->ts_ns[3], 5);
	assert_int_equal(t->ts_ns[7], 6);
	assert_int_equal(t->acked[3], 50);
	end(t);
}

static void numbers_wrap(void **state)
{
	struct tape *t = begin(UINT32_MAX - 2);

	(void)state;
	feed(t, 3, "ghi");
	feed(t, UINT32_MAX - 2, "abc");
	feed(t, 0, "def");
	check_text(t, "abcdefghi");
	end(t);
}

static void what_came_first_stays(void **state)
{
	struct tape *t = begin(0);

	(void)state;
	feed(t, 3, "def");
	assert_int_equal(feed(t, 3, "def"), STREAM_OLD);
	assert_int_equal(t->overlaps, 0);
	assert_int_equal(feed(t, 2, "cXXfg"), STREAM_NEW);
	assert_int_equal(t->overlaps, 1);
	feed(t, 0, "abcD");
	assert_int_equal(t->overlaps, 2);
	check_text(t, "abcdefg");
	assert_int_equal(feed(t, 0, "abc"), STREAM_OLD);
	assert_int_equal(feed(t, 4, "efghi"), STREAM_NEW);
	check_text(t, "abcdefghi");
	end(t);
}

static void a_hole_is_declared_when_the_receiver_has_it(void **state)
{
	struct tape *t = begin(0);

	(void)state;
	feed(t, 0, "ab");
	feed(t, 5, "fg");
	assert_int_equal(stream_ack(&t->stream, 2), 2);
	pass(t, STREAM_CHECK_NS);
	pass(t, STREAM_CHECK_NS);
	assert_int_equal(t->gaps, 0); /* it has been acknowledged up to the hole only */
	assert_int_equal(stream_ack(&t->stream, 7), 7);
	pass(t, STREAM_CHECK_NS);
	assert_int_equal(t->gaps, 0); /* the late segment may still come: captures reorder */
	pass(t, STREAM_CHECK_NS);
	check_text(t, "ab---fg");
	assert_int_equal(t->gaps, 1);
	assert_int_equal(counter_get(&t->counters, COUNTER_BYTES_MISSING), 3);
	assert_int_equal(feed(t, 2, "cde"), STREAM_OLD);
	end(t);
}

static void without_acknowledgements_a_hole_is_waited_for_longer(void **state)
{
	struct tape *t = begin(0);

	(void)state;
	feed(t, 2, "cd");
	pass(t, STREAM_SILENT_NS - 1);
	assert_int_equal(t->gaps, 0);
	pass(t, 1);
	check_text(t, "--cd");
	end(t);
}

static void a_lost_packet_is_waited_for_while_it_is_not_acknowledged(void **state)
{
	struct tape *t = begin(0);

	(void)state;
	feed(t, 0, "ab");
	(void)stream_ack(&t->stream, 2);
	feed(t, 4, "ef");
	for (int i = 0; i < 50; i++)
		pass(t, STREAM_CHECK_NS);
	assert_int_equal(t->gaps, 0);
	feed(t, 2, "cd");
	check_text(t, "abcdef");
	feed(t, 8, "ij");
	pass(t, STREAM_PATIENCE_NS);
	check_text(t, "abcdef--ij");
	end(t);
}

static void bytes_acknowledged_but_never_seen_are_missed_in_the_end(void **state)
{
	struct tape *t = begin(0);

	(void)state;
	feed(t, 0, "ab");
	(void)stream_ack(&t->stream, 3); /* a FIN that was not captured, not a byte */
	for (int i = 0; i < 20; i++)
		pass(t, STREAM_CHECK_NS);
	assert_int_equal(t->gaps, 0);
	(void)stream_ack(&t->stream, 10);
	for (int i = 0; i < STREAM_TAIL_CHECKS; i++)
		pass(t, STREAM_CHECK_NS);
	assert_int_equal(t->gaps, 0);
	pass(t, STREAM_CHECK_NS);
	check_text(t, "ab--------");
	end(t);
}

static void too_much_behind_a_hole_declares_it(void **state)
{
	struct tape *t = begin(0);

	(void)state;
	t->host.held_max = 8;
	feed(t, 2, "cdef");
	feed(t, 6, "ghij");
	assert_int_equal(t->gaps, 0);
	feed(t, 11, "l");
	check_text(t, "--cdefghij");
	end(t);
}

static void without_memory_nothing_is_held_and_nothing_lost(void **state)
{
	struct tape *t = begin_with(0, true, 2);
	static char many[1501];

	(void)state;
	memset(many, 'x', 1500);
	feed(t, 10, many);
	feed(t, 3000, many);
	assert_int_equal(t->gaps, 0);
	feed(t, 5000, many); /* there is no room for it */
	assert_int_equal(t->gaps, 3);
	assert_int_equal(t->end, 6500);
	assert_int_equal(counter_get(&t->counters, COUNTER_BYTES_DELIVERED), 4500);
	end(t);
}

static void a_segment_that_fills_up_without_memory_is_delivered_around_what_is_held(void **state)
{
	struct tape *t = begin_with(0, true, 1);
	static char many[6001];

	(void)state;
	memset(many, 'x', 6000);
	feed(t, 5000, "held");
	feed(t, 10, many); /* some of it finds room */
	assert_int_equal(t->end, 6010);
	assert_int_equal(t->gaps, 1);
	assert_int_equal(t->gap_bytes, 10);
	assert_int_equal(counter_get(&t->counters, COUNTER_BYTES_DUPLICATE), 4);
	end(t);
}

static void a_packet_the_capture_cut_leaves_a_hole_at_once(void **state)
{
	struct tape *t = begin(0);

	(void)state;
	feed_cut(t, 0, "abc", 3, 2);
	feed(t, 5, "fg");
	check_text(t, "abc--fg");
	feed_cut(t, 10, "kl", 2, 3); /* held, then delivered with its hole */
	feed(t, 15, "pq");
	feed(t, 7, "hij");
	check_text(t, "abc--fghijkl---pq");
	feed_cut(t, 17, "", 0, 4);
	feed(t, 21, "v");
	check_text(t, "abc--fghijkl---pq----v");
	end(t);
}

static void the_fin_ends_the_stream_once_all_before_it_is_there(void **state)
{
	struct tape *t = begin(0);

	(void)state;
	feed(t, 3, "def");
	stream_fin(&t->stream, 6);
	assert_false(stream_has_ended(&t->stream));
	(void)stream_ack(&t->stream, 7); /* acknowledges the FIN, which is no byte */
	feed(t, 0, "abc");
	assert_true(stream_has_ended(&t->stream));
	assert_false(stream_waits(&t->stream));
	end(t);
	t = begin(0);
	feed(t, 0, "abcdef");
	stream_fin(&t->stream, 3); /* not this stream's: bytes behind it were seen */
	assert_false(stream_has_ended(&t->stream));
	stream_fin(&t->stream, 8);
	feed(t, 6, "ghij"); /* nor that one */
	assert_false(stream_has_ended(&t->stream));
	stream_fin(&t->stream, 10);
	assert_true(stream_has_ended(&t->stream));
	end(t);
}

static void a_stream_joined_late_may_begin_earlier_than_it_seemed(void **state)
{
	struct tape *t = begin_with(1000, false, 8); /* from the other side's acknowledgement */

	(void)state;
	feed(t, 997, "abc");
	feed(t, 1000, "def");
	check_text(t, "abcdef");
	assert_int_equal(feed(t, 990, "old"), STREAM_OLD);
	end(t);
}

static void a_reset_is_believed_only_with_a_number_that_fits(void **state)
{
	struct tape *t = begin(1000);

	(void)state;
	feed(t, 1000, "0123456789");
	(void)stream_ack(&t->stream, 1005);
	assert_true(stream_can_reset(&t->stream, 1010));
	assert_true(stream_can_reset(&t->stream, 1005));
	assert_true(stream_can_reset(&t->stream, 1010 + 65535));
	assert_false(stream_can_reset(&t->stream, 1004));
	assert_false(stream_can_reset(&t->stream, 1010 + STREAM_WINDOW + 1));
	assert_false(stream_can_reset(&t->stream, 0));
	end(t);
}

static void an_acknowledgement_of_the_future_is_not_believed(void **state)
{
	struct tape *t = begin(1000);

	(void)state;
	assert_int_equal(stream_ack(&t->stream, 1000 + (1u << 30) + 1), UINT64_MAX);
	assert_int_equal(stream_ack(&t->stream, 900), 0);
	assert_false(stream_waits(&t->stream));
	end(t);
}

static void ignored_bytes_are_counted_and_followed(void **state)
{
	struct tape *t = begin(0);

	(void)state;
	feed(t, 0, "abc");
	feed(t, 6, "ghi");
	stream_drop(&t->stream, &t->host, COUNTER_BYTES_IGNORED);
	t->stream.is_ignoring = true;
	assert_int_equal(feed(t, 3, "def"), STREAM_NEW);
	assert_int_equal(feed(t, 20, "xyz"), STREAM_NEW);
	assert_int_equal(feed(t, 20, "xyz"), STREAM_OLD);
	check_text(t, "abc");
	assert_int_equal(counter_get(&t->counters, COUNTER_BYTES_IGNORED), 9);
	stream_fin(&t->stream, 23);
	assert_true(stream_has_ended(&t->stream));
	end(t);
}

/* --- the same bytes however they come --- */

struct piece {
	uint32_t from, len;
};

static size_t cut_up(struct piece *p, size_t len, uint32_t max, uint64_t *seed)
{
	size_t n = 0;

	for (size_t at = 0; at < len; n++) {
		size_t take = 1 + any_number(seed) % max;

		take = MIN(take, len - at);
		p[n] = (struct piece){(uint32_t)at, (uint32_t)take};
		at += take;
	}
	return n;
}

static void shuffle(struct piece *p, size_t n, uint32_t window, uint64_t *seed)
{
	for (size_t i = 0; i < n; i++) {
		size_t j = i + any_number(seed) % window;
		struct piece was = p[i];

		if (j >= n)
			continue;
		p[i] = p[j];
		p[j] = was;
	}
}

/* make it reach into its neighbours */
static struct piece widen(struct piece p, size_t len, uint64_t *seed)
{
	uint32_t back = any_number(seed) % 20, on = any_number(seed) % 20;

	back = MIN(p.from, back);
	p.from -= back;
	p.len = (uint32_t)MIN((size_t)p.len + back + on, len - p.from);
	return p;
}

enum how { SHUFFLED = 1, DUPLICATED = 2, OVERLAPPED = 4 };

static void try_one(uint32_t max, unsigned how, uint64_t *seed)
{
	static struct piece pieces[TEXT_MAX];
	static uint8_t text[TEXT_MAX];
	size_t len = 1 + any_number(seed) % MIN((uint32_t)TEXT_MAX, max * 200);
	size_t n = cut_up(pieces, len, max, seed);
	uint32_t isn = any_number(seed) % 2 ? (uint32_t)(0 - len / 2) : any_number(seed);
	struct tape *t = begin(isn);

	for (size_t i = 0; i < len; i++)
		text[i] = (uint8_t)any_number(seed);
	if (how & SHUFFLED)
		shuffle(pieces, n, 1 + any_number(seed) % 30, seed);
	for (size_t i = 0; i < n; i++) {
		struct piece p = how & OVERLAPPED ? widen(pieces[i], len, seed) : pieces[i];

		feed_cut(t, isn + p.from, text + p.from, p.len, 0);
		if ((how & DUPLICATED) && any_number(seed) % 3 == 0) {
			p = pieces[any_number(seed) % (i + 1)];
			feed_cut(t, isn + p.from, text + p.from, p.len, 0);
		}
		t->now_ns++;
	}
	assert_int_equal(t->end, len);
	assert_int_equal(t->gaps, 0);
	assert_int_equal(t->overlaps, 0);
	assert_memory_equal(t->bytes, text, len);
	assert_null(t->stream.held.first);
	end(t);
}

static void the_bytes_are_the_same_however_they_come(void **state)
{
	static const uint32_t sizes[] = {1, 7, 100, 1448, 5000};
	uint64_t seed = 42;

	(void)state;
	for (size_t s = 0; s < COUNT_OF(sizes); s++)
		for (unsigned how = 0; how < 8; how++)
			for (int round = 0; round < 25; round++)
				try_one(sizes[s], how, &seed);
}

static void what_was_lost_and_nothing_else_is_a_hole(void **state)
{
	static struct piece pieces[TEXT_MAX];
	static uint8_t text[TEXT_MAX];
	static bool is_sent[TEXT_MAX];
	uint64_t seed = 7;

	(void)state;
	for (int round = 0; round < 200; round++) {
		size_t len = 1000 + any_number(&seed) % 10000;
		size_t n = cut_up(pieces, len, 200, &seed);
		struct tape *t = begin(any_number(&seed));
		uint32_t isn = t->stream.base;

		memset(is_sent, 0, sizeof(is_sent));
		for (size_t i = 0; i < len; i++)
			text[i] = (uint8_t)any_number(&seed);
		shuffle(pieces, n, 4, &seed);
		for (size_t i = 0; i < n; i++) {
			if (any_number(&seed) % 10 == 0)
				continue;
			feed_cut(t, isn + pieces[i].from, text + pieces[i].from, pieces[i].len, 0);
			memset(is_sent + pieces[i].from, true, pieces[i].len);
		}
		(void)stream_ack(&t->stream, isn + (uint32_t)len);
		for (int i = 0; i < STREAM_TAIL_CHECKS + 3; i++)
			pass(t, STREAM_CHECK_NS);
		for (size_t i = 0; i + 1 < len; i++) {
			assert_int_equal(t->is_there[i], is_sent[i]);
			if (is_sent[i])
				assert_int_equal(t->bytes[i], text[i]);
		}
		end(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_in_order_pass_through),
		cmocka_unit_test(a_late_segment_fills_the_hole),
		cmocka_unit_test(numbers_wrap),
		cmocka_unit_test(what_came_first_stays),
		cmocka_unit_test(a_hole_is_declared_when_the_receiver_has_it),
		cmocka_unit_test(without_acknowledgements_a_hole_is_waited_for_longer),
		cmocka_unit_test(a_lost_packet_is_waited_for_while_it_is_not_acknowledged),
		cmocka_unit_test(bytes_acknowledged_but_never_seen_are_missed_in_the_end),
		cmocka_unit_test(too_much_behind_a_hole_declares_it),
		cmocka_unit_test(without_memory_nothing_is_held_and_nothing_lost),
		cmocka_unit_test(a_segment_that_fills_up_without_memory_is_delivered_around_what_is_held),
		cmocka_unit_test(a_packet_the_capture_cut_leaves_a_hole_at_once),
		cmocka_unit_test(the_fin_ends_the_stream_once_all_before_it_is_there),
		cmocka_unit_test(a_stream_joined_late_may_begin_earlier_than_it_seemed),
		cmocka_unit_test(a_reset_is_believed_only_with_a_number_that_fits),
		cmocka_unit_test(an_acknowledgement_of_the_future_is_not_believed),
		cmocka_unit_test(ignored_bytes_are_counted_and_followed),
		cmocka_unit_test(the_bytes_are_the_same_however_they_come),
		cmocka_unit_test(what_was_lost_and_nothing_else_is_a_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
