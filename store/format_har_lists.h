// SPDX-License-Identifier: Apache-2.0
/* format_har_lists.h - the lists in an entry of a HAR: headers, cookies, parameters */
#pragma once

#include "lib/json.h"
#include "schema/exchange.h"

/* har_put_headers() - key and array; a line without a colon has the name "" */
void har_put_headers(struct json *j, const char *key, struct span lines, bool is_trailers);
/* har_put_cookies() - "cookies" of a request, from Cookie */
void har_put_cookies(struct json *j, const struct message *m);
/* har_put_set_cookies() - "cookies" of a response, from each Set-Cookie (RFC 6265 5.2) */
void har_put_set_cookies(struct json *j, const struct message *m);
/* har_put_params() - key and array of name and value, from a=1&b=2 with its percent-encoding undone
 */
void har_put_params(struct json *j, const char *key, struct span query);
