// SPDX-License-Identifier: Apache-2.0
/*
 * tapconfig.h - one TapConfig that was accepted: its pods, its expressions, what it counts
 *
 * Immutable and shared by reference, but for the counts, which are atomic. Any thread.
 */
#pragma once

#include <stdatomic.h>

#include "kube/tapspec.h"
#include "store/filter.h"

/* What became of a TapConfig's wishes, whichever version of it made them. Shared by reference. */
struct tapconfig_counts {
	_Atomic uint32_t references;
	_Atomic uint64_t recorded; /* exchanges that it asked for and that are recorded */
};
/* the first reference is the caller's; NULL: no memory */
struct tapconfig_counts *tapconfig_counts_new(void) MUST_USE;
struct tapconfig_counts *tapconfig_counts_ref(struct tapconfig_counts *c);
void tapconfig_counts_unref(struct tapconfig_counts *c); /* accepts NULL */

struct tapconfig {
	_Atomic uint32_t references;
	char *name_space; /* owned; nothing of any other is looked at for it */
	/* owned; NULL: it asks for nothing, and so nothing else is recorded there (tapconfig_new_mute()) */
	struct tapspec *spec;
	struct filter *filters[TAPSPEC_MATCH_MAX];
	size_t filter_count;
	struct tapconfig_counts *counts;
};

/**
 * tapconfig_new() - read the expressions of a spec
 * @spec_taken: moves in, in any case
 * @counts:     referenced
 * @f:          names the expression, and the place in it
 *
 * Return: 0, the reference is the caller's; -EINVAL; -ENOMEM.
 */
int tapconfig_new(struct tapspec *spec_taken, const char *name_space,
		  struct tapconfig_counts *counts, struct tapconfig **out,
		  struct fault *f) MUST_USE;
/* tapconfig_new_mute() - for a TapConfig of which no version was ever good. NULL: no memory. */
struct tapconfig *tapconfig_new_mute(const char *name_space,
				     struct tapconfig_counts *counts) MUST_USE;
struct tapconfig *tapconfig_ref(struct tapconfig *t);
void tapconfig_unref(struct tapconfig *t); /* accepts NULL */

/* tapconfig_selects() - is it a pod that it is about? What is no pod is only selected where all are. */
bool tapconfig_selects(const struct tapconfig *t, const struct identity *who);
/* tapconfig_asks() - for this exchange of a pod that is selected. @gave_up: grows by the conditions that reached a limit
 * (filter_gave_up()) */
bool tapconfig_asks(const struct tapconfig *t, struct filter_scratch *s, const struct exchange *x,
		    uint64_t *gave_up);
