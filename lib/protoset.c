// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * A descriptor set describes messages, enums and services in protobuf itself (descriptor.proto). It
 * is small, trusted as little as any file, and read once: everything is flattened into arrays sorted
 * by full name; fields refer to their types by name, looked up when a message is written. All names
 * point into one copy of the file, or into a buffer for those that are put together.
 */
#include "lib/protobuf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SET_BYTES_MAX (64 << 20)
#define DEPTH_MAX     32

/* field numbers of descriptor.proto */
enum {
	FILE_SET_FILE = 1,
	FILE_PACKAGE = 2,
	FILE_MESSAGE = 4,
	FILE_ENUM = 5,
	FILE_SERVICE = 6,
	MESSAGE_NAME = 1,
	MESSAGE_FIELD = 2,
	MESSAGE_NESTED = 3,
	MESSAGE_ENUM = 4,
	MESSAGE_OPTIONS = 7,
	MESSAGE_OPTIONS_MAP_ENTRY = 7,
	FIELD_NAME = 1,
	FIELD_NUMBER = 3,
	FIELD_LABEL = 4,
	FIELD_TYPE = 5,
	FIELD_TYPE_NAME = 6,
	FIELD_JSON_NAME = 10,
	FIELD_LABEL_REPEATED = 3,
	ENUM_NAME = 1,
	ENUM_VALUE = 2,
	ENUM_VALUE_NAME = 1,
	ENUM_VALUE_NUMBER = 2,
	SERVICE_NAME = 1,
	SERVICE_METHOD = 2,
	METHOD_NAME = 1,
	METHOD_INPUT = 2,
	METHOD_OUTPUT = 3,
};

/* FieldDescriptorProto.Type */
enum proto_type {
	TYPE_DOUBLE = 1,
	TYPE_FLOAT,
	TYPE_INT64,
	TYPE_UINT64,
	TYPE_INT32,
	TYPE_FIXED64,
	TYPE_FIXED32,
	TYPE_BOOL,
	TYPE_STRING,
	TYPE_GROUP,
	TYPE_MESSAGE,
	TYPE_BYTES,
	TYPE_UINT32,
	TYPE_ENUM,
	TYPE_SFIXED32,
	TYPE_SFIXED64,
	TYPE_SINT32,
	TYPE_SINT64,
	TYPE_COUNT
};

/* A message, enum or service: its full name and its descriptor, read again when it is needed. */
struct symbol {
	struct span name;
	struct span descriptor;
};

struct symbols {
	struct symbol *items;
	size_t count, cap;
};

struct proto_set {
	struct buf bytes;
	struct symbols messages, enums, services;
};

/* One field of a message type. */
struct field_type {
	struct span name;
	struct span type_name; /* of messages and enums, without the leading dot */
	uint32_t number;
	uint8_t type; /* enum proto_type */
	bool is_repeated;
};

static struct span bytes_of(struct span message, uint32_t number)
{
	struct proto_field f;
	struct span found = {0};

	while (proto_next(&message, &f) == 1)
		if (f.number == number && f.wire == PROTO_BYTES)
			found = f.bytes;
	return found;
}

static uint64_t scalar_of(struct span message, uint32_t number)
{
	struct proto_field f;
	uint64_t found = 0;

	while (proto_next(&message, &f) == 1)
		if (f.number == number && f.wire == PROTO_VARINT)
			found = f.scalar;
	return found;
}

/* scope + "." + name, to be freed with the set: names are few, each its own piece of memory */
static int join_name(struct span scope, struct span name, struct span *out)
{
	uint8_t *p = malloc(scope.len + 1 + name.len + 1);
	size_t n = 0;

	if (!p)
		return -ENOMEM;
	if (scope.len) {
		memcpy(p, scope.ptr, scope.len);
		n = scope.len;
		p[n++] = '.';
	}
	if (name.len)
		memcpy(p + n, name.ptr, name.len);
	*out = (struct span){p, n + name.len};
	return 0;
}

