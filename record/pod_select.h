// SPDX-License-Identifier: Apache-2.0
/*
 * pod_select.h - which pods: a filter over what they are called
 *
 * The language of store/filter.h with fields of its own: pod.namespace, pod.name, pod.uid, pod.node,
 * pod.workload, pod.workload.kind, pod.labels["..."], pod.annotations["..."]. Thread: one.
 */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"

struct pod_select;

/* pod_select_new() - "" selects all. @e: the column [from 1], as filter_parse(): -EINVAL, -E2BIG, -ENOMEM */
int pod_select_new(struct span text, struct pod_select **s_out, struct err *e) MUST_USE;
void pod_select_free(struct pod_select *s); /* accepts NULL */
AUTO_DEFINE(pod_select, pod_select_free)

/* pod_select_holds() - @annotations: all of them (schema/labels.h), instead of those in @who */
bool pod_select_holds(struct pod_select *s, const struct identity *who, struct span annotations);
