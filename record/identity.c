// SPDX-License-Identifier: Apache-2.0
#include "record/identity.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/document.h"
#include "schema/labels.h"

/*
 * Theory of operation. Rows are sorted so that the strongest comes first: longest prefix, then
 * with a port, then by address. Rows of one (prefix length, has port) form a run with sorted
 * addresses, which is searched by halving. A look-up tries the runs in order; in practice there
 * are two or three.
 *
 * All text of a snapshot lies in one list of strings that lives as long as it.
 */
#define ROWS_MAX 1000000

struct row {
	uint8_t address[16]; /* bits behind the prefix are 0 */
	uint16_t port;	     /* 0: any */
	uint8_t bits;	     /* of the prefix, 0 to 128 */
	struct identity who; /* texts owned by the snapshot */
};

struct run {
	size_t begin, end;
};

struct identities {
	struct row *rows;
	size_t count, room;
	struct run *runs;
	size_t run_count;
};

/* in the order of identity_text() */
static const char *const field_names[] = {
	"service",	 "namespace", "pod",	 "workload", "node",
	"workload_kind", "container", "pod_uid", "labels",   "annotations",
};
#define FIELD_LABELS 8 /* this one and the next are mappings */

static void free_row(struct row *row)
{
	struct span *field;

	for (size_t i = 0; (field = identity_text(&row->who, i)); i++)
		free((char *)(uintptr_t)field->ptr);
}

void identities_free(struct identities *i)
{
	if (!i)
		return;
	for (size_t n = 0; n < i->count; n++)
		free_row(&i->rows[n]);
	free(i->rows);
	free(i->runs);
	free(i);
}

static int copy_text(struct span from, struct span *to)
{
	char *text = from.len ? strndup((const char *)from.ptr, from.len) : strdup("");

	if (!text)
		return -ENOMEM;
	*to = span_of(text, from.len);
	return 0;
}

static void mask(const uint8_t from[16], unsigned bits, uint8_t to[16])
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits > i * 8 ? MIN(bits - i * 8, 8U) : 0;

		to[i] = (uint8_t)(from[i] & (0xff00U >> keep));
	}
}

/* "10.0.0.0/8" as it is kept: IPv4 lies in ::ffff:0:0/96 */
static int parse_address(struct span text, struct row *out)
{
	static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};
	char copy[64], *slash, *end;
	uint8_t address[16];
	unsigned most = 128;
	unsigned long bits;

	if (text.len >= sizeof(copy) || text.len == 0)
		return -EINVAL;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, copy, address + 12) == 1) {
		memcpy(address, v4_prefix, sizeof(v4_prefix));
		most = 32;
	} else if (inet_pton(AF_INET6, copy, address) != 1) {
		return -EINVAL;
	}
	bits = slash ? strtoul(slash + 1, &end, 10) : most;
	if (slash && (slash[1] < '0' || slash[1] > '9' || *end || bits > most))
		return -EINVAL;
	out->bits = (uint8_t)(bits + 128 - most);
	mask(address, out->bits, out->address);
	return 0;
}

static int parse_port(struct span text, uint16_t *out)
{
	unsigned v = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9' || v > 65535)
			return -EINVAL;
		v = v * 10 + (unsigned)(text.ptr[i] - '0');
	}
	if (v == 0 || v > 65535)
		return -EINVAL;
	*out = (uint16_t)v;
	return 0;
}

/* a mapping of texts, in the form of schema/labels.h */
static int parse_map(struct document *d, const yaml_node_t *value, struct span *out, struct err *e)
{
	json_t *object = value->type == YAML_MAPPING_NODE ? json_object() : NULL;
	AUTO_BUF text = {0};
	int failed = 0;

	if (!object)
		return document_error(d, value, e, "expected a mapping of texts");
	for (yaml_node_pair_t *p = value->data.mapping.pairs.start;
	     p < value->data.mapping.pairs.top && failed == 0; p++) {
		struct span key = document_scalar(yaml_document_get_node(&d->tree, p->key));
		struct span of = document_scalar(yaml_document_get_node(&d->tree, p->value));

		if (!key.ptr || !of.ptr ||
		    json_object_setn_new(object, (const char *)key.ptr, key.len,
					 json_stringn((const char *)of.ptr, of.len)) < 0)
			failed = document_error(d, value, e, "expected a mapping of texts");
	}
	if (failed == 0 && labels_from_json(object, NULL, NULL, &text) > 0)
		failed = document_error(d, value, e, "expected at most %d octets", LABELS_MAX);
	json_decref(object);
	if (failed < 0)
		return failed;
	return text.is_failed ? -ENOMEM : copy_text(buf_span(&text), out);
}

