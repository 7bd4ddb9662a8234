// SPDX-License-Identifier: Apache-2.0
/*
 * format_har.h - what writing and reading HAR agree on: heads as they are put together from an
 * entry
 *
 * The writer makes a head from what its entry will say, and adds the recorded one only where they
 * differ.
 */
#pragma once

#include "lib/buf.h"
#include "schema/exchange.h"

#define HAR_OWN "_tapeloop" /* in an entry: what HAR has no place for, as docs/json.md has it */

/* har_request_line(), har_status_line() - @version as struct message has it */
void har_request_line(struct buf *out, struct span method, struct span target, unsigned version);
void har_status_line(struct buf *out, unsigned status, struct span text, unsigned version);
void har_header_line(struct buf *out, struct span name, struct span value);
const char *har_version_text(unsigned version); /* "HTTP/1.1", "HTTP/2"; "" for 0 */
unsigned har_version_parse(struct span text);	/* "h2", "http/2.0", "HTTP/2": 20; 0 when unknown */
/* har_target_of_url() - what follows scheme://authority; "/" for nothing. @authority_out: between
 * the two */
struct span har_target_of_url(struct span url, struct span *authority_out);
