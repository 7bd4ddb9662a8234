// SPDX-License-Identifier: Apache-2.0
/* settings.h - the daemon's settings as one plain struct; daemon/settings.h reads them */
#pragma once

#include "lib/base.h"

struct setting_list {
	char **items; /* owned, NULL when count is 0 */
	size_t count;
};

typedef uint64_t setting_bytes;
typedef uint64_t setting_duration_ns;
typedef uint64_t setting_count;
typedef bool setting_bool;
typedef char *setting_text; /* owned, never NULL once initialised */
typedef struct setting_list setting_texts;

#define SETTING_C_BYTES	   setting_bytes
#define SETTING_C_DURATION setting_duration_ns
#define SETTING_C_COUNT	   setting_count
#define SETTING_C_BOOL	   setting_bool
#define SETTING_C_TEXT	   setting_text
#define SETTING_C_LIST	   setting_texts

struct settings {
#define SETTING(field, key, TYPE, def, min, max, reload, what) SETTING_C_##TYPE field;
#include "schema/settings.tbl.h"
#undef SETTING
};
