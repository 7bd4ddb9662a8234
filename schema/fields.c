// SPDX-License-Identifier: Apache-2.0
#include "schema/fields.h"

#include <errno.h>

const struct field_row field_rows[FIELD_COUNT] = {
#define FIELD(NAME, name, TYPE, value, what) {name, what, FIELD_TYPE_##TYPE},
#include "schema/fields.tbl.h"
#undef FIELD
};

/* how the value column of the table becomes a field_value, by type */
#define OF_TEXT(v)                                                                                 \
	{                                                                                          \
		.text = (v)                                                                        \
	}
#define OF_NAME(v)                                                                                 \
	{                                                                                          \
		.text = span_str(v)                                                                \
	}
#define OF_INT(v)                                                                                  \
	{                                                                                          \
		.number = (v)                                                                      \
	}
#define OF_TIME(v)                                                                                 \
	{                                                                                          \
		.number = (v)                                                                      \
	}
#define OF_DURATION(v)                                                                             \
	{                                                                                          \
		.number = (v)                                                                      \
	}
#define OF_ID(v)                                                                                   \
	{                                                                                          \
		.number = (v)                                                                      \
	}
#define OF_FLAGS(v)                                                                                \
	{                                                                                          \
		.number = (v)                                                                      \
	}
#define OF_BOOL(v)                                                                                 \
	{                                                                                          \
		.number = (v)                                                                      \
	}
#define OF_ADDRESS(v)                                                                              \
	{                                                                                          \
		.endpoint = (v)                                                                    \
	}

struct field_value field_get(const struct exchange *x, enum field which)
{
	switch (which) {
#define FIELD(NAME, name, TYPE, value, what)                                                       \
	case FIELD_##NAME:                                                                         \
		return (struct field_value)OF_##TYPE(value);
#include "schema/fields.tbl.h"
#undef FIELD
	case FIELD_COUNT: break;
	}
	return (struct field_value){0};
}

int field_parse(struct span name)
{
	for (int i = 0; i < FIELD_COUNT; i++)
		if (span_eq(name, span_str(field_rows[i].name)))
			return i;
	return -EINVAL;
}
