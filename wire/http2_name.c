// SPDX-License-Identifier: Apache-2.0
#include "wire/http2_name.h"

static const struct {
	const char *name;
	uint8_t len, which;
} names[] = {
	{":method", 7, HTTP2_NAME_METHOD},
	{":path", 5, HTTP2_NAME_PATH},
	{":status", 7, HTTP2_NAME_STATUS},
	{":scheme", 7, HTTP2_NAME_SCHEME},
	{":protocol", 9, HTTP2_NAME_PROTOCOL},
	{"grpc-status", 11, HTTP2_NAME_GRPC_STATUS},
	{"grpc-timeout", 12, HTTP2_NAME_GRPC_TIMEOUT},
};

uint8_t http2_name_find(struct span name)
{
	if (name.len == 0)
		return HTTP2_NAME_NONE;
	if (name.ptr[0] == ':' || name.ptr[0] == 'g')
		for (size_t i = 0; i < COUNT_OF(names); i++)
			if (names[i].len == name.len &&
			    memcmp(names[i].name, name.ptr, name.len) == 0)
				return names[i].which;
	return (uint8_t)noted_find(name);
}
