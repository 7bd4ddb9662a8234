// SPDX-License-Identifier: Apache-2.0
#include "lib/descriptor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Theory of operation. A message as JSON in the form that protobuf defines (ProtoJSON): fields by their
 * JSON names, 64-bit numbers as text, bytes in base64, enums by name. What a descriptor does not know is
 * written by its number, never left out.
 */
#define DEPTH_MAX 32

/* One field of a message type. */
struct field_type {
	struct span name;
	struct span type_name; /* of messages and enums, without the leading dot */
	uint32_t number;
	uint8_t type; /* enum proto_type */
	bool is_repeated;
};

static bool read_field_type(const struct proto_field *f, struct field_type *t)
{
	if (f->number != MESSAGE_FIELD || f->wire != PROTO_BYTES)
		return false;
	*t = (struct field_type){
		.name = descriptor_bytes(f->bytes, FIELD_JSON_NAME),
		.type_name = descriptor_type_name(descriptor_bytes(f->bytes, FIELD_TYPE_NAME)),
		.number = (uint32_t)descriptor_number(f->bytes, FIELD_NUMBER),
		.type = (uint8_t)descriptor_number(f->bytes, FIELD_TYPE),
		.is_repeated = descriptor_number(f->bytes, FIELD_LABEL) == FIELD_LABEL_REPEATED,
	};
	if (t->name.len == 0)
		t->name = descriptor_bytes(f->bytes, FIELD_NAME);
	return true;
}

static void key_of(struct json *j, struct span name)
{
	char key[256];

	(void)snprintf(key, sizeof(key), "%.*s", (int)MIN(name.len, sizeof(key) - 1),
		       (const char *)name.ptr);
	json_key(j, key);
}

static void enum_value(const struct proto_set *s, struct span type_name, struct json *j, int64_t v)
{
	const struct symbol *found = descriptor_find(&s->enums, type_name);
	struct span rest = found ? found->descriptor : (struct span){0};
	struct proto_field f;

	while (proto_next(&rest, &f) == 1) {
		if (f.number == ENUM_VALUE && f.wire == PROTO_BYTES &&
		    (int32_t)descriptor_number(f.bytes, ENUM_VALUE_NUMBER) == (int32_t)v) {
			json_text(j, descriptor_bytes(f.bytes, ENUM_VALUE_NAME));
			return;
		}
	}
	json_i64(j, v);
}

/* What JSON has no number for comes as text, as the mapping says. */
static void real_value(struct json *j, double v)
{
	if (v != v)
		json_str(j, "NaN");
	else if (v > 1.7976931348623157e308)
		json_str(j, "Infinity");
	else if (v < -1.7976931348623157e308)
		json_str(j, "-Infinity");
	else
		json_double_exact(j, v);
}

static void text_number(struct json *j, bool is_signed, uint64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), is_signed ? "%lld" : "%llu", (long long)v);
	json_str(j, text);
}

static uint64_t zigzag(uint64_t v)
{
	return (v >> 1) ^ (0 - (v & 1));
}

static void scalar_value(const struct proto_set *s, const struct field_type *t, struct json *j,
			 uint64_t v)
{
	union {
		uint64_t u;
		double d;
	} as_double = {.u = v};
	union {
		uint32_t u;
		float f;
	} as_float = {.u = (uint32_t)v};

	switch ((enum proto_type)t->type) {
	case TYPE_DOUBLE: real_value(j, as_double.d); break;
	case TYPE_FLOAT: real_value(j, (double)as_float.f); break;
	case TYPE_BOOL: json_bool(j, v != 0); break;
	case TYPE_ENUM: enum_value(s, t->type_name, j, (int64_t)v); break;
	case TYPE_INT32:
	case TYPE_SFIXED32: json_i64(j, (int32_t)v); break;
	case TYPE_SINT32: json_i64(j, (int32_t)zigzag(v)); break;
	case TYPE_SINT64: text_number(j, true, zigzag(v)); break;
	case TYPE_INT64:
	case TYPE_SFIXED64: text_number(j, true, v); break;
	case TYPE_UINT64:
	case TYPE_FIXED64: text_number(j, false, v); break;
	case TYPE_UINT32:
	case TYPE_FIXED32:
	case TYPE_STRING: /* these four come as bytes; a scalar in their place is shown as it is */
	case TYPE_GROUP:
	case TYPE_MESSAGE:
	case TYPE_BYTES:
	case TYPE_COUNT:
	default: json_u64(j, v); break;
	}
}

