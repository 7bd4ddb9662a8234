// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * format_har_scan.c finds the entries in the bytes as they come, format_har_entry.c makes an
 * exchange of each: memory holds one entry.
 */
#include <errno.h>

#include "store/format_har_entry.h"
#include "store/format_har_scan.h"
#include "store/format_reader_kind.h"

struct har {
	struct har_scan scan;
	struct har_room room;
};

/* { "log": ... ; a byte order mark may stand in front */
static bool recognises(struct span first)
{
	static const char key[] = "\"log\"";
	size_t i = first.len > 3 && memcmp(first.ptr, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	bool has_mark = i > 0;

	while (i < first.len && first.ptr[i] <= ' ')
		i++;
	if (i == first.len || first.ptr[i++] != '{')
		return false;
	while (i < first.len && first.ptr[i] <= ' ')
		i++;
	return i == first.len || has_mark ||
	       memcmp(first.ptr + i, key, MIN(first.len - i, sizeof(key) - 1)) == 0;
}

static int take_entry(void *ctx, struct span entry)
{
	struct format_reader *r = ctx;
	struct har *h = r->state;
	struct har_flaws flaws;
	struct err why = {0};
	struct foreign f;
	int result;

	r->entry++;
	result = har_entry_read(entry, &h->room, &f, &flaws, &why);
	if (result == -ENOMEM)
		return result;
	if (result < 0) {
		format_refuse(r, "entry", &why);
		return 0;
	}
	r->flaws[FORMAT_FLAW_NO_BODY] += flaws.has_no_body;
	r->flaws[FORMAT_FLAW_DECODED] += flaws.was_decoded;
	r->flaws[FORMAT_FLAW_CACHED] += flaws.was_cached;
	r->flaws[FORMAT_FLAW_HTTP3] += flaws.is_http3;
	return r->fn(r->ctx, &f);
}

static int feed(struct format_reader *r, struct span bytes, struct err *e)
{
	struct har *h = r->state;

	h->scan.entry_max = FORMAT_ENTRY_MAX;
	return har_scan_feed(&h->scan, bytes, take_entry, r, e);
}

static int end(struct format_reader *r, struct err *e)
{
	const struct har *h = r->state;

	return har_scan_end(&h->scan, e);
}

static void fini(struct format_reader *r)
{
	struct har *h = r->state;

	har_scan_fini(&h->scan);
	har_room_fini(&h->room);
}

const struct format_reader_kind format_reader_har = {
	.format = "har",
	.state_bytes = sizeof(struct har),
	.recognises = recognises,
	.feed = feed,
	.end = end,
	.fini = fini,
};
