// SPDX-License-Identifier: Apache-2.0
#include "cli/filter_help.h"

#include "cli/filter_forms.h"
#include "schema/fields.h"

/*
 * Theory of operation. `tapeloop help filter` is tapeloop-filter(7) in short, made of the same
 * tables: the forms of the language, and the fields.
 */

static void write_form(const struct filter_form *f, struct buf *out)
{
	buf_add_fmt(out, "  %s\n      %s\n", f->form, f->what);
	if (strcmp(f->form, f->example) != 0)
		buf_add_fmt(out, "      e.g. %s\n", f->example);
}

void filter_help(struct buf *out)
{
	buf_add_str(out,
		    "A filter says which exchanges. It is a subset of CEL; an empty one selects "
		    "everything.\n");
	for (size_t g = 0; g < FILTER_GROUP_COUNT; g++) {
		buf_add_fmt(out, "\n%s:\n", filter_group_titles[g]);
		for (const struct filter_form *f = filter_forms; f->form; f++)
			if (f->group == g)
				write_form(f, out);
	}
	buf_add_str(out, "\nFields:\n");
	for (int i = 0; i < FIELD_COUNT; i++)
		buf_add_fmt(out, "  %-16s %s\n", field_rows[i].name, field_rows[i].what);
	buf_add_str(out, "\n`man tapeloop-filter` says more: outcomes, reasons, anomalies.\n");
}
