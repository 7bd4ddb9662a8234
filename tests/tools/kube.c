// SPDX-License-Identifier: Apache-2.0
/*
 * kube - ask an API server through kube/client.h, for tests
 *
 *	kube [--kubeconfig FILE] [--context NAME] VERB PATH [BODY]
 *
 * VERB: get, watch, create, put, patch (a merge patch), delete; "gets": GET PATH once for each line on
 * standard input. Prints what came; for failures "errno: why" on standard error, and ends with 1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kube/client.h"
#include "kube/config.h"

static int print_line(void *ctx, struct span line)
{
	(void)ctx;
	(void)printf("%.*s\n", (int)line.len, (const char *)line.ptr);
	return fflush(stdout);
}

static int print(json_t *answer)
{
	(void)json_dumpf(answer, stdout, JSON_COMPACT);
	(void)printf("\n");
	json_decref(answer);
	return fflush(stdout);
}

static int fail(int r, const struct err *e)
{
	(void)fprintf(stderr, "%s: %s\n", strerrorname_np(-r), e->why);
	return 1;
}

static int ask(struct kube_client *c, const char *verb, const char *path, const char *body, struct err *e)
{
	json_t *object = body ? json_loads(body, 0, NULL) : NULL, *answer = NULL;
	int r = -EINVAL;

	if (strcmp(verb, "get") == 0)
		r = kube_get(c, path, &answer, e);
	else if (strcmp(verb, "watch") == 0)
		r = kube_watch(c, path, print_line, NULL, e);
	else if (strcmp(verb, "create") == 0)
		r = kube_create(c, path, object, &answer, e);
	else if (strcmp(verb, "put") == 0)
		r = kube_put(c, path, object, &answer, e);
	else if (strcmp(verb, "patch") == 0)
		r = kube_patch(c, path, "application/merge-patch+json", object, &answer, e);
	else if (strcmp(verb, "delete") == 0)
		r = kube_delete(c, path, &answer, e);
	json_decref(object);
	return r == 0 && answer ? print(answer) : r;
}

static int run(struct kube_client *c, const char *verb, const char *path, const char *body)
{
	char line[16];
	struct err e = {0};
	int r;

	if (strcmp(verb, "gets") != 0) {
		r = ask(c, verb, path, body, &e);
		return r < 0 ? fail(r, &e) : 0;
	}
	while (fgets(line, sizeof(line), stdin)) {
		r = ask(c, "get", path, NULL, &e);
		if (r < 0)
			(void)fail(r, &e);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *file = NULL, *context = NULL;
	struct kube_config *config = NULL;
	AUTO(kube_client) c = NULL;
	struct err e = {0};
	int at = 1, r;

	for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
		if (strcmp(argv[at], "--kubeconfig") == 0)
			file = argv[at + 1];
		else
			context = argv[at + 1];
	}
	if (at + 1 >= argc)
		return 2;
	r = kube_config_find(file, context, &config, &e);
	if (r == 0)
		r = kube_client_new(config, &c, &e);
	if (r < 0)
		return fail(r, &e);
	return run(c, argv[at], argv[at + 1], argv[at + 2]);
}
