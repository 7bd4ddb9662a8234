// SPDX-License-Identifier: Apache-2.0
/*
 * redactor.h - what is a secret, and the tag that stands for it; between the files of redaction
 *
 * Thread: capture.
 */
#pragma once

#include "wire/redact.h"

/* How the secret lies in a header's value; the words of redact.tbl.h. Numbers are rules of struct http1_watch. */
enum redact_form {
	FORM_NONE,
	FORM_WHOLE,
	FORM_CREDENTIALS,
	FORM_COOKIES,
	FORM_SET_COOKIE,
	FORM_URL,
	FORM_URLS
};

#define REDACT_NAME_MAX 64 /* longer parameter names are none of ours */

/* redactor_form() - of a header of that name, in any case */
enum redact_form redactor_form(const struct redactor *r, struct span name);
/* redactor_is_secret_param() - @word, its letters as redactor_param_char() makes them, names a secret */
bool redactor_is_secret_param(const struct redactor *r, struct span word);
uint8_t redactor_param_char(uint8_t c); /* small, and _ for - */
/* redactor_is_scheme() - may stand before credentials (RFC 9110 11.4), in any case */
bool redactor_is_scheme(struct span word);
/* redactor_has_headers() - the settings name headers, too */
bool redactor_has_headers(const struct redactor *r);
/* redactor_tag() - the tag of a secret; the newest ones are remembered */
void redactor_tag(const struct redactor *r, struct span secret, uint8_t out[REDACT_TAG_BYTES]);
