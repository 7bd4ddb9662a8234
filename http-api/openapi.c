// SPDX-License-Identifier: Apache-2.0
#include "http-api/openapi.h"

#include "lib/json.h"

#include <errno.h>
#include <yaml.h>

/*
 * Theory of operation
 *
 * The description is written once, as YAML, and assembled into the program as it is. At start the
 * parser's events become JSON, one by one: no tree. Plain scalars that JSON has a form for (true,
 * false, null, integers) become that, all others text. Anchors and tags are not used.
 */

__asm__(".section .rodata\n"
	".global tapeloop_openapi_yaml, tapeloop_openapi_yaml_end\n"
	"tapeloop_openapi_yaml: .incbin \"schema/openapi.yaml\"\n"
	"tapeloop_openapi_yaml_end: .byte 0\n"
	".previous\n");
extern const uint8_t tapeloop_openapi_yaml[], tapeloop_openapi_yaml_end[];

#define DEPTH_MAX 64

struct level {
	bool is_mapping;
	bool is_value; /* mapping: the next node is a value, not a key */
};

struct writer {
	struct json json;
	struct level levels[DEPTH_MAX];
	size_t depth;
};

static bool expects_key(const struct writer *w)
{
	const struct level *l = &w->levels[w->depth];

	return l->is_mapping && !l->is_value;
}

/* A node has ended: in a mapping, keys and values take turns. */
static void take_turns(struct writer *w)
{
	struct level *l = &w->levels[w->depth];

	l->is_value = l->is_mapping && !l->is_value;
}

static bool is_integer(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return s.len > 0 && s.len < 19;
}

static uint64_t integer_of(struct span s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n = n * 10 + (s.ptr[i] - '0');
	return n;
}

static void write_scalar(struct writer *w, const yaml_event_t *ev)
{
	struct span s = span_of(ev->data.scalar.value, ev->data.scalar.length);
	bool is_plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (expects_key(w))
		json_key(&w->json, (const char *)s.ptr); /* libyaml ends it with a NUL */
	else if (is_plain && (span_eq(s, SPAN_LIT("true")) || span_eq(s, SPAN_LIT("false"))))
		json_bool(&w->json, s.len == 4);
	else if (is_plain && span_eq(s, SPAN_LIT("null")))
		json_none(&w->json);
	else if (is_plain && is_integer(s))
		json_u64(&w->json, integer_of(s));
	else
		json_text(&w->json, s);
	take_turns(w);
}

static int enter(struct writer *w, bool is_mapping)
{
	if (w->depth + 1 == DEPTH_MAX)
		return -E2BIG;
	w->levels[++w->depth] = (struct level){.is_mapping = is_mapping};
	if (is_mapping)
		json_object_begin(&w->json);
	else
		json_array_begin(&w->json);
	return 0;
}

static int write_event(struct writer *w, const yaml_event_t *ev)
{
	switch ((int)ev->type) {
	case YAML_SCALAR_EVENT: write_scalar(w, ev); return 0;
	case YAML_MAPPING_START_EVENT: return enter(w, true);
	case YAML_SEQUENCE_START_EVENT: return enter(w, false);
	case YAML_MAPPING_END_EVENT: json_object_end(&w->json); break;
	case YAML_SEQUENCE_END_EVENT: json_array_end(&w->json); break;
	case YAML_ALIAS_EVENT: return -EINVAL;
	default: return 0;
	}
	w->depth--;
	take_turns(w);
	return 0;
}

int openapi_json(struct buf *out, struct err *e)
{
	struct writer w = {.json = json_to(out)};
	yaml_parser_t parser;
	yaml_event_t ev = {0};
	int r = 0;

	if (!yaml_parser_initialize(&parser))
		return err_set(e, -ENOMEM, "out of memory");
	yaml_parser_set_input_string(&parser, tapeloop_openapi_yaml,
				     (size_t)(tapeloop_openapi_yaml_end - tapeloop_openapi_yaml));
	while (r == 0 && ev.type != YAML_STREAM_END_EVENT) {
		if (!yaml_parser_parse(&parser, &ev)) {
			r = err_set(e, -EINVAL, "openapi.yaml: line %zu: %s",
				    parser.problem_mark.line + 1, parser.problem);
			break;
		}
		if (write_event(&w, &ev) < 0)
			r = err_set(e, -EINVAL,
				    "openapi.yaml: line %zu: not in this subset of YAML",
				    ev.start_mark.line + 1);
		if (ev.type != YAML_STREAM_END_EVENT)
			yaml_event_delete(&ev);
	}
	yaml_parser_delete(&parser);
	return r == 0 && out->is_failed ? err_set(e, -ENOMEM, "out of memory") : r;
}
