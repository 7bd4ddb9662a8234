// SPDX-License-Identifier: Apache-2.0
/* filter_forms.h - the forms of the filter language (store/filter_forms.tbl.h), for help and man page */
#pragma once

#include "store/filter_forms.tbl.h"

#define FILTER_GROUP_NUMBER(NAME, title) FILTER_GROUP_##NAME,
enum filter_group { FORM_GROUPS(FILTER_GROUP_NUMBER) FILTER_GROUP_COUNT };
#undef FILTER_GROUP_NUMBER

extern const char *const filter_group_titles[FILTER_GROUP_COUNT];

struct filter_form {
	enum filter_group group;
	const char *form, *what, *example; /* form is NULL behind the last */
};
extern const struct filter_form filter_forms[];
