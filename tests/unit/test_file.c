// SPDX-License-Identifier: Apache-2.0
#include "record/file.h"

#include <errno.h>
#include <pcap/dlt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/buf.h"

/* A capture file being written, in either byte order. */
struct writing {
	struct buf bytes;
	bool is_big;
};

static void put16(struct writing *w, uint16_t v)
{
	uint8_t b[2] = {(uint8_t)v, (uint8_t)(v >> 8)};

	buf_add_char(&w->bytes, (char)b[w->is_big]);
	buf_add_char(&w->bytes, (char)b[!w->is_big]);
}

static void put32(struct writing *w, uint32_t v)
{
	put16(w, (uint16_t)(w->is_big ? v >> 16 : v));
	put16(w, (uint16_t)(w->is_big ? v : v >> 16));
}

static void put_block(struct writing *w, uint32_t type, const struct writing *body)
{
	uint32_t total = (uint32_t)body->bytes.len + 12;

	put32(w, type);
	put32(w, total);
	buf_add_span(&w->bytes, buf_span(&body->bytes));
	put32(w, total);
}

static void put_section(struct writing *w)
{
	struct writing body = {.is_big = w->is_big};

	put32(&body, 0x1A2B3C4D);
	put16(&body, 1);
	put16(&body, 0);
	put32(&body, UINT32_MAX);
	put32(&body, UINT32_MAX);
	put_block(w, 0x0A0D0D0A, &body);
	buf_fini(&body.bytes);
}

/* @resolution: if_tsresol; 0 leaves the option away */
static void put_interface(struct writing *w, uint16_t linktype, uint8_t resolution)
{
	struct writing body = {.is_big = w->is_big};

	put16(&body, linktype);
	put16(&body, 0);
	put32(&body, 100); /* snaplen */
	if (resolution) {
		put16(&body, 9);
		put16(&body, 1);
		buf_add_char(&body.bytes, (char)resolution);
		buf_add(&body.bytes, "\0\0\0", 3);
		put32(&body, 0); /* end of options */
	}
	put_block(w, 1, &body);
	buf_fini(&body.bytes);
}

static void put_packet(struct writing *w, uint32_t interface, uint64_t ticks, const char *text)
{
	static const char padding[3];
	struct writing body = {.is_big = w->is_big};
	uint32_t n = (uint32_t)strlen(text);

	put32(&body, interface);
	put32(&body, (uint32_t)(ticks >> 32));
	put32(&body, (uint32_t)ticks);
	put32(&body, n);
	put32(&body, n + 7);
	buf_add_str(&body.bytes, text);
	buf_add(&body.bytes, padding, (4 - n % 4) % 4);
	put_block(w, 6, &body);
	buf_fini(&body.bytes);
}

static void put_simple(struct writing *w, const char *text)
{
	struct writing body = {.is_big = w->is_big};

	put32(&body, (uint32_t)strlen(text)); /* a multiple of 4 */
	buf_add_str(&body.bytes, text);
	put_block(w, 3, &body);
	buf_fini(&body.bytes);
}

/* Two sections in different byte orders, interfaces of three link types, a block nobody knows. */
static void put_everything(struct writing *w)
{
	struct writing strange = {.bytes = {0}};

	put_section(w);
	put_interface(w, 1, 0);
	put_interface(w, 101, 9);
	put_packet(w, 0, 1700000000000001, "ethernet");
	put_packet(w, 1, 1700000000000000002, "raw");
	put32(&strange, 7);
	put_block(w, 0x0BAD, &strange);
	put_simple(w, "simple..");
	w->is_big = !w->is_big;
	put_section(w);
	put_interface(w, 113, 0x80 | 10);
	put_packet(w, 0, (UINT64_C(1700000000) << 10) + 512, "cooked");
	buf_fini(&strange.bytes);
}

