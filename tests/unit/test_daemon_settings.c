// SPDX-License-Identifier: Apache-2.0
#include "daemon/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* A settings file of our own, removed by fini. */
struct scene {
	char path[64];
	struct chosen chosen;
	struct buf errors;
};

static void scene_init(struct scene *s, const char *yaml)
{
	int fd;

	*s = (struct scene){.path = "/tmp/tapeloop-settings-XXXXXX"};
	fd = mkstemp(s->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, yaml, strlen(yaml)), strlen(yaml));
	(void)close(fd);
	assert_int_equal(chosen_init(&s->chosen), 0);
}

static void scene_fini(struct scene *s)
{
	(void)unlink(s->path);
	chosen_fini(&s->chosen);
	buf_fini(&s->errors);
}

/* "a,b" has two */
static size_t items_of(const char *list)
{
	size_t n = *list != 0;

	for (; *list; list++)
		n += *list == ',';
	return n;
}

static void the_defaults_are_those_of_the_table(void **state)
{
	struct chosen c;

	(void)state;
	assert_int_equal(chosen_init(&c), 0);
#define IS_BYTES(f, def)				       assert_true(c.values.f == (uint64_t)(def));
#define IS_DURATION(f, def)				       IS_BYTES(f, def)
#define IS_COUNT(f, def)				       IS_BYTES(f, def)
#define IS_BOOL(f, def)					       assert_true(c.values.f == (bool)(def));
#define IS_TEXT(f, def)					       assert_string_equal(c.values.f, def);
#define IS_LIST(f, def)					       assert_int_equal(c.values.f.count, items_of(def));
#define SETTING(field, key, TYPE, def, min, max, reload, what) IS_##TYPE(field, def)
#include "schema/settings.tbl.h"
#undef SETTING
	chosen_fini(&c);
}

static void a_file_sets_nested_and_dotted_keys(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "capture:\n  netns: [cart, 'shop:eth0']\n  buffer: 2MiB\n"
		       "store.max: 1GiB\ncommit: x\n");
	assert_int_equal(settings_file(s.path, &s.chosen, &s.errors), 1); /* commit */
	assert_int_equal(s.chosen.values.netns.count, 2);
	assert_string_equal(s.chosen.values.netns.items[1], "shop:eth0");
	assert_true(s.chosen.values.buffer == 2 << 20);
	assert_true(s.chosen.values.store_max == 1 << 30);
	scene_fini(&s);
}

/* What is wrong in a file, and the end of the message that says so, after the path. */
static const struct {
	const char *yaml, *message;
} bad_files[] = {
	{"memory_max: 3 potatoes\n",
	 ":1:13: memory_max: '3 potatoes': expected a size such as 64MiB, 32MiB to 64GiB\n"},
	{"memory_max: 1MiB\n",
	 ":1:13: memory_max: '1MiB': expected a size such as 64MiB, 32MiB to 64GiB\n"},
	{"capture:\n  bufer: 16MiB\n",
	 ":2:3: capture.bufer: there is no such setting; 'capture.buffer' is near\n"},
	{"log_level: info\nlog_level: warn\n", ":2:1: log_level: is given twice\n"},
	{"redact:\n  enabled: maybe\n", ":2:12: redact.enabled: 'maybe': expected true or false\n"},
	{"exchange_timeout: [1s, 2s]\n", ":1:19: exchange_timeout: '[...]': expected a time such "
					 "as 1.5s, 10m or 1h30m, 1ms to 1d\n"},
	{"capture:\n  interfaces: [[a]]\n",
	 ":2:15: capture.interfaces: expected a value or a list of values\n"},
	{"- a\n- b\n", ":1:1: expected settings, one a line: `key: value`\n"},
	{"a: [1, 2\n", NULL}, /* libyaml's words */
	{"store.tape_rows: 99999999999999999999999\n",
	 ":1:18: store.tape_rows: '99999999999999999999999': expected a whole number, 1000 to "
	 "100000000\n"},
};

static void each_error_of_a_file_names_line_column_and_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad_files); i++) {
		struct scene s;
		const char *said;

		scene_init(&s, bad_files[i].yaml);
		assert_int_equal(settings_file(s.path, &s.chosen, &s.errors), 1);
		said = buf_cstr(&s.errors);
		assert_memory_equal(said, s.path, strlen(s.path));
		if (bad_files[i].message)
			assert_string_equal(said + strlen(s.path), bad_files[i].message);
		else
			assert_non_null(strstr(said, ":2:1: "));
		scene_fini(&s);
	}
}

