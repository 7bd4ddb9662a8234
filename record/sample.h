// SPDX-License-Identifier: Apache-2.0
/*
 * sample.h - which exchanges that did not fail are kept, where not all are
 *
 * Thread: recorder.
 */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"

struct sampler;

/* The settings sample.*; borrowed for sampler_new(). */
struct sample_policy {
	uint64_t one_in;	     /* of each service; 1: all */
	const char *const *services; /* "cart=10", ends with NULL; NULL: none */
	uint64_t rate_max;	     /* kept of one service in a second; 0: no limit */
	uint64_t first;		     /* of each route in a minute, whatever the share */
	bool is_of_namespace;	     /* it is one of many, each for few services: less memory */
};

/* sample_keeps_all() - is there nothing to decide? */
bool sample_keeps_all(const struct sample_policy *p);
/* sampler_new() - @e: -EINVAL names the service whose share is none; -ENOMEM */
int sampler_new(const struct sample_policy *p, struct sampler **s_out, struct err *e) MUST_USE;
void sampler_free(struct sampler *s); /* accepts NULL */
/**
 * sampler_weigh() - shall it be kept?
 * @now_ns: monotonic
 *
 * Return: how many exchanges it stands for, itself included; 0: it is left out. A failure is 1.
 */
uint32_t sampler_weigh(struct sampler *s, const struct exchange *x, uint64_t now_ns);
