// SPDX-License-Identifier: Apache-2.0
/* store_option.h - for commands that open a store's files and ask no daemon */
#pragma once

#include "cli/cli.h"

#define STORE_OPTION(args, member)                                                                 \
	{                                                                                          \
		.name = "store", .kind = OPTION_TEXT, OPTION_AT(args, member), .value = "PATH",    \
		.what = "the directory of tapes, or one .tape file; else $TAPELOOP_STORE"          \
	}

/* store_option() - what was given, else $TAPELOOP_STORE; NULL: neither */
const char *store_option(const char *given);
