// SPDX-License-Identifier: Apache-2.0
/* document.h - a YAML file as a tree whose nodes know their place in it */
#pragma once

#include <yaml.h>

#include "lib/err.h"

#define DOCUMENT_BYTES_MAX (8u << 20)
#define DOCUMENT_DEPTH_MAX 8 /* readers go no deeper: an alias may make a tree that never ends */

struct document {
	yaml_document_t tree; /* opaque but for libyaml's accessors */
	const char *path;     /* borrowed; for messages */
	bool is_loaded;
};

/**
 * document_load() - read a file's one YAML document
 * @path: borrowed until document_fini()
 * @e:    "path:line:column: what libyaml says"; -ENOENT and others from opening; -E2BIG
 */
int document_load(const char *path, struct document *out, struct err *e) MUST_USE;
void document_fini(struct document *d); /* also of one that was zeroed and never loaded */

/* document_root() - NULL for an empty file */
yaml_node_t *document_root(struct document *d);
/* document_scalar() - text of a scalar; ptr NULL when it is none. Borrowed from the document. */
struct span document_scalar(const yaml_node_t *node);
/* document_error() - "path:line:column: why" in @e. Return: -EINVAL. */
int document_error(const struct document *d, const yaml_node_t *node, struct err *e,
		   const char *fmt, ...) PRINTF_LIKE(4, 5);
