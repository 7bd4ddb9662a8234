// SPDX-License-Identifier: Apache-2.0
/*
 * token_file.h - who may ask, from a file: setting api.token_file
 *
 * A line: TOKEN NAME ROLE NAMESPACES, with blanks between. TOKEN is the token or sha256:HEX of it; ROLE
 * is read, replay or admin; NAMESPACES is a list with commas, or * for all and the daemon's counters.
 * Empty lines and those that begin with # count for nothing.
 */
#pragma once

#include "http-api/grant.h"
#include "lib/err.h"

struct token_file;

#define TOKEN_FILE_BYTES_MAX (1 << 20)

/* token_file_open() - @e: -EINVAL names the line; -EACCES others may read it; -errno */
int token_file_open(const char *path, struct token_file **f_out, struct err *e) MUST_USE;
void token_file_close(struct token_file *f); /* accepts NULL */
AUTO_DEFINE(token_file, token_file_close)
/**
 * token_file_grant() - read the file again if it has changed, and look the token up. Any thread.
 * @out: zeroed by the caller, who calls grant_fini()
 * @e:   -EACCES no such token; -EPERM not for this namespace; -ENOMEM
 *
 * A file that has become wrong changes nothing, and the log says so.
 */
int token_file_grant(struct token_file *f, const struct grant_question *q, struct grant *out,
		     struct err *e) MUST_USE;
