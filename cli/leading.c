// SPDX-License-Identifier: Apache-2.0
#include "cli/leading.h"

#include <stdlib.h>

/*
 * Theory of operation. `-n` before the subcommand is the namespace; behind it, it is --limit, as it
 * always was, but for the plugin, where every user of kubectl expects the namespace.
 */

static const struct {
	const char *word, *becomes;
	bool has_value;
} leading[] = {
	{"--kube", "--kube", false},
	{"-n", "--namespace", true},
	{"--namespace", "--namespace", true},
	{"--context", "--context", true},
	{"--kubeconfig", "--kubeconfig", true},
};

bool leading_is_plugin(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	return strcmp(slash ? slash + 1 : argv0, LEADING_PLUGIN) == 0;
}

/* Return: how many words the option at @i takes, 0: it is none of these. *@out: the first as it goes on. */
static int take(const char *const *argv, int argc, int i, const char **out)
{
	for (size_t k = 0; k < COUNT_OF(leading); k++) {
		size_t n = strlen(leading[k].word);

		if (strcmp(argv[i], leading[k].word) == 0) {
			*out = leading[k].becomes;
			return leading[k].has_value && i + 1 < argc ? 2 : 1;
		}
		if (n > 2 && strncmp(argv[i], leading[k].word, n) == 0 && argv[i][n] == '=') {
			*out = argv[i];
			return 1;
		}
	}
	return 0;
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

/* subcommands that ask nobody, and so know nothing of clusters */
static const char *const not_asking[] = {"import",     "fsck",	    "backup", "seal",
					 "completion", "man",	    "help",   "--help",
					 "-h",	       "--version", NULL};

const char **leading_move(int argc, const char *const *argv, bool is_plugin, int *argc_out)
{
	const char **out = calloc((size_t)argc + 3, sizeof(*out));
	int from = 1, at = 1, words;
	const char *first;

	if (!out)
		return NULL;
	while (from < argc && (words = take(argv, argc, from, &first)) > 0)
		from += words;
	out[0] = argv[0];
	if (from < argc)
		out[at++] = argv[from];
	if (is_plugin && from < argc && !is_one_of(argv[from], not_asking))
		out[at++] = "--kube";
	for (int i = 1; i < from; i += words) {
		words = take(argv, argc, i, &first);
		out[at++] = first;
		if (words == 2)
			out[at++] = argv[i + 1];
	}
	for (int i = from + 1; i < argc; i++)
		out[at++] = is_plugin && strcmp(argv[i], "-n") == 0 ? "--namespace" : argv[i];
	*argc_out = at;
	return out;
}
