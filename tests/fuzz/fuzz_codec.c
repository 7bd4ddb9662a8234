// SPDX-License-Identifier: Apache-2.0
/* Encoded bodies, WebSocket compression and protobuf as they are read for people: bounded, and nothing breaks. */
#include "lib/codec_stream.h"
#include "lib/protobuf.h"
#include "schema/wsdeflate.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX (1 << 20)

static void decode_body(struct span in, enum codec c)
{
	static const struct codec_limits limits = {OUT_MAX, 100};
	AUTO_BUF out = {0};

	(void)!codec_decode(c, in, &limits, &out, NULL);
	assert(out.len <= OUT_MAX);
}

static void decode_stream(struct span in, enum codec c)
{
	struct codec_stream *s = codec_stream_new(c);
	size_t total = 0, n = 0;
	uint8_t out[512];
	int r = 0;

	while (in.len && r == 0 && total < OUT_MAX) {
		struct span some = {in.ptr, MIN(in.len, (size_t)7)};

		in = span_from(in, some.len);
		do {
			size_t before = some.len;

			r = codec_stream_feed(s, &some, out, sizeof(out), &n);
			total += n;
			if (n == 0 && some.len == before)
				break;
		} while (r == 0 && total < OUT_MAX);
	}
	codec_stream_free(s);
}

static void read_messages(struct span in)
{
	static const char head[] =
		"HTTP/1.1 101 OK\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
	struct exchange x = {.response.head = {(const uint8_t *)head, sizeof(head) - 1}};
	AUTO(wsdeflate) w = wsdeflate_new(&x);
	AUTO_BUF room = {0};

	while (in.len) {
		size_t n = MIN((size_t)in.ptr[0] + 1, in.len);
		struct child c = {
			.is_compressed = true, .is_from_server = n & 1, .payload = {in.ptr, n}};
		struct span text;

		(void)!wsdeflate_read(w, &c, OUT_MAX, &room, &text, NULL);
		assert(text.len <= OUT_MAX);
		in = span_from(in, n);
	}
}

static void read_protobuf(struct span in)
{
	AUTO_BUF out = {0};
	struct json j = json_to(&out);
	struct proto_set *s = NULL;

	(void)proto_json_raw(&j, in);
	if (proto_set_read(in, "fuzz", &s, NULL) == 0)
		(void)proto_json(s, SPAN_LIT("a"), &j, in);
	proto_set_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data + 1, size ? size - 1 : 0);

	if (size == 0)
		return 0;
	if (data[0] % (CODEC_COUNT + 2) < CODEC_COUNT) {
		decode_body(in, (enum codec)(data[0] % (CODEC_COUNT + 2)));
		decode_stream(in, (enum codec)(data[0] % (CODEC_COUNT + 2)));
	} else if (data[0] % (CODEC_COUNT + 2) == CODEC_COUNT)
		read_messages(in);
	else
		read_protobuf(in);
	return 0;
}
