// SPDX-License-Identifier: Apache-2.0
#include "lib/descriptor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * A descriptor set describes messages, enums and services in protobuf itself (descriptor.proto). It
 * is small, trusted as little as any file, and read once: everything is flattened into arrays sorted
 * by full name; fields refer to their types by name, looked up when a message is written. All names
 * point into one copy of the file, or into a buffer for those that are put together.
 */
#define SET_BYTES_MAX (64 << 20)
#define NESTING_MAX   32

struct span descriptor_bytes(struct span message, uint32_t number)
{
	struct proto_field f;
	struct span found = {0};

	while (proto_next(&message, &f) == 1)
		if (f.number == number && f.wire == PROTO_BYTES)
			found = f.bytes;
	return found;
}

uint64_t descriptor_number(struct span message, uint32_t number)
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
	r = join_name(scope, descriptor_bytes(descriptor, MESSAGE_NAME), &s.name);
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
	int r = depth > NESTING_MAX ? -EBADMSG : add_symbol(&s->messages, scope, descriptor, &name);

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
	struct span package = descriptor_bytes(file, FILE_PACKAGE), unused;
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

const struct symbol *descriptor_find(const struct symbols *all, struct span name)
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

struct span descriptor_type_name(struct span name)
{
	return name.len && name.ptr[0] == '.' ? span_from(name, 1) : name;
}

struct span proto_method_type(const struct proto_set *s, struct span service, struct span method,
			      bool is_response)
{
	const struct symbol *found = descriptor_find(&s->services, service);
	struct span rest = found ? found->descriptor : (struct span){0};
	struct proto_field f;

	while (proto_next(&rest, &f) == 1)
		if (f.number == SERVICE_METHOD && f.wire == PROTO_BYTES &&
		    span_eq(descriptor_bytes(f.bytes, METHOD_NAME), method))
			return descriptor_type_name(descriptor_bytes(
				f.bytes, is_response ? METHOD_OUTPUT : METHOD_INPUT));
	return (struct span){0};
}
