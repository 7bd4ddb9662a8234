// SPDX-License-Identifier: Apache-2.0
#include "cli/filter_help.h"

#include "schema/fields.h"
#include "store/filter_forms.tbl.h"

/*
 * Theory of operation. `tapeloop help filter` is tapeloop-filter(7) in short, made of the same
 * tables: the forms of the language, and the fields.
 */

#define GROUP_NUMBER(NAME, title) GROUP_##NAME,
enum group { FORM_GROUPS(GROUP_NUMBER) };
#define GROUP_TITLE(NAME, title) [GROUP_##NAME] = title,
static const char *const titles[] = {FORM_GROUPS(GROUP_TITLE)};

static const struct form {
	enum group group;
	const char *form, *what, *example;
} forms[] = {
#define FORM(GROUP, form, what, example) {GROUP_##GROUP, form, what, example},
#include "store/filter_forms.tbl.h"
#undef FORM
};

static void write_form(const struct form *f, struct buf *out)
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
	for (size_t g = 0; g < COUNT_OF(titles); g++) {
		buf_add_fmt(out, "\n%s:\n", titles[g]);
		for (size_t i = 0; i < COUNT_OF(forms); i++)
			if (forms[i].group == g)
				write_form(&forms[i], out);
	}
	buf_add_str(out, "\nFields:\n");
	for (int i = 0; i < FIELD_COUNT; i++)
		buf_add_fmt(out, "  %-16s %s\n", field_rows[i].name, field_rows[i].what);
	buf_add_str(out, "\n`man tapeloop-filter` says more: outcomes, reasons, anomalies.\n");
}
