// SPDX-License-Identifier: Apache-2.0
/* csv.h - cells of a CSV file (RFC 4180) */
#pragma once

#include "lib/buf.h"

/* csv_cell() - append a value, in quotes where it must be; bytes that are no UTF-8 as \xNN */
void csv_cell(struct buf *out, struct span s);
