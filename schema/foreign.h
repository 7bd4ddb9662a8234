// SPDX-License-Identifier: Apache-2.0
/*
 * foreign.h - an exchange as a file tells it, before it is one of ours
 *
 * store/format_reader.h reads them; wire/adopt.h completes and redacts them.
 */
#pragma once

#include "schema/exchange.h"

struct foreign {
	struct exchange x; /* what the file says: at least the times and the heads, unless they are
			      in raw */
	/* request, response as one piece, not yet taken apart; ptr NULL: see x */
	struct span raw[2];
	bool is_complete; /* all fields of x are those of a recording and stay; else they are read
			     out of the heads */
};
