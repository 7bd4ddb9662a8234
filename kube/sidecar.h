// SPDX-License-Identifier: Apache-2.0
/* sidecar.h - the container that records beside an application, as JSON of the Kubernetes API */
#pragma once

#include <jansson.h>

#include "kube/admission.h"

#define SIDECAR_NAME "tapeloop"

/* sidecar_hands_over() - to the node's daemon, instead of keeping a tape */
bool sidecar_hands_over(const struct admission_config *c);
/* sidecar_container() - @metadata: of the pod it is for: whose it is. Return: owned; NULL no memory. */
json_t *sidecar_container(const struct admission_config *c, const json_t *metadata) MUST_USE;
/* sidecar_volumes() - those it mounts, an array. Return: owned; NULL no memory. */
json_t *sidecar_volumes(const struct admission_config *c) MUST_USE;
