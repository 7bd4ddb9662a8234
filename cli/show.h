// SPDX-License-Identifier: Apache-2.0
/* show.h - one exchange for people, piece by piece: for show.c and the files that show one protocol
 */
#pragma once

#include "cli/table.h"
#include "lib/protobuf.h"
#include "schema/exchange.h"
#include "store/format.h"

/* What is being shown, and to whom. Lives in run_show(). */
struct show {
	const struct show_args *args;
	struct screen screen;
	uint64_t now_ns;
	const struct proto_set *protos; /* NULL without --proto */
	struct format_writer *har;	/* of --as har: one document for all */
	struct buf out;
	uint64_t count;
	bool was_escaped;
	bool was_refused; /* --decoded: a body did not decode to its end */
};

/* show_key() - begin a line of facts */
void show_key(struct show *s, const char *key);
/* show_remark() - a line in brackets: ours, not the peer's */
void show_remark(struct show *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* show_octets() - as text where it is text (JSON indented), else the beginning in hex
 * @option: the one that gives them all */
void show_octets(struct show *s, struct span octets, const char *option);
/* show_is_text() - valid UTF-8 with hardly a control in it */
bool show_is_text(struct span s);
/* show_is_full() - print what there is when it is much. Return: nobody reads any more */
bool show_is_full(struct show *s);

/* show_facts.c: who, when, how it ended */
void show_facts(struct show *s, const struct exchange *x);

/* show_grpc.c: the lines of facts; the messages in one body */
void show_grpc_facts(struct show *s, const struct exchange *x);
void show_grpc_body(struct show *s, const struct exchange *x, bool is_response);

/* show_children.c: the lines of facts; the messages of a WebSocket or the events of a response */
void show_children_facts(struct show *s, const struct exchange *x);
void show_children(struct show *s, const struct exchange *x);
/* show_has_events() - the response's body is shown as its events */
bool show_has_events(const struct exchange *x);
