// SPDX-License-Identifier: Apache-2.0
/*
 * Every directory of tests/case: input.talk (talk.h says how it is written) must give the exchanges of
 * expect.ndjson, whole, byte by byte and at random cuts alike. Of each exchange only what the line
 * names is compared.
 */
#include "talk.h"

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CASES_MAX 512
#define CUTS      24

static char *read_file(const char *directory, const char *name)
{
	char path[512], *text;
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "tests/case/%s/%s", directory, name);
	f = fopen(path, "r");
	if (!f)
		fail_msg("%s: cannot be read", path);
	text = calloc(1, 1 << 20);
	n = fread(text, 1, (1 << 20) - 1, f);
	text[n] = 0;
	(void)fclose(f);
	return text;
}

/* does @got hold all that @want names? */
static bool covers(const json_t *got, const json_t *want)
{
	const char *key;
	json_t *value;

	if (!json_is_object(want))
		return json_equal(got, want);
	json_object_foreach((json_t *)(uintptr_t)want, key, value)
		if (!json_object_get(got, key) || !covers(json_object_get(got, key), value))
			return false;
	return true;
}

static void compare(const char *name, char *got, char *want)
{
	char *got_line, *want_line;

	for (int i = 1;; i++) {
		json_t *g, *w;

		got_line = strsep(&got, "\n");
		want_line = strsep(&want, "\n");
		if (!got_line || !*got_line || !want_line || !*want_line)
			break;
		g = json_loads(got_line, JSON_ALLOW_NUL, NULL);
		w = json_loads(want_line, JSON_ALLOW_NUL, NULL);
		if (!g || !w || !covers(g, w))
			fail_msg("%s: exchange %d\n want %s\n  got %s", name, i, want_line, got_line);
		json_decref(g);
		json_decref(w);
	}
	if ((got_line && *got_line) || (want_line && *want_line))
		fail_msg("%s: %s", name, got_line && *got_line ? got_line : "exchanges are missing");
}

static void check_accounts(const char *name, const struct talk *t)
{
	if (counters_balance(&t->counters, COUNTER_ACCOUNT_REQUESTS) != 0)
		fail_msg("%s: the requests account is off by %lld", name,
			 (long long)counters_balance(&t->counters, COUNTER_ACCOUNT_REQUESTS));
	assert_int_equal(counter_get(&t->counters, COUNTER_REQUESTS_OPEN), 0);
	assert_int_equal(pool_used_bytes(t->wire->pool), 0);
}

static void a_case_gives_its_exchanges_at_all_cuts(void **state)
{
	const char *name = *state;
	char *text = read_file(name, "input.talk"), *want = read_file(name, "expect.ndjson");
	struct talk whole;

	talk_run(&whole, text, TALK_WHOLE);
	check_accounts(name, &whole);
	compare(name, (char *)(uintptr_t)buf_cstr(&whole.out), want);
	talk_free(&whole);
	talk_run(&whole, text, TALK_WHOLE); /* comparing took its text apart */
	for (uint64_t how = TALK_BYTES; how < CUTS; how++) {
		struct talk cut;

		talk_run(&cut, text, how);
		check_accounts(name, &cut);
		if (strcmp(buf_cstr(&whole.out), buf_cstr(&cut.out)) != 0)
			fail_msg("%s: cut %d differs\n whole %s\n   cut %s", name, (int)how,
				 buf_cstr(&whole.out), buf_cstr(&cut.out));
		talk_free(&cut);
	}
	talk_free(&whole);
	free(text);
	free(want);
}

int main(void)
{
	static struct CMUnitTest tests[CASES_MAX];
	struct dirent **entries;
	int n = scandir("tests/case", &entries, NULL, alphasort);
	size_t count = 0;
	int failed;

	for (int i = 0; i < n && count < CASES_MAX; i++)
		if (entries[i]->d_name[0] != '.')
			tests[count++] = (struct CMUnitTest){
				.name = entries[i]->d_name,
				.test_func = a_case_gives_its_exchanges_at_all_cuts,
				.initial_state = entries[i]->d_name,
			};
	if (count == 0) {
		printf("tests/case: no cases\n");
		return 1;
	}
	failed = _cmocka_run_group_tests("cases", tests, count, NULL, NULL);
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	return failed;
}