/* Of two results the failure: what can still be read is written all the same. */
static int worse(int a, int b)
{
	return MIN(a, b);
}

static int message_at_depth(const struct proto_set *s, const struct symbol *type, struct json *j,
			    struct span message, unsigned depth);

static int bytes_value(const struct proto_set *s, const struct field_type *t, struct json *j,
		       struct span bytes, unsigned depth)
{
	const struct symbol *type;

	if (t->type == TYPE_STRING) {
		json_text(j, bytes);
		return 0;
	}
	type = t->type == TYPE_MESSAGE || t->type == TYPE_GROUP
		       ? descriptor_find(&s->messages, t->type_name)
		       : NULL;
	if (!type || depth >= DEPTH_MAX) {
		json_base64(j, bytes);
		return 0;
	}
	return message_at_depth(s, type, j, bytes, depth + 1);
}

/* Repeated scalars may come packed into one record (proto3's default). */
static int packed_values(const struct proto_set *s, const struct field_type *t, struct json *j,
			 struct span bytes)
{
	static const uint8_t width[TYPE_COUNT] = {
		[TYPE_DOUBLE] = 8, [TYPE_FIXED64] = 8, [TYPE_SFIXED64] = 8,
		[TYPE_FLOAT] = 4,  [TYPE_FIXED32] = 4, [TYPE_SFIXED32] = 4,
	};

	while (bytes.len) {
		/* lend the record reader a key, so that there is one reader of values */
		uint8_t record[1 + 10];
		size_t n = MIN(bytes.len, width[t->type] ? (size_t)width[t->type] : (size_t)10);
		struct span rest = {record, n + 1};
		struct proto_field f;

		record[0] = (uint8_t)(1 << 3 | (width[t->type] == 8   ? PROTO_FIXED64
						: width[t->type] == 4 ? PROTO_FIXED32
								      : PROTO_VARINT));
		memcpy(record + 1, bytes.ptr, n);
		if (proto_next(&rest, &f) != 1)
			return -EBADMSG;
		scalar_value(s, t, j, f.scalar);
		bytes = span_from(bytes, n - rest.len);
	}
	return 0;
}

static bool is_scalar(const struct field_type *t)
{
	return t->type != TYPE_STRING && t->type != TYPE_BYTES && t->type != TYPE_MESSAGE &&
	       t->type != TYPE_GROUP && t->type < TYPE_COUNT;
}

static int one_value(const struct proto_set *s, const struct field_type *t, struct json *j,
		     const struct proto_field *f, unsigned depth)
{
	bool is_bytes = f->wire == PROTO_BYTES || f->wire == PROTO_GROUP;

	if (is_bytes && is_scalar(t) && t->is_repeated)
		return packed_values(s, t, j, f->bytes);
	if (is_bytes)
		return bytes_value(s, t, j, f->bytes, depth);
	scalar_value(s, t, j, f->scalar);
	return 0;
}

/* A map is a repeated message of key (1) and value (2), and an object in JSON. */
static int map_entry(const struct proto_set *s, const struct symbol *entry, struct json *j,
		     struct span bytes, unsigned depth)
{
	struct span fields = entry->descriptor;
	struct field_type key = {0}, value = {0}, t;
	struct proto_field f, k = {0}, v = {0};
	AUTO_BUF text = {0};
	struct json kj = json_to(&text);
	int r;

