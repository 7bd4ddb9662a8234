// SPDX-License-Identifier: Apache-2.0
/*
 * downward.h - who our own pod is, as Kubernetes' Downward API tells a container
 *
 * Environment POD_NAME, POD_NAMESPACE, POD_UID, NODE_NAME and, from the webhook, WORKLOAD_KIND and
 * WORKLOAD_NAME; a volume with the files `labels` and `annotations`, which change with the pod.
 */
#pragma once

#include "lib/buf.h"
#include "record/identity.h"

/**
 * downward_parse() - labels or annotations as the volume's files have them
 * @text: lines of key="value", the value quoted as a Go string literal
 * @out:  appended to: the form of schema/labels.h; "" for none
 *
 * Return: 0; -EBADMSG not of that form; -ENOMEM.
 */
int downward_parse(struct span text, struct buf *out) MUST_USE;

/**
 * downward_identify() - from now on all addresses of this network namespace, loopback too, are
 * this pod's, unless a row of a file names them
 * @i:   changed; nobody else looks at it yet
 * @dir: of the volume; what is not there is not known
 * @e:   -EINVAL without POD_NAME; -EBADMSG a file that is not of the form, named; -ENOMEM
 */
int downward_identify(struct identities *i, const char *dir, struct err *e) MUST_USE;
