// SPDX-License-Identifier: Apache-2.0
#include "schema/fields.h"

#include <errno.h>

#include "lib/clock.h"
#include "lib/id.h"

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
#define OF_MAP(v) OF_TEXT(v)
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

field_name_fn *field_vocabulary(enum field which, unsigned *count_out)
{
	static const struct {
		enum field field;
		unsigned count;
		field_name_fn *name;
	} rows[] = {
		{FIELD_PROTOCOL, PROTOCOL_COUNT, protocol_name},
		{FIELD_OUTCOME, OUTCOME_COUNT, outcome_name},
		{FIELD_REASON, REASON_COUNT, reason_name},
		{FIELD_SRC_IDENTITY, IDENTITY_SOURCE_COUNT, identity_source_name},
		{FIELD_DST_IDENTITY, IDENTITY_SOURCE_COUNT, identity_source_name},
		{FIELD_SRC_CERTAINTY, CERTAINTY_COUNT, identity_certainty_name},
		{FIELD_DST_CERTAINTY, CERTAINTY_COUNT, identity_certainty_name},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (rows[i].field != which)
			continue;
		*count_out = rows[i].count;
		return rows[i].name;
	}
	return NULL;
}

int field_parse(struct span name)
{
	for (int i = 0; i < FIELD_COUNT; i++)
		if (span_eq(name, span_str(field_rows[i].name)))
			return i;
	return -EINVAL;
}

static void add_flags(uint64_t bits, struct buf *out)
{
	const char *before = "";

	for (unsigned i = 0; i < ANOMALY_COUNT; i++) {
		if (!(bits >> i & 1))
			continue;
		buf_add_fmt(out, "%s%s", before, anomaly_name(i));
		before = " ";
	}
}

void field_add_text(enum field which, struct field_value v, struct buf *out)
{
	char text[MAX(ENDPOINT_TEXT_MAX, ID_TEXT_LEN + 1)];

	switch ((enum field_type)field_rows[which].type) {
	case FIELD_TYPE_TEXT:
	case FIELD_TYPE_MAP:
	case FIELD_TYPE_NAME: buf_add_span(out, v.text); break;
	case FIELD_TYPE_INT:
	case FIELD_TYPE_DURATION: buf_add_u64(out, v.number); break;
	case FIELD_TYPE_TIME: clock_format_utc(out, v.number); break;
	case FIELD_TYPE_ADDRESS: buf_add_str(out, endpoint_text(v.endpoint, text)); break;
	case FIELD_TYPE_ID: buf_add_str(out, id_format(v.number, text)); break;
	case FIELD_TYPE_FLAGS: add_flags(v.number, out); break;
	case FIELD_TYPE_BOOL: buf_add_str(out, v.number ? "true" : "false"); break;
	}
}
