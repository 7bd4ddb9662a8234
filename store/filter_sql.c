// SPDX-License-Identifier: Apache-2.0
#include "store/filter_tree.h"

#include <errno.h>
#include <stdlib.h>

/* Every row may match; filter_matches() decides. */
int filter_to_sql(const struct filter *f, struct filter_sql *out)
{
	*out = (struct filter_sql){.is_exact = f->root->kind == NODE_AND && !f->root->first};
	buf_add_char(&out->where, '1');
	return out->where.is_failed ? -ENOMEM : 0;
}

void filter_sql_fini(struct filter_sql *s)
{
	buf_fini(&s->where);
	free(s->params);
	*s = (struct filter_sql){0};
}
