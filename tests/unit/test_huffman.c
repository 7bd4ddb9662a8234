// SPDX-License-Identifier: Apache-2.0
/* wire/huffman.c against libnghttp2's encoder, and against what no encoder writes. */
#include "wire/huffman.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define TEXT_MAX 90

/* The value of a literal field as libnghttp2 writes it. Return: its length; 0 where it chose not to code it. */
static size_t encode(const uint8_t *text, size_t len, uint8_t *out, size_t max)
{
	nghttp2_nv field = {(uint8_t *)(uintptr_t)"x", (uint8_t *)(uintptr_t)text, 1, len, NGHTTP2_NV_FLAG_NO_INDEX};
	nghttp2_hd_deflater *d;
	uint8_t block[512];
	ssize_t n;
	size_t at = 3, coded; /* behind the first octet, the name's length and the name */

	assert_int_equal(nghttp2_hd_deflate_new(&d, 4096), 0);
	n = nghttp2_hd_deflate_hd(d, block, sizeof(block), &field, 1);
	nghttp2_hd_deflate_del(d);
	assert_true(n > (ssize_t)at);
	coded = block[at] & 127;
	if (!(block[at] & 128) || coded == 127)
		return 0;
	assert_true(coded <= max);
	memcpy(out, block + at + 1, coded);
	return coded;
}

static void what_an_encoder_wrote_is_read(void **state)
{
	unsigned tried = 0;

	(void)state;
	srandom(3);
	for (int i = 0; i < 20000; i++) {
		uint8_t text[TEXT_MAX], coded[128], out[HUFFMAN_ROOM(128)], *exact;
		size_t len = (size_t)random() % TEXT_MAX, n;

		for (size_t j = 0; j < len; j++)
			text[j] = (uint8_t)(i % 3 ? 32 + random() % 95 : random() % (i % 7 ? 128 : 256));
		n = encode(text, len, coded, sizeof(coded));
		if (n == 0)
			continue;
		exact = malloc(n); /* so that a sanitizer sees the end */
		memcpy(exact, coded, n);
		assert_int_equal(huffman_decode(span_of(exact, n), out), len);
		assert_memory_equal(out, text, len);
		free(exact);
		tried++;
	}
	assert_true(tried > 5000);
}

static void codes_of_control_characters_are_read(void **state)
{
	/* codes of the octets that libnghttp2 would send plain, from RFC 7541 Appendix B */
	static const struct {
		const char *coded;
		size_t len;
		uint8_t octet;
	} cases[] = {
		{"\xff\xff\xff\xf3", 4, 10},  {"\xff\xff\xff\xf7", 4, 13}, {"\xff\xff\xff\xfb", 4, 22},
		{"\xff\xc7", 2, 0},	      {"\xff\xff\xb1", 3, 1},	   {"\xff\xff\xea", 3, 9},
		{"\xff\xff\xfb\xbf", 4, 255}, {"\x07", 1, '0'},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint8_t out[16];
		int64_t n = huffman_decode(span_of(cases[i].coded, cases[i].len), out);

		assert_int_equal(n, 1);
		assert_int_equal(out[0], cases[i].octet);
	}
}

static void what_no_encoder_writes_is_refused(void **state)
{
	static const struct {
		const char *coded;
		size_t len;
	} cases[] = {
		{"\xff\xff\xff\xff", 4}, /* EOS itself */
		{"\xff", 1},		 /* eight bits of padding */
		{"\x00", 1},		 /* '0', and padding that is not of ones */
		{"\x1c\xff\xff", 3},	 /* more than seven bits of padding */
	};
	uint8_t out[16];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(huffman_decode(span_of(cases[i].coded, cases[i].len), out), -EBADMSG);
	assert_int_equal(huffman_decode((struct span){0}, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_encoder_wrote_is_read),
		cmocka_unit_test(codes_of_control_characters_are_read),
		cmocka_unit_test(what_no_encoder_writes_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
