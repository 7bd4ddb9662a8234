// SPDX-License-Identifier: Apache-2.0
#include "schema/grpc.h"

#include "lib/buf.h"

static uint32_t prefix_length(const uint8_t prefix[GRPC_PREFIX_BYTES])
{
	return (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 | (uint32_t)prefix[3] << 8 |
	       prefix[4];
}

static bool end_if_whole(struct grpc_walker *w)
{
	if (w->left)
		return false;
	w->messages++;
	w->is_inside = false;
	return true;
}

static bool begin_message(struct grpc_walker *w)
{
	w->prefix_bytes = 0;
	w->is_lost = w->prefix[0] > 1;
	w->left = w->length = prefix_length(w->prefix);
	w->is_inside = true;
	return !w->is_lost && end_if_whole(w);
}

/* Return: true when a message ends with these bytes */
static bool take_some(struct grpc_walker *w, struct span *bytes)
{
	size_t n;

	if (w->is_inside) {
		n = (size_t)MIN((uint64_t)bytes->len, w->left);
		w->left -= n;
		*bytes = span_from(*bytes, n);
		return end_if_whole(w);
	}
	n = MIN(bytes->len, (size_t)(GRPC_PREFIX_BYTES - w->prefix_bytes));
	memcpy(w->prefix + w->prefix_bytes, bytes->ptr, n);
	w->prefix_bytes = (uint8_t)(w->prefix_bytes + n);
	*bytes = span_from(*bytes, n);
	return w->prefix_bytes == GRPC_PREFIX_BYTES && begin_message(w);
}

bool grpc_walk(struct grpc_walker *w, struct span *bytes)
{
	while (bytes->len && !w->is_lost)
		if (take_some(w, bytes))
			return true;
	return false;
}

void grpc_skip(struct grpc_walker *w, uint64_t len)
{
	if (w->is_lost || len == 0)
		return;
	if (!w->is_inside || len > w->left) {
		w->is_lost = true;
		return;
	}
	w->left -= len;
	(void)end_if_whole(w);
}

bool grpc_next(struct span *body, struct grpc_message *m)
{
	struct span rest;

	if (body->len < GRPC_PREFIX_BYTES || body->ptr[0] > 1)
		return false;
	rest = span_from(*body, GRPC_PREFIX_BYTES);
	*m = (struct grpc_message){
		.length = prefix_length(body->ptr),
		.is_compressed = body->ptr[0] == 1,
	};
	m->bytes = (struct span){rest.ptr, MIN(rest.len, (size_t)m->length)};
	*body = span_from(rest, m->bytes.len);
	return true;
}

uint64_t grpc_timeout_ns(struct span value)
{
	static const struct {
		char unit;
		uint64_t ns;
	} units[] = {
		{'H', 3600 * NS_PER_S}, {'M', 60 * NS_PER_S}, {'S', NS_PER_S},
		{'m', NS_PER_MS},	{'u', NS_PER_US},     {'n', 1},
	};
	uint64_t n = 0;

	if (value.len < 2 || value.len > 9)
		return 0;
	for (size_t i = 0; i + 1 < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return 0;
		n = n * 10 + (uint64_t)(value.ptr[i] - '0');
	}
	for (size_t i = 0; i < COUNT_OF(units); i++)
		if ((char)value.ptr[value.len - 1] == units[i].unit)
			return n * units[i].ns;
	return 0;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void grpc_message_decode(struct span value, struct buf *out)
{
	for (size_t i = 0; i < value.len; i++) {
		bool may_be_code = value.ptr[i] == '%' && value.len - i > 2;
		int high = may_be_code ? hex_digit(value.ptr[i + 1]) : -1;
		int low = may_be_code ? hex_digit(value.ptr[i + 2]) : -1;

		if (high >= 0 && low >= 0) {
			buf_add_char(out, (char)(high << 4 | low));
			i += 2;
		} else {
			buf_add_char(out, (char)value.ptr[i]);
		}
	}
}

bool grpc_is_type(struct span content_type)
{
	return span_istarts(content_type, SPAN_LIT("application/grpc")) &&
	       !span_istarts(content_type, SPAN_LIT("application/grpc-web"));
}

unsigned grpc_status_parse(struct span value)
{
	unsigned n = 0;

	if (value.len == 0 || value.len > 4)
		return GRPC_UNKNOWN;
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return GRPC_UNKNOWN;
		n = n * 10 + (unsigned)(value.ptr[i] - '0');
	}
	return n;
}

const char *grpc_status_name(unsigned status)
{
	static const char *const names[] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};

	return status < COUNT_OF(names) ? names[status] : NULL;
}
