// SPDX-License-Identifier: Apache-2.0
#include "record/downward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const struct {
	const char *text, *json; /* NULL: refused */
} files[] = {
	{"", ""},
	{"app=\"cart\"\ntier=\"back\"\n", "{\"app\":\"cart\",\"tier\":\"back\"}"},
	{"tier=\"back\"\napp=\"cart\"", "{\"app\":\"cart\",\"tier\":\"back\"}"},
	{"a/b.c=\"\"\n", "{\"a/b.c\":\"\"}"},
	{"k=\"say \\\"hi\\\"\\n\\tC:\\\\\"", "{\"k\":\"say \\\"hi\\\"\\n\\tC:\\\\\"}"},
	{"k=\"\\u00e9\\U0001f600 \\xc3\\xa9 \\a\"", "{\"k\":\"\xc3\xa9\xf0\x9f\x98\x80 \xc3\xa9 \\u0007\"}"},
	{"k=\"a=b\"\n", "{\"k\":\"a=b\"}"},
	{"k", NULL},
	{"=\"v\"", NULL},
	{"k=v", NULL},
	{"k=\"v", NULL},
	{"k=\"v\" x", NULL},
	{"k=\"\\", NULL},
	{"k=\"\\q\"", NULL},
	{"k=\"\\u12\"", NULL},
	{"k=\"\\U99999999\"", NULL},
	{"k=\"\\xff\"", NULL}, /* no UTF-8 */
	{"\n", NULL},
};
#define NUL_IN_KEY "a\0b=\"v\""

static void files_of_the_volume_become_labels(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		AUTO_BUF out = {0};
		int r = downward_parse(span_str(files[i].text), &out);

		if (!files[i].json)
			assert_int_equal(r, -EBADMSG);
		else if (r != 0 || strcmp(buf_cstr(&out), files[i].json) != 0)
			fail_msg("%s: %d %s", files[i].text, r, buf_cstr(&out));
	}
}

static void a_key_with_nul_is_refused(void **state)
{
	AUTO_BUF out = {0};

	(void)state;
	assert_int_equal(downward_parse(SPAN_LIT(NUL_IN_KEY), &out), -EBADMSG);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	AUTO_BUF path = {0};
	FILE *f;

	buf_add_fmt(&path, "%s/%s", dir, name);
	f = fopen(buf_cstr(&path), "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void remove_file(const char *dir, const char *name)
{
	AUTO_BUF path = {0};

	buf_add_fmt(&path, "%s/%s", dir, name);
	assert_int_equal(unlink(buf_cstr(&path)), 0);
}

static const struct identity *who_is(const struct identities *i, const char *address)
{
	struct endpoint at = {.address = {[10] = 0xff, [11] = 0xff}, .port = 8080};

	if (strchr(address, ':'))
		assert_int_equal(inet_pton(AF_INET6, address, at.address), 1);
	else
		assert_int_equal(inet_pton(AF_INET, address, at.address + 12), 1);
	return identities_find(i, &at, 1, 0);
}

static bool says(struct span s, const char *text)
{
	return span_eq(s, span_str(text));
}

static void our_addresses_are_the_pods(void **state)
{
	static const char *const addresses[] = {"127.0.0.1", "127.8.9.1", "::1"};
	char dir[] = "/tmp/tapeloop-downward-XXXXXX";
	AUTO(identities) i = NULL;
	struct err e = {0};

	(void)state;
	assert_non_null(mkdtemp(dir));
	write_file(dir, "labels", "app=\"cart\"\n");
	write_file(dir, "annotations", "tapeloop.dev/record=\"status >= 500\"\nother=\"x\"\n");
	assert_int_equal(identities_load(NULL, NULL, 0, &i, &e), 0);
	(void)unsetenv("POD_NAME");
	assert_int_equal(downward_identify(i, dir, &e), -EINVAL);
	assert_non_null(strstr(e.why, "POD_NAME"));
	(void)setenv("POD_NAME", "cart-1", 1);
	(void)setenv("POD_NAMESPACE", "shop", 1);
	(void)setenv("POD_UID", "u-1", 1);
	(void)setenv("NODE_NAME", "n1", 1);
	assert_int_equal(downward_identify(i, dir, &e), 0);
	for (size_t n = 0; n < COUNT_OF(addresses); n++) {
		const struct identity *who = who_is(i, addresses[n]);

		assert_non_null(who);
		assert_true(says(who->pod, "cart-1") && says(who->name_space, "shop"));
		assert_true(says(who->pod_uid, "u-1") && says(who->node, "n1"));
		assert_true(says(who->labels, "{\"app\":\"cart\"}"));
		assert_true(says(who->annotations, "{\"tapeloop.dev/record\":\"status >= 500\"}"));
		assert_int_equal(who->source, IDENTITY_DOWNWARD);
		assert_int_equal(who->certainty, CERTAINTY_CERTAIN);
	}
	assert_null(who_is(i, "192.0.2.7"));
	write_file(dir, "labels", "app=cart\n");
	assert_int_equal(downward_identify(i, dir, &e), -EBADMSG);
	assert_non_null(strstr(e.why, "labels: expected lines of key=\"value\""));
	remove_file(dir, "labels");
	remove_file(dir, "annotations");
	assert_int_equal(downward_identify(i, dir, &e), 0); /* nothing more is known, and that is no error */
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_the_volume_become_labels), cmocka_unit_test(a_key_with_nul_is_refused),
		cmocka_unit_test(a_key_with_nul_is_refused),
		cmocka_unit_test(our_addresses_are_the_pods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
