// SPDX-License-Identifier: Apache-2.0
/*
 * webhook.h - `tapeloopd --webhook`: HTTPS for the API server's admission reviews
 *
 * Captures nothing and stores nothing. Thread: main, except where a comment says otherwise.
 */
#pragma once

#include "daemon/settings.h"

struct webhook;

/* webhook_start() - @s is borrowed until webhook_stop(). @e: no certificate, no socket, named. */
int webhook_start(const struct settings *s, struct webhook **w_out, struct err *e) MUST_USE;
void webhook_stop(struct webhook *w); /* accepts NULL */
/* webhook_address() - "[::]:9443" as bound */
const char *webhook_address(const struct webhook *w);
/* webhook_status_address() - of /healthz, /readyz and /metrics; "" for none */
const char *webhook_status_address(const struct webhook *w);
/**
 * webhook_renew() - take the certificate anew when its files have changed
 *
 * Connections under way end with their answer. Return: 1 renewed; 0 unchanged; negative: the old
 * one stays, @e says why.
 */
int webhook_renew(struct webhook *w, struct err *e);
