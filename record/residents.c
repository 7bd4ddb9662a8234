// SPDX-License-Identifier: Apache-2.0
#include "record/residents.h"

#include <stdlib.h>

#include "lib/buf.h"

/*
 * Theory of operation. Rows sorted by namespace and time, a list of their addresses sorted likewise, all
 * texts and addresses behind them in one piece. The kernel gives a namespace's number away again as soon as it is
 * free, so a row has a time; it is stretched by SLACK_NS to both sides, since a packet's time and ours are
 * not taken at the same place: where the number came back within that time, the row that is nearest counts.
 */
#define SLACK_NS (2 * NS_PER_S)

/* One address of a row. */
struct home {
	uint8_t address[16];
	const struct resident *row;
};

struct residents {
	struct resident *rows;
	size_t count;
	struct home *homes; /* sorted by address, then by time */
	size_t home_count;
	uint8_t *bytes;
};

static int by_netns(const void *a, const void *b)
{
	const struct resident *x = a, *y = b;

	if (x->netns != y->netns)
		return x->netns < y->netns ? -1 : 1;
	return x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

static size_t bytes_of(struct resident *row)
{
	size_t n = row->address_count * 16;
	struct span *text;

	for (size_t i = 0; (text = identity_text(&row->who, i)); i++)
		n += text->len;
	return n;
}

static void move_in(struct resident *row, uint8_t **at)
{
	struct span *text;

	if (row->address_count)
		memcpy(*at, row->addresses, row->address_count * 16);
	row->addresses = (const uint8_t(*)[16]) * at;
	*at += row->address_count * 16;
	for (size_t i = 0; (text = identity_text(&row->who, i)); i++) {
		if (text->len)
			memcpy(*at, text->ptr, text->len);
		text->ptr = *at;
		*at += text->len;
	}
}

static int by_address(const void *a, const void *b)
{
	const struct home *x = a, *y = b;
	int order = memcmp(x->address, y->address, 16);

	return order				   ? order
	       : x->row->from_ns < y->row->from_ns ? -1
						   : x->row->from_ns > y->row->from_ns;
}

static int list_homes(struct residents *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		r->home_count += r->rows[i].address_count;
	r->homes = calloc(r->home_count + 1, sizeof(*r->homes));
	if (!r->homes)
		return -1;
	for (size_t i = 0; i < r->count; i++)
		for (size_t a = 0; a < r->rows[i].address_count; a++, n++) {
			memcpy(r->homes[n].address, r->rows[i].addresses[a], 16);
			r->homes[n].row = &r->rows[i];
		}
	qsort(r->homes, n, sizeof(*r->homes), by_address);
	return 0;
}

struct residents *residents_new(const struct resident *rows, size_t count)
{
	struct residents *r = calloc(1, sizeof(*r));
	size_t bytes = 1;
	uint8_t *at;

	if (r)
		r->rows = calloc(count + 1, sizeof(*r->rows));
	for (size_t i = 0; r && r->rows && i < count; i++) {
		r->rows[i] = rows[i];
		bytes += bytes_of(&r->rows[i]);
	}
	if (!r || !r->rows || !(r->bytes = malloc(bytes))) {
		residents_free(r);
		return NULL;
	}
	r->count = count;
	at = r->bytes;
	for (size_t i = 0; i < count; i++)
		move_in(&r->rows[i], &at);
	qsort(r->rows, count, sizeof(*r->rows), by_netns);
	if (list_homes(r) < 0) {
		residents_free(r);
		return NULL;
	}
	return r;
}

void residents_free(struct residents *r)
{
	if (!r)
		return;
	free(r->rows);
	free(r->homes);
	free(r->bytes);
	free(r);
}

static bool is_loopback(const struct endpoint *at)
{
	static const uint8_t one[16] = {[15] = 1};

	return at->is_ipv4 ? at->address[12] == 127 : memcmp(at->address, one, 16) == 0;
}

/* How far a moment is from the time in which the row holds; 0 within it. */
static uint64_t distance(const struct resident *row, uint64_t time_ns)
{
	if (time_ns < row->from_ns)
		return row->from_ns - time_ns;
	return row->until_ns && time_ns > row->until_ns ? time_ns - row->until_ns : 0;
}

/* The nearest so far; of two that are equally near, the later. */
struct nearest {
	const struct identity *who;
	uint64_t distance;
};

static void consider(struct nearest *n, const struct resident *row, uint64_t time_ns)
{
	uint64_t far = distance(row, time_ns);

	if (far <= SLACK_NS && (!n->who || far <= n->distance))
		*n = (struct nearest){&row->who, far};
}

static bool has_address(const struct resident *row, const struct endpoint *at)
{
	if (is_loopback(at))
		return true;
	for (size_t i = 0; i < row->address_count; i++)
		if (memcmp(row->addresses[i], at->address, 16) == 0)
			return true;
	return false;
}

/* Return: how many rows stand before those of that namespace */
static size_t first_of(const struct residents *r, uint32_t netns)
{
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->rows[middle].netns < netns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct identity *residents_find(const struct residents *r, uint32_t netns,
				      const struct endpoint *at, uint64_t time_ns)
{
	struct nearest found = {0};

	if (!r || netns == 0)
		return NULL;
	for (size_t i = first_of(r, netns); i < r->count && r->rows[i].netns == netns; i++) {
		const struct resident *row = &r->rows[i];

		if (has_address(row, at))
			consider(&found, row, time_ns);
	}
	return found.who;
}

/* Return: how many homes stand before those of that address */
static size_t first_home(const struct residents *r, const uint8_t address[16])
{
	size_t low = 0, high = r->home_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(r->homes[middle].address, address, 16) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct identity *residents_at(const struct residents *r, const struct endpoint *at,
				    uint64_t time_ns)
{
	struct nearest found = {0};

	if (!r || is_loopback(at))
		return NULL;
	for (size_t i = first_home(r, at->address); i < r->home_count; i++) {
		const struct home *h = &r->homes[i];

		if (memcmp(h->address, at->address, 16) != 0)
			break;
		consider(&found, h->row, time_ns);
	}
	return found.who;
}
