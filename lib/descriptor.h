// SPDX-License-Identifier: Apache-2.0
/*
 * descriptor.h - a protobuf descriptor set as it is kept in memory: for lib/protoset.c, which reads
 * it, and lib/proto_json.c, which writes messages by it
 *
 * Nothing here owns; all spans point into the set.
 */
#pragma once

#include "lib/protobuf.h"

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

/* descriptor_bytes() - the last field @number of @message that is bytes; empty: there is none */
struct span descriptor_bytes(struct span message, uint32_t number);
/* descriptor_number() - the last field @number of @message that is a number; 0: there is none */
uint64_t descriptor_number(struct span message, uint32_t number);
/* descriptor_find() - by full name. Return: NULL if @all has none. */
const struct symbol *descriptor_find(const struct symbols *all, struct span name);
/* descriptor_type_name() - a full name without the dot that it may begin with */
struct span descriptor_type_name(struct span name);