static void all_errors_are_found_not_only_the_first(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "memory_max: x\nqueue_size: y\nnothing: 1\n");
	assert_int_equal(settings_file(s.path, &s.chosen, &s.errors), 3);
	scene_fini(&s);
}

static void an_alias_that_contains_itself_ends(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "capture: &a\n  capture: *a\n");
	assert_true(settings_file(s.path, &s.chosen, &s.errors) > 0);
	scene_fini(&s);
}

static void a_flag_beats_the_environment_which_beats_the_file(void **state)
{
	char *argv[] = {(char[]){"--log-level=warn"}, NULL};
	struct scene s;

	(void)state;
	scene_init(&s, "log_level: err\nqueue_size: 9MiB\nbody_max: 1KiB\n");
	(void)setenv("TAPELOOP_LOG_LEVEL", "debug", 1);
	(void)setenv("TAPELOOP_QUEUE_SIZE", "10MiB", 1);
	assert_int_equal(settings_file(s.path, &s.chosen, &s.errors), 0);
	assert_int_equal(settings_environment(&s.chosen, &s.errors), 0);
	assert_int_equal(settings_flags(argv, &s.chosen, &s.errors), 0);
	assert_string_equal(s.chosen.values.log_level, "warn");
	assert_string_equal(s.chosen.origins[SETTING_log_level], "--log-level");
	assert_true(s.chosen.values.queue_size == 10 << 20);
	assert_string_equal(s.chosen.origins[SETTING_queue_size], "TAPELOOP_QUEUE_SIZE");
	assert_true(s.chosen.values.body_max == 1024);
	(void)unsetenv("TAPELOOP_LOG_LEVEL");
	(void)unsetenv("TAPELOOP_QUEUE_SIZE");
	scene_fini(&s);
}

static void a_flag_may_come_again_for_a_list_and_leave_its_group_away(void **state)
{
	char *argv[] = {(char[]){"--netns"}, (char[]){"cart"}, (char[]){"--capture-netns=a,b"},
			(char[]){"--redact-enabled=no"}, NULL};
	struct scene s;

	(void)state;
	scene_init(&s, "");
	assert_int_equal(settings_flags(argv, &s.chosen, &s.errors), 0);
	assert_int_equal(s.chosen.values.netns.count, 3);
	assert_string_equal(s.chosen.values.netns.items[0], "cart");
	assert_string_equal(s.chosen.values.netns.items[2], "b");
	assert_false(s.chosen.values.redact);
	scene_fini(&s);
}

static void a_wrong_flag_is_named_with_what_is_near(void **state)
{
	static const struct {
		const char *flag, *why;
	} cases[] = {
		{"--capture-netn=x",
		 "--capture-netn: there is no such flag; near: --capture-netns"},
		{"stray", "'stray': expected flags such as --config FILE"},
		{"--config", "--config: which file?"},
		{"--", "'--': expected flags such as --config FILE"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char word[64], *argv[] = {word, NULL};
		struct invocation how;
		struct err e;

		(void)snprintf(word, sizeof(word), "%s", cases[i].flag);
		assert_true(invocation_read(argv, &how, &e) < 0);
		assert_string_equal(e.why, cases[i].why);
	}
}

static void what_is_printed_can_be_read_again(void **state)
{
	struct scene first, second;
	struct buf text = {0};

	(void)state;
	scene_init(&first, "capture:\n  interfaces: [\"eth0\", \"lo\"]\nrecord: 'status >= \"5\"'\n"
			   "exchange_timeout: 90s\nstore:\n  max: 5GB\n");
	assert_int_equal(settings_file(first.path, &first.chosen, &first.errors), 0);
	settings_print(&first.chosen, &text);
	scene_init(&second, buf_cstr(&text));
	assert_int_equal(settings_file(second.path, &second.chosen, &second.errors), 0);
	for (enum setting i = 0; i < SETTING_COUNT; i++)
		assert_true(setting_equals(&first.chosen.values, &second.chosen.values, i));
	buf_fini(&text);
	scene_fini(&first);
	scene_fini(&second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_are_those_of_the_table),
		cmocka_unit_test(a_file_sets_nested_and_dotted_keys),
		cmocka_unit_test(each_error_of_a_file_names_line_column_and_key),
		cmocka_unit_test(all_errors_are_found_not_only_the_first),
		cmocka_unit_test(an_alias_that_contains_itself_ends),
		cmocka_unit_test(a_flag_beats_the_environment_which_beats_the_file),
		cmocka_unit_test(a_flag_may_come_again_for_a_list_and_leave_its_group_away),
		cmocka_unit_test(a_wrong_flag_is_named_with_what_is_near),
		cmocka_unit_test(what_is_printed_can_be_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
