// SPDX-License-Identifier: Apache-2.0
#include "lib/nearest.h"

/*
 * Theory of operation. Levenshtein's distance with one row of the table kept: row i holds the
 * distances of the word's first i letters to every beginning of the name.
 */
#define NAME_MAX_LEN 63

static size_t distance(struct span word, struct span name)
{
	size_t row[NAME_MAX_LEN + 1];

	for (size_t j = 0; j <= name.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= word.len; i++) {
		size_t above_left = row[0];

		row[0] = i;
		for (size_t j = 1; j <= name.len; j++) {
			size_t change = above_left + (word.ptr[i - 1] != name.ptr[j - 1]);

			above_left = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[name.len];
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
