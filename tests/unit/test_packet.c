// SPDX-License-Identifier: Apache-2.0
#include "wire/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "packets.h"

static const char text[] = "GET / HTTP/1.1\r\n\r\n";

static void inner_ethernet(struct frame *f)
{
	frame_ethernet(f, 0x0800);
}

static void plain(struct frame *f)
{
	frame_ethernet(f, 0x0800);
}

static void padded(struct frame *f)
{
	frame_append(f, 9, 0xee);
	frame_ethernet(f, 0x0800);
}

static void offloaded(struct frame *f)
{
	put16(f->memory + f->begin + 2, 0); /* total length */
	frame_ethernet(f, 0x0800);
}

static void with_ip_options(struct frame *f)
{
	uint8_t old[20];
	uint8_t *h;

	memcpy(old, f->memory + f->begin, 20);
	f->begin += 20;
	h = frame_push(f, 28);
	memcpy(h, old, 20);
	memset(h + 20, 1, 8);
	h[0] = 0x47;
	put16(h + 2, frame_len(f));
	frame_ethernet(f, 0x0800);
}

static void vlan(struct frame *f)
{
	frame_vlan(f, 5, 0x0800);
	frame_ethernet(f, 0x8100);
}

static void qinq(struct frame *f)
{
	frame_vlan(f, 5, 0x0800);
	frame_vlan(f, 6, 0x8100);
	frame_ethernet(f, 0x88a8);
}

static void mpls(struct frame *f)
{
	frame_push_bytes(f, "\0\1\1\x40", 4);
	frame_push_bytes(f, "\0\2\0\x40", 4);
	frame_ethernet(f, 0x8847);
}

static void mpls_pseudowire(struct frame *f)
{
	inner_ethernet(f);
	frame_push(f, 4); /* control word */
	frame_push_bytes(f, "\0\1\1\x40", 4);
	frame_ethernet(f, 0x8847);
}

static void pppoe(struct frame *f)
{
	size_t len;
	uint8_t *h;

	frame_push_bytes(f, "\0\x21", 2);
	len = frame_len(f);
	h = frame_push(f, 6);
	h[0] = 0x11;
	put16(h + 4, len);
	frame_ethernet(f, 0x8864);
}

static void snap(struct frame *f)
{
	size_t len;

	frame_push_bytes(f, "\xaa\xaa\3\0\0\0\x08\0", 8);
	len = frame_len(f);
	frame_ethernet(f, (uint16_t)len);
}

static void raw(struct frame *f)
{
	(void)f;
}

static void null_little(struct frame *f)
{
	frame_push_bytes(f, "\2\0\0\0", 4);
}

static void null_big(struct frame *f)
{
	frame_push_bytes(f, "\0\0\0\2", 4);
}

static void sll(struct frame *f)
{
	put16(frame_push(f, 16) + 14, 0x0800);
}

static void sll_vlan(struct frame *f)
{
	frame_vlan(f, 5, 0x0800);
	put16(frame_push(f, 16) + 14, 0x8100);
}

static void sll2(struct frame *f)
{
	put16(frame_push(f, 20), 0x0800);
}

static void ppp(struct frame *f)
{
	frame_push_bytes(f, "\xff\3\0\x21", 4);
}

static void ppp_compressed(struct frame *f)
{
	frame_push_bytes(f, "\x21", 1);
}

static void cisco_hdlc(struct frame *f)
{
	frame_push_bytes(f, "\x0f\0\x08\0", 4);
}

static void wifi(struct frame *f)
{
	uint8_t *h;

	frame_push_bytes(f, "\xaa\xaa\3\0\0\0\x08\0", 8);
	h = frame_push(f, 26);
	h[0] = 0x88; /* QoS data */
	h[1] = 0x01; /* to the distribution system */
}

static void radiotap(struct frame *f)
{
	wifi(f);
	frame_push_bytes(f, "\0\0\x09\0\2\0\0\0\x10", 9);
}

