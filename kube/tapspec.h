// SPDX-License-Identifier: Apache-2.0
/*
 * tapspec.h - what a TapConfig (tapeloop.dev/v1alpha1) asks for: which pods, which exchanges, how many of them, what is masked
 *
 * Immutable once read: any thread. What it means, and how several go together: docs/kubernetes.md.
 */
#pragma once

#include "kube/selector.h"

#define TAPSPEC_MATCH_MAX   16	 /* alternatives */
#define TAPSPEC_MATCH_BYTES 8192 /* of all of them */
#define TAPSPEC_NAMES_MAX   64	 /* headers; parameters */
#define TAPSPEC_NAME_BYTES  64

struct tapspec {
	json_t *text;		 /* all texts below are parts of it; owned */
	struct selector *select; /* NULL: every pod of the namespace */
	/* filter expressions, any of which is enough; none: every exchange */
	const char *match[TAPSPEC_MATCH_MAX + 1];
	size_t match_count;
	uint64_t one_in;		   /* is recorded, of what did not fail; 1: all */
	uint64_t rate_max;		   /* exchanges a second of one service; 0: no limit */
	uint64_t first;			   /* of each route in a minute, whatever the share */
	uint64_t keep_max_ns, keep_min_ns; /* 0: says nothing of it */
	/* whose values are secrets, too */
	const char *headers[TAPSPEC_NAMES_MAX + 1], *params[TAPSPEC_NAMES_MAX + 1];
	bool is_asking; /* it asks for exchanges; else it masks and does nothing besides */
};

/**
 * tapspec_parse() - read the spec of a TapConfig
 * @spec: borrowed; it is kept as a part of the result, by reference
 * @f:    names the field
 *
 * A field that is not known is refused: what it asks for would not be done. Expressions are not read here
 * (record/tapconfig.h). Return: 0 with a spec to be freed by tapspec_free(); -EINVAL; -ENOMEM.
 */
int tapspec_parse(json_t *spec, struct tapspec **out, struct fault *f) MUST_USE;
void tapspec_free(struct tapspec *s); /* accepts NULL */
AUTO_DEFINE(tapspec, tapspec_free)

/* How long a node keeps exchanges, of all namespaces alike; 0: only its quota counts. */
struct tapspec_retention {
	uint64_t age_max_ns, failures_age_max_ns;
	uint64_t quota_bytes; /* 0: none */
};
/**
 * tapspec_check_keep() - does the node keep exchanges as it asks?
 *
 * Tapes hold exchanges of all namespaces and go as a whole, so it can be true already, and cannot be made true.
 * Return: 0; -EINVAL, @f says what stands in the way.
 */
int tapspec_check_keep(const struct tapspec *s, const struct tapspec_retention *node,
		       struct fault *f) MUST_USE;
/* tapspec_masks() - it names headers or parameters */
bool tapspec_masks(const struct tapspec *s);
