// SPDX-License-Identifier: Apache-2.0
#include "store/format.h"

#include <stdlib.h>

#include "store/format_kind.h"

/*
 * Theory of operation. A format is a row with four functions: what stands before the first
 * exchange, an exchange, what stands behind the last, and what is to be freed. A writer begins its
 * file with the first exchange or with the end, whichever comes first, so an empty selection is a
 * valid file.
 */
static const struct format formats[] = {
#define FORMAT(name, text, endings, media, what) {text, endings, media, what, &format_kind_##name},
#include "store/formats.tbl.h"
#undef FORMAT
};

static const char *const losses[] = {
#define LOSS(NAME, what) [FORMAT_LOSS_##NAME] = what,
#include "store/formats.tbl.h"
#undef LOSS
};

const struct format *format_find(struct span name)
{
	for (size_t i = 0; i < COUNT_OF(formats); i++)
		if (span_eq(name, span_str(formats[i].name)))
			return &formats[i];
	return NULL;
}

const struct format *format_at(size_t index)
{
	return index < COUNT_OF(formats) ? &formats[index] : NULL;
}

static bool ends_in(struct span s, struct span end)
{
	return s.len > end.len && span_ieq(span_from(s, s.len - end.len), end);
}

/* one of the endings, which stand in one text with blanks between */
static bool has_ending(struct span path, const char *endings)
{
	while (*endings) {
		size_t n = strcspn(endings, " ");

		if (ends_in(path, span_of(endings, n)))
			return true;
		endings += n + strspn(endings + n, " ");
	}
	return false;
}

const struct format *format_of_path(const char *path)
{
	struct span s = span_str(path);

	if (ends_in(s, SPAN_LIT(".gz")))
		s.len -= 3;
	for (size_t i = 0; i < COUNT_OF(formats); i++)
		if (has_ending(s, formats[i].endings))
			return &formats[i];
	return NULL;
}

const char *format_name(const struct format *f)
{
	return f->name;
}

const char *format_media_type(const struct format *f)
{
	return f->media_type;
}

const char *format_what(const struct format *f)
{
	return f->what;
}

bool format_wants_messages(const struct format *f)
{
	return f->kind->wants_messages;
}

struct format_writer *format_writer_new(const struct format *f, const char *to)
{
	struct format_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	*w = (struct format_writer){.format = f, .to = to};
	w->state = calloc(1, f->kind->state_bytes + 1);
	if (!w->state) {
		free(w);
		return NULL;
	}
	return w;
}

void format_writer_free(struct format_writer *w)
{
	if (!w)
		return;
	if (w->format->kind->fini)
		w->format->kind->fini(w);
	free(w->state);
	free(w);
}

static void begin(struct format_writer *w, struct buf *out)
{
	if (!w->has_begun && w->format->kind->begin)
		w->format->kind->begin(w, out);
	w->has_begun = true;
}

void format_add(struct format_writer *w, const struct exchange *x, struct buf *out)
{
	begin(w, out);
	if (w->format->kind->add(w, x, out))
		w->count++;
}

void format_end(struct format_writer *w, struct buf *out)
{
	begin(w, out);
	if (w->format->kind->end)
		w->format->kind->end(w, out);
}

uint64_t format_count(const struct format_writer *w)
{
	return w->count;
}

uint64_t format_lost(const struct format_writer *w, enum format_loss loss, const char **what_out)
{
	*what_out = losses[loss];
	return w->lost[loss];
}
