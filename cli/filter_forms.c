// SPDX-License-Identifier: Apache-2.0
#include "cli/filter_forms.h"

#define GROUP_TITLE(NAME, title) [FILTER_GROUP_##NAME] = title,
const char *const filter_group_titles[FILTER_GROUP_COUNT] = {FORM_GROUPS(GROUP_TITLE)};

const struct filter_form filter_forms[] = {
#define FORM(GROUP, form, what, example) {FILTER_GROUP_##GROUP, form, what, example},
#include "store/filter_forms.tbl.h"
#undef FORM
	{0},
};
