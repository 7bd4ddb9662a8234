// SPDX-License-Identifier: Apache-2.0
/* fields.h - the fields of an exchange as numbers, rows and values: what fields.tbl.h says, for
 * code */
#pragma once

#include "schema/exchange.h"

enum field {
#define FIELD(NAME, name, TYPE, value, what) FIELD_##NAME,
#include "schema/fields.tbl.h"
#undef FIELD
	FIELD_COUNT
};

enum field_type {
	FIELD_TYPE_TEXT,
	FIELD_TYPE_INT,
	FIELD_TYPE_TIME,
	FIELD_TYPE_DURATION,
	FIELD_TYPE_ADDRESS,
	FIELD_TYPE_ID,
	FIELD_TYPE_NAME,
	FIELD_TYPE_FLAGS,
	FIELD_TYPE_BOOL,
	FIELD_TYPE_MAP,
};

struct field_row {
	const char *name; /* as typed in a filter: "dst.service" */
	const char *what;
	uint8_t type; /* enum field_type */
};
extern const struct field_row field_rows[FIELD_COUNT];

/* field_vocabulary() - the names that a field of type NAME may have: number -> name; NULL for another
 * field, or a name that is not a number of anything on a tape */
typedef const char *field_name_fn(unsigned number);
field_name_fn *field_vocabulary(enum field which, unsigned *count_out);

/* One of the three is set, as the row's type says. */
struct field_value {
	struct span text;		 /* TEXT, NAME, MAP; borrowed from the exchange or static */
	uint64_t number;		 /* INT, TIME, DURATION [ns], ID, FLAGS, BOOL */
	const struct endpoint *endpoint; /* ADDRESS; borrowed from the exchange */
};

struct buf;

struct field_value field_get(const struct exchange *x, enum field which);
int field_parse(struct span name); /* enum field, or -EINVAL */
/* field_add_text() - append a value as people and CSV have it: numbers in decimal, durations in ns, times
 * and ids as in JSON, flags by their names with blanks between */
void field_add_text(enum field which, struct field_value v, struct buf *out);
