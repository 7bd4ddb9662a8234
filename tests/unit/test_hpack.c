// SPDX-License-Identifier: Apache-2.0
#include "lib/buf.h"
#include "wire/hpack.h"

#include <errno.h>
#include <glob.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define MEMORY_MAX (1 << 20)

struct seen {
	struct buf text; /* "name: value\n" a field; ? for what is unknown */
	size_t count, unknown, wrong;
	json_t *want; /* array of one-member objects; NULL: not compared */
};

static void add_part(struct buf *to, struct span s, bool is_unknown)
{
	if (is_unknown)
		buf_add_char(to, '?');
	else
		buf_add_span(to, s);
}

static bool differs(struct span got, bool is_unknown, const char *want)
{
	return !is_unknown && !span_eq(got, span_str(want));
}

static void note_field(void *ctx, const struct hpack_field *f)
{
	struct seen *s = ctx;

	add_part(&s->text, f->name, f->is_name_unknown);
	buf_add_str(&s->text, ": ");
	add_part(&s->text, f->value, f->is_value_unknown);
	buf_add_char(&s->text, '\n');
	s->unknown += f->is_name_unknown || f->is_value_unknown;
	if (s->want) {
		json_t *pair = json_array_get(s->want, s->count);
		void *it = json_object_iter(pair);

		if (!it || differs(f->name, f->is_name_unknown, json_object_iter_key(it)) ||
		    differs(f->value, f->is_value_unknown, json_string_value(json_object_iter_value(it))))
			s->wrong++;
	}
	s->count++;
}

static size_t from_hex(const char *hex, uint8_t *out, size_t max)
{
	size_t n = 0;

	for (; hex[0] && hex[1] && n < max; hex += 2) {
		char two[3] = {hex[0], hex[1], 0};

		out[n++] = (uint8_t)strtoul(two, NULL, 16);
	}
	return n;
}

/* All blocks of one story from number @join on. Return: fields seen. */
static size_t run_story(const char *path, size_t join, bool is_bytewise, size_t *unknown_out)
{
	json_error_t error;
	json_t *root = json_load_file(path, 0, &error), *item;
	struct hpack *h = hpack_new(MEMORY_MAX);
	size_t i, fields = 0;

	assert_non_null(root);
	assert_non_null(h);
	if (join)
		assert_int_equal(hpack_join(h, 0), 0);
	json_array_foreach (json_object_get(root, "cases"), i, item) {
		static uint8_t wire[65536];
		size_t n = from_hex(json_string_value(json_object_get(item, "wire")), wire, sizeof(wire));
		struct seen s = {.want = json_object_get(item, "headers")};
		size_t step = is_bytewise ? 1 : n;
		int r = 0;

		if (i < join)
			continue;
		for (size_t at = 0; r == 0 && at < n; at += step)
			r = hpack_block(h, span_of(wire + at, step), at + step == n, note_field, &s);
		assert_int_equal(r, 0);
		assert_int_equal(s.wrong, 0);
		assert_int_equal(s.count, json_array_size(s.want));
		fields += s.count;
		*unknown_out += s.unknown;
		buf_fini(&s.text);
	}
	hpack_free(h);
	json_decref(root);
	return fields;
}

static void all_stories(size_t join, bool is_bytewise, bool is_exact)
{
	glob_t g;
	size_t unknown = 0, fields = 0;

	if (glob("../shared/corpora/hpack/*.json", 0, NULL, &g) != 0) {
		print_message("skipped: no ../shared/corpora/hpack\n");
		skip();
	}
	for (size_t i = 0; i < g.gl_pathc; i++)
		fields += run_story(g.gl_pathv[i], join, is_bytewise, &unknown);
	globfree(&g);
	assert_true(fields > 0);
	if (is_exact)
		assert_int_equal(unknown, 0);
	else
		assert_true(unknown > 0 && unknown < fields);
}

static void every_vector_decodes(void **state)
{
	(void)state;
	all_stories(0, false, true);
}

static void every_vector_decodes_byte_by_byte(void **state)
{
	(void)state;
	all_stories(0, true, true);
}

