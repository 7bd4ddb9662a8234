// SPDX-License-Identifier: Apache-2.0
/* http2_name.h - names of fields that the HTTP/2 decoder looks for, as numbers: found once, when they enter a table */
#pragma once

#include "wire/noted.h"

enum http2_name {
	HTTP2_NAME_NONE, /* from 1 on: enum noted */
	HTTP2_NAME_METHOD = NOTED_COUNT,
	HTTP2_NAME_PATH,
	HTTP2_NAME_STATUS,
	HTTP2_NAME_SCHEME,
	HTTP2_NAME_PROTOCOL,
	HTTP2_NAME_GRPC_STATUS,
	HTTP2_NAME_GRPC_TIMEOUT,
};

/* http2_name_find() - an enum noted or enum http2_name; HTTP2_NAME_NONE for all other names */
uint8_t http2_name_find(struct span name);
