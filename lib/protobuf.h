// SPDX-License-Identifier: Apache-2.0
/*
 * protobuf.h - read Protocol Buffers without generated code
 *
 * The wire format field by field; a descriptor set (protoc --include_imports -o FILE.desc), which
 * gives fields their names; and both together as JSON.
 */
#pragma once

#include "lib/err.h"
#include "lib/json.h"

enum proto_wire {
	PROTO_VARINT = 0,
	PROTO_FIXED64 = 1,
	PROTO_BYTES = 2,
	PROTO_GROUP = 3,
	PROTO_GROUP_END = 4,
	PROTO_FIXED32 = 5,
};

/* One field of a message. */
struct proto_field {
	uint32_t number;
	uint8_t wire;	   /* enum proto_wire */
	uint64_t scalar;   /* VARINT, FIXED64, FIXED32 */
	struct span bytes; /* BYTES, GROUP: lies in the message */
};

/*
 * proto_next() - take the next field from the beginning of @rest
 *
 * Return: 1 with *@f filled; 0 at the end; -EBADMSG when the bytes are no protobuf (@rest unchanged).
 */
int proto_next(struct span *rest, struct proto_field *f);
/* proto_is_message() - all of @bytes reads as fields: it may be a message (or text that looks like one) */
bool proto_is_message(struct span bytes);

/**
 * proto_json_raw() - a message as JSON by field numbers, in wire order: [{"1":7},{"2":"a"},{"2":[{"1":1}]}]
 *
 * Without a descriptor, bytes are shown as text when they are printable UTF-8, as a message when they
 * read as one, else as base64.
 * Return: 0; -EBADMSG (what could be read was written, valid JSON).
 */
int proto_json_raw(struct json *j, struct span message);

/**
 * proto_json_by_number() - a message as a JSON object: {"1":7,"2":["a",{"1":1}]}
 *
 * As proto_json_raw(), but by number, fields of one number as an array when there are several, so that the
 * order of fields, which means nothing, does not show. Nested messages are objects, too.
 * Return: 0; -EBADMSG (valid JSON of what was read); -E2BIG over PROTO_FIELDS_MAX in one message (nothing written).
 */
#define PROTO_FIELDS_MAX 65536
int proto_json_by_number(struct json *j, struct span message);

struct proto_set; /* the messages, enums and services of a descriptor set; immutable */

/**
 * proto_set_load() - read a FileDescriptorSet
 * @e: -ENOENT and others from opening it, -EBADMSG no descriptor set, -E2BIG more than 64 MiB
 */
int proto_set_load(const char *path, struct proto_set **s_out, struct err *e) MUST_USE;
/* proto_set_read() - likewise from memory, which is copied */
int proto_set_read(struct span bytes, const char *name, struct proto_set **s_out,
		   struct err *e) MUST_USE;
void proto_set_free(struct proto_set *s); /* accepts NULL */
AUTO_DEFINE(proto_set, proto_set_free)

/*
 * proto_method_type() - full name of the message type of a method's requests (or responses)
 * @service, @method: "shop.Cart", "Add". Return: ptr NULL when the set has no such method.
 */
struct span proto_method_type(const struct proto_set *s, struct span service, struct span method,
			      bool is_response);
/**
 * proto_json() - a message as JSON, close to the canonical mapping of proto3
 * @type: its full name, as proto_method_type() gives it
 *
 * Fields that the type does not know come by number. 64-bit integers are written as text, as the
 * mapping demands. Return: 0; -ENOENT no such type (nothing written); -EBADMSG (valid JSON of what was read).
 */
int proto_json(const struct proto_set *s, struct span type, struct json *j, struct span message);