static int parse_field(struct document *d, const yaml_node_t *key, const yaml_node_t *value,
		       struct row *row, bool *has_address, struct err *e)
{
	struct span name = document_scalar(key), text = document_scalar(value);

	for (size_t i = FIELD_LABELS; i < COUNT_OF(field_names); i++)
		if (span_eq(name, span_str(field_names[i])) && !identity_text(&row->who, i)->ptr)
			return parse_map(d, value, identity_text(&row->who, i), e);
	if (!text.ptr)
		return document_error(d, value, e, "expected a text");
	if (span_eq(name, SPAN_LIT("address"))) {
		*has_address = true;
		if (parse_address(text, row) < 0)
			return document_error(d, value, e, "expected an address or network");
		return 0;
	}
	if (span_eq(name, SPAN_LIT("port"))) {
		if (parse_port(text, &row->port) < 0)
			return document_error(d, value, e, "expected a port, 1 to 65535");
		return 0;
	}
	for (size_t i = 0; i < COUNT_OF(field_names); i++) {
		if (!span_eq(name, span_str(field_names[i])))
			continue;
		if (identity_text(&row->who, i)->ptr)
			return document_error(d, key, e, "%s is given twice", field_names[i]);
		return copy_text(text, identity_text(&row->who, i));
	}
	return document_error(
		d, key, e,
		"expected address, port, service, namespace, pod, pod_uid, container, "
		"workload, workload_kind, node, labels or annotations");
}

/* Room for one more row, zeroed, which counts at once: identities_free() finds its texts. */
static struct row *new_row(struct identities *i)
{
	if (i->count == i->room) {
		size_t room = i->room ? i->room * 2 : 64;
		struct row *more = room > ROWS_MAX ? NULL : realloc(i->rows, room * sizeof(*more));

		if (!more)
			return NULL;
		i->rows = more;
		i->room = room;
	}
	i->rows[i->count] = (struct row){0};
	return &i->rows[i->count++];
}

static int parse_row(struct document *d, yaml_node_t *node, struct identities *i, struct err *e)
{
	struct row *row = new_row(i);
	bool has_address = false;

	if (!row)
		return err_set(e, -E2BIG, "%s: too many identities", d->path);
	if (node->type != YAML_MAPPING_NODE)
		return document_error(d, node, e, "expected a row with an address");
	for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top;
	     p++) {
		int failed = parse_field(d, yaml_document_get_node(&d->tree, p->key),
					 yaml_document_get_node(&d->tree, p->value), row,
					 &has_address, e);

		if (failed == -ENOMEM)
			return err_set(e, -ENOMEM, "%s: out of memory", d->path);
		if (failed < 0)
			return failed;
	}
	row->who.source = IDENTITY_FILE;
	row->who.certainty = CERTAINTY_CERTAIN;
	return has_address ? 0 : document_error(d, node, e, "this row has no address");
}

static int parse_rows(struct document *d, yaml_node_t *list, struct identities *i, struct err *e)
{
	int failed = 0;

	if (list->type != YAML_SEQUENCE_NODE)
		return document_error(d, list, e, "expected a list of identities");
	for (yaml_node_item_t *it = list->data.sequence.items.start;
	     it < list->data.sequence.items.top && failed == 0; it++)
		failed = parse_row(d, yaml_document_get_node(&d->tree, *it), i, e);
	return failed;
}

static int parse_file(struct document *d, struct identities *i, struct err *e)
{
	yaml_node_t *root = document_root(d);
	yaml_node_pair_t *first;

	if (!root)
		return 0;
	first = root->data.mapping.pairs.start;
	if (root->type != YAML_MAPPING_NODE || root->data.mapping.pairs.top - first != 1 ||
	    !span_eq(document_scalar(yaml_document_get_node(&d->tree, first->key)),
		     SPAN_LIT("identities")))
		return document_error(d, root, e, "expected one key, `identities`");
	return parse_rows(d, yaml_document_get_node(&d->tree, first->value), i, e);
}

static int load_file(const char *path, struct identities *i, struct err *e)
{
	struct document d;
	int failed = document_load(path, &d, e);

	if (failed == 0)
		failed = parse_file(&d, i, e);
	document_fini(&d);
	return failed;
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->bits != y->bits)
		return x->bits > y->bits ? -1 : 1;
	if (!x->port != !y->port)
		return x->port ? -1 : 1;
	if (memcmp(x->address, y->address, sizeof(x->address)) != 0)
		return memcmp(x->address, y->address, sizeof(x->address));
	return (x->port > y->port) - (x->port < y->port);
}

static bool is_same_run(const struct row *x, const struct row *y)
{
	return x->bits == y->bits && !x->port == !y->port;
}