static int open_bytes(struct span bytes, struct file **out, struct err *e)
{
	char path[] = "/tmp/tapeloop-file-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes.ptr, bytes.len), bytes.len);
	(void)close(fd);
	r = file_open(path, out, e);
	(void)unlink(path);
	return r;
}

static void expect(struct file *f, uint64_t ts_ns, int linktype, const char *text, size_t length)
{
	struct packet p;
	struct err e;

	assert_int_equal(file_next(f, &p, &e), 1);
	assert_true(p.ts_ns == ts_ns);
	assert_int_equal(p.linktype, linktype);
	assert_true(span_eq(p.bytes, span_str(text)));
	assert_int_equal(p.length, length);
}

static void pcapng_tells_each_interface_its_link_type_and_unit_of_time(void **state)
{
	(void)state;
	for (int is_big = 0; is_big < 2; is_big++) {
		struct writing w = {.is_big = is_big != 0};
		AUTO(file) f = NULL;
		struct packet p;
		struct err e;

		put_everything(&w);
		assert_int_equal(open_bytes(buf_span(&w.bytes), &f, &e), 0);
		expect(f, UINT64_C(1700000000000001000), DLT_EN10MB, "ethernet", 15);
		expect(f, UINT64_C(1700000000000000002), DLT_RAW, "raw", 10);
		expect(f, UINT64_C(1700000000000000002), DLT_EN10MB, "simple..", 8);
		expect(f, UINT64_C(1700000000500000000), DLT_LINUX_SLL, "cooked", 13);
		assert_int_equal(file_next(f, &p, &e), 0);
		buf_fini(&w.bytes);
	}
}

static void a_pcapng_cut_anywhere_gives_its_whole_packets_and_says_so(void **state)
{
	struct writing w = {.bytes = {0}};

	(void)state;
	put_everything(&w);
	for (size_t n = 0; n < w.bytes.len; n++) {
		AUTO(file) f = NULL;
		struct packet p;
		struct err e = {0};
		int r = open_bytes(span_of(w.bytes.ptr, n), &f, &e), count = 0;

		if (r == 0)
			while ((r = file_next(f, &p, &e)) > 0)
				count++;
		assert_true(r == 0 || r == -ENODATA || r == -EBADMSG);
		assert_true(count < 4);
		if (r < 0)
			assert_non_null(strstr(e.why, "/tmp/tapeloop-file-"));
	}
	buf_fini(&w.bytes);
}

static void a_pcapng_with_any_byte_changed_ends(void **state)
{
	struct writing w = {.bytes = {0}};

	(void)state;
	put_everything(&w);
	for (size_t n = 0; n < w.bytes.len; n++) {
		for (unsigned v = 0; v < 256; v += 51) {
			AUTO(file) f = NULL;
			struct packet p;
			uint8_t was = w.bytes.ptr[n];
			int count = 0;

			w.bytes.ptr[n] = (uint8_t)v;
			if (open_bytes(buf_span(&w.bytes), &f, NULL) == 0)
				while (file_next(f, &p, NULL) > 0)
					count++;
			assert_true(count <= 4);
			w.bytes.ptr[n] = was;
		}
	}
	buf_fini(&w.bytes);
}

static void pcap_is_read_in_both_orders_and_units(void **state)
{
	static const struct {
		uint32_t magic;
		bool is_big;
		uint64_t ts_ns;
	} cases[] = {
		{0xA1B2C3D4, false, UINT64_C(1700000000000005000)},
		{0xA1B2C3D4, true, UINT64_C(1700000000000005000)},
		{0xA1B23C4D, false, UINT64_C(1700000000000000005)},
		{0xA1B23C4D, true, UINT64_C(1700000000000000005)},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const uint32_t head[] = {cases[i].magic, 0, 0, 0, 65535, 1, 1700000000, 5, 4, 60};
		struct writing w = {.is_big = cases[i].is_big};
		AUTO(file) f = NULL;

		for (size_t n = 0; n < COUNT_OF(head); n++) {
			if (n == 1) {
				put16(&w, 2);
				put16(&w, 4);
			} else {
				put32(&w, head[n]);
			}
		}
		buf_add_str(&w.bytes, "abcd");
		assert_int_equal(open_bytes(buf_span(&w.bytes), &f, NULL), 0);
		expect(f, cases[i].ts_ns, DLT_EN10MB, "abcd", 60);
		buf_fini(&w.bytes);
	}
}

