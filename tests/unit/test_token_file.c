// SPDX-License-Identifier: Apache-2.0
#include "http-api/token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define HASH_OF_X "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"

static const struct file_case {
	const char *text;
	int opened;
	const char *why;
	int granted; /* of token x */
	bool sees_all;
	size_t namespaces;
} file_cases[] = {
	{"x ann read a,b\n", 0, NULL, 0, false, 2},
	{"# comment\n\n  x\tann  admin *", 0, NULL, 0, true, 0},
	{HASH_OF_X " ann replay a\r\n", 0, NULL, 0, false, 1},
	{"y ann read *\n", 0, NULL, -EACCES, false, 0},
	{"", 0, NULL, -EACCES, false, 0},
	{"x ann read\n", -EINVAL, "line 1: expected TOKEN NAME ROLE NAMESPACES", 0, false, 0},
	{"\nx ann write *\n", -EINVAL, "line 2: a role is read, replay or admin", 0, false, 0},
	{"x ann read , \n", -EINVAL, "line 1: namespaces are a list", 0, false, 0},
	{"x ann read a b\n", -EINVAL, "line 1: expected TOKEN", 0, false, 0},
	{"sha256:12 ann read *\n", -EINVAL, "64 hexadecimal digits", 0, false, 0},
	{"sha256:zz ann read *\n", -EINVAL, "64 hexadecimal digits", 0, false, 0},
};

static void write_tokens(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static int ask_file(struct token_file *f, const char *token, const char *name_space, struct grant *g)
{
	struct grant_question q = {.token = span_str(token), .name_space = span_str(name_space)};

	*g = (struct grant){0};
	return token_file_grant(f, &q, g, NULL);
}

static void a_file_of_tokens_says_who_sees_what(void **state)
{
	const char *dir = *state;
	char path[128];

	(void)snprintf(path, sizeof(path), "%.63s/tokens", dir);
	for (size_t i = 0; i < COUNT_OF(file_cases); i++) {
		const struct file_case *c = &file_cases[i];
		struct token_file *f = NULL;
		struct err e = {0};
		struct grant g;

		write_tokens(path, c->text, 0640);
		if (token_file_open(path, &f, &e) != c->opened || (c->why && !strstr(e.why, c->why)))
			fail_msg("case %zu: %s", i, e.why);
		if (c->opened < 0)
			continue;
		assert_int_equal(ask_file(f, "x", "", &g), c->granted);
		assert_int_equal(g.sees_all, c->sees_all);
		assert_int_equal(g.namespaces.count, c->namespaces);
		grant_fini(&g);
		token_file_close(f);
	}
}

static void a_file_of_tokens_is_read_again_when_it_changes(void **state)
{
	const char *dir = *state;
	struct token_file *f = NULL;
	struct err e = {0};
	char path[128];
	struct grant g;

	(void)snprintf(path, sizeof(path), "%.63s/tokens", dir);
	write_tokens(path, "x ann read a\n", 0644);
	assert_int_equal(token_file_open(path, &f, &e), -EACCES); /* others may read it */
	write_tokens(path, "x ann read a\n", 0600);
	assert_int_equal(token_file_open(path, &f, &e), 0);
	assert_int_equal(ask_file(f, "x", "b", &g), -EPERM);
	write_tokens(path, "yy ann read a\n", 0600);
	assert_int_equal(ask_file(f, "x", "", &g), -EACCES);
	assert_int_equal(ask_file(f, "yy", "a", &g), 0);
	grant_fini(&g);
	write_tokens(path, "yy ann nonsense a\n", 0600); /* changes nothing */
	assert_int_equal(ask_file(f, "yy", "a", &g), 0);
	grant_fini(&g);
	token_file_close(f);
}

static int make_directory(void **state)
{
	static char dir[] = "/tmp/tapeloop-tokens.XXXXXX";

	*state = mkdtemp(dir);
	return *state ? 0 : -1;
}

static int remove_directory(void **state)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%.63s/tokens", (const char *)*state);
	(void)unlink(path);
	return rmdir(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_of_tokens_says_who_sees_what),
		cmocka_unit_test(a_file_of_tokens_is_read_again_when_it_changes),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
