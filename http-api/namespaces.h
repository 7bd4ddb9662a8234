// SPDX-License-Identifier: Apache-2.0
/* namespaces.h - of which namespaces there is anything in the store. Any thread. */
#pragma once

#include "http-api/name_list.h"
#include "lib/err.h"

struct namespaces;

#define NAMESPACES_MAX	   4096
#define NAMESPACES_EACH_NS (10 * NS_PER_S) /* the store is asked no more often */

struct namespaces *namespaces_new(const char *store_dir) MUST_USE; /* NULL: no memory */
void namespaces_free(struct namespaces *n);			   /* accepts NULL */
/**
 * namespaces_list() - also those that have gone since
 * @out: zeroed by the caller, who calls name_list_fini()
 * @e:   -EAGAIN the store cannot be read; -ENOMEM
 */
int namespaces_list(struct namespaces *n, uint64_t now_ns, struct name_list *out,
		    struct err *e) MUST_USE;
