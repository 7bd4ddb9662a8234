// SPDX-License-Identifier: Apache-2.0
/* interfaces.h - which capture handles the settings ask for */
#pragma once

#include "lib/err.h"
#include "record/capture.h"
#include "schema/settings.h"

struct interfaces {
	struct capture_interface *items;
	size_t count;
	char *text; /* owned: what "NAME:IFACE" was cut into */
};

/* interfaces_of() - capture.interfaces and capture.netns; with neither, all interfaces here, or none @has_pods */
int interfaces_of(const struct settings *s, bool has_pods, struct interfaces *out,
		  struct err *e) MUST_USE;
void interfaces_fini(struct interfaces *i);
