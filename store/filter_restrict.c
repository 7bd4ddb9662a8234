// SPDX-License-Identifier: Apache-2.0
#include "store/filter_tree.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * What somebody may see is a condition before the one they typed:
 *
 *	(src.namespace in [..] || dst.namespace in [..]) && typed
 *
 * It is put on the tree and not into the text, so nothing that is typed can end it, and a list of
 * any length fits. Everything that carries a filter out (memory, SQL, counts by minute, streams)
 * carries it out too, without knowing of it. It stands first: in memory the rest is then judged of
 * nothing else. SQLite orders conditions as it likes; what that could show is told in
 * store/filter_sql.h.
 */

void restriction_free(struct restriction *o)
{
	if (!o)
		return;
	free(o->values);
	free(o->bytes);
	free(o);
}

static struct node name_test(enum field field, struct value *values, size_t count)
{
	return (struct node){
		.kind = NODE_TEST,
		.op = OP_EQ,
		.left = {.kind = OPERAND_FIELD, .field = (uint8_t)field},
		.values = values,
		.value_count = count,
	};
}

static struct restriction *restriction_new(const struct span *namespaces, size_t count)
{
	struct restriction *o = calloc(1, sizeof(*o));
	size_t bytes = 1, at = 0;

	for (size_t i = 0; i < count; i++)
		bytes += namespaces[i].len;
	if (o) {
		o->values = calloc(2 * count + 1, sizeof(*o->values));
		o->bytes = malloc(bytes);
	}
	if (!o || !o->values || !o->bytes) {
		restriction_free(o);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		struct span name = {o->bytes + at, namespaces[i].len};

		if (name.len)
			memcpy(o->bytes + at, namespaces[i].ptr, name.len);
		at += name.len;
		o->values[i].text = o->values[count + i].text = name;
	}
	o->value_count = 2 * count;
	return o;
}

int filter_restrict(struct filter *f, const struct span *namespaces, size_t count)
{
	struct restriction *o = restriction_new(namespaces, count);

	if (!o)
		return -ENOMEM;
	o->src = name_test(FIELD_SRC_NAMESPACE, o->values, count);
	o->dst = name_test(FIELD_DST_NAMESPACE, o->values + count, count);
	o->src.next = &o->dst;
	o->either = (struct node){.kind = NODE_OR, .next = f->root};
	if (count) { /* an empty OR is false */
		o->either.first = &o->src;
		o->either.last = &o->dst;
	}
	o->both = (struct node){.kind = NODE_AND, .first = &o->either, .last = f->root};
	f->root = &o->both;
	f->only = o;
	return 0;
}

bool filter_is_restricted(const struct filter *f)
{
	return f->only != NULL;
}
