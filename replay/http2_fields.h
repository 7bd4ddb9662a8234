// SPDX-License-Identifier: Apache-2.0
/* http2_fields.h - recorded lines as the fields that libnghttp2 sends */
#pragma once

#include <nghttp2/nghttp2.h>

#include "schema/exchange.h"

#define HTTP2_FIELDS_MAX 4096

/*
 * http2_request_fields() - :method and :path of the start line, then the lines of @head in their order
 * @fields: HTTP2_FIELDS_MAX; they point into @head
 *
 * Return: how many; -1 when there are more, or the start line is none.
 */
ssize_t http2_request_fields(nghttp2_nv *fields, struct span head) MUST_USE;
/* http2_trailer_fields() - the same of lines of trailers */
ssize_t http2_trailer_fields(nghttp2_nv *fields, struct span lines) MUST_USE;
