// SPDX-License-Identifier: Apache-2.0
/* format_har_entry.h - one entry of a HAR as an exchange */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "schema/foreign.h"

/* Where the bytes of an exchange that was read live; reused from one to the next. */
struct har_room {
	struct buf heads[2], bodies[2], children;
	void *own; /* what schema/exchange_json.h gave out */
};
void har_room_fini(struct har_room *room);

/* What an entry did not tell. */
struct har_flaws {
	bool has_no_body, was_decoded, is_http3, was_cached;
};

/**
 * har_entry_read() - @entry: one JSON object
 * @out:   its spans live in @room until the next call
 * @flaws: filled in
 *
 * Return: 0; -EINVAL no entry of a HAR: @e names what is missing; -ENOMEM.
 */
int har_entry_read(struct span entry, struct har_room *room, struct foreign *out,
		   struct har_flaws *flaws, struct err *e) MUST_USE;
