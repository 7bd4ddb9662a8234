// SPDX-License-Identifier: Apache-2.0
/* selector.h - which pods, by their labels: a LabelSelector (matchLabels, matchExpressions). Immutable: any thread. */
#pragma once

#include <jansson.h>

#include "kube/fault.h"

struct selector;

#define SELECTOR_TERMS_MAX  32	/* requirements of one selector */
#define SELECTOR_VALUES_MAX 256 /* values of all of them */

/**
 * selector_parse() - from a LabelSelector
 * @object: must live as long as the selector
 * @field:  how it is called where it stands: "spec.select"
 * @f:      names the requirement that is none, and why
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
int selector_parse(const json_t *object, const char *field, struct selector **out,
		   struct fault *f) MUST_USE;
void selector_free(struct selector *s); /* accepts NULL */
AUTO_DEFINE(selector, selector_free)

/* selector_holds() - @labels: schema/labels.h. All requirements hold; with none of them it takes every pod. */
bool selector_holds(const struct selector *s, struct span labels);
/* selector_is_empty() - it asks for nothing; NULL: so it is */
bool selector_is_empty(const struct selector *s);
