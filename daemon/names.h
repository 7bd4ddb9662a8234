// SPDX-License-Identifier: Apache-2.0
/* names.h - the thread that asks the API server who is who, and tells the recorder */
#pragma once

#include "daemon/settings.h"
#include "lib/buf.h"
#include "lib/err.h"

struct census;
struct names;
struct record;

/* names_are_wanted() - by kube.enabled: auto is inside of a pod */
bool names_are_wanted(const struct settings *s);
/* names_start() - @record: borrowed until names_stop(). An API server that is away is no failure. */
int names_start(const struct settings *s, struct record *record, struct names **out,
		struct err *e) MUST_USE;
/*
 * names_await_tapconfigs() - until the recorder has what TapConfigs ask for, or the API server has none to tell of, or
 * does not answer; at most so long. What they mask would be recorded before. Thread: main, before anything is captured.
 */
void names_await_tapconfigs(const struct names *n, uint64_t most_ns);
/* the settings are others; any thread */
void names_change(struct names *n, const struct settings *s);
void names_stop(struct names *n);		     /* ends the thread and frees; accepts NULL */
void names_gauges(struct names *n, struct buf *out); /* lines for /metrics; any thread */
