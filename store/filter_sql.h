// SPDX-License-Identifier: Apache-2.0
/* filter_sql.h - a calculated condition as SQLite gets it: for filter_sql.c and filter_function.c
 */
#pragma once

#include "store/filter_value.h"

#define FILTER_SQL_FUNCTION "filter_holds"

struct filter_condition {
	const struct node *node;   /* in the filter */
	_Atomic uint64_t *gave_up; /* the filter's */
	/*
	 * of a restricted filter: SQLite may ask it of rows that the restriction excludes, so giving
	 * up counts nothing here and lets the row through to the residual check
	 */
	bool is_restricted, is_negated;
	uint8_t fields[FILTER_COLUMNS_MAX]; /* enum field: of the columns that follow it */
	size_t count;
};
