// SPDX-License-Identifier: Apache-2.0
/*
 * part.h - long conversations are written while they run, one exchange for each part of them
 *
 * A part is an exchange with the heads of the conversation and with what was said since the part before it. All but
 * the last have REASON_ONGOING, all but the first ANOMALY_CONTINUATION; connection, stream and sequence are
 * those of the conversation. Thread: capture.
 */
#pragma once

#include "wire/pair.h"

/* part_watch() - the response of @p is under way: it is written at least once in part_interval */
void part_watch(struct pair *p, uint64_t ts_ns);
/* part_write_full() - a message of the conversation is over: write what there is, if it is enough for a part */
void part_write_full(struct pair *p, uint64_t ts_ns);
/**
 * part_write() - hand out what there is of @p, and begin the next part
 *
 * A gRPC message or an event that is not whole yet goes to the next part.
 */
void part_write(struct pair *p, uint64_t ts_ns);
/* part_take_body() - the next bytes of a body: kept, and where messages end in them, these are noted */
void part_take_body(struct pair *p, bool is_response, struct span bytes, uint64_t ts_ns);
/* parts_tick() - conversations of all connections of @w of which part_interval was not written */
void parts_tick(struct wire *w, uint64_t now_ns);
