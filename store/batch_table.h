// SPDX-License-Identifier: Apache-2.0
/* batch_table.h - the rows of a batch as a table that SQL can read, so that one statement inserts
 * them all */
#pragma once

#include "store/batch.h"

struct sqlite3;

/**
 * batch_table_register() - make the table known to a connection
 * @b_at: what it shows: the batch that stands there when a statement begins; lives as long as @db
 *
 * Return: 0 or SQLite's code.
 */
int batch_table_register(struct sqlite3 *db, const struct batch *const *b_at) MUST_USE;
/* batch_table_sql() - append the statement that inserts all its rows into the table exchange */
void batch_table_sql(struct buf *out);
