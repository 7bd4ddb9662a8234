// SPDX-License-Identifier: Apache-2.0
/* credential.h - what we show an API server: a token that may be replaced under us, a certificate */
#pragma once

#include "lib/err.h"

struct kube_config;
struct kube_credential;

/* kube_credential_new() - borrows @c. NULL without memory. Thread: one at a time. */
struct kube_credential *kube_credential_new(const struct kube_config *c) MUST_USE;
void kube_credential_free(struct kube_credential *cr); /* accepts NULL */

/**
 * kube_credential_refresh() - have what is valid now: before each request
 * @now_ns: [wall ns]; when an exec plugin's answer ends
 *
 * A token file is read again when it has changed, a plugin is run again when its answer has expired
 * or was refused.
 */
int kube_credential_refresh(struct kube_credential *cr, uint64_t now_ns, struct err *e) MUST_USE;
/* kube_credential_refused() - the server said 401. Return: whether a refresh may give another one. */
bool kube_credential_refused(struct kube_credential *cr);

/* valid until the next refresh; NULL: none */
const char *kube_credential_token(const struct kube_credential *cr);
const char *kube_credential_cert(const struct kube_credential *cr); /* PEM */
const char *kube_credential_key(const struct kube_credential *cr);
/* how often a token was read, or a plugin run */
uint64_t kube_credential_reads(const struct kube_credential *cr);
