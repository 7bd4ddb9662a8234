// SPDX-License-Identifier: Apache-2.0
#include "schema/labels.h"

#include <stdlib.h>

#include "lib/json_scan.h"

/*
 * Theory of operation. Keys are collected, sorted by their bytes and written. A text from a tape
 * may be anything: it is walked as JSON and what is found is written anew, so that a document that
 * holds it stays one.
 */
struct entry {
	struct span key, value; /* borrowed from the object */
};

static int compare_keys(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	size_t n = MIN(x->key.len, y->key.len);
	int sign = n ? memcmp(x->key.ptr, y->key.ptr, n) : 0;

	return sign ? sign : (x->key.len > y->key.len) - (x->key.len < y->key.len);
}

static size_t collect(const json_t *object, labels_wants_fn *wants, void *ctx, struct entry *to)
{
	void *at = json_object_iter((json_t *)(uintptr_t)object);
	size_t n = 0;

	for (; at; at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
		const json_t *value = json_object_iter_value(at);
		struct span key = span_str(json_object_iter_key(at));

		if (json_is_string(value) && (!wants || wants(ctx, key)))
			to[n++] = (struct entry){
				key, span_of(json_string_value(value), json_string_length(value))};
	}
	return n;
}

static void put_entry(struct json *j, struct span key, struct span value)
{
	json_key_span(j, key);
	json_text(j, value);
}

/* Return: entries left out. */
static size_t put_entries(const struct entry *all, size_t count, struct buf *out)
{
	struct json j = json_to(out);
	size_t from = out->len, left_out = 0;

	json_object_begin(&j);
	for (size_t i = 0; i < count; i++) {
		size_t before = out->len;
		struct json was = j;

		put_entry(&j, all[i].key, all[i].value);
		if (out->len - from < LABELS_MAX)
			continue;
		out->len = before;
		j = was;
		left_out++;
	}
	json_object_end(&j);
	return left_out;
}

size_t labels_from_json(const json_t *object, labels_wants_fn *wants, void *ctx, struct buf *out)
{
	size_t count = json_object_size(object), left_out = 0;
	struct entry *all = count ? calloc(count, sizeof(*all)) : NULL;

	if (count && !all) {
		out->is_failed = true;
		return 0;
	}
	if (all)
		count = collect(object, wants, ctx, all);
	if (count)
		qsort(all, count, sizeof(*all), compare_keys);
	if (count)
		left_out = put_entries(all, count, out);
	free(all);
	return left_out;
}

static struct span plain(const struct json_scan *text, struct buf *room)
{
	if (!text->has_escapes)
		return text->text;
	buf_clear(room);
	if (!buf_reserve(room, text->text.len))
		return (struct span){0};
	return span_of(room->ptr, json_scan_unescape(text->text, room->ptr));
}

void labels_put(struct json *j, struct span labels)
{
	struct json_scan_iter it = {.rest = labels};
	AUTO_BUF key = {0};
	AUTO_BUF value = {0};

	json_object_begin(j);
	while (labels.len && json_scan_next(&it))
		if (it.key.type == JSON_SCAN_TEXT && it.value.type == JSON_SCAN_TEXT)
			put_entry(j, plain(&it.key, &key), plain(&it.value, &value));
	json_object_end(j);
}