static void radiotap_padded(struct frame *f)
{
	uint8_t *h;

	frame_push_bytes(f, "\xaa\xaa\3\0\0\0\x08\0", 8);
	h = frame_push(f, 28);
	h[0] = 0x88;
	frame_push_bytes(f, "\0\0\x11\0\3\0\0\0\1\2\3\4\5\6\7\x08\x20", 17);
}

static void nflog(struct frame *f)
{
	size_t len = frame_len(f) + 4;
	uint8_t *h = frame_push(f, 4);

	h[0] = (uint8_t)len; /* the capturing machine's byte order */
	h[2] = 9;
	frame_push_bytes(f, "\x08\0\1\0\0\x08\0\0", 8);
	frame_push_bytes(f, "\2\0\0\0", 4);
}

static void arcnet_linux(struct frame *f)
{
	frame_push_bytes(f, "\1\2\0\0\xd4\0\0\1", 8);
}

static void gre(struct frame *f)
{
	frame_push_bytes(f, "\xb0\0\x08\0\0\0\0\0\0\0\0\1\0\0\0\2", 16);
	frame_ipv4(f, 47, 1, 2);
	frame_ethernet(f, 0x0800);
}

static void erspan2(struct frame *f)
{
	inner_ethernet(f);
	frame_push(f, 8);
	frame_push_bytes(f, "\x10\0\x88\xbe\0\0\0\1", 8);
	frame_ipv4(f, 47, 1, 2);
	frame_ethernet(f, 0x0800);
}

static void erspan3(struct frame *f)
{
	inner_ethernet(f);
	frame_push(f, 8);                /* platform specific */
	frame_push(f, 12)[11] = 1;
	frame_push_bytes(f, "\x10\0\x22\xeb\0\0\0\1", 8);
	frame_ipv4(f, 47, 1, 2);
	frame_ethernet(f, 0x0800);
}

static void vxlan(struct frame *f)
{
	inner_ethernet(f);
	frame_push(f, 8)[0] = 8;
	frame_udp(f, 5555, 4789);
	frame_ipv4(f, 17, 1, 2);
	frame_ethernet(f, 0x0800);
}

static void geneve(struct frame *f)
{
	uint8_t *h;

	inner_ethernet(f);
	h = frame_push(f, 16);
	h[0] = 2; /* 8 bytes of options */
	put16(h + 2, 0x6558);
	frame_udp(f, 5555, 6081);
	frame_ipv6(f, 17, 1, 2);
	frame_ethernet(f, 0x86dd);
}

static void gtp(struct frame *f)
{
	size_t len = frame_len(f) + 8;
	uint8_t *h = frame_push(f, 16);

	h[0] = 0x34; /* an extension header follows */
	h[1] = 255;
	put16(h + 2, len);
	h[11] = 0x85;
	h[12] = 1;
	frame_udp(f, 1, 2152);
	frame_ipv4(f, 17, 1, 2);
	frame_ethernet(f, 0x0800);
}

static void gtp_on_another_port(struct frame *f)
{
	size_t len = frame_len(f);
	uint8_t *h = frame_push(f, 8);

	h[0] = 0x30;
	h[1] = 255;
	put16(h + 2, len);
	frame_udp(f, 1, 9999);
	frame_ipv4(f, 17, 1, 2);
	frame_ethernet(f, 0x0800);
}

static void ipip(struct frame *f)
{
	frame_ipv4(f, 4, 1, 2);
	frame_ethernet(f, 0x0800);
}

static void ipv4_in_ipv6_with_options(struct frame *f)
{
	uint8_t *h = frame_push(f, 16);

	h[0] = 4;
	h[1] = 1;
	h = frame_push(f, 8);
	h[0] = 60;
	frame_ipv6(f, 0, 1, 2);
	frame_ethernet(f, 0x86dd);
}