	while (proto_next(&fields, &f) == 1)
		if (read_field_type(&f, &t))
			*(t.number == 1 ? &key : &value) = t;
	while ((r = proto_next(&bytes, &f)) == 1)
		*(f.number == 1 ? &k : &v) = f;
	if (key.type == TYPE_STRING)
		k.wire = PROTO_BYTES;
	(void)one_value(s, &key, &kj, &k, depth);
	/* keys are text in JSON whatever their type */
	if (text.len >= 2 && text.ptr[0] == '"')
		key_of(j, span_of(text.ptr + 1, text.len - 2));
	else
		key_of(j, buf_span(&text));
	if (v.number == 0 && !is_scalar(&value))
		v.wire = PROTO_BYTES;
	return worse(r, one_value(s, &value, j, &v, depth));
}

static const struct symbol *map_entry_type(const struct proto_set *s, const struct field_type *t)
{
	const struct symbol *type = t->is_repeated && t->type == TYPE_MESSAGE
					    ? descriptor_find(&s->messages, t->type_name)
					    : NULL;

	return type && descriptor_number(descriptor_bytes(type->descriptor, MESSAGE_OPTIONS),
					 MESSAGE_OPTIONS_MAP_ENTRY)
		       ? type
		       : NULL;
}

/* All values of one field, where the message has any. Return: 0 or -EBADMSG of a value. */
static int field_values(const struct proto_set *s, const struct field_type *t, struct json *j,
			struct span message, unsigned depth)
{
	const struct symbol *entry = map_entry_type(s, t);
	struct proto_field f, last = {0};
	bool has_begun = false;
	int r = 0;

	while (proto_next(&message, &f) == 1) {
		if (f.number != t->number)
			continue;
		last = f;
		if (!t->is_repeated)
			continue;
		if (!has_begun) {
			key_of(j, t->name);
			(entry ? json_object_begin : json_array_begin)(j);
			has_begun = true;
		}
		r = worse(r, entry ? map_entry(s, entry, j, f.bytes, depth)
				   : one_value(s, t, j, &f, depth));
	}
	if (has_begun)
		(entry ? json_object_end : json_array_end)(j);
	if (last.number && !t->is_repeated) {
		key_of(j, t->name);
		r = one_value(s, t, j, &last, depth); /* the last one counts */
	}
	return r;
}

static bool has_field(const struct symbol *type, uint32_t number)
{
	struct span fields = type->descriptor;
	struct field_type t;
	struct proto_field f;

	while (proto_next(&fields, &f) == 1)
		if (read_field_type(&f, &t) && t.number == number)
			return true;
	return false;
}

/* What the type does not know, in wire order under one key. Return: 0 or -EBADMSG. */
static int unknown_values(const struct symbol *type, struct json *j, struct span message)
{
	struct span rest = message;
	struct proto_field f;
	bool has_begun = false;
	int r;

	for (;;) {
		struct span record = rest;

		r = proto_next(&rest, &f);
		if (r != 1)
			break;
		if (has_field(type, f.number))
			continue;
		if (!has_begun) {
			json_key(j, "@unknown");
			json_array_begin(j);
			has_begun = true;
		}
		record.len -= rest.len;
		(void)proto_json_raw(j, record);
	}
	if (has_begun)
		json_array_end(j);
	return r;
}

static int message_at_depth(const struct proto_set *s, const struct symbol *type, struct json *j,
			    struct span message, unsigned depth)
{
	struct span fields = type->descriptor;
	struct field_type t;
	struct proto_field f;
	int r = 0;

	json_object_begin(j);
	while (proto_next(&fields, &f) == 1)
		if (read_field_type(&f, &t))
			r = worse(r, field_values(s, &t, j, message, depth));
	r = worse(r, unknown_values(type, j, message));
	json_object_end(j);
	return r;
}

int proto_json(const struct proto_set *s, struct span type, struct json *j, struct span message)
{
	const struct symbol *found = descriptor_find(&s->messages, type);

	return found ? message_at_depth(s, found, j, message, 0) : -ENOENT;
}
