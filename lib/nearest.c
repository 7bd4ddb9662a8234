// SPDX-License-Identifier: Apache-2.0
#include "lib/nearest.h"

/*
 * Theory of operation. Levenshtein's distance, in which two neighbours that changed places are one
 * change (the commonest slip of a hurried hand). Three rows of the table are kept: row i holds the
 * distances of the word's first i letters to every beginning of the name.
 */
#define NAME_MAX_LEN 63

static bool is_swap(struct span word, struct span name, size_t i, size_t j)
{
	return i > 1 && j > 1 && word.ptr[i - 1] == name.ptr[j - 2] &&
	       word.ptr[i - 2] == name.ptr[j - 1];
}

static size_t distance(struct span word, struct span name)
{
	size_t rows[3][NAME_MAX_LEN + 1];

	for (size_t j = 0; j <= name.len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= word.len; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3],
		       *two_above = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= name.len; j++) {
			size_t change = above[j - 1] + (word.ptr[i - 1] != name.ptr[j - 1]);

			row[j] = MIN(change, MIN(above[j], row[j - 1]) + 1);
			if (is_swap(word, name, i, j))
				row[j] = MIN(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[word.len % 3][name.len];
}

const char *nearest_name(struct span word, const char *const *names, size_t count)
{
	const char *best = NULL;
	size_t best_distance = SIZE_MAX;

	if (word.len > NAME_MAX_LEN)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		struct span name = span_str(names[i]);
		size_t d;

		if (name.len > NAME_MAX_LEN)
			continue;
		d = distance(word, name);
		if (d < best_distance && d * 3 <= MAX(word.len, name.len)) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}
