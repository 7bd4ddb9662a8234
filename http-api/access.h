// SPDX-License-Identifier: Apache-2.0
/* access.h - who may ask what: for http-api/ only. docs/access.md says it for people. */
#pragma once

#include "http-api/api.h"

struct access;
struct request;

/* the API server's proxy keeps Authorization to itself: then the token comes in this one */
#define ACCESS_TOKEN_HEADER "X-Tapeloop-Token"
#define ACCESS_KEEP_NS	    (30 * NS_PER_S) /* api_config.access_keep_ns, when it is 0 */

/* access_new() - @e: as token_file_open(); -EINVAL no reviewer, or no file */
int access_new(const struct api_config *config, struct access **a_out, struct err *e) MUST_USE;
void access_free(struct access *a); /* accepts NULL */

/* access_has_token() - is there one, where one is needed? Return: false when 401 was answered. */
bool access_has_token(struct request *q);
/**
 * access_admit() - find out what whoever asks may see, and narrow the request to it
 *
 * After the parameters were read. Sets q->grant, q->scope, and q->filter. Return: false when a problem was answered.
 */
bool access_admit(struct request *q) MUST_USE;
