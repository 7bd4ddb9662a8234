// SPDX-License-Identifier: Apache-2.0
/* format_curl.h - the request of an exchange as a curl command for a POSIX shell */
#pragma once

#include "lib/buf.h"
#include "schema/exchange.h"

/**
 * format_curl() - append a command that sends the recorded request again
 * @x:    with its messages
 * @base: where to, "http://localhost:8080"; NULL: the server of the recording
 * @out:  lines with their ends; what the reader must know stands before the command as # comments
 *
 * The bytes sent are those recorded, except that curl puts Host first and chooses the chunks of a
 * chunked body. Nothing of the recording can leave its quotes or reach a terminal as a control.
 */
void format_curl(const struct exchange *x, const char *base, struct buf *out);
/* format_shell_word() - @s as one word of a POSIX shell; bytes no terminal should see as $'\NNN'
 * (bash, zsh, ksh) */
void format_shell_word(struct buf *out, struct span s);
