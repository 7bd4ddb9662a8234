// SPDX-License-Identifier: Apache-2.0
/* format_kind.h - what a format provides; for store/format.c and the files that implement one */
#pragma once

#include "store/format.h"

struct format {
	const char *name, *endings, *media_type, *what;
	const struct format_kind *kind;
};

struct format_kind {
	size_t state_bytes; /* of format_writer.state */
	bool wants_messages;
	/* all but add may be NULL; add: true when the exchange was written */
	void (*begin)(struct format_writer *w, struct buf *out);
	bool (*add)(struct format_writer *w, const struct exchange *x, struct buf *out);
	void (*end)(struct format_writer *w, struct buf *out);
	void (*fini)(struct format_writer *w);
};

struct format_writer {
	const struct format *format;
	const char *to; /* borrowed */
	void *state;	/* zeroed; owned */
	uint64_t count; /* written */
	uint64_t lost[FORMAT_LOSS_COUNT];
	bool has_begun;
};

#define FORMAT(name, text, endings, media, what) extern const struct format_kind format_kind_##name;
#include "store/formats.tbl.h"
#undef FORMAT

static inline void format_lose(struct format_writer *w, enum format_loss loss)
{
	w->lost[loss]++;
}
