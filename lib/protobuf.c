// SPDX-License-Identifier: Apache-2.0
/*
 * The wire format (protobuf.dev/programming-guides/encoding): a message is a row of records, each a
 * varint key (number << 3 | wire type) and a value. Nothing in it tells text from bytes from a nested
 * message; without a descriptor that is judged by looks.
 */
#include "lib/protobuf.h"

#include "lib/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define VARINT_BYTES_MAX 10
#define NUMBER_MAX	 ((1U << 29) - 1)
#define DEPTH_MAX	 32

static int take_varint(struct span *s, uint64_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < VARINT_BYTES_MAX && i < s->len; i++) {
		v |= (uint64_t)(s->ptr[i] & 0x7f) << (7 * i);
		if (!(s->ptr[i] & 0x80)) {
			*out = v;
			*s = span_from(*s, i + 1);
			return 0;
		}
	}
	return -EBADMSG;
}

static int take_fixed(struct span *s, unsigned bytes, uint64_t *out)
{
	uint64_t v = 0;

	if (s->len < bytes)
		return -EBADMSG;
	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)s->ptr[i] << (8 * i);
	*out = v;
	*s = span_from(*s, bytes);
	return 0;
}

static int take_bytes(struct span *s, struct span *out)
{
	uint64_t n;

	if (take_varint(s, &n) < 0 || n > s->len)
		return -EBADMSG;
	*out = (struct span){s->ptr, (size_t)n};
	*s = span_from(*s, (size_t)n);
	return 0;
}

static int next_at_depth(struct span *rest, struct proto_field *f, unsigned depth);

/* A group's fields up to its end; the deprecated way to nest. */
static int take_group(struct span *s, uint32_t number, struct span *out, unsigned depth)
{
	const uint8_t *begin = s->ptr;

	for (;;) {
		const uint8_t *before = s->ptr;
		struct proto_field f;

		if (next_at_depth(s, &f, depth + 1) != 1)
			return -EBADMSG;
		if (f.wire != PROTO_GROUP_END)
			continue;
		*out = (struct span){begin, (size_t)(before - begin)};
		return f.number == number ? 0 : -EBADMSG;
	}
}

static int next_at_depth(struct span *rest, struct proto_field *f, unsigned depth)
{
	struct span s = *rest;
	uint64_t key;
	int r;

	if (s.len == 0)
		return 0;
	if (depth > DEPTH_MAX || take_varint(&s, &key) < 0 || key >> 3 == 0 ||
	    key >> 3 > NUMBER_MAX)
		return -EBADMSG;
	*f = (struct proto_field){.number = (uint32_t)(key >> 3), .wire = key & 7};
	switch ((enum proto_wire)f->wire) {
	case PROTO_VARINT: r = take_varint(&s, &f->scalar); break;
	case PROTO_FIXED64: r = take_fixed(&s, 8, &f->scalar); break;
	case PROTO_FIXED32: r = take_fixed(&s, 4, &f->scalar); break;
	case PROTO_BYTES: r = take_bytes(&s, &f->bytes); break;
	case PROTO_GROUP: r = take_group(&s, f->number, &f->bytes, depth); break;
	case PROTO_GROUP_END: r = depth ? 0 : -EBADMSG; break;
	default: r = -EBADMSG; break;
	}
	if (r < 0)
		return r;
	*rest = s;
	return 1;
}

int proto_next(struct span *rest, struct proto_field *f)
{
	return next_at_depth(rest, f, 0);
}

bool proto_is_message(struct span bytes)
{
	struct proto_field f;
	int r;

	do
		r = proto_next(&bytes, &f);
	while (r == 1);
	return r == 0;
}

static bool is_printable(struct span s)
{
	size_t n;

	for (; s.len; s = span_from(s, n)) {
		uint8_t c = s.ptr[0];

		n = utf8_len(s.ptr, s.len);
		if (n == 0 || c == 0x7f || (c < 0x20 && c != '\n' && c != '\t' && c != '\r'))
			return false;
	}
	return true;
}

