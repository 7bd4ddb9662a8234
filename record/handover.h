// SPDX-License-Identifier: Apache-2.0
/*
 * handover.h - exchanges from a sidecar to its node's daemon, over a unix socket: the sending end
 *
 * The form: frames of a length (4 octets, big endian) and so much JSON. The first is
 * {"handover":1}, each further one an exchange as exchange_to_json() writes it exactly
 * (schema/exchange_json.h). Back come numbers (8 octets, big endian): how many exchanges of this
 * connection the recorder there has taken.
 *
 * Thread: recorder, which may wait; the capture thread never waits for it.
 */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"

#define HANDOVER_VERSION   1
#define HANDOVER_HELLO	   "{\"handover\":1}"
#define HANDOVER_FRAME_MAX (8u << 20) /* octets of a frame's JSON */

struct handover;

/* handover_new() - connects when there is something to say. @path: copied. NULL: no memory. */
struct handover *handover_new(const char *path) MUST_USE;
/**
 * handover_add() - one exchange, on its way from now on
 * @x: borrowed
 * @e: why it cannot be taken now: nobody is there, or does not read
 *
 * Waits 100 ms at most for room.
 *
 * Return: 0; negative: offer it again later.
 */
int handover_add(struct handover *h, const struct exchange *x, struct err *e) MUST_USE;
/* handover_tick() - send what waits, read what was taken. Return: 0, or why the connection ended. */
int handover_tick(struct handover *h, struct err *e) MUST_USE;
/* exchanges sent or to be sent, not yet taken */
uint64_t handover_waiting(const struct handover *h);
/* What became of exchanges since the last call. */
struct handover_outcome {
	uint64_t taken, lost; /* lost: the connection ended before they were taken, or too long */
};
struct handover_outcome handover_outcome(struct handover *h);
/* handover_close() - wait up to a second for what is on its way; accepts NULL. handover_free() frees. */
void handover_close(struct handover *h);
void handover_free(struct handover *h);
