// SPDX-License-Identifier: Apache-2.0
#include "daemon/settings.h"

#include <errno.h>
#include <stdio.h>

#include "lib/document.h"

/*
 * Theory of operation. The YAML file is a tree of mappings; the keys on the way down, joined by
 * dots, name a setting. All errors are collected, each with file, line and column, so that a file
 * can be mended in one go.
 */
#define KEY_MAX	  128
#define ITEMS_MAX 4096

struct reading {
	struct document doc;
	struct chosen *to;
	struct buf *errors;
	int error_count;
	bool was_seen[SETTING_COUNT];
};

static void complain(struct reading *rd, const yaml_node_t *node, const char *why)
{
	struct err e;

	(void)document_error(&rd->doc, node, &e, "%s", why);
	buf_add_str(rd->errors, e.why);
	buf_add_char(rd->errors, '\n');
	rd->error_count++;
}

static yaml_node_t *node_at(struct reading *rd, int index)
{
	return yaml_document_get_node(&rd->doc.tree, index);
}

static bool is_null(const yaml_node_t *node)
{
	struct span s = document_scalar(node);

	return node->type == YAML_SCALAR_NODE &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (s.len == 0 || span_eq(s, SPAN_LIT("~")) || span_eq(s, SPAN_LIT("null")));
}

/* The scalars of a value. Return: how many, or -1 when it is no scalar and no list of them. */
static int take_items(struct reading *rd, yaml_node_t *value, struct span *items)
{
	int count = 0;

	if (value->type == YAML_SCALAR_NODE) {
		items[0] = document_scalar(value);
		return is_null(value) ? 0 : 1;
	}
	if (value->type != YAML_SEQUENCE_NODE)
		return -1;
	for (yaml_node_item_t *i = value->data.sequence.items.start;
	     i < value->data.sequence.items.top; i++, count++) {
		yaml_node_t *item = node_at(rd, *i);

		if (count == ITEMS_MAX || item->type != YAML_SCALAR_NODE)
			return -1;
		items[count] = document_scalar(item);
	}
	return count;
}

static void set_value(struct reading *rd, enum setting which, yaml_node_t *value)
{
	static const char not_a_value[] = "expected a value or a list of values";
	struct span items[ITEMS_MAX];
	char origin[512];
	struct err e;
	int count = take_items(rd, value, items);

	(void)snprintf(origin, sizeof(origin), "%s:%zu:%zu", rd->doc.path,
		       value->start_mark.line + 1, value->start_mark.column + 1);
	if (count < 0)
		(void)err_set(&e, -EINVAL, "%s: %s", setting_rows[which].key, not_a_value);
	else if (chosen_set(rd->to, which, items, (size_t)count, origin, false, &e) == 0)
		return;
	complain(rd, value, e.why);
}

static void read_setting(struct reading *rd, yaml_node_t *key, const char *name, yaml_node_t *value)
{
	struct err e;
	int which = setting_find(span_str(name), &e);

	if (which >= 0 && rd->was_seen[which]) {
		(void)err_set(&e, -EINVAL, "%s: is given twice", name);
		which = -EINVAL;
	}
	if (which < 0) {
		complain(rd, key, e.why);
		return;
	}
	rd->was_seen[which] = true;
	set_value(rd, (enum setting)which, value);
}

/* @prefix: the keys above with a dot behind each */
static void read_mapping(struct reading *rd, const yaml_node_t *node, const char *prefix,
			 unsigned depth)
{
	char name[KEY_MAX + 2];

	for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top;
	     p++) {
		yaml_node_t *key = node_at(rd, p->key), *value = node_at(rd, p->value);
		struct span s = document_scalar(key);
		int n = snprintf(name, sizeof(name), "%s%.*s", prefix, (int)MIN(s.len, KEY_MAX),
				 s.ptr ? (const char *)s.ptr : "");

		if (!s.ptr || n >= KEY_MAX || depth == DOCUMENT_DEPTH_MAX) {
			complain(rd, key, "expected the name of a setting");
		} else if (value->type == YAML_MAPPING_NODE) {
			name[n] = '.';
			name[n + 1] = '\0';
			read_mapping(rd, value, name, depth + 1);
		} else {
			read_setting(rd, key, name, value);
		}
	}
}

int settings_file(const char *path, struct chosen *c, struct buf *errors)
{
	struct reading rd = {.to = c, .errors = errors};
	struct err e;
	yaml_node_t *root;

	if (document_load(path, &rd.doc, &e) < 0) {
		buf_add_fmt(errors, "%s\n", e.why);
		return 1;
	}
	root = document_root(&rd.doc);
	if (root && root->type == YAML_MAPPING_NODE)
		read_mapping(&rd, root, "", 1);
	else if (root && !is_null(root))
		complain(&rd, root, "expected settings, one a line: `key: value`");
	document_fini(&rd.doc);
	return rd.error_count;
}
