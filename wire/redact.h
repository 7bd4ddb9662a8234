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

/* A head to be copied, secrets replaced. */
struct redact_job {
	enum http1_kind kind; /* HTTP1_REQUEST: the first line has a target */
	struct span head;
	/*
	 * What the parser said of it with redactor_watch() of the same redactor, or NULL. Unless the head
	 * is unusual only the lines noted are then looked at; and the positions of target, host,
	 * content_type, trace_id and replay_of are moved to where they are in the copy.
	 */
	struct http1_head *info;
	size_t room; /* bytes at the caller's @out */
	/* result: how many were replaced; the copy is byte-identical when 0 */
	size_t secrets;
	bool is_moved; /* result: info holds for the copy; else the copy must be parsed */
};

/**
 * redact_head() - copy a head, secrets replaced
 * @out: job->room bytes; NULL only measures
 *
 * Return: bytes of the result. When they are more than the room, @out holds nothing of use.
 */
size_t redact_head(const struct redactor *r, struct redact_job *job, uint8_t *out);
/* redact_trailers() - the same for header lines alone */
size_t redact_trailers(const struct redactor *r, struct span lines, uint8_t *out,
		       size_t *count_out);