static void authenticated(struct frame *f)
{
	uint8_t *h = frame_push(f, 24);

	h[0] = 4;
	h[1] = 4;
	frame_ipv4(f, 51, 1, 2);
	frame_ethernet(f, 0x0800);
}

static const struct {
	const char *name;
	int linktype;
	void (*wrap)(struct frame *f);
} wraps[] = {
	{"Ethernet", 1, plain},
	{"Ethernet with trailer", 1, padded},
	{"IP total length 0", 1, offloaded},
	{"IP options", 1, with_ip_options},
	{"VLAN", 1, vlan},
	{"QinQ", 1, qinq},
	{"MPLS", 1, mpls},
	{"MPLS pseudowire", 1, mpls_pseudowire},
	{"PPPoE", 1, pppoe},
	{"LLC SNAP", 1, snap},
	{"raw 12", 12, raw},
	{"raw 14", 14, raw},
	{"raw 101", 101, raw},
	{"raw IPv4", 228, raw},
	{"NULL little-endian", 0, null_little},
	{"NULL big-endian", 0, null_big},
	{"LOOP", 108, null_big},
	{"SLL", 113, sll},
	{"SLL with VLAN", 113, sll_vlan},
	{"SLL2", 276, sll2},
	{"PPP", 9, ppp},
	{"PPP compressed", 50, ppp_compressed},
	{"Cisco HDLC", 104, cisco_hdlc},
	{"802.11", 105, wifi},
	{"radiotap", 127, radiotap},
	{"radiotap, padded", 127, radiotap_padded},
	{"NFLOG", 239, nflog},
	{"ARCnet", 129, arcnet_linux},
	{"GRE", 1, gre},
	{"ERSPAN II", 1, erspan2},
	{"ERSPAN III", 1, erspan3},
	{"VXLAN", 1, vxlan},
	{"Geneve over IPv6", 1, geneve},
	{"GTP-U", 1, gtp},
	{"GTP-U on another port", 1, gtp_on_another_port},
	{"IP in IP", 1, ipip},
	{"IPv4 in IPv6 with options", 1, ipv4_in_ipv6_with_options},
	{"authentication header", 1, authenticated},
};

static void check_inner(const struct packet *p, const char *name)
{
	static const uint8_t a[16] = {[10] = 0xff, 0xff, 10, 0, 0, 1};
	static const uint8_t b[16] = {[10] = 0xff, 0xff, 10, 0, 0, 2};

	if (!span_eq(p->payload, span_str(text)))
		fail_msg("%s: payload of %zu bytes", name, p->payload.len);
	assert_memory_equal(p->src, a, 16);
	assert_memory_equal(p->dst, b, 16);
	assert_true(p->is_ipv4);
	assert_int_equal(p->src_port, 40000);
	assert_int_equal(p->dst_port, 80);
	assert_int_equal(p->seq, 1000);
	assert_int_equal(p->ack, 2000);
	assert_int_equal(p->flags, PACKET_ACK | PACKET_PSH);
	assert_int_equal(p->missing, 0);
}

static void every_layer_leads_to_the_innermost_segment(void **state)
{
	static struct frame f;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wraps); i++) {
		struct packet p;
		enum packet_kind kind;

		frame_segment(&f, text);
		wraps[i].wrap(&f);
		kind = packet_decode(&p, wraps[i].linktype, frame_span(&f), frame_len(&f));
		if (kind != PACKET_TCP)
			fail_msg("%s: kind %d", wraps[i].name, kind);
		check_inner(&p, wraps[i].name);
	}
}