typedef int nested_fn(struct json *j, struct span message, unsigned depth);

/* a value, judged by its looks; @nested writes what looks like a message */
static void raw_value(struct json *j, const struct proto_field *f, unsigned depth,
		      nested_fn *nested)
{
	size_t before = j->out->len;
	bool needs_comma = j->needs_comma;

	if (f->wire != PROTO_BYTES && f->wire != PROTO_GROUP) {
		json_u64(j, f->scalar);
		return;
	}
	if (f->wire == PROTO_BYTES && is_printable(f->bytes)) {
		json_text(j, f->bytes);
		return;
	}
	if (depth < DEPTH_MAX && (f->wire == PROTO_GROUP || proto_is_message(f->bytes)) &&
	    nested(j, f->bytes, depth + 1) != -E2BIG)
		return;
	j->out->len = MIN(before, j->out->len);
	j->needs_comma = needs_comma;
	json_base64(j, f->bytes);
}

static int raw_at_depth(struct json *j, struct span message, unsigned depth)
{
	struct proto_field f;
	char key[12];
	int r;

	json_array_begin(j);
	while ((r = proto_next(&message, &f)) == 1) {
		(void)snprintf(key, sizeof(key), "%u", f.number);
		json_object_begin(j);
		json_key(j, key);
		raw_value(j, &f, depth, raw_at_depth);
		json_object_end(j);
	}
	json_array_end(j);
	return r;
}

int proto_json_raw(struct json *j, struct span message)
{
	return raw_at_depth(j, message, 0);
}

/* A field and its place in the message. */
struct placed_field {
	struct proto_field field;
	uint32_t at;
};

static int by_number_and_place(const void *a, const void *b)
{
	const struct placed_field *fa = a, *fb = b;

	if (fa->field.number != fb->field.number)
		return fa->field.number < fb->field.number ? -1 : 1;
	return (fa->at > fb->at) - (fa->at < fb->at);
}

/* Return: how many fields there are; at most @max are put into @fields. *r_out: as proto_next() ended */
static size_t list_fields(struct span message, struct placed_field *fields, size_t max, int *r_out)
{
	struct proto_field f;
	size_t n = 0;

	while ((*r_out = proto_next(&message, &f)) == 1) {
		if (n < max)
			fields[n] = (struct placed_field){f, (uint32_t)n};
		n++;
	}
	return n;
}

static int by_number_at_depth(struct json *j, struct span message, unsigned depth);

/* fields of one number, as one member */
static void put_member(struct json *j, const struct placed_field *fields, size_t count,
		       unsigned depth)
{
	char key[12];

	(void)snprintf(key, sizeof(key), "%u", fields[0].field.number);
	json_key(j, key);
	if (count > 1)
		json_array_begin(j);
	for (size_t i = 0; i < count; i++)
		raw_value(j, &fields[i].field, depth, by_number_at_depth);
	if (count > 1)
		json_array_end(j);
}

static void put_members(struct json *j, const struct placed_field *fields, size_t count,
			unsigned depth)
{
	size_t n;

	json_object_begin(j);
	for (size_t i = 0; i < count; i += n) {
		n = 1;
		while (i + n < count && fields[i + n].field.number == fields[i].field.number)
			n++;
		put_member(j, fields + i, n, depth);
	}
	json_object_end(j);
}

static int by_number_at_depth(struct json *j, struct span message, unsigned depth)
{
	int r;
	size_t count = list_fields(message, NULL, 0, &r);
	struct placed_field *fields;

	if (count > PROTO_FIELDS_MAX)
		return -E2BIG;
	fields = calloc(count ? count : 1, sizeof(*fields));
	if (!fields)
		return -E2BIG;
	(void)list_fields(message, fields, count, &r);
	qsort(fields, count, sizeof(*fields), by_number_and_place);
	put_members(j, fields, count, depth);
	free(fields);
	return r;
}

int proto_json_by_number(struct json *j, struct span message)
{
	return by_number_at_depth(j, message, 0);
}
