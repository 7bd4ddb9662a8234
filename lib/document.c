// SPDX-License-Identifier: Apache-2.0
#include "lib/document.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

static int check_size(FILE *in, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fileno(in), &st) < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return err_set(e, -EISDIR, "%s: %s", path, strerror(EISDIR));
	if (st.st_size > (off_t)DOCUMENT_BYTES_MAX)
		return err_set(e, -E2BIG, "%s: larger than %u bytes", path, DOCUMENT_BYTES_MAX);
	return 0;
}

static int syntax_error(const yaml_parser_t *p, const char *path, struct err *e)
{
	if (p->error == YAML_MEMORY_ERROR)
		return err_set(e, -ENOMEM, "%s: out of memory", path);
	if (p->error == YAML_READER_ERROR)
		return err_set(e, -EINVAL, "%s: byte %zu: %s", path, p->problem_offset, p->problem);
	return err_set(e, -EINVAL, "%s:%zu:%zu: %s%s%s", path, p->problem_mark.line + 1,
		       p->problem_mark.column + 1, p->problem, p->context ? ", " : "",
		       p->context ? p->context : "");
}

static int parse(FILE *in, struct document *d, struct err *e)
{
	yaml_parser_t parser;
	int failed = 0;

	if (!yaml_parser_initialize(&parser))
		return err_set(e, -ENOMEM, "%s: out of memory", d->path);
	yaml_parser_set_input_file(&parser, in);
	if (!yaml_parser_load(&parser, &d->tree))
		failed = syntax_error(&parser, d->path, e);
	else
		d->is_loaded = true;
	yaml_parser_delete(&parser);
	return failed;
}

int document_load(const char *path, struct document *out, struct err *e)
{
	FILE *in = fopen(path, "re");
	int failed;

	*out = (struct document){.path = path};
	if (!in)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	failed = check_size(in, path, e);
	if (failed == 0)
		failed = parse(in, out, e);
	(void)fclose(in);
	return failed;
}

void document_fini(struct document *d)
{
	if (d->is_loaded)
		yaml_document_delete(&d->tree);
	d->is_loaded = false;
}

yaml_node_t *document_root(struct document *d)
{
	return d->is_loaded ? yaml_document_get_root_node(&d->tree) : NULL;
}

struct span document_scalar(const yaml_node_t *node)
{
	if (!node || node->type != YAML_SCALAR_NODE)
		return (struct span){0};
	return span_of(node->data.scalar.value, node->data.scalar.length);
}

int document_error(const struct document *d, const yaml_node_t *node, struct err *e,
		   const char *fmt, ...)
{
	char why[ERR_WHY_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return err_set(e, -EINVAL, "%s:%zu:%zu: %s", d->path, node->start_mark.line + 1,
		       node->start_mark.column + 1, why);
}
