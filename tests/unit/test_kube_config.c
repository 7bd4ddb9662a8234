// SPDX-License-Identifier: Apache-2.0
#include "kube/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kube/client.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

static char dir[] = "/tmp/tapeloop-kubeconfig-XXXXXX";

static const char *file(const char *name, const char *text)
{
	static char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

#define CLUSTERS                                                                                   \
	"clusters:\n- {name: a, cluster: {server: 'https://a:6443/', certificate-authority: ca}}\n" \
	"- {name: b, cluster: {server: https://b, insecure-skip-tls-verify: true, "                \
	"tls-server-name: bb, proxy-url: 'http://p:1'}}\n"
#define USERS                                                                                      \
	"users:\n- {name: ann, user: {token: t1}}\n"                                               \
	"- {name: bob, user: {client-certificate-data: YWJj, client-key: /k}}\n"                   \
	"- {name: eve, user: {exec: {apiVersion: v, command: sub/run, args: [x, y],"               \
	" env: [{name: N, value: V}]}}}\n"
#define CONTEXTS                                                                                   \
	"contexts:\n- {name: one, context: {cluster: a, user: ann, namespace: shop}}\n"            \
	"- {name: two, context: {cluster: b, user: bob}}\n"                                        \
	"- {name: three, context: {cluster: a, user: eve}}\n"                                      \
	"- {name: nobody, context: {cluster: b}}\n"

static void a_context_names_a_cluster_a_user_and_a_namespace(void **state)
{
	const char *path = file("config", CLUSTERS USERS CONTEXTS "current-context: one\n");
	struct kube_config *c = NULL;
	char expected[128];

	(void)state;
	assert_int_equal(kube_config_load(path, NULL, &c, NULL), 0);
	assert_string_equal(c->context, "one");
	assert_string_equal(c->server, "https://a:6443");
	assert_string_equal(c->name_space, "shop");
	assert_string_equal(c->token, "t1");
	(void)snprintf(expected, sizeof(expected), "%s/ca", dir);
	assert_string_equal(c->ca_file, expected);
	kube_config_free(c);
	assert_int_equal(kube_config_load(path, "two", &c, NULL), 0);
	assert_string_equal(c->server, "https://b");
	assert_string_equal(c->name_space, "default");
	assert_string_equal(c->cert_data, "abc");
	assert_string_equal(c->key_file, "/k");
	assert_string_equal(c->tls_server_name, "bb");
	assert_string_equal(c->proxy_url, "http://p:1");
	assert_true(c->is_insecure);
	assert_null(c->token);
	kube_config_free(c);
	assert_int_equal(kube_config_load(path, "three", &c, NULL), 0);
	(void)snprintf(expected, sizeof(expected), "%s/sub/run", dir);
	assert_string_equal(c->exec.command, expected);
	assert_string_equal(c->exec.args[1], "y");
	assert_null(c->exec.args[2]);
	assert_string_equal(c->exec.env[0], "N=V");
	kube_config_free(c);
	assert_int_equal(kube_config_load(path, "nobody", &c, NULL), 0);
	kube_config_free(c);
}

static void of_several_files_the_first_that_has_a_name_gives_it(void **state)
{
	char list[512];
	struct kube_config *c = NULL;

	(void)state;
	(void)snprintf(list, sizeof(list), "%s/none:%s/first:%s/second", dir, dir, dir);
	(void)file("first", "users:\n- {name: ann, user: {token: mine}}\ncurrent-context: one\n");
	(void)file("second", CLUSTERS USERS CONTEXTS "current-context: two\n");
	assert_int_equal(setenv("KUBECONFIG", list, 1), 0);
	assert_int_equal(kube_config_load(NULL, NULL, &c, NULL), 0);
	assert_string_equal(c->token, "mine");
	assert_string_equal(c->server, "https://a:6443");
	kube_config_free(c);
	assert_int_equal(unsetenv("KUBECONFIG"), 0);
}

static void what_is_wrong_is_said_with_its_place(void **state)
{
	static const struct {
		const char *text, *context, *why;
		int error;
	} cases[] = {
		{"[]\n", NULL, ":1:1: expected a kubeconfig", -EINVAL},
		{"{}\n", NULL, ": no current-context; name one", -ENOENT},
		{CONTEXTS, "four", ": no context named \"four\"", -ENOENT},
		{CONTEXTS, "one", ": no cluster named \"a\"", -ENOENT},
		{CLUSTERS CONTEXTS, "one", ": no user named \"ann\"", -ENOENT},
		{"clusters:\n- {name: a, cluster: {server: a}}\n" CONTEXTS, "one",
		 ":2:31: server: expected a URL, https://HOST:PORT", -EINVAL},
		{"clusters:\n- {name: a, cluster: {server: [a]}}\n" CONTEXTS, "one",
		 ":2:31: server: expected a text", -EINVAL},
		{CLUSTERS CONTEXTS "users:\n- {name: ann, user: {client-key-data: '%%'}}\n", "one",
		 ": client-key-data: expected base64 of PEM", -EINVAL},
		{CLUSTERS CONTEXTS "users:\n- {name: ann, user: {exec: {command: x}}}\n", "one",
		 ": exec: expected an apiVersion", -EINVAL},
		{CLUSTERS CONTEXTS "users:\n- {name: ann, user: {exec: {apiVersion: v}}}\n", "one",
		 ": exec: expected a command", -EINVAL},
		{CLUSTERS CONTEXTS
		 "users:\n- {name: ann, user: {exec: {apiVersion: v, command: c, args: x}}}\n",
		 "one", ": args: expected a list of at most 64", -EINVAL},
		{CLUSTERS CONTEXTS "users:\n- {name: ann, user: {auth-provider: {name: gcp}}}\n",
		 "one", ": auth-provider: expected an exec plugin in its place", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct kube_config *c = NULL;
		struct err e = {0};
		size_t len;

		assert_int_equal(kube_config_load(file("wrong", cases[i].text), cases[i].context, &c, &e),
				 cases[i].error);
		assert_null(c);
		len = strlen(e.why);
		assert_true(len > strlen(cases[i].why));
		assert_string_equal(e.why + len - strlen(cases[i].why), cases[i].why);
	}
}

static void in_a_cluster_the_service_account_says_it(void **state)
{
	struct kube_config *c = NULL;

	(void)state;
	assert_int_equal(unsetenv("KUBERNETES_SERVICE_HOST"), 0);
	assert_int_equal(kube_config_in_cluster(dir, &c, NULL), -ENOENT);
	assert_int_equal(setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1), 0);
	assert_int_equal(setenv("KUBERNETES_SERVICE_PORT", "6443", 1), 0);
	assert_int_equal(kube_config_in_cluster(dir, &c, NULL), -ENOENT); /* no token */
	(void)file("token", "t");
	(void)file("namespace", "shop\n");
	assert_int_equal(kube_config_in_cluster(dir, &c, NULL), 0);
	assert_string_equal(c->server, "https://[fd00::1]:6443");
	assert_string_equal(c->name_space, "shop");
	assert_null(c->ca_file);
	kube_config_free(c);
	assert_int_equal(unsetenv("KUBERNETES_SERVICE_HOST"), 0);
}

/* ---- lines ---- */

static int join(void *ctx, struct span line)
{
	buf_add_span(ctx, line);
	buf_add_char(ctx, '|');
	return span_eq(line, SPAN_LIT("stop")) ? 7 : 0;
}

static void a_stream_is_cut_into_the_same_lines_wherever_it_is_cut(void **state)
{
	static const char text[] = "one\n\ntwo and a half\nthree\nrest";

	(void)state;
	for (size_t step = 1; step <= sizeof(text); step++) {
		struct kube_lines lines = {0};
		AUTO_BUF got = {0};

		for (size_t at = 0; at < sizeof(text) - 1; at += step)
			assert_int_equal(kube_lines_add(&lines,
							span_of(text + at, MIN(step, sizeof(text) - 1 - at)),
							join, &got),
					 0);
		assert_string_equal(buf_cstr(&got), "one|two and a half|three|");
		assert_true(span_eq(buf_span(&lines.held), SPAN_LIT("rest")));
		kube_lines_fini(&lines);
	}
}

static void a_line_ends_the_stream_or_is_too_long(void **state)
{
	static uint8_t much[1 << 20];
	struct kube_lines lines = {0};
	AUTO_BUF got = {0};
	int r = 0;

	(void)state;
	assert_int_equal(kube_lines_add(&lines, SPAN_LIT("a\nstop\nb\n"), join, &got), 7);
	assert_string_equal(buf_cstr(&got), "a|stop|");
	memset(much, 'x', sizeof(much));
	for (int i = 0; i < 5 && r == 0; i++)
		r = kube_lines_add(&lines, span_of(much, sizeof(much)), join, &got);
	assert_int_equal(r, -E2BIG);
	kube_lines_fini(&lines);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -r '%s'", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_context_names_a_cluster_a_user_and_a_namespace),
		cmocka_unit_test(of_several_files_the_first_that_has_a_name_gives_it),
		cmocka_unit_test(what_is_wrong_is_said_with_its_place),
		cmocka_unit_test(in_a_cluster_the_service_account_says_it),
		cmocka_unit_test(a_stream_is_cut_into_the_same_lines_wherever_it_is_cut),
		cmocka_unit_test(a_line_ends_the_stream_or_is_too_long),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