static void ipv6_is_followed_through_its_extension_headers(void **state)
{
	static struct frame f;
	struct packet p;
	uint8_t *h;

	(void)state;
	frame_init(&f);
	frame_push_bytes(&f, text, strlen(text));
	frame_tcp(&f, &(struct tcp_fields){1, 2, 3, 4, PACKET_ACK, 12});
	frame_push(&f, 8)[0] = 6; /* a fragment alone in its datagram */
	h = frame_push(&f, 24);   /* a routing header that names the true destination */
	h[0] = 44;
	h[1] = 2;
	h[3] = 1;
	h[23] = 99;
	frame_push(&f, 8)[0] = 43;
	frame_ipv6(&f, 0, 1, 2);
	assert_int_equal(packet_decode(&p, 229, frame_span(&f), frame_len(&f)), PACKET_TCP);
	assert_true(span_eq(p.payload, span_str(text)));
	assert_false(p.is_ipv4);
	assert_int_equal(p.src[15], 1);
	assert_int_equal(p.dst[15], 99);
}

static void what_is_no_tcp_says_what_it_is(void **state)
{
	static const struct {
		int linktype;
		enum packet_kind kind;
		const char *bytes;
		size_t len;
	} cases[] = {
		{1, PACKET_NOT_IP, "\0\0\0\0\0\0\0\0\0\0\0\0\x08\x06\0\0", 16},
		{1, PACKET_MALFORMED, "\0\0\0\0", 4},
		{1, PACKET_MALFORMED, "", 0},
		{9999, PACKET_LINKTYPE, "abcd", 4},
		{101, PACKET_NOT_IP, "\x15", 1},
		{101, PACKET_MALFORMED, "\x45\0\0\x20", 4},
		{101, PACKET_MALFORMED, "\x44\0\0\x14\0\0\0\0\0\6\0\0\0\0\0\0\0\0\0\0", 20},
		{101, PACKET_NOT_TCP, "\x45\0\0\x15\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0!", 21},
		{101, PACKET_MALFORMED, "\x45\0\0\x15\0\0\0\0\0\6\0\0\0\0\0\0\0\0\0\0!", 21},
		{101, PACKET_FRAGMENT, "\x45\0\0\x15\0\0\x20\0\0\6\0\0\0\0\0\0\0\0\0\0!", 21},
		{113, PACKET_NOT_IP, "\0\0\x03\x38\0\0\0\0\0\0\0\0\0\0\x08\0", 16},
	};
	struct packet p;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(packet_decode(&p, cases[i].linktype,
					       span_of(cases[i].bytes, cases[i].len), cases[i].len),
				 cases[i].kind);
}

static void a_cut_packet_tells_how_much_is_missing(void **state)
{
	static struct frame f;
	struct packet p;
	size_t len;

	(void)state;
	frame_segment(&f, text);
	frame_ethernet(&f, 0x0800);
	len = frame_len(&f);
	for (size_t have = 0; have < len; have++) {
		struct span cut = {f.memory + f.begin, have};
		enum packet_kind kind = packet_decode(&p, 1, cut, len);

		if (have < 54) {
			assert_int_equal(kind, PACKET_CUT);
			continue;
		}
		assert_int_equal(kind, PACKET_TCP);
		assert_int_equal(p.payload.len, have - 54);
		assert_int_equal(p.payload.len + p.missing, strlen(text));
	}
}

static void tunnels_in_tunnels_end(void **state)
{
	static struct frame f;
	struct packet p;

	(void)state;
	frame_segment(&f, text);
	for (int i = 0; i < 100; i++)
		frame_ipv4(&f, 4, 1, 2);
	assert_int_equal(packet_decode(&p, 101, frame_span(&f), frame_len(&f)), PACKET_MALFORMED);
}

