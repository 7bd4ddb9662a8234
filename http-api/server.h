// SPDX-License-Identifier: Apache-2.0
/* server.h - what the handlers of the API share: for http-api/ only. Set up once, then read by all
 * threads. */
#pragma once

#include "http-api/api.h"
#include "http-api/readers.h"
#include "http-api/stream.h"

struct server {
	struct api_config config;  /* its texts are owned here */
	struct readers *readers;   /* owned */
	struct stream_hub *stream; /* owned */
	struct access *access;	   /* owned */
	const char *openapi;	   /* owned: schema/openapi.yaml as JSON */
	size_t openapi_bytes;
};
