// SPDX-License-Identifier: Apache-2.0
/*
 * adopt.h - an exchange of others, completed and redacted as if it had been captured. Thread: any,
 * one at a time
 */
#pragma once

#include "lib/err.h"
#include "schema/foreign.h"

struct adopter;

/**
 * adopter_new() - rules for redaction as wire_config has them
 * @redact_key: NULL: nothing is redacted
 *
 * Return: owned by the caller, free with adopter_free(); NULL when out of memory.
 */
struct adopter *adopter_new(const uint8_t *redact_key, const char *const *redact_headers,
			    const char *const *redact_params) MUST_USE;
void adopter_free(struct adopter *a); /* accepts NULL */
AUTO_DEFINE(adopter, adopter_free)

/* What became of it. */
struct adopted {
	/* its spans live in the adopter and in what @f points to, until the next call */
	struct exchange x;
	size_t secrets;	  /* replaced by their tags */
	size_t left_over; /* bytes of raw that are no part of the message: behind its end, or before
			     its start line */
};

/**
 * adopt() - take apart what is raw, read the fields of what is not complete, replace credentials
 *
 * What was redacted before stays as it is: a tag is no secret.
 *
 * Return: 0; -ENOMEM; -EBADMSG when there is neither a request nor a response in it.
 */
int adopt(struct adopter *a, const struct foreign *f, struct adopted *out) MUST_USE;
