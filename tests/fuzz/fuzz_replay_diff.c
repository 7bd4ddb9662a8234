// SPDX-License-Identifier: Apache-2.0
/* Two answers laid side by side: a byte says as what (gRPC, events, JSON, text), a NUL parts the recorded body from the new one. */
#include <assert.h>
#include <stdlib.h>

#include "replay/diff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const types[] = {"application/grpc", "text/event-stream", "application/json",
				    "text/plain", "application/grpc+json"};

static struct message message_of(struct span body, const char *type, bool is_whole)
{
	return (struct message){.head = SPAN_LIT("HTTP/1.1 200 OK\r\ngrpc-encoding: gzip\r\n\r\n"),
				.body = body,
				.body_bytes = body.len,
				.content_type = span_str(type),
				.version = 11,
				.flags = MESSAGE_PRESENT | (is_whole ? MESSAGE_COMPLETE : 0)};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ignore *rules = ignore_new(true);
	struct span all = span_of(data, size);
	struct diff d = {0}, same = {0};
	struct exchange x = {.status = 200, .method = SPAN_LIT("POST")};
	struct message now;
	const uint8_t *end;
	const char *type;

	assert(rules);
	if (size < 2) {
		ignore_free(rules);
		return 0;
	}
	type = types[data[0] % COUNT_OF(types)];
	all = span_from(all, 1);
	end = memmem(all.ptr, all.len, "\0|", 2);
	x.protocol = strncmp(type, "application/grpc", 16) == 0 ? PROTOCOL_GRPC : PROTOCOL_HTTP1;
	x.has_grpc_status = x.protocol == PROTOCOL_GRPC;
	x.response = message_of(span_of(all.ptr, end ? (size_t)(end - all.ptr) : all.len), type,
				!(data[0] & 0x80));
	now = message_of(end ? span_from(all, (size_t)(end - all.ptr) + 2) : (struct span){0}, type,
			 !(data[0] & 0x40));
	diff_answers(&d, rules, &x, 200, &now);
	assert(d.kept <= DIFF_ITEMS_MAX && d.kept <= d.count);
	x.has_grpc_status = false;
	now = x.response;
	diff_answers(&same, rules, &x, 200, &now); /* nothing differs from itself */
	assert(same.count == 0);
	diff_fini(&d);
	diff_fini(&same);
	ignore_free(rules);
	return 0;
}
