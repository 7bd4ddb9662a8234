// SPDX-License-Identifier: Apache-2.0
#include "store/filter_regex.h"

#include "lib/utf8.h"

#include <errno.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/*
 * Theory of operation
 *
 * A pattern such as (a+)+$ takes time that doubles with each letter of the text, and both come from
 * outside. So matching is counted by PCRE2, and given up at FILTER_REGEX_STEPS_MAX: some
 * milliseconds. Machine code is made of a pattern where PCRE2 can; its stack is what the caller's
 * has (32 KiB of it), and a text that needs more is searched anew by the interpreter, whose heap
 * and depth are bounded too.
 *
 * A pattern that is not UTF-8 itself (b"\xff") is taken byte by byte, and so are then its texts.
 * \C and callouts are of no use to a filter and are refused or ignored.
 */

struct filter_regex {
	pcre2_code *code;
	pcre2_match_context *limits;
	size_t len;
	uint8_t text[];
};

struct filter_regex_room {
	pcre2_match_data *data;
};

static int compile(struct filter_regex *r, size_t *at_out, struct err *e)
{
	uint32_t options = PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UCP | PCRE2_DOLLAR_ENDONLY;
	bool is_text = utf8_is_valid(span_of(r->text, r->len));
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	char why[128];
	int code = 0;

	if (!context)
		return err_set(e, -ENOMEM, "out of memory");
	options |= is_text ? PCRE2_UTF | PCRE2_MATCH_INVALID_UTF : PCRE2_NEVER_UTF;
	(void)pcre2_set_parens_nest_limit(context, 50);
	r->code = pcre2_compile(r->text, r->len, options, &code, at_out, context);
	pcre2_compile_context_free(context);
	if (r->code)
		return 0;
	(void)pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
	return err_set(e, -EINVAL, "%s", why);
}

static int set_limits(struct filter_regex *r, struct err *e)
{
	r->limits = pcre2_match_context_create(NULL);
	if (!r->limits)
		return err_set(e, -ENOMEM, "out of memory");
	(void)pcre2_set_match_limit(r->limits, FILTER_REGEX_STEPS_MAX);
	(void)pcre2_set_depth_limit(r->limits, FILTER_REGEX_DEPTH_MAX);
	(void)pcre2_set_heap_limit(r->limits, FILTER_REGEX_HEAP_KIB);
	/* where it cannot be (no executable memory allowed), the interpreter does the same */
	(void)pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE);
	return 0;
}

int filter_regex_new(struct span pattern, struct filter_regex **out, size_t *at_out, struct err *e)
{
	struct filter_regex *r;
	int failed;

	*at_out = 0;
	if (pattern.len > FILTER_REGEX_BYTES_MAX)
		return err_set(e, -E2BIG, "a regular expression has at most %d bytes",
			       FILTER_REGEX_BYTES_MAX);
	r = calloc(1, sizeof(*r) + pattern.len + 1);
	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->len = pattern.len;
	if (pattern.len)
		memcpy(r->text, pattern.ptr, pattern.len);
	failed = compile(r, at_out, e);
	if (failed == 0)
		failed = set_limits(r, e);
	if (failed < 0)
		filter_regex_free(r);
	else
		*out = r;
	return failed;
}

void filter_regex_free(struct filter_regex *r)
{
	if (!r)
		return;
	pcre2_code_free(r->code);
	pcre2_match_context_free(r->limits);
	free(r);
}

struct span filter_regex_text(const struct filter_regex *r)
{
	return span_of(r->text, r->len);
}

struct filter_regex_room *filter_regex_room_new(void)
{
	struct filter_regex_room *room = calloc(1, sizeof(*room));

	if (room)
		room->data = pcre2_match_data_create(1, NULL);
	if (room && !room->data) {
		free(room);
		return NULL;
	}
	return room;
}

void filter_regex_room_free(struct filter_regex_room *room)
{
	if (!room)
		return;
	pcre2_match_data_free(room->data);
	free(room);
}

int filter_regex_search(const struct filter_regex *r, struct filter_regex_room *room,
			struct span text)
{
	const uint8_t *bytes = text.ptr ? text.ptr : (const uint8_t *)"";
	int n = pcre2_match(r->code, bytes, text.len, 0, 0, room->data, r->limits);

	if (n == PCRE2_ERROR_JIT_STACKLIMIT)
		n = pcre2_match(r->code, bytes, text.len, 0, PCRE2_NO_JIT, room->data, r->limits);
	if (n >= 0)
		return 1;
	return n == PCRE2_ERROR_NOMATCH ? 0 : n == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -E2BIG;
}