static void a_connection_joined_late_has_unknown_fields_but_no_wrong_one(void **state)
{
	(void)state;
	for (size_t join = 1; join < 20; join += 3)
		all_stories(join, false, false);
}

static void unknown_entries_leave_as_new_ones_come(void **state)
{
	struct hpack *h = hpack_new(MEMORY_MAX);
	struct seen s = {0};
	size_t before;
	uint8_t literal[] = {0x40, 1, 'a', 1, 'b'}, indexed[] = {0xbe}, old[] = {0xc5};

	(void)state;
	assert_int_equal(hpack_join(h, 0), 0);
	before = hpack_unknown_entries(h);
	assert_int_equal(before, 4096 / 33 + 1);
	assert_int_equal(hpack_block(h, span_of(literal, 5), true, note_field, &s), 0);
	assert_int_equal(hpack_block(h, span_of(indexed, 1), true, note_field, &s), 0);
	assert_int_equal(hpack_block(h, span_of(old, 1), true, note_field, &s), 0);
	assert_string_equal(buf_cstr(&s.text), "a: b\na: b\n?: ?\n");
	assert_int_equal(hpack_unknown_entries(h), before - 1);
	buf_fini(&s.text);
	hpack_free(h);
}

static void a_known_value_under_an_unknown_name_is_kept(void **state)
{
	struct hpack *h = hpack_new(MEMORY_MAX);
	struct seen s = {0};
	uint8_t name_indexed[] = {0x7e, 2, 'o', 'k'}; /* name of entry 62 */

	(void)state;
	assert_int_equal(hpack_join(h, 0), 0);
	assert_int_equal(hpack_block(h, span_of(name_indexed, 4), true, note_field, &s), 0);
	assert_string_equal(buf_cstr(&s.text), "?: ok\n");
	buf_fini(&s.text);
	hpack_free(h);
}

static void a_larger_table_is_found_by_joining_again(void **state)
{
	struct hpack *h = hpack_new(MEMORY_MAX);
	struct seen s = {0};
	uint8_t far[] = {0xff, 0xad, 0x02}; /* index 127 + 45 + 2 * 128 = 428 */

	(void)state;
	assert_int_equal(hpack_join(h, 0), 0);
	assert_int_equal(hpack_block(h, span_of(far, 3), true, note_field, &s), -EBADMSG);
	assert_int_equal(hpack_join(h, 1), 0);
	assert_int_equal(hpack_block(h, span_of(far, 3), true, note_field, &s), 0);
	assert_string_equal(buf_cstr(&s.text), "?: ?\n");
	buf_fini(&s.text);
	hpack_free(h);
}

static void a_table_beyond_the_limit_is_refused(void **state)
{
	struct hpack *h = hpack_new(4000);
	struct seen s = {0};
	uint8_t block[8000];
	int r = 0;

	(void)state;
	assert_non_null(h);
	block[0] = 0x40; /* a literal to be kept: a name of one byte, a value of 127 + 7 * 128 bytes */
	block[1] = 1;
	block[2] = 'n';
	block[3] = 0x7f;
	block[4] = 0x80;
	block[5] = 7;
	memset(block + 6, 'v', sizeof(block) - 6);
	for (int i = 0; i < 8 && r == 0; i++)
		r = hpack_block(h, span_of(block, 6 + 127 + 7 * 128), true, note_field, &s);
	assert_int_equal(r, -E2BIG);
	assert_true(hpack_memory_bytes(h) <= 4000);
	buf_fini(&s.text);
	hpack_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_vector_decodes),
		cmocka_unit_test(every_vector_decodes_byte_by_byte),
		cmocka_unit_test(a_connection_joined_late_has_unknown_fields_but_no_wrong_one),
		cmocka_unit_test(unknown_entries_leave_as_new_ones_come),
		cmocka_unit_test(a_known_value_under_an_unknown_name_is_kept),
		cmocka_unit_test(a_larger_table_is_found_by_joining_again),
		cmocka_unit_test(a_table_beyond_the_limit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