static int add_symbol(struct symbols *all, struct span scope, struct span descriptor,
		      struct span *name_out)
{
	struct symbol s = {.descriptor = descriptor};
	int r;

	if (all->count == all->cap) {
		size_t cap = all->cap ? all->cap * 2 : 64;
		struct symbol *more = reallocarray(all->items, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		all->items = more;
		all->cap = cap;
	}
	/* name is field 1 of DescriptorProto, EnumDescriptorProto and ServiceDescriptorProto alike */
	r = join_name(scope, bytes_of(descriptor, MESSAGE_NAME), &s.name);
	if (r < 0)
		return r;
	all->items[all->count++] = s;
	*name_out = s.name;
	return 0;
}

static int add_message(struct proto_set *s, struct span scope, struct span descriptor,
		       unsigned depth)
{
	struct proto_field f;
	struct span name;
	int r = depth > DEPTH_MAX ? -EBADMSG : add_symbol(&s->messages, scope, descriptor, &name);

	while (r == 0 && (r = proto_next(&descriptor, &f)) == 1) {
		struct span unused;

		r = 0;
		if (f.wire == PROTO_BYTES && f.number == MESSAGE_NESTED)
			r = add_message(s, name, f.bytes, depth + 1);
		else if (f.wire == PROTO_BYTES && f.number == MESSAGE_ENUM)
			r = add_symbol(&s->enums, name, f.bytes, &unused);
		if (r < 0)
			return r;
	}
	return r;
}

static int add_file(struct proto_set *s, struct span file)
{
	struct span package = bytes_of(file, FILE_PACKAGE), unused;
	struct proto_field f;
	int r;

	while ((r = proto_next(&file, &f)) == 1) {
		r = 0;
		if (f.wire == PROTO_BYTES && f.number == FILE_MESSAGE)
			r = add_message(s, package, f.bytes, 0);
		else if (f.wire == PROTO_BYTES && f.number == FILE_ENUM)
			r = add_symbol(&s->enums, package, f.bytes, &unused);
		else if (f.wire == PROTO_BYTES && f.number == FILE_SERVICE)
			r = add_symbol(&s->services, package, f.bytes, &unused);
		if (r < 0)
			return r;
	}
	return r;
}

static int compare_names(struct span a, struct span b)
{
	int c = memcmp(a.ptr, b.ptr, MIN(a.len, b.len));

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int compare_symbols(const void *a, const void *b)
{
	return compare_names(((const struct symbol *)a)->name, ((const struct symbol *)b)->name);
}

static void sort_symbols(struct symbols *all)
{
	if (all->count)
		qsort(all->items, all->count, sizeof(*all->items), compare_symbols);
}

static const struct symbol *find_symbol(const struct symbols *all, struct span name)
{
	struct symbol want = {.name = name};

	if (all->count == 0 || name.len == 0)
		return NULL;
	return bsearch(&want, all->items, all->count, sizeof(want), compare_symbols);
}

static void free_symbols(struct symbols *all)
{
	for (size_t i = 0; i < all->count; i++)
		free((void *)(uintptr_t)all->items[i].name.ptr);
	free(all->items);
}

void proto_set_free(struct proto_set *s)
{
	if (!s)
		return;
	free_symbols(&s->messages);
	free_symbols(&s->enums);
	free_symbols(&s->services);
	buf_fini(&s->bytes);
	free(s);
}

static int read_files(struct proto_set *s)
{
	struct span rest = buf_span(&s->bytes);
	struct proto_field f;
	int r;

	while ((r = proto_next(&rest, &f)) == 1) {
		if (f.wire != PROTO_BYTES || f.number != FILE_SET_FILE)
			return -EBADMSG;
		r = add_file(s, f.bytes);
		if (r < 0)
			return r;
	}
	sort_symbols(&s->messages);
	sort_symbols(&s->enums);
	sort_symbols(&s->services);
	return r < 0 ? r : s->messages.count ? 0 : -EBADMSG;
}

int proto_set_read(struct span bytes, const char *name, struct proto_set **s_out, struct err *e)
{
	AUTO(proto_set) s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, -ENOMEM, "%s: out of memory", name);
	buf_add_span(&s->bytes, bytes);
	r = s->bytes.is_failed ? -ENOMEM : read_files(s);
	if (r == -ENOMEM)
		return err_set(e, r, "%s: out of memory", name);
	if (r < 0)
		return err_set(
			e, r,
			"%s: no descriptor set (make one with protoc --include_imports -o FILE)",
			name);
	*s_out = TAKE(s);
	return 0;
}

int proto_set_load(const char *path, struct proto_set **s_out, struct err *e)
{
	FILE *f = fopen(path, "rbe");
	AUTO_BUF bytes = {0};
	size_t n = 1;

	if (!f)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	while (n && bytes.len <= SET_BYTES_MAX && buf_reserve(&bytes, 65536)) {
		n = fread(bytes.ptr + bytes.len, 1, 65536, f);
		bytes.len += n;
	}
	(void)fclose(f);
	if (bytes.len > SET_BYTES_MAX)
		return err_set(e, -E2BIG, "%s: larger than %d MiB", path, SET_BYTES_MAX >> 20);
	return proto_set_read(buf_span(&bytes), path, s_out, e);
}

static struct span without_dot(struct span name)
{
	return name.len && name.ptr[0] == '.' ? span_from(name, 1) : name;
}

struct span proto_method_type(const struct proto_set *s, struct span service, struct span method,
			      bool is_response)
{
	const struct symbol *found = find_symbol(&s->services, service);
	struct span rest = found ? found->descriptor : (struct span){0};
	struct proto_field f;

	while (proto_next(&rest, &f) == 1)
		if (f.number == SERVICE_METHOD && f.wire == PROTO_BYTES &&
		    span_eq(bytes_of(f.bytes, METHOD_NAME), method))
			return without_dot(
				bytes_of(f.bytes, is_response ? METHOD_OUTPUT : METHOD_INPUT));
	return (struct span){0};
}

static bool read_field_type(const struct proto_field *f, struct field_type *t)
{
	if (f->number != MESSAGE_FIELD || f->wire != PROTO_BYTES)
		return false;
	*t = (struct field_type){
		.name = bytes_of(f->bytes, FIELD_JSON_NAME),
		.type_name = without_dot(bytes_of(f->bytes, FIELD_TYPE_NAME)),
		.number = (uint32_t)scalar_of(f->bytes, FIELD_NUMBER),
		.type = (uint8_t)scalar_of(f->bytes, FIELD_TYPE),
		.is_repeated = scalar_of(f->bytes, FIELD_LABEL) == FIELD_LABEL_REPEATED,
	};
	if (t->name.len == 0)
		t->name = bytes_of(f->bytes, FIELD_NAME);
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
	const struct symbol *found = find_symbol(&s->enums, type_name);
	struct span rest = found ? found->descriptor : (struct span){0};
	struct proto_field f;

	while (proto_next(&rest, &f) == 1) {
		if (f.number == ENUM_VALUE && f.wire == PROTO_BYTES &&
		    (int32_t)scalar_of(f.bytes, ENUM_VALUE_NUMBER) == (int32_t)v) {
			json_text(j, bytes_of(f.bytes, ENUM_VALUE_NAME));
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
		       ? find_symbol(&s->messages, t->type_name)
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
					    ? find_symbol(&s->messages, t->type_name)
					    : NULL;

	return type && scalar_of(bytes_of(type->descriptor, MESSAGE_OPTIONS),
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
	const struct symbol *found = find_symbol(&s->messages, type);

	return found ? message_at_depth(s, found, j, message, 0) : -ENOENT;
}
