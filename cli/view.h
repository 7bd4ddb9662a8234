// SPDX-License-Identifier: Apache-2.0
/* view.h - exchanges one after another in the form that -o asks for: for ls and tail */
#pragma once

#include "cli/cli.h"
#include "cli/table.h"
#include "schema/exchange_json.h"

enum view_form {
	VIEW_TABLE,
	VIEW_WIDE,
	VIEW_JSON,
	VIEW_JSONL,
	VIEW_CURL,
	VIEW_HAR,
	VIEW_CSV,
	VIEW_ID
};
#define VIEW_CHOICES "table wide json jsonl curl har csv id"
#define VIEW_PARTS   "summary messages exact" /* enum exchange_json_part */

struct view;

/* view_new() - @form for all, @part for JSON. NULL without memory. */
struct view *view_new(enum view_form form, enum exchange_json_part part,
		      const struct screen *screen, uint64_t now_ns) MUST_USE;
void view_free(struct view *v); /* accepts NULL */
AUTO_DEFINE(view, view_free)
/* view_wants_messages() - the form shows what is not in a summary */
bool view_wants_messages(enum view_form form, enum exchange_json_part part);
/* view_expect_more() - exchanges come one by one and are shown at once */
void view_expect_more(struct view *v);
/* view_add() - one exchange; prints when enough are collected. Return: 0, or 1 when nobody reads
 * any more. */
int view_add(struct view *v, const struct exchange *x) MUST_USE;
/* view_flush() - what is collected, now. Return: 1 when nobody reads any more */
int view_flush(struct view *v);
/* view_end() - the rest, and for JSON the end of the document with @next_cursor (0: null) */
void view_end(struct view *v, uint64_t next_cursor);
uint64_t view_count(const struct view *v);

#define VIEW_STATUS_MAX 48
/*
 * view_status() - status, or the reason why there is none: "503", "reset_server"; with its style
 * @with_name: "200 grpc 9 FAILED_PRECONDITION", "101 closed 1006 abnormal closure"; else
 *             "200 grpc 9", "101 closed 1006"
 */
struct span view_status(const struct exchange *x, bool with_name, char text[VIEW_STATUS_MAX],
			enum style *style_out);
enum style view_outcome_style(unsigned outcome);
/* view_end_name() - who an end is: service, else pod, else address (@with_port: and port) */
void view_end_name(struct buf *out, const struct endpoint *e, bool with_port);
/* view_size() - "0", "980", "2.6k", "1.2M" octets */
void view_size(struct buf *out, uint64_t bytes);