static void put_pcap_header(struct writing *w, uint32_t snaplen)
{
	put32(w, 0xa1b2c3d4);
	put16(w, 2);
	put16(w, 4);
	put32(w, 0);
	put32(w, 0);
	put32(w, snaplen);
	put32(w, 1);
}

static void put_pcap_packet(struct writing *w, uint32_t i, uint32_t claimed, uint32_t bytes)
{
	put32(w, 1700000000 + i);
	put32(w, i % 1000000);
	put32(w, claimed);
	put32(w, i % 3 ? claimed : claimed + i);
	for (uint32_t k = 0; k < bytes; k++)
		buf_add_char(&w->bytes, (char)(i * 7 + k));
}

/* packets of many sizes, some beyond the limit of the file; at the end one of @last bytes */
static void put_sizes(struct writing *w, uint32_t last)
{
	put_pcap_header(w, 70000);
	for (uint32_t i = 0; i < 400; i++)
		put_pcap_packet(w, i, i * i % 2900, i * i % 2900);
	put_pcap_packet(w, 400, 262144, 262144);
	put_pcap_packet(w, 401, 70001, 70001);
	put_pcap_packet(w, 402, last, last > 262144 ? 0 : last);
}

/* Return: how the reading of both ended */
static int expect_same(struct file *a, struct file *b)
{
	struct packet p = {0}, q = {0};
	int r;

	while ((r = file_next(a, &p, NULL)) > 0) {
		assert_int_equal(file_next(b, &q, NULL), 1);
		assert_true(p.ts_ns == q.ts_ns);
		assert_int_equal(p.length, q.length);
		assert_int_equal(p.linktype, q.linktype);
		assert_true(span_eq(p.bytes, q.bytes));
	}
	assert_int_equal(file_next(b, &q, NULL), r);
	return r;
}

/* files in this machine's byte order are read here, the others by libpcap: nobody can tell */
static void a_pcap_reads_the_same_in_either_order_and_however_it_is_cut(void **state)
{
	static const struct {
		uint32_t last, cut;
		int end;
	} rows[] = {{0, 0, 0},	       {5, 0, 0},	 {5, 1, -ENODATA},  {5, 5, -ENODATA},
		    {5, 6, -ENODATA},  {5, 21, 0},	 {262144, 0, 0},    {262144, 262144, -ENODATA},
		    {262144, 1, -ENODATA}, {262145, 0, -EBADMSG}, {UINT32_MAX, 0, -EBADMSG}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct writing little = {.is_big = false}, big = {.is_big = true};
		AUTO(file) a = NULL;
		AUTO(file) b = NULL;

		put_sizes(&little, rows[i].last);
		put_sizes(&big, rows[i].last);
		assert_int_equal(open_bytes(span_of(little.bytes.ptr, little.bytes.len - rows[i].cut), &a, NULL), 0);
		assert_int_equal(open_bytes(span_of(big.bytes.ptr, big.bytes.len - rows[i].cut), &b, NULL), 0);
		assert_int_equal(expect_same(a, b), rows[i].end);
		buf_fini(&little.bytes);
		buf_fini(&big.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pcapng_tells_each_interface_its_link_type_and_unit_of_time),
		cmocka_unit_test(a_pcapng_cut_anywhere_gives_its_whole_packets_and_says_so),
		cmocka_unit_test(a_pcapng_with_any_byte_changed_ends),
		cmocka_unit_test(pcap_is_read_in_both_orders_and_units),
		cmocka_unit_test(a_pcap_reads_the_same_in_either_order_and_however_it_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
