// SPDX-License-Identifier: Apache-2.0
/*
 * redact.h - credentials in heads and trailers are replaced by a tag before anything leaves wire/
 *
 * A tag is [tl:XXXXXXXX]: 40 bits of the secret's keyed BLAKE2b in base32, so that equal secrets are
 * recognisably equal and nothing else can be said about them. All other bytes stay. Thread: capture.
 */
#pragma once

#include "lib/base.h"
#include "wire/http1_head.h"

struct redactor;

#define REDACT_TAG_BYTES 13

/**
 * redactor_new() - the rules of redact.tbl.h, and more of them
 * @headers, @params: names, NULL-terminated, may be NULL; copied
 *
 * Return: owned by the caller, free with redactor_free(); NULL when out of memory.
 */
struct redactor *redactor_new(const uint8_t key[32], const char *const *headers,
			      const char *const *params) MUST_USE;
void redactor_free(struct redactor *r); /* accepts NULL */
AUTO_DEFINE(redactor, redactor_free)

/* redactor_watch() - headers by which http1_head_parse() finds whether a head needs redaction */
const struct http1_watch *redactor_watch(const struct redactor *r);
/* redact_target_may_matter() - false: there can be no secret in this request target or Host */
bool redact_target_may_matter(struct span target);

/**
 * redact_head() - copy a head, secrets replaced
 * @kind:      HTTP1_REQUEST: the first line has a target
 * @out:       room for what a first call with @out NULL returned; NULL only measures
 * @count_out: secrets replaced; the copy is byte-identical when it is 0
 *
 * Return: bytes of the result.
 */
size_t redact_head(const struct redactor *r, enum http1_kind kind, struct span head, uint8_t *out,
		   size_t *count_out);
/* redact_trailers() - the same for header lines alone */
size_t redact_trailers(const struct redactor *r, struct span lines, uint8_t *out, size_t *count_out);