static int make_runs(struct identities *i)
{
	if (i->count)
		qsort(i->rows, i->count, sizeof(*i->rows), compare_rows);
	free(i->runs);
	i->runs = calloc(2 * 129, sizeof(*i->runs));
	i->run_count = 0;
	if (!i->runs)
		return -ENOMEM;
	for (size_t n = 0; n < i->count; n++) {
		if (n == 0 || !is_same_run(&i->rows[n - 1], &i->rows[n]))
			i->runs[i->run_count++] = (struct run){n, n};
		i->runs[i->run_count - 1].end = n + 1;
	}
	return 0;
}

static struct row *find_in_run(const struct identities *i, const struct run *run,
			       const uint8_t address[16], uint16_t port)
{
	struct row *first = &i->rows[run->begin], want = {.bits = first->bits};

	want.port = first->port ? port : 0;
	mask(address, want.bits, want.address);
	return bsearch(&want, first, run->end - run->begin, sizeof(want), compare_rows);
}

const struct identity *identities_find(const struct identities *i, const struct endpoint *at,
				       uint64_t time_ns, uint64_t netns_inode)
{
	(void)time_ns;	   /* what a file says holds always, */
	(void)netns_inode; /* and everywhere */
	for (size_t n = 0; i && n < i->run_count; n++) {
		const struct row *row = NULL;

		if (at->port || !i->rows[i->runs[n].begin].port)
			row = find_in_run(i, &i->runs[n], at->address, at->port);
		if (row)
			return &row->who;
	}
	return NULL;
}

bool identities_is_exact(const struct identities *i, const struct identity *found)
{
	size_t at = (size_t)((const uint8_t *)found - (const uint8_t *)i->rows) / sizeof(*i->rows);

	return i->rows[at].bits == 128;
}

size_t identities_count(const struct identities *i)
{
	return i ? i->count : 0;
}

/* An address of an interface: a row of its own, or the pod's name for the rows of the file. */
static int add_seen(struct identities *i, size_t file_count, const struct identity_seen *seen)
{
	bool is_known = false;
	struct row *row;
	int failed = 0;

	for (size_t n = 0; n < file_count && failed == 0; n++) {
		row = &i->rows[n];
		if (row->bits != 128 || memcmp(row->address, seen->address, 16) != 0)
			continue;
		is_known |= row->port == 0;
		if (!row->who.pod.ptr)
			failed = copy_text(span_str(seen->pod), &row->who.pod);
	}
	if (is_known || failed < 0)
		return failed;
	row = new_row(i);
	if (!row)
		return -ENOMEM;
	row->bits = 128;
	memcpy(row->address, seen->address, sizeof(row->address));
	row->who.source = IDENTITY_INTERFACE;
	row->who.certainty = CERTAINTY_CERTAIN;
	return copy_text(span_str(seen->pod), &row->who.pod);
}

int identities_load(const char *path, const struct identity_seen *seen, size_t seen_count,
		    struct identities **i_out, struct err *e)
{
	AUTO(identities) i = calloc(1, sizeof(*i));
	int failed = i ? 0 : -ENOMEM;
	size_t file_count;

	if (i && path && *path)
		failed = load_file(path, i, e);
	if (failed < 0 && i)
		return failed;
	file_count = i ? i->count : 0;
	for (size_t n = 0; n < seen_count && failed == 0; n++)
		failed = add_seen(i, file_count, &seen[n]);
	if (failed == 0)
		failed = make_runs(i);
	if (failed < 0)
		return err_set(e, failed, "identities: out of memory");
	*i_out = TAKE(i);
	return 0;
}

static int copy_who(const struct identity *from, struct identity *to)
{
	struct identity source = *from;
	int failed = 0;

	*to = (struct identity){.source = from->source, .certainty = from->certainty};
	for (size_t n = 0; failed == 0 && identity_text(to, n); n++)
		if (identity_text(&source, n)->len)
			failed = copy_text(*identity_text(&source, n), identity_text(to, n));
	return failed;
}

int identities_add(struct identities *i, const uint8_t address[16], unsigned bits,
		   const struct identity *who)
{
	struct row *row;
	int failed;

	for (size_t n = 0; n < i->run_count; n++) {
		const struct row *first = &i->rows[i->runs[n].begin];

		if (first->bits == bits && !first->port && find_in_run(i, &i->runs[n], address, 0))
			return 0;
	}
	row = new_row(i);
	if (!row)
		return -ENOMEM;
	row->bits = (uint8_t)bits;
	mask(address, bits, row->address);
	failed = copy_who(who, &row->who);
	return failed < 0 ? failed : make_runs(i);
}