/* memory whose end is followed by a page that may not be read */
static uint8_t *before_a_wall(size_t len)
{
	static uint8_t *wall;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (FRAME_MAX / page + 2) * page;

	if (!wall) {
		uint8_t *m = mmap(NULL, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		assert_true(m != MAP_FAILED);
		assert_int_equal(mprotect(m + size - page, page, PROT_NONE), 0);
		wall = m + size - page;
	}
	return wall - len;
}

static void check_payload_lies_inside(const struct packet *p, enum packet_kind kind,
				      const uint8_t *bytes, size_t len)
{
	if (kind != PACKET_TCP && kind != PACKET_FRAGMENT)
		return;
	assert_true(p->payload.ptr >= bytes && p->payload.ptr + p->payload.len <= bytes + len);
}

static void no_cut_reads_behind_the_packet(void **state)
{
	static struct frame f;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wraps); i++) {
		frame_segment(&f, text);
		wraps[i].wrap(&f);
		for (size_t len = 0; len <= frame_len(&f); len++) {
			uint8_t *at = before_a_wall(len);
			struct packet p;

			memcpy(at, f.memory + f.begin, len);
			check_payload_lies_inside(&p,
						  packet_decode(&p, wraps[i].linktype,
								span_of(at, len), frame_len(&f)),
						  at, len);
			check_payload_lies_inside(
				&p, packet_decode(&p, wraps[i].linktype, span_of(at, len), len), at,
				len);
		}
	}
}

static void no_damage_reads_behind_the_packet(void **state)
{
	static const int linktypes[] = {0,   1,   6,   7,   9,   10,  12,  50,  51,  101, 104, 105, 108,
					109, 113, 117, 119, 127, 129, 163, 228, 229, 239, 258, 276};
	static struct frame f;
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		size_t i = any_number(&seed) % COUNT_OF(wraps);
		int linktype = wraps[i].linktype;
		struct packet p;
		size_t len;
		uint8_t *at;

		frame_segment(&f, text);
		wraps[i].wrap(&f);
		len = 1 + any_number(&seed) % frame_len(&f);
		at = before_a_wall(len);
		memcpy(at, f.memory + f.begin, len);
		for (uint32_t n = any_number(&seed) % 8; n > 0; n--)
			at[any_number(&seed) % len] = (uint8_t)any_number(&seed);
		if (any_number(&seed) % 4 == 0)
			linktype = linktypes[any_number(&seed) % COUNT_OF(linktypes)];
		check_payload_lies_inside(&p, packet_decode(&p, linktype, span_of(at, len), len), at,
					  len);
	}
}

static void fragment_fields_are_told(void **state)
{
	static struct frame f;
	struct packet p;

	(void)state;
	frame_init(&f);
	frame_push_bytes(&f, "12345678", 8);
	frame_ipv4_fragment(&f, 6, HOST_A, HOST_B, 77, 0x2000 | 3);
	assert_int_equal(packet_decode(&p, 101, frame_span(&f), frame_len(&f)), PACKET_FRAGMENT);
	assert_int_equal(p.fragment.id, 77);
	assert_int_equal(p.fragment.offset, 24);
	assert_true(p.fragment.has_more);
	assert_int_equal(p.fragment.protocol, 6);
	assert_true(span_eq(p.payload, SPAN_LIT("12345678")));
}

static void a_wrong_ipv4_checksum_is_noted_and_accepted(void **state)
{
	static struct frame f;
	struct packet p;

	(void)state;
	frame_segment(&f, text);
	assert_int_equal(packet_decode(&p, 101, frame_span(&f), frame_len(&f)), PACKET_TCP);
	assert_false(p.has_wrong_checksum);
	f.memory[f.begin + 10] ^= 0x55;
	assert_int_equal(packet_decode(&p, 101, frame_span(&f), frame_len(&f)), PACKET_TCP);
	assert_true(p.has_wrong_checksum);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_layer_leads_to_the_innermost_segment),
		cmocka_unit_test(ipv6_is_followed_through_its_extension_headers),
		cmocka_unit_test(what_is_no_tcp_says_what_it_is),
		cmocka_unit_test(a_cut_packet_tells_how_much_is_missing),
		cmocka_unit_test(tunnels_in_tunnels_end),
		cmocka_unit_test(no_cut_reads_behind_the_packet),
		cmocka_unit_test(no_damage_reads_behind_the_packet),
		cmocka_unit_test(fragment_fields_are_told),
		cmocka_unit_test(a_wrong_ipv4_checksum_is_noted_and_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
